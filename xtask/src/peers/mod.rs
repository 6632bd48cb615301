//! `cargo xtask peers`: the same networks in Ocelli, PyTorch and ONNX Runtime, in turn, in one run.
//!
//! Each peer runs in the way that is fastest for it, found for each network and phase before anything counts. Then the
//! sides take turns for some rounds, each measurement in a process of its own, and the median over the rounds is what is
//! compared: whatever else the machine does in the meantime, it does to both.

pub(crate) mod loader;
mod measure;
mod options;
mod table;
pub(crate) mod training;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use measure::{Program, Python, Way, ways};
use options::Options;

/// A network, and what it is measured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    pub(crate) name: &'static str,
    pub(crate) input: &'static str,
    pub(crate) classes: &'static str,
    pub(crate) batch: &'static str,
}

const fn net(name: &'static str, input: &'static str, classes: &'static str, batch: &'static str) -> Net {
    Net { name, input, classes, batch }
}

/// What is compared, smallest first.
const NETS: &[Net] = &[
    net("mlp", "1x28x28", "10", "128"),
    net("lenet", "1x28x28", "10", "64"),
    net("cifar4", "3x32x32", "10", "128"),
    net("alexnet", "3x128x128", "100", "64"),
    net("resnet18", "3x128x128", "100", "32"),
    net("vgg11", "3x128x128", "100", "16"),
    net("mobilenet-v2", "3x128x128", "100", "32"),
];

/// What is measured of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Train,
    Infer,
    Latency,
}

impl Phase {
    pub(crate) const ALL: [Phase; 3] = [Phase::Train, Phase::Infer, Phase::Latency];

    /// Its name on both sides' command lines and in their results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Train => "train",
            Phase::Infer => "infer",
            Phase::Latency => "latency",
        }
    }
}

/// What was found of one phase of one network: images per second in each round, and the peer's way of running it.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) net: Net,
    pub(crate) phase: Phase,
    pub(crate) way: String,
    pub(crate) ocelli: Vec<f64>,
    pub(crate) peer: Vec<f64>,
}

/// Peak resident bytes in training, in each round.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) net: Net,
    pub(crate) ocelli: Vec<f64>,
    pub(crate) peer: Vec<f64>,
}

/// All that was found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) speed: Vec<Comparison>,
    pub(crate) memory: Vec<Memory>,
}

/// Compares.
pub(crate) fn run(args: &[String]) -> ExitCode {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("xtask: {message}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match compare(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let program = Program::built(options)?;
    let python = Python::prepared(options)?;
    let mut found = Found::default();
    let mut versions = json!(null);
    for &net in &options.nets {
        eprintln!("xtask: {}: which way is the peers' best", net.name);
        let chosen = python.choose(net)?;
        versions = chosen["versions"].clone();
        let ways = ways(&chosen, &options.phases)?;
        let one = rounds(options, net, &program, &python, &ways)?;
        for comparison in &one.speed {
            eprintln!("xtask: {}", table::line(comparison));
        }
        found.speed.extend(one.speed);
        found.memory.extend(one.memory);
    }
    let result = table::json(&found, options, &versions);
    if let Some(file) = &options.json {
        let text = format!("{result:#}\n");
        std::fs::write(file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    }
    print!("{}", table::markdown(&found, options, &versions));
    Ok(())
}

/// Measures both sides in turn; who begins changes from round to round.
fn rounds(
    options: &Options,
    net: Net,
    program: &Program,
    python: &Python,
    ways: &[Way],
) -> Result<Found, String> {
    let empty = |way: &Way| Comparison {
        net,
        phase: way.phase,
        way: way.name.clone(),
        ocelli: Vec::new(),
        peer: Vec::new(),
    };
    let mut speed: Vec<Comparison> = ways.iter().map(empty).collect();
    let mut memory = Memory { net, ocelli: Vec::new(), peer: Vec::new() };
    for round in 0..options.rounds {
        eprintln!("xtask: {}: round {} of {}", net.name, round + 1, options.rounds);
        let (ours, theirs) = if round % 2 == 0 {
            let ours = program.measure(net, &options.phases)?;
            (ours, python.measure(net, ways)?)
        } else {
            let theirs = python.measure(net, ways)?;
            (program.measure(net, &options.phases)?, theirs)
        };
        if ours.parameters != theirs.parameters {
            return Err(format!(
                "{}: {} parameters in Ocelli, {} in PyTorch: these are not the same networks",
                net.name, ours.parameters, theirs.parameters
            ));
        }
        for comparison in &mut speed {
            comparison.ocelli.push(ours.rate(comparison.phase)?);
            comparison.peer.push(theirs.rate(comparison.phase)?);
        }
        memory.ocelli.extend(ours.peak_memory);
        memory.peer.extend(theirs.peak_memory);
    }
    let memory = if memory.ocelli.is_empty() || memory.peer.is_empty() { Vec::new() } else { vec![memory] };
    Ok(Found { speed, memory })
}

/// The root of the repository.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
