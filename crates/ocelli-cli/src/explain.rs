//! `ocelli explain`: what a network computes, and why it changes as it does.

use std::path::PathBuf;
use std::process::ExitCode;

use ocelli::SCHEMA;
use ocelli::explain::{LayerTrace, Trace, draw, first_guess, trace_model};
use ocelli::io::{ModelFile, check_folder};
use ocelli_data::Picture;
use serde::Serialize;

use crate::args::not_negative;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json, write_file};
use crate::text::{in_line, sizes, some_in_line};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to explain.
    #[command(subcommand)]
    what: What,
}

/// What can be explained.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show one step of back-propagation: every value, every gradient, every new weight
    Trace(TraceArgs),
}

/// Options of `explain trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct TraceArgs {
    /// A run folder or a model file
    model: PathBuf,
    /// A picture file
    image: PathBuf,
    /// The class that the picture is of [default: the model's first guess]
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// The learning rate of the step
    #[arg(long, value_name = "X", value_parser = not_negative, default_value = "0.1")]
    lr: f64,
    /// Draw it into this SVG file
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// With --json: values, gradients and parameters with more numbers than this are left out, but for their norms
    #[arg(long, value_name = "N", value_parser = crate::args::size, default_value = "1000")]
    numbers: usize,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
The step is one of gradient descent on this picture alone, computed in f64 under the loss that the model was trained with; layers \
compute as in evaluation. The model is not changed.

Examples:
  ocelli explain trace runs/digits-1 seven.png --class 7
  ocelli explain trace runs/digits-1 seven.png --class 1 --out step.svg
  ocelli explain trace model.safetensors a.png --json --numbers 100000";

/// Explains.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Trace(args) => traced(args, console),
    }
}

fn traced(args: &TraceArgs, console: Console) -> Result<ExitCode, Failure> {
    args.out.as_deref().map_or(Ok(()), check_folder)?;
    let model = crate::model::load(&args.model, console)?;
    let picture = ocelli_data::decode(&args.image)?;
    let class = class(args, &model, &picture, console)?;
    let name = model.classes[class].clone();
    let trace = trace_model(&model, &picture, class, args.lr)?;
    if let Some(path) = &args.out {
        write_file(path, &draw(&trace).svg())?;
        console.say(&format!("drawn: {}", path.display()));
    }
    match args.json {
        true => print_json(&Traced { schema: SCHEMA, class: name, trace: &brief(trace, args.numbers) })?,
        false => print(&for_people(&trace, &name))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The class that the picture is said to be of, or looks like.
fn class(args: &TraceArgs, model: &ModelFile, picture: &Picture, console: Console) -> Result<usize, Failure> {
    let find = |name: &str| model.classes.iter().position(|class| class == name);
    if let Some(name) = &args.class {
        return find(name).ok_or_else(|| {
            let classes = some_in_line(&model.classes);
            Failure::usage(format!("--class {}: the model's classes are {classes}", in_line(name)))
        });
    }
    let class = first_guess(model, picture)?;
    console.say(&format!(
        "class {}, the model's first guess; --class names another",
        in_line(&model.classes[class])
    ));
    Ok(class)
}

/// `explain trace --json`.
#[derive(Serialize)]
struct Traced<'a> {
    schema: u32,
    class: String,
    #[serde(flatten)]
    trace: &'a Brief,
}

/// A trace of which large tensors are left out.
#[derive(Serialize)]
struct Brief {
    loss: &'static str,
    rate: f64,
    target: Vec<f64>,
    cost: f64,
    cost_after: f64,
    output_after: Vec<f64>,
    layers: Vec<BriefLayer>,
}

#[derive(Serialize)]
struct BriefLayer {
    layer: String,
    op: &'static str,
    reads: Vec<String>,
    shape: Vec<usize>,
    value: Numbers,
    gradient: Numbers,
    jacobians: Vec<ocelli::explain::Matrix>,
    params: Vec<BriefParam>,
}

#[derive(Serialize)]
struct BriefParam {
    name: &'static str,
    shape: Vec<usize>,
    trained: bool,
    before: Numbers,
    gradient: Numbers,
    after: Numbers,
}

/// Numbers and how large they are together; `null` for the numbers where there are too many.
#[derive(Serialize)]
struct Numbers {
    norm: f64,
    numbers: Option<Vec<f64>>,
}

fn brief(trace: Trace, most: usize) -> Brief {
    let numbers = |numbers: Vec<f64>| Numbers {
        norm: norm(&numbers),
        numbers: (numbers.len() <= most).then_some(numbers),
    };
    let layers = trace.layers.into_iter().map(|layer| BriefLayer {
        layer: layer.layer,
        op: layer.op,
        reads: layer.reads,
        shape: layer.shape,
        value: numbers(layer.value),
        gradient: numbers(layer.gradient),
        jacobians: layer.jacobians.into_iter().filter(|jacobian| jacobian.data.len() <= most).collect(),
        params: layer
            .params
            .into_iter()
            .map(|param| BriefParam {
                name: param.name,
                shape: param.shape,
                trained: param.trained,
                before: numbers(param.before),
                gradient: numbers(param.gradient),
                after: numbers(param.after),
            })
            .collect(),
    });
    let layers = layers.collect();
    let Trace { loss, rate, target, cost, cost_after, output_after, .. } = trace;
    Brief { loss, rate, target, cost, cost_after, output_after, layers }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// A line for each value and each parameter: forward downwards, backward upwards.
fn for_people(trace: &Trace, class: &str) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("op", Align::Left),
        ("shape", Align::Left),
        ("∂x/∂x before", Align::Left),
        ("x", Align::Left),
        ("∂C/∂x", Align::Left),
    ]);
    let mut weights = Table::new(&[
        ("parameter", Align::Left),
        ("shape", Align::Left),
        ("W", Align::Left),
        ("∂C/∂W", Align::Left),
        ("W after the step", Align::Left),
    ]);
    for layer in &trace.layers {
        table.row([
            in_line(&layer.layer),
            layer.op.to_string(),
            sizes(&layer.shape),
            jacobians(layer),
            some(&layer.value),
            some(&layer.gradient),
        ]);
        for param in layer.params.iter().filter(|param| param.trained) {
            weights.row([
                format!("{}.{}", in_line(&layer.layer), param.name),
                sizes(&param.shape),
                some(&param.before),
                some(&param.gradient),
                some(&param.after),
            ]);
        }
    }
    format!(
        "forward from the first line to the last, backward from the last to the first\n{}\n{}\nclass {}, loss {}, learning rate {}\ncost {} before the step, {} after it\n",
        table.render(),
        weights.render(),
        in_line(class),
        trace.loss,
        crate::text::rate(trace.rate),
        number(trace.cost),
        number(trace.cost_after),
    )
}

/// The Jacobian's dimensions: those of the value by those of what it reads.
fn jacobians(layer: &LayerTrace) -> String {
    layer.jacobians.iter().map(|m| format!("{}×{}", m.rows, m.columns)).collect::<Vec<_>>().join(", ")
}

/// All numbers where they are few, else how large they are and the first few.
fn some(values: &[f64]) -> String {
    const MOST: usize = 4;
    let shown = values.iter().take(MOST).map(|&v| number(v)).collect::<Vec<_>>().join(" ");
    match values.len() {
        n if n <= MOST => shown,
        _ => format!("{shown} … norm {}", number(norm(values))),
    }
}

/// Four digits.
fn number(x: f64) -> String {
    match x {
        0.0 => "0".to_string(),
        _ if (1e-3..1e5).contains(&x.abs()) => {
            let digits = (3 - x.abs().log10().floor() as i32).max(0) as usize;
            format!("{x:.digits$}")
        }
        _ => format!("{x:.2e}"),
    }
}
