//! One measurement of one side, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::options::Options;
use super::{Net, Phase, root};
use crate::cargo;

/// What one side reached in one round.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) parameters: u64,
    pub(crate) peak_memory: Option<f64>,
    rates: Vec<(Phase, f64)>,
}

impl Round {
    /// Images per second of a phase.
    pub(crate) fn rate(&self, phase: Phase) -> Result<f64, String> {
        let found = self.rates.iter().find(|(p, _)| *p == phase);
        found.map(|(_, rate)| *rate).ok_or_else(|| format!("no result for {}", phase.name()))
    }
}

/// A peer's way of running a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) phase: Phase,
    pub(crate) name: String,
}

/// The fastest way of each phase, of what `--choose` found.
pub(crate) fn ways(chosen: &Value, phases: &[Phase]) -> Result<Vec<Way>, String> {
    let best = |&phase: &Phase| {
        let tried = chosen[phase.name()].as_object().into_iter().flatten();
        let worked = tried.filter_map(|(name, rate)| Some((name, rate.as_f64()?)));
        let fastest = worked.max_by(|a, b| a.1.total_cmp(&b.1));
        let (name, _) = fastest.ok_or_else(|| format!("no peer can do {}", phase.name()))?;
        Ok(Way { phase, name: name.clone() })
    };
    phases.iter().map(best).collect()
}

/// The program `ocelli`.
pub(crate) struct Program {
    file: PathBuf,
    common: Common,
}

/// What both sides are run with.
struct Common {
    under: Vec<String>,
    threads: String,
    precision: &'static str,
    seconds: String,
}

impl Common {
    fn new(options: &Options) -> Common {
        Common {
            under: options.under.clone(),
            threads: options.threads.to_string(),
            precision: options.precision.name(),
            seconds: options.seconds.to_string(),
        }
    }

    /// A command under the one that measurements run under.
    fn command(&self, program: &Path) -> Command {
        match self.under.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    fn describe(&self, net: Net, command: &mut Command) {
        command.args(["--input", net.input, "--classes", net.classes, "--batch", net.batch]);
        command.args(["--threads", &self.threads, "--precision", self.precision]);
    }
}

impl Program {
    /// The program that was named, or one built now.
    pub(crate) fn built(options: &Options) -> Result<Program, String> {
        let file = match &options.ocelli {
            Some(file) => file.clone(),
            None => {
                eprintln!("xtask: building ocelli");
                if !cargo(&["build", "--release", "--package", "ocelli-cli"], false) {
                    return Err("ocelli cannot be built".to_string());
                }
                target().join("release").join("ocelli")
            }
        };
        Ok(Program { file, common: Common::new(options) })
    }

    /// Runs it with these arguments, of which one asks for JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Result<Value, String> {
        json_of(self.common.command(&self.file).args(args))
    }

    /// Measures these phases, each in a process of its own.
    pub(crate) fn measure(&self, net: Net, phases: &[Phase]) -> Result<Round, String> {
        let mut round = Round { parameters: 0, peak_memory: None, rates: Vec::new() };
        for &phase in phases {
            let mut command = self.common.command(&self.file);
            command.args(["bench", "net", net.name, "--json", "--only", phase.name()]);
            command.args(["--seconds", &self.common.seconds]);
            self.common.describe(net, &mut command);
            let result = json_of(&mut command)?;
            round.parameters = result["parameters"].as_u64().unwrap_or(0);
            if phase == Phase::Train {
                round.peak_memory = result["peak_memory_bytes"].as_f64();
            }
            let rate = match phase {
                Phase::Train => result["train_images_per_second"].as_f64(),
                Phase::Infer => result["infer_images_per_second"].as_f64(),
                Phase::Latency => result["latency_seconds"].as_f64().map(|seconds| 1.0 / seconds),
            };
            round.rates.push((phase, rate.ok_or_else(|| format!("{}: no {}", net.name, phase.name()))?));
        }
        Ok(round)
    }
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The peers' Python.
pub(crate) struct Python {
    file: PathBuf,
    script: PathBuf,
    phases: String,
    without: String,
    common: Common,
}

/// What is installed where nothing is.
const PACKAGES: [&str; 5] = ["torch", "torchvision", "onnx", "onnxruntime", "numpy"];

/// Imports them all.
const IMPORTS: &str = "import torch, torchvision, onnx, onnxruntime, numpy";

/// Huge pages, and memory that was freed is kept for the next step rather than given back page by page.
const TUNABLES: &str = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=17179869184:\
glibc.malloc.mmap_threshold=17179869184:glibc.malloc.top_pad=67108864";

/// A way is tried for so many seconds before the rounds.
const TRIAL: &str = "1";

impl Python {
    /// The environment with the peers, made where it is not there.
    pub(crate) fn prepared(options: &Options) -> Result<Python, String> {
        let venv = options.venv.clone().unwrap_or_else(|| target().join("peers"));
        let file = venv.join("bin").join("python");
        let works = |file: &Path| {
            Command::new(file).args(["-c", IMPORTS]).output().is_ok_and(|output| output.status.success())
        };
        if !works(&file) {
            eprintln!("xtask: installing {} into {}", PACKAGES.join(", "), venv.display());
            succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            succeed(Command::new(&file).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
            if !works(&file) {
                return Err(format!("the peers in {} cannot be imported", venv.display()));
            }
        }
        let names: Vec<&str> = options.phases.iter().map(|phase| phase.name()).collect();
        Ok(Python {
            file,
            script: root().join("xtask").join("peers").join("peers.py"),
            phases: names.join(","),
            without: options.without.join(","),
            common: Common::new(options),
        })
    }

    /// Runs another script that stands beside this one.
    pub(crate) fn json(&self, script: &str, args: &[&str]) -> Result<Value, String> {
        json_of(self.interpreter().arg(self.script.with_file_name(script)).args(args))
    }

    /// Images per second of each way of running each phase.
    pub(crate) fn choose(&self, net: Net) -> Result<Value, String> {
        let mut command = self.command(net);
        command.args(["--choose", "--seconds", TRIAL, "--phases", &self.phases]);
        if !self.without.is_empty() {
            command.args(["--without", &self.without]);
        }
        json_of(&mut command)
    }

    /// Measures each phase in its way, each in a process of its own.
    pub(crate) fn measure(&self, net: Net, ways: &[Way]) -> Result<Round, String> {
        let mut round = Round { parameters: 0, peak_memory: None, rates: Vec::new() };
        for way in ways {
            let mut command = self.command(net);
            command.args(["--seconds", &self.common.seconds]);
            command.arg(format!("--{}", way.phase.name())).arg(&way.name);
            let result = json_of(&mut command)?;
            round.parameters = result["parameters"].as_u64().unwrap_or(0);
            let rate = result[way.phase.name()]["images_per_second"].as_f64();
            let rate = rate.ok_or_else(|| format!("{}: no {} of the peer", net.name, way.phase.name()))?;
            round.rates.push((way.phase, rate));
            if way.phase == Phase::Train {
                // As it is without being told to keep memory, which makes it quicker.
                let mut command = self.command(net);
                command.args(["--memory", "--train", &way.name]).env_remove("GLIBC_TUNABLES");
                round.peak_memory = json_of(&mut command)?["peak_memory_bytes"].as_f64();
            }
        }
        Ok(round)
    }

    /// The interpreter with what makes PyTorch quickest.
    fn interpreter(&self) -> Command {
        let mut command = self.common.command(&self.file);
        command.env("GLIBC_TUNABLES", TUNABLES).env("OMP_NUM_THREADS", &self.common.threads);
        command
    }

    fn command(&self, net: Net) -> Command {
        let mut command = self.interpreter();
        command.arg(&self.script).arg(net.name);
        self.common.describe(net, &mut command);
        command
    }
}

fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(e) => Err(format!("{command:?} cannot be run: {e}")),
    }
}

/// Runs a command, whose last line of output is JSON.
fn json_of(command: &mut Command) -> Result<Value, String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("{command:?} cannot be run: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|e| format!("{command:?} printed no JSON: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_way_that_works_is_taken() {
        let chosen = serde_json::json!({
            "train": { "eager": 10.0, "channels_last": 12.5, "compile": null },
            "infer": { "compile": null },
        });
        let best = ways(&chosen, &[Phase::Train]).expect("one works");
        assert_eq!(best, [Way { phase: Phase::Train, name: "channels_last".to_string() }]);
        assert!(ways(&chosen, &[Phase::Infer]).is_err_and(|e| e.contains("infer")));
    }
}
