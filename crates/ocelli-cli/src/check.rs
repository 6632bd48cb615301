//! `ocelli check`: are the gradients that training follows those of the cost?

use std::process::ExitCode;

use ocelli::SCHEMA;
use ocelli::io::Network;
use ocelli::train::NetSpec;
use ocelli_core::gradient_check::{Agreement, LayerReport};
use ocelli_core::{Criterion, GradientCheck, Loss, Mode, Reduction};
use serde::Serialize;

use crate::args::{image_shape, size};
use crate::console::Console;
use crate::failure::Failure;
use crate::network::{NetName, built, named_networks, warn_of_unread};
use crate::output::{Align, Table, print, print_json};

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[arg(value_name = "NET|FILE.toml", default_value = "lenet", value_parser = NetName, hide_possible_values = true,
          help = format!("{}, or a network file", named_networks()))]
    net: String,
    /// Channels x height x width of the input [default: the network's own]
    #[arg(long, value_name = "CxHxW", value_parser = image_shape)]
    input: Option<[usize; 3]>,
    /// Classes to tell apart
    #[arg(long, value_name = "N", value_parser = size, default_value = "10")]
    classes: usize,
    /// Images of the batch on which it is checked
    #[arg(long, value_name = "N", value_parser = size, default_value = "2")]
    batch: usize,
    /// Chooses weights, images and the elements that are checked
    #[arg(long, value_name = "N", value_parser = crate::args::seed, default_value = "0")]
    seed: u64,
    /// Elements that are checked of each parameter and input; of larger ones, so many at random
    #[arg(long, value_name = "N", value_parser = size, default_value = "10")]
    elements: usize,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Each layer is checked by itself, then the network as it is trained: the gradients of back-propagation, in f64, against \
differences of the cost. Exit code 1 where a relative error is above 1e-6, or nothing of a tensor could be \
checked.

Examples:
  ocelli check
  ocelli check mine.toml --elements 100";

/// The largest error that passes.
const TOLERANCE: f64 = 1e-6;

/// `check --json`.
#[derive(Serialize)]
struct Checked {
    schema: u32,
    net: String,
    tolerance: f64,
    passed: bool,
    largest_error: f64,
    layers: Vec<LayerReport>,
    network: Vec<LayerReport>,
}

/// Checks.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let (network, loss) = network(args)?;
    console.say(&format!("checking {}: every layer by itself, then all together", network.name));
    warn_of_unread(&network.graph, console);
    let criterion = Criterion { loss, reduction: Reduction::Mean };
    let check =
        GradientCheck { limit: args.elements, seed: args.seed, ..GradientCheck::new(criterion, Mode::Train) };
    let layers = check.layers(&network.graph, args.batch)?;
    let whole = check.random_network(&network.graph, args.batch)?;
    let checked = Checked {
        schema: SCHEMA,
        net: network.name.clone(),
        tolerance: TOLERANCE,
        passed: layers.passed(TOLERANCE) && whole.passed(TOLERANCE),
        largest_error: layers.largest_error().max(whole.largest_error()),
        layers: layers.layers,
        network: whole.layers,
    };
    match args.json {
        true => print_json(&checked)?,
        false => print(&for_people(&checked))?,
    }
    Ok(if checked.passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The network, and the loss that it is trained with.
fn network(args: &Args) -> Result<(Network, Loss), Failure> {
    let spec = NetSpec::new(&args.net, Vec::new());
    let loss = spec.recipe()?.loss;
    Ok((built(&spec, args.input, args.classes)?, loss))
}

fn for_people(checked: &Checked) -> String {
    let verdict = match checked.passed {
        true => "passed",
        false if checked.largest_error <= checked.tolerance => {
            "not all checked, as every chosen element of some tensors lies at a kink, where there is no derivative (more --elements \
             find others)"
        }
        false => "FAILED",
    };
    format!(
        "each layer by itself\n{}\nthe network as it is trained\n{}\n{verdict}: the largest error is {:.1e}, and {:.0e} is \
         allowed\n",
        table(&checked.layers),
        table(&checked.network),
        checked.largest_error,
        checked.tolerance
    )
}

fn table(layers: &[LayerReport]) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("op", Align::Left),
        ("checked", Align::Right),
        ("kinks", Align::Right),
        ("parameters", Align::Right),
        ("inputs", Align::Right),
        ("", Align::Left),
    ]);
    for layer in layers {
        let (params, inputs) = (&layer.params, &layer.inputs);
        let skipped = params.skipped + inputs.skipped;
        let failed = !(params.passed(TOLERANCE) && inputs.passed(TOLERANCE));
        table.row([
            layer.layer.clone(),
            layer.op.to_string(),
            (params.checked + inputs.checked).to_string(),
            if skipped == 0 { String::new() } else { skipped.to_string() },
            error(params),
            error(inputs),
            match failed {
                false => String::new(),
                true if params.largest_error.max(inputs.largest_error) <= TOLERANCE => {
                    "all at kinks".to_string()
                }
                true => format!("FAILED{}", worst(params, inputs)),
            },
        ]);
    }
    table.render()
}

/// The largest error; nothing where nothing was to be checked.
fn error(agreement: &Agreement) -> String {
    match agreement.checked + agreement.skipped {
        0 => String::new(),
        _ => format!("{:.1e}", agreement.largest_error),
    }
}

/// The element that disagrees most.
fn worst(params: &Agreement, inputs: &Agreement) -> String {
    let of = if inputs.largest_error > params.largest_error { inputs } else { params };
    let text = of.worst.as_ref().map(|worst| {
        format!(" at {}[{}]: {:.6e} for {:.6e}", worst.tensor, worst.element, worst.analytic, worst.numeric)
    });
    text.unwrap_or_default()
}
