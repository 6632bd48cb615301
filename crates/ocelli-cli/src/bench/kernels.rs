//! `ocelli bench kernels`: how fast every kernel is.

use std::process::ExitCode;

use ocelli::SCHEMA;
use ocelli::bench::kernels::{Case, KernelCost, cases};
use ocelli::bench::peak::Roofline;
use ocelli_kernels::{Element, Kernels};
use serde::Serialize;

use super::rate;
use crate::args::above_0;
use crate::console::Console;
use crate::engine::isa;
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json};
use crate::text::{counted, duration, percent};

/// Options of `bench kernels`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only kernels and sizes that have this in their line, such as gemm, "conv_forward resnet18" or depthwise
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// About how long each is measured
    #[arg(long, value_name = "S", value_parser = above_0, default_value = "0.2")]
    seconds: f64,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
One core. Sizes are those of a part of a batch in networks: samples, channels, height, width; kernel, stride and channels of \
the output. \"share\" is the time that the arithmetic or the bytes take at least, by ceilings measured in the same run, as a \
part of the time taken: bytes at the rate of the smallest cache that holds all of them. Winograd's filtering takes fewer products \
than a convolution's definition counts, so its share may be above 100 %. OCELLI_ISA chooses the instruction \
set.

Examples:
  ocelli bench kernels --filter gemm
  ocelli bench kernels --filter depthwise --seconds 1
  OCELLI_ISA=portable ocelli bench kernels --filter conv --json";

/// `bench kernels --json`.
#[derive(Serialize)]
struct Measured {
    schema: u32,
    isa: &'static str,
    /// Of one core.
    peak_gflops: f64,
    memory_gbytes: f64,
    kernels: Vec<KernelCost>,
}

/// Measures.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let isa = <f32 as Element>::kernels(isa()?).isa;
    let wanted: Vec<Case> = cases(isa).into_iter().filter(|case| chosen(args, case)).collect();
    if wanted.is_empty() {
        return Err(Failure::usage(format!(
            "--filter {}: no kernel has this in its line; the kernels are {}",
            args.filter.as_deref().unwrap_or_default(),
            Kernels::<f32>::NAMES.join(", ")
        )));
    }
    console.say(&format!("measuring the ceilings, then {}", counted(wanted.len(), "case")));
    let roofline = Roofline::measure(isa, args.seconds)?;
    let mut kernels = Vec::with_capacity(wanted.len());
    for case in wanted {
        kernels.push(case.time(&roofline, args.seconds)?);
    }
    let measured = Measured {
        schema: SCHEMA,
        isa: isa.name(),
        peak_gflops: roofline.flops_per_second() / 1e9,
        memory_gbytes: roofline.memory_bytes_per_second() / 1e9,
        kernels,
    };
    match args.json {
        true => print_json(&measured)?,
        false => print(&for_people(&measured))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether every word of the filter stands in the case's line.
fn chosen(args: &Args, case: &Case) -> bool {
    let line = format!("{} {}", case.kernel, case.shape);
    args.filter.as_ref().is_none_or(|text| text.split_whitespace().all(|word| line.contains(word)))
}

fn for_people(measured: &Measured) -> String {
    let mut table = Table::new(&[
        ("kernel", Align::Left),
        ("size", Align::Left),
        ("time", Align::Right),
        ("spread", Align::Right),
        ("GFLOP/s", Align::Right),
        ("GB/s", Align::Right),
        ("share", Align::Right),
    ]);
    for cost in &measured.kernels {
        table.row([
            cost.kernel.to_string(),
            cost.shape.clone(),
            duration(cost.timing.seconds),
            percent(cost.timing.spread),
            cost.gflops.map(rate).unwrap_or_default(),
            rate(cost.gbytes),
            percent(cost.share),
        ]);
    }
    format!(
        "one core, {}: {} GFLOP/s, {} GB/s from memory\n\n{}",
        measured.isa,
        rate(measured.peak_gflops),
        rate(measured.memory_gbytes),
        table.render()
    )
}
