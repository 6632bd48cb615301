//! `ocelli bench net`: how fast a network trains and infers, and where its time goes.

use std::process::ExitCode;

use clap::ValueEnum;
use ocelli::bench::net::{NetBench, Phase};
use ocelli::bench::steps::Breakdown;
use ocelli::bench::{Budget, Timing};
use ocelli::io::Network;
use ocelli::train::NetSpec;
use ocelli::{Engine, Error, SCHEMA, machine};
use ocelli_kernels::Precision;
use serde::Serialize;

use super::{profile, rate};
use crate::args::{above_0, image_shape, precision, size, threads};
use crate::console::Console;
use crate::engine::{engine, warn_of_precision};
use crate::failure::Failure;
use crate::network::{NetName, built, warn_of_unread};
use crate::output::{Align, Table, print, print_json};
use crate::text::{bytes, count, counted, duration, percent, sizes};

/// Options of `bench net`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A network by name (`ocelli plan` takes the same) or a network file
    #[arg(value_name = "NET|FILE.toml", value_parser = NetName, hide_possible_values = true)]
    net: String,
    /// Channels x height x width of the input [default: the network's own]
    #[arg(long, value_name = "CxHxW", value_parser = image_shape)]
    input: Option<[usize; 3]>,
    /// Classes to tell apart
    #[arg(long, value_name = "N", value_parser = size, default_value = "10")]
    classes: usize,
    /// Images per step [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = size)]
    batch: Option<usize>,
    /// What products may round the numbers that they multiply to
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = precision())]
    precision: Precision,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Measure this alone
    #[arg(long, value_name = "PHASE")]
    only: Option<Only>,
    /// About how long each phase is measured
    #[arg(long, value_name = "S", value_parser = above_0, default_value = "3")]
    seconds: f64,
    /// Show what each step of the network costs, in a second run of each phase
    #[arg(long)]
    profile: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Images and labels are random. A step of training is forward, cross-entropy, backward, and SGD with momentum 0.9 and weight \
decay 5e-4. Latency is that of one image. Peak memory is the process's in training. The spread is the distance between \
the quartiles. FLOPs count a multiply-add as two, of layers that multiply.

In a profile, \"barrier\" is how long the first thread waits for the others before a step; \"slowest\" is the work of the \
thread that has most of it. GFLOP/s and GB/s are those of all threads, waiting included.

Examples:
  ocelli bench net lenet --batch 64
  ocelli bench net mlp --batch 128 --only train --profile
  ocelli bench net mine.toml --classes 100 --threads 1 --json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Steps of training
    Train,
    /// Inference on full batches
    Infer,
    /// Inference on one image
    Latency,
}

/// `bench net --json`.
#[derive(Debug, Serialize)]
struct Measured {
    schema: u32,
    net: String,
    input: Vec<usize>,
    classes: usize,
    batch: usize,
    precision: &'static str,
    threads: usize,
    isa: &'static str,
    parameters: usize,
    train_images_per_second: Option<f64>,
    infer_images_per_second: Option<f64>,
    latency_seconds: Option<f64>,
    /// In training; of the whole process until then.
    peak_memory_bytes: Option<u64>,
    train: Option<Figures>,
    infer: Option<Figures>,
    latency: Option<Figures>,
}

/// What was found of one phase.
#[derive(Debug, Serialize)]
struct Figures {
    #[serde(flatten)]
    timing: Timing,
    /// Multiply-adds of one run.
    macs: u64,
    gflops: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Breakdown>,
}

/// Measures.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let (network, batch) = network(args)?;
    warn_of_unread(&network.graph, console);
    let engine = engine(args.threads)?;
    warn_of_precision(args.precision, engine.isa(), console);
    let phase = |only, phase| -> Result<Option<Figures>, Error> {
        let wanted = args.only.is_none_or(|chosen| chosen == only);
        wanted.then(|| figures(args, &engine, &network, phase, batch)).transpose()
    };
    let train = phase(Only::Train, Phase::Train)?;
    // Before anything else takes memory.
    let peak_memory_bytes = train.as_ref().and_then(|_| machine::peak_memory_bytes());
    let infer = phase(Only::Infer, Phase::Infer)?;
    let latency = phase(Only::Latency, Phase::Latency)?;
    let graph = &network.graph;
    let rate = |figures: &Option<Figures>| figures.as_ref().map(|f| batch as f64 / f.timing.seconds);
    let input = graph.inputs().next().map(|value| Vec::from(graph.node(value).shape()));
    let measured = Measured {
        schema: SCHEMA,
        net: network.name.clone(),
        input: input.unwrap_or_default(),
        classes: graph.node(graph.output()?).shape().len(),
        batch,
        precision: args.precision.name(),
        threads: engine.threads(),
        isa: engine.isa().name(),
        parameters: graph.layout().trainable(),
        train_images_per_second: rate(&train),
        infer_images_per_second: rate(&infer),
        latency_seconds: latency.as_ref().map(|f| f.timing.seconds),
        peak_memory_bytes,
        train,
        infer,
        latency,
    };
    match args.json {
        true => print_json(&measured)?,
        false => print(&for_people(&measured))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The network, and the images of a step.
fn network(args: &Args) -> Result<(Network, usize), Failure> {
    let spec = NetSpec::new(&args.net, Vec::new());
    let batch = args.batch.unwrap_or(spec.recipe()?.batch);
    Ok((built(&spec, args.input, args.classes)?, batch))
}

/// Measures one phase, and then its profile if that is wanted: reading the clock would take some of its time.
fn figures(
    args: &Args,
    engine: &Engine,
    network: &Network,
    phase: Phase,
    batch: usize,
) -> Result<Figures, Error> {
    let mut bench = NetBench::new(engine, &network.graph, phase, batch, args.precision)?;
    let budget = Budget::seconds(args.seconds);
    let timing = bench.time(budget)?;
    let profile = match args.profile {
        true => {
            let slots = if phase == Phase::Train { 1 } else { 0 };
            let profile = bench.profile(budget)?;
            Some(Breakdown::new(bench.plan(), &profile, slots))
        }
        false => None,
    };
    let macs = bench.macs();
    Ok(Figures { timing, macs, gflops: 2.0 * macs as f64 / timing.seconds / 1e9, profile })
}

fn for_people(measured: &Measured) -> String {
    let mut text = format!(
        "{}  {}, {}, {} parameters, {} a step, {}, {} {}\n\n",
        measured.net,
        sizes(&measured.input),
        counted_classes(measured.classes),
        count(measured.parameters as u64),
        counted(measured.batch, "image"),
        counted(measured.threads, "thread"),
        measured.isa,
        measured.precision
    );
    text += &table(measured);
    if let Some(peak) = measured.peak_memory_bytes {
        text += &format!("\npeak memory in training: {}\n", bytes(peak));
    }
    for (name, figures) in phases(measured) {
        if let Some(breakdown) = &figures.profile {
            text += &format!("\n{name}, {}\n", profile::for_people(breakdown));
        }
    }
    text
}

fn counted_classes(n: usize) -> String {
    if n == 1 { "1 output".to_string() } else { format!("{} classes", count(n as u64)) }
}

fn phases(measured: &Measured) -> impl Iterator<Item = (&'static str, &Figures)> {
    let all = [("train", &measured.train), ("infer", &measured.infer), ("latency", &measured.latency)];
    all.into_iter().filter_map(|(name, figures)| figures.as_ref().map(|figures| (name, figures)))
}

fn table(measured: &Measured) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("images/s", Align::Right),
        ("a run", Align::Right),
        ("spread", Align::Right),
        ("runs", Align::Right),
        ("GFLOP/s", Align::Right),
    ]);
    for (name, Figures { timing, gflops, .. }) in phases(measured) {
        let images = if name == "latency" { 1 } else { measured.batch };
        table.row([
            name.to_string(),
            rate(images as f64 / timing.seconds),
            duration(timing.seconds),
            percent(timing.spread),
            timing.repeats.to_string(),
            format!("{gflops:.1}"),
        ]);
    }
    table.render()
}
