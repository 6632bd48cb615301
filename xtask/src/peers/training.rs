//! `cargo xtask training-peers`: a whole training in Ocelli and in PyTorch, in turn, in one run.

use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;

use super::measure::{Program, Python, target};
use super::options::Options;
use super::table::median;

const HELP: &str = "\
usage: cargo xtask training-peers --data DATA --net NET --epochs N [OPTIONS]

Trains a network by its recipe in Ocelli and in PyTorch, from the files to the accuracy on the test images, and holds the wall
times of both processes against each other, start and reading of images included. Prints a row of a Markdown table, medians over
the rounds; each round has another seed.

  --data DATA      MNIST's four IDX files (for lenet), or CIFAR-10 as JPEG files in train.tar.xz and test.tar.xz (for resnet9)
  --net NET        lenet or resnet9
  --epochs N       passes over the training images
  --rounds N, --threads N, --precision P, --venv DIR, --ocelli FILE, --under COMMAND  as of cargo xtask peers";

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
#[derive(Debug)]
struct Asked {
    data: String,
    net: String,
    epochs: String,
    options: Options,
}

/// Seconds of one side's trainings, and the share of the test images that each ends with.
#[derive(Default)]
struct Trainings {
    seconds: Vec<f64>,
    top1: Vec<f64>,
}

impl Trainings {
    fn time(&mut self, train: impl FnOnce() -> Result<f64, String>) -> Result<(), String> {
        let start = Instant::now();
        let top1 = train()?;
        self.seconds.push(start.elapsed().as_secs_f64());
        self.top1.push(top1);
        eprintln!("xtask: {:.1} s, {:.2} %", start.elapsed().as_secs_f64(), 100.0 * top1);
        Ok(())
    }

    fn cells(&self) -> String {
        format!("{:.1} s | {:.2} %", median(&self.seconds), 100.0 * median(&self.top1))
    }
}

impl Asked {
    fn read(args: &[String]) -> Result<Asked, String> {
        let (mut data, mut net, mut epochs, mut others) = (None, None, None, Vec::new());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (arg.as_str(), args.next().cloned()),
            };
            let value = value.ok_or_else(|| format!("{name} needs a value"))?;
            match name {
                "--data" => data = Some(value),
                "--net" => net = Some(value),
                "--epochs" => epochs = Some(value),
                _ => others.extend([name.to_string(), value]),
            }
        }
        let missing = |name: &str| format!("{name} is missing\n\n{HELP}");
        Ok(Asked {
            data: data.ok_or_else(|| missing("--data"))?,
            net: net.ok_or_else(|| missing("--net"))?,
            epochs: epochs.ok_or_else(|| missing("--epochs"))?,
            options: Options::read(&others)?,
        })
    }

    fn compare(&self) -> Result<String, String> {
        let program = Program::built(&self.options)?;
        let python = Python::prepared(&self.options)?;
        let (mut ours, mut theirs) = (Trainings::default(), Trainings::default());
        for round in 0..self.options.rounds {
            eprintln!("xtask: round {} of {}", round + 1, self.options.rounds);
            let seed = round.to_string();
            // Who begins changes from round to round.
            if round % 2 == 0 {
                ours.time(|| self.ocelli(&program, &seed))?;
                theirs.time(|| self.peer(&python, &seed))?;
            } else {
                theirs.time(|| self.peer(&python, &seed))?;
                ours.time(|| self.ocelli(&program, &seed))?;
            }
        }
        let ratio = median(&theirs.seconds) / median(&ours.seconds);
        Ok(format!(
            "| network | precision | epochs | Ocelli | | PyTorch | | times as fast |\n|---|---|---:|---:|---:|---:|---:|---:|\n\
             | `{}` | {} | {} | {} | {} | {ratio:.2} |\n",
            self.net,
            self.options.precision.name(),
            self.epochs,
            ours.cells(),
            theirs.cells(),
        ))
    }

    fn ocelli(&self, program: &Program, seed: &str) -> Result<f64, String> {
        let folder = target().join("training-peers");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|e| format!("cannot clear {}: {e}", folder.display()))?;
        }
        let folder = folder.to_string_lossy().into_owned();
        let threads = self.options.threads.to_string();
        let common = ["train", &self.data, "--net", &self.net, "--epochs", &self.epochs, "--seed", seed];
        let more = ["--threads", &threads, "--precision", self.options.precision.name(), "--out", &folder];
        let result = program.json(&[&common[..], &more[..], &["--quiet", "--json"]].concat())?;
        top1(&result["val"]["top1"])
    }

    fn peer(&self, python: &Python, seed: &str) -> Result<f64, String> {
        let threads = self.options.threads.to_string();
        let precision = self.options.precision.name();
        let args = [&self.net, &self.data, "--epochs", &self.epochs, "--threads", &threads];
        let args = [&args[..], &["--precision", precision, "--seed", seed]].concat();
        top1(&python.json("training.py", &args)?["top1"])
    }
}

fn top1(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| "a training told no accuracy".to_string())
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
        let asked =
            read("--data mnist --net=lenet --epochs 20 --rounds 5 --precision bf16").expect("options");
        assert_eq!(
            (asked.data.as_str(), asked.net.as_str(), asked.epochs.as_str()),
            ("mnist", "lenet", "20")
        );
        assert_eq!((asked.options.rounds, asked.options.precision.name()), (5, "bf16"));
        assert!(read("--data mnist --epochs 5").is_err_and(|e| e.contains("--net")));
        assert!(read("--data mnist --net lenet --epochs 5 --fast 1").is_err_and(|e| e.contains("--fast")));
    }

    #[test]
    fn a_row_has_medians() {
        let trainings = Trainings { seconds: vec![3.0, 90.0, 4.0], top1: vec![0.99, 0.98, 0.1] };
        assert_eq!(trainings.cells(), "4.0 s | 98.00 %");
    }
}
