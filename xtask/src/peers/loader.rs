//! `cargo xtask loader-peers`: reading, varying and batching photographs in Ocelli and in torchvision, in turn, in one run.

use std::process::ExitCode;

use serde_json::Value;

use super::measure::{Program, Python};
use super::options::Options;
use super::table::{median, thousands};

const HELP: &str = "\
usage: cargo xtask loader-peers --data FOLDER [OPTIONS]

Holds the loader of Ocelli against torchvision's, on JPEG files in a folder with a folder for each class: random resized crops
with areas from 0.08 to 1, mirroring, normalised f32 in batches of 64; with one thread, and with several beside the one that
waits. torchvision runs in its faster way of two, Pillow or tensors. Prints Markdown: medians of images per second, and ratios.

  --data FOLDER    the pictures
  --size N         rows and columns that they get [default: 128]
  --rounds N, --threads N, --seconds S, --venv DIR, --ocelli FILE, --under COMMAND  as of cargo xtask peers";

/// Compares.
pub(crate) fn run(args: &[String]) -> ExitCode {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match Asked::read(args).and_then(|asked| asked.compare()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for.
struct Asked {
    data: String,
    size: String,
    options: Options,
}

/// Both sides' images per second in each round, with some number of threads.
struct Rates {
    threads: String,
    ocelli: Vec<f64>,
    peer: Vec<f64>,
}

impl Asked {
    /// `--data` and `--size`, and what `peers` takes too.
    fn read(args: &[String]) -> Result<Asked, String> {
        let (mut data, mut size, mut others) = (None, "128".to_string(), Vec::new());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (arg.as_str(), args.next().cloned()),
            };
            let value = value.ok_or_else(|| format!("{name} needs a value"))?;
            match name {
                "--data" => data = Some(value),
                "--size" => size = value,
                _ => others.extend([name.to_string(), value]),
            }
        }
        let data = data.ok_or_else(|| format!("--data is missing\n\n{HELP}"))?;
        Ok(Asked { data, size, options: Options::read(&others)? })
    }

    fn compare(&self) -> Result<String, String> {
        let program = Program::built(&self.options)?;
        let python = Python::prepared(&self.options)?;
        let chosen =
            python.json("loader.py", &[&self.data, "--size", &self.size, "--choose", "--seconds", "1"])?;
        let rates = chosen["rates"].as_object().into_iter().flatten();
        let best =
            rates.filter_map(|(way, rate)| Some((way, rate.as_f64()?))).max_by(|a, b| a.1.total_cmp(&b.1));
        let (way, _) = best.ok_or("torchvision measured nothing")?;
        let mut all: Vec<Rates> = ["1".to_string(), self.options.threads.to_string()]
            .map(|threads| Rates { threads, ocelli: Vec::new(), peer: Vec::new() })
            .into();
        all.dedup_by(|a, b| a.threads == b.threads);
        for round in 0..self.options.rounds {
            eprintln!("xtask: round {} of {}", round + 1, self.options.rounds);
            for rates in &mut all {
                let ours = || self.ocelli(&program, &rates.threads);
                let theirs = || self.peer(&python, way, &rates.threads);
                // Who begins changes from round to round.
                let (ours, theirs) = match round % 2 {
                    0 => {
                        let ours = ours()?;
                        (ours, theirs()?)
                    }
                    _ => {
                        let theirs = theirs()?;
                        (ours()?, theirs)
                    }
                };
                rates.ocelli.push(ours);
                rates.peer.push(theirs);
            }
        }
        Ok(self.markdown(&all, way, &chosen["versions"]))
    }

    fn ocelli(&self, program: &Program, threads: &str) -> Result<f64, String> {
        let seconds = self.options.seconds.to_string();
        let args = [
            "bench",
            "data",
            &self.data,
            "--size",
            &self.size,
            "--augment",
            "crop-flip",
            "--crop-area",
            "0.08,1",
        ];
        let more = ["--batch", "64", "--threads", threads, "--seconds", &seconds, "--json"];
        let result = program.json(&[&args[..], &more[..]].concat())?;
        let load = result["load"].as_array().and_then(|load| load.last());
        load.and_then(|load| load["images_per_second"].as_f64())
            .ok_or_else(|| "ocelli measured nothing".to_string())
    }

    fn peer(&self, python: &Python, way: &str, threads: &str) -> Result<f64, String> {
        let seconds = self.options.seconds.to_string();
        let args =
            [&self.data, "--size", &self.size, "--way", way, "--threads", threads, "--seconds", &seconds];
        let result = python.json("loader.py", &args)?;
        result["images_per_second"].as_f64().ok_or_else(|| "torchvision measured nothing".to_string())
    }

    fn markdown(&self, all: &[Rates], way: &str, versions: &Value) -> String {
        let version = |name: &str| versions[name].as_str().unwrap_or("?").to_string();
        let mut text = format!(
            "JPEG files to {0}×{0}, images/s, medians of {1} rounds; torchvision {2} with Pillow {3}, PyTorch {4}.\n\n\
             | threads | Ocelli | torchvision ({way}) | ratio |\n|---:|---:|---:|---:|\n",
            self.size,
            self.options.rounds,
            version("torchvision"),
            version("pillow"),
            version("torch"),
        );
        for Rates { threads, ocelli, peer } in all {
            let (ours, theirs) = (median(ocelli), median(peer));
            let [a, b] = [ours, theirs].map(|rate| thousands(rate.round() as u64));
            text += &format!("| {threads} | {a} | {b} | {:.2} |\n", ours / theirs);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        Asked::read(&words)
    }

    #[test]
    fn its_own_options_and_those_of_peers_are_read() {
        let asked = read("--data photos --rounds 5 --size=96 --threads 4").expect("options");
        assert_eq!((asked.data.as_str(), asked.size.as_str()), ("photos", "96"));
        assert_eq!((asked.options.rounds, asked.options.threads), (5, 4));
        assert!(read("--rounds 5").is_err_and(|e| e.contains("--data")));
        assert!(read("--data photos --fast 1").is_err_and(|e| e.contains("--fast")));
    }

    #[test]
    fn a_row_has_medians_and_their_ratio() {
        let asked = read("--data photos").expect("options");
        let rates =
            Rates { threads: "1".to_string(), ocelli: vec![9.0, 8000.0, 8200.0], peer: vec![2000.0; 3] };
        let text = asked.markdown(&[rates], "pil", &Value::Null);
        assert!(text.contains("| 1 | 8,000 | 2,000 | 4.00 |"), "{text}");
    }
}
