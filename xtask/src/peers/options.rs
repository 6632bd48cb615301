//! The command line of `cargo xtask peers`.

use std::path::PathBuf;

use super::{NETS, Net, Phase};

pub(crate) const HELP: &str = "\
usage: cargo xtask peers [OPTIONS]

Holds Ocelli against PyTorch and ONNX Runtime, each at its best, and prints Markdown tables of medians and ratios. Needs Python
3.10 or later with venv, and the network once, to install the peers from PyPI.

  --nets A,B       networks [default: mlp,lenet,cifar4,alexnet,resnet18,vgg11,mobilenet-v2]
  --phases A,B     what to measure [default: train,infer,latency; without latency in bf16]
  --precision P    f32, or bf16: products of numbers rounded to it, PyTorch under autocast [default: f32]
  --rounds N       how often both sides take turns [default: 3]
  --threads N      threads of each side [default: 2]
  --seconds S      about how long each phase is measured in a round [default: 3]
  --without A,B    ways of running the peers that are not tried: channels_last, compile, jit, onnxruntime, …
  --venv DIR       the virtual environment with the peers; made where it is not there [default: target/peers]
  --ocelli FILE    the program [default: built in release]
  --under COMMAND  run every measurement under a command, such as \"taskset -c 0,1\"
  --json FILE      write every round's figures there";

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) nets: Vec<Net>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) precision: Precision,
    pub(crate) rounds: usize,
    pub(crate) threads: usize,
    pub(crate) seconds: f64,
    pub(crate) without: Vec<String>,
    pub(crate) venv: Option<PathBuf>,
    pub(crate) ocelli: Option<PathBuf>,
    pub(crate) under: Vec<String>,
    pub(crate) json: Option<PathBuf>,
}

/// What products may round to, on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    F32,
    Bf16,
}

impl Precision {
    /// Its name on both sides' command lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl Options {
    /// Reads the command line: `--name VALUE` or `--name=VALUE`.
    ///
    /// # Errors
    /// Says which option, and what it takes.
    pub(crate) fn read(args: &[String]) -> Result<Options, String> {
        let mut options = Options {
            nets: NETS.to_vec(),
            phases: Vec::new(),
            precision: Precision::F32,
            rounds: 3,
            threads: 2,
            seconds: 3.0,
            without: Vec::new(),
            venv: None,
            ocelli: None,
            under: Vec::new(),
            json: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (arg.as_str(), None),
            };
            let value = value.or_else(|| args.next().cloned());
            options.set(name, &value.ok_or_else(|| format!("{name} needs a value"))?)?;
        }
        if options.phases.is_empty() {
            options.phases = match options.precision {
                Precision::F32 => Phase::ALL.to_vec(),
                // One image is mostly a matter of reading the weights, which are f32 on both sides.
                Precision::Bf16 => vec![Phase::Train, Phase::Infer],
            };
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--nets" => self.nets = each(value, |name| NETS.iter().find(|net| net.name == name).copied())?,
            "--phases" => {
                self.phases = each(value, |name| Phase::ALL.into_iter().find(|phase| phase.name() == name))?;
            }
            "--precision" => {
                let all = [Precision::F32, Precision::Bf16];
                let found = all.into_iter().find(|precision| precision.name() == value);
                self.precision = found.ok_or("--precision: give f32 or bf16")?;
            }
            "--rounds" => self.rounds = number(name, value)?,
            "--threads" => self.threads = number(name, value)?,
            "--seconds" => {
                let seconds = value.parse().ok().filter(|&s: &f64| s > 0.0 && s.is_finite());
                self.seconds = seconds.ok_or("--seconds: give a number above 0")?;
            }
            "--without" => self.without = value.split(',').map(str::to_string).collect(),
            "--venv" => self.venv = Some(value.into()),
            "--ocelli" => self.ocelli = Some(value.into()),
            "--under" => self.under = value.split_whitespace().map(str::to_string).collect(),
            "--json" => self.json = Some(value.into()),
            _ => return Err(format!("no option is named {name}")),
        }
        Ok(())
    }
}

fn each<T>(list: &str, find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    list.split(',').map(|name| find(name).ok_or_else(|| format!("'{name}' is not known"))).collect()
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    value.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("{name}: give a whole number from 1 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        Options::read(&words)
    }

    #[test]
    fn options_take_their_value_after_a_space_or_an_equals_sign() {
        let options = read("--nets vgg11,mlp --rounds=5 --phases latency").expect("options");
        let names: Vec<&str> = options.nets.iter().map(|net| net.name).collect();
        assert_eq!((names, options.rounds), (vec!["vgg11", "mlp"], 5));
        assert_eq!((options.phases, options.threads), (vec![Phase::Latency], 2));
        assert_eq!(read("").expect("options").nets.len(), NETS.len());
        assert_eq!(read("").expect("options").phases, Phase::ALL);
    }

    #[test]
    fn latency_is_measured_in_bf16_where_it_is_asked_for_alone() {
        let phases = |line: &str| read(line).expect("options").phases;
        assert_eq!(phases("--precision bf16"), [Phase::Train, Phase::Infer]);
        assert_eq!(phases("--phases latency --precision bf16"), [Phase::Latency]);
    }

    #[test]
    fn what_is_unknown_or_makes_no_sense_is_named() {
        for (line, part) in [
            ("--nets lenett", "lenett"),
            ("--rounds 0", "--rounds"),
            ("--seconds -1", "above 0"),
            ("--phases", "needs a value"),
            ("--fast 1", "--fast"),
            ("--precision f16", "bf16"),
        ] {
            assert!(read(line).is_err_and(|e| e.contains(part)), "{line}");
        }
    }
}
