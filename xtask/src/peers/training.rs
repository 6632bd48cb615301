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
  --erase P        erases a rectangle of this share of the images on both sides, on top of the recipe
  --goals A,B      accuracies in per cent, such as 90,94: also tells when each side's test accuracy first was that high, as seen
                   after each epoch, with the time that the process takes before and after its epochs
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
    /// The share of images that lose a rectangle.
    erase: Option<String>,
    /// Per cent.
    goals: Vec<f64>,
    options: Options,
}

/// After an epoch: seconds since training began, and the share of the test images.
type Seen = (f64, f64);

/// Seconds of one side's trainings, and the share of the test images that each ends with.
#[derive(Default)]
struct Trainings {
    seconds: Vec<f64>,
    top1: Vec<f64>,
    /// For each goal, the seconds that trainings took to reach it: none where one of them did not.
    goals: Vec<Option<Vec<f64>>>,
}

impl Trainings {
    fn new(goals: usize) -> Trainings {
        Trainings { goals: vec![Some(Vec::new()); goals], ..Trainings::default() }
    }

    fn time(
        &mut self,
        goals: &[f64],
        train: impl FnOnce() -> Result<Vec<Seen>, String>,
    ) -> Result<(), String> {
        let start = Instant::now();
        let history = train()?;
        let all = start.elapsed().as_secs_f64();
        self.note(goals, all, &history)?;
        eprintln!("xtask: {all:.1} s, {:.2} %", 100.0 * history[history.len() - 1].1);
        Ok(())
    }

    fn note(&mut self, goals: &[f64], all: f64, history: &[Seen]) -> Result<(), String> {
        let &(end, top1) = history.last().ok_or("a training told of no epoch")?;
        self.seconds.push(all);
        self.top1.push(top1);
        for (&goal, times) in goals.iter().zip(&mut self.goals) {
            let first = history.iter().find(|(_, top1)| 100.0 * top1 >= goal);
            match (first, times.as_mut()) {
                (Some((at, _)), Some(times)) => times.push(all - end + at),
                _ => *times = None,
            }
        }
        Ok(())
    }

    fn cells(&self) -> String {
        format!("{:.1} s | {:.2} %", median(&self.seconds), 100.0 * median(&self.top1))
    }

    /// When a goal was reached.
    fn reached(&self, goal: usize) -> String {
        self.goals[goal].as_ref().map_or("never".to_string(), |times| format!("{:.1} s", median(times)))
    }
}

impl Asked {
    fn read(args: &[String]) -> Result<Asked, String> {
        let (mut data, mut net, mut epochs, mut erase, mut others) = (None, None, None, None, Vec::new());
        let mut goals = Vec::new();
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
                "--erase" => erase = Some(value),
                "--goals" => {
                    let numbers: Result<Vec<f64>, _> = value.split(',').map(str::parse).collect();
                    goals = numbers.map_err(|_| "--goals: give per cent, such as 90,94")?;
                }
                _ => others.extend([name.to_string(), value]),
            }
        }
        let missing = |name: &str| format!("{name} is missing\n\n{HELP}");
        Ok(Asked {
            data: data.ok_or_else(|| missing("--data"))?,
            net: net.ok_or_else(|| missing("--net"))?,
            epochs: epochs.ok_or_else(|| missing("--epochs"))?,
            erase,
            goals,
            options: Options::read(&others)?,
        })
    }

    fn compare(&self) -> Result<String, String> {
        let program = Program::built(&self.options)?;
        let python = Python::prepared(&self.options)?;
        let goals = &self.goals;
        let [mut ours, mut theirs] = [(); 2].map(|()| Trainings::new(goals.len()));
        for round in 0..self.options.rounds {
            eprintln!("xtask: round {} of {}", round + 1, self.options.rounds);
            let seed = round.to_string();
            // Who begins changes from round to round.
            if round % 2 == 0 {
                ours.time(goals, || self.ocelli(&program, &seed))?;
                theirs.time(goals, || self.peer(&python, &seed))?;
            } else {
                theirs.time(goals, || self.peer(&python, &seed))?;
                ours.time(goals, || self.ocelli(&program, &seed))?;
            }
        }
        let ratio = median(&theirs.seconds) / median(&ours.seconds);
        let mut text = format!(
            "| network | precision | epochs | Ocelli | | PyTorch | | times as fast |\n|---|---|---:|---:|---:|---:|---:|---:|\n\
             | `{}` | {} | {} | {} | {} | {ratio:.2} |\n",
            self.net,
            self.options.precision.name(),
            self.epochs,
            ours.cells(),
            theirs.cells(),
        );
        if !goals.is_empty() {
            text += "\n| test accuracy | Ocelli | PyTorch |\n|---:|---:|---:|\n";
        }
        for (i, goal) in goals.iter().enumerate() {
            text += &format!("| {goal} % | {} | {} |\n", ours.reached(i), theirs.reached(i));
        }
        Ok(text)
    }

    fn ocelli(&self, program: &Program, seed: &str) -> Result<Vec<Seen>, String> {
        let folder = target().join("training-peers");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|e| format!("cannot clear {}: {e}", folder.display()))?;
        }
        let metrics = folder.join("metrics.jsonl");
        let folder = folder.to_string_lossy().into_owned();
        let threads = self.options.threads.to_string();
        let common = ["train", &self.data, "--net", &self.net, "--epochs", &self.epochs, "--seed", seed];
        let more = ["--threads", &threads, "--precision", self.options.precision.name(), "--out", &folder];
        program.json(&[&common[..], &more[..], &self.variation(), &["--quiet", "--json"]].concat())?;
        let text = std::fs::read_to_string(&metrics)
            .map_err(|e| format!("cannot read {}: {e}", metrics.display()))?;
        let epoch = |line: &str| {
            let epoch: Value =
                serde_json::from_str(line).map_err(|e| format!("{}: {e}", metrics.display()))?;
            seen(&epoch["seconds"], &epoch["val_top1"])
        };
        text.lines().map(epoch).collect()
    }

    /// What both programs are told beyond the recipe.
    fn variation(&self) -> Vec<&str> {
        self.erase.iter().flat_map(|share| ["--erase", share]).collect()
    }

    fn peer(&self, python: &Python, seed: &str) -> Result<Vec<Seen>, String> {
        let threads = self.options.threads.to_string();
        let precision = self.options.precision.name();
        let args = [&self.net, &self.data, "--epochs", &self.epochs, "--threads", &threads];
        let args = [&args[..], &["--precision", precision, "--seed", seed], &self.variation()].concat();
        let result = python.json("training.py", &args)?;
        let history = result["history"].as_array().ok_or("a training told of no epochs")?;
        history.iter().map(|epoch| seen(&epoch["seconds"], &epoch["top1"])).collect()
    }
}

fn seen(seconds: &Value, top1: &Value) -> Result<Seen, String> {
    let numbers = seconds.as_f64().zip(top1.as_f64());
    numbers.ok_or_else(|| "a training told no accuracy after an epoch".to_string())
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
        let asked = read("--data mnist --net=lenet --epochs 20 --rounds 5 --precision bf16 --erase 0.25")
            .expect("options");
        assert_eq!(
            (asked.data.as_str(), asked.net.as_str(), asked.epochs.as_str()),
            ("mnist", "lenet", "20")
        );
        assert_eq!(asked.variation(), ["--erase", "0.25"]);
        assert_eq!((asked.options.rounds, asked.options.precision.name()), (5, "bf16"));
        assert!(read("--data mnist --epochs 5").is_err_and(|e| e.contains("--net")));
        assert!(read("--data mnist --net lenet --epochs 5 --fast 1").is_err_and(|e| e.contains("--fast")));
    }

    #[test]
    fn a_row_has_medians() {
        let trainings =
            Trainings { seconds: vec![3.0, 90.0, 4.0], top1: vec![0.99, 0.98, 0.1], goals: Vec::new() };
        assert_eq!(trainings.cells(), "4.0 s | 98.00 %");
    }

    #[test]
    fn goals_are_reached_with_what_comes_before_and_after_the_epochs() {
        let mut trainings = Trainings::new(2);
        trainings.note(&[50.0, 90.0], 12.0, &[(3.0, 0.4), (6.0, 0.5), (9.0, 0.95)]).expect("epochs");
        assert_eq!((trainings.reached(0), trainings.reached(1)), ("9.0 s".to_string(), "12.0 s".to_string()));
        trainings.note(&[50.0, 90.0], 10.0, &[(3.0, 0.6), (9.0, 0.8)]).expect("epochs");
        assert_eq!(trainings.reached(1), "never");
        assert!(trainings.note(&[50.0, 90.0], 1.0, &[]).is_err());
    }
}
