//! `ocelli bench`: what this machine can do, and what is made of it.

mod data;
mod kernels;
mod net;
mod peak;
mod profile;

use std::process::ExitCode;

use clap::Subcommand;

use crate::console::Console;
use crate::failure::Failure;
use crate::text::count;

/// Options of `bench`.
#[derive(Debug, clap::Args)]
#[command(subcommand_value_name = "WHAT", subcommand_help_heading = "What to measure", after_help = NOTES)]
pub(crate) struct Args {
    /// What to measure.
    #[command(subcommand)]
    what: What,
}

const NOTES: &str = "\
A figure is the median over repeats. Whatever else runs on the machine changes it.

Examples:
  ocelli bench peak
  ocelli bench kernels --filter conv_forward
  ocelli bench net lenet --batch 64
  ocelli bench data photos/ --augment photo
  ocelli bench net mlp --batch 128 --only train --profile";

#[derive(Debug, Subcommand)]
enum What {
    /// What this machine can do at best: arithmetic, caches, memory
    Peak(peak::Args),
    /// How fast every kernel is, against that
    Kernels(kernels::Args),
    /// How fast a network trains and infers, and where its time goes
    Net(net::Args),
    /// How fast images are read, prepared and loaded
    Data(data::Args),
}

/// Measures.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Peak(args) => peak::run(args, console),
        What::Kernels(args) => kernels::run(args, console),
        What::Net(args) => net::run(args, console),
        What::Data(args) => data::run(args, console),
    }
}

/// So many a second: three digits at least.
fn rate(rate: f64) -> String {
    if rate < 99.95 { format!("{rate:.1}") } else { count(rate.round() as u64) }
}
