//! `ocelli plan`: what a network will do before it does it.

use std::path::Path;
use std::sync::Arc;

use ocelli::arch::Architecture;
use ocelli::describe::{Description, LayerLine, Memory, Subject, describe_training};
use ocelli::io::{ModelFile, Network};
use ocelli::train::{NetSpec, RunConfig, RunFolder};
use ocelli::{Engine, Recipe};
use ocelli_data::{Dataset, OpenOptions};

use crate::args::{image_shape, size, threads, width};
use crate::console::Console;
use crate::engine::engine;
use crate::failure::Failure;
use crate::network::{NetName, built, named_networks, naming_those_that_fit, warn_of_unread};
use crate::output::{Align, Table, print, print_json};
use crate::text::{amount, bytes, count, counted, flops, sizes};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[arg(value_name = "NET|FILE.toml|MODEL", value_parser = NetName, hide_possible_values = true,
          help = format!("{}, a network file, a model file or a run folder", named_networks()))]
    net: String,
    /// Images per step [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = size)]
    batch: Option<usize>,
    /// Channels x height x width of the input [default: the network's own]
    #[arg(long, value_name = "CxHxW", value_parser = image_shape, conflicts_with = "data")]
    input: Option<[usize; 3]>,
    /// Classes to tell apart [default: 10]
    #[arg(long, value_name = "N", value_parser = size, conflicts_with = "data")]
    classes: Option<usize>,
    /// Widths of the hidden layers of mlp [default: 512,512]
    #[arg(long, value_delimiter = ',', value_parser = width)]
    widths: Vec<usize>,
    /// Take input and classes from these images, and count their memory
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Threads, each of which needs some memory [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Print the plan as one JSON object
    #[arg(long, conflicts_with = "toml")]
    json: bool,
    /// Print the network as a network file, to read or to change
    #[arg(long)]
    toml: bool,
}

const EXAMPLES: &str = "\
Shapes are channels x height x width, of one image. FLOPs are those of one image forward; a multiply-add counts \
two. \"saved\" is what a step keeps of its whole batch for the backward pass. \"sees\" is the receptive field in pixels.

Examples:
  ocelli plan mnist --batch 128
  ocelli plan mlp --widths 300,100 --data digits
  ocelli plan resnet18 --input 3x128x128 --classes 100
  ocelli plan lenet --toml > mine.toml";

/// What is planned.
struct Planned {
    network: Network,
    recipe: Recipe,
    data_bytes: u64,
}

/// Plans.
pub(crate) fn run(args: &Args, console: Console) -> Result<std::process::ExitCode, Failure> {
    let planned = planned(args)?;
    warn_of_unread(&planned.network.graph, console);
    if args.toml {
        print(&planned.network.to_toml())?;
    } else {
        let description = planned.describe(args.batch, &engine(args.threads)?)?;
        match args.json {
            true => print_json(&description)?,
            false => print(&for_people(&description))?,
        }
    }
    Ok(std::process::ExitCode::SUCCESS)
}

fn planned(args: &Args) -> Result<Planned, Failure> {
    let path = Path::new(&args.net);
    let file = path.extension().is_some_and(|ending| ending == "toml");
    // A folder that is called like a network is meant by ./mnist.
    if !file && path.exists() && Architecture::find(&args.net).is_err() {
        return finished(args, path);
    }
    if !file && args.net.contains(std::path::is_separator) {
        return Err(Failure::usage(format!("{}: no such file or folder", args.net)));
    }
    let spec = NetSpec::new(&args.net, args.widths.clone());
    let recipe = spec.recipe()?;
    if matches!(spec, NetSpec::File(_)) && !args.widths.is_empty() {
        return Err(not_for("--widths", "a network file says itself how wide its layers are"));
    }
    if let Some(data) = &args.data {
        return on_data(&spec, recipe, data);
    }
    let network = built(&spec, args.input, args.classes.unwrap_or(10))?;
    Ok(Planned { network, recipe, data_bytes: 0 })
}

/// A network for a data set, exactly as `train` would build it.
fn on_data(spec: &NetSpec, recipe: Recipe, data: &str) -> Result<Planned, Failure> {
    let splits = ocelli_data::open(data, &OpenOptions::default())?;
    let (input, classes) = (splits.train.image_shape(), splits.train.classes().len());
    let config = RunConfig::resolve(data, None, spec, recipe, 0, &splits)
        .map_err(|e| naming_those_that_fit(e, spec, input, classes))?;
    let network = Network::from_toml(&config.network, data, Some(classes))?;
    let bytes =
        |set: &Arc<dyn Dataset>| set.len() as u64 * set.image_shape().iter().product::<usize>() as u64;
    let data_bytes = bytes(&splits.train) + bytes(&splits.val);
    Ok(Planned { network, recipe: config.recipe, data_bytes })
}

/// The network of a model file or a run folder.
fn finished(args: &Args, path: &Path) -> Result<Planned, Failure> {
    let given = [
        ("--input", args.input.is_some()),
        ("--classes", args.classes.is_some()),
        ("--widths", !args.widths.is_empty()),
        ("--data", args.data.is_some()),
    ];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        return Err(not_for(option, "a trained network stays as it is"));
    }
    if path.is_dir() {
        let (config, network) = RunFolder::open(path)?.load_network()?;
        return Ok(Planned { network, recipe: config.recipe, data_bytes: 0 });
    }
    let model = ModelFile::load(path)?;
    let recipe = model.training.get("recipe").cloned().unwrap_or_default();
    // A model file from elsewhere may not say how it was trained; the plan then has the general recipe's batch.
    let recipe = serde_json::from_value(recipe).unwrap_or_default();
    Ok(Planned { network: model.network, recipe, data_bytes: 0 })
}

fn not_for(option: &str, reason: &str) -> Failure {
    Failure::usage(format!("{option} does not go with this network: {reason}; leave it out"))
}

impl Planned {
    fn describe(&self, batch: Option<usize>, engine: &Engine) -> Result<Description, Failure> {
        let subject = Subject {
            net: &self.network.name,
            graph: &self.network.graph,
            batch: batch.unwrap_or(self.recipe.batch),
            optimizer: &self.recipe.optimizer,
            threads: engine.threads(),
            data_bytes: self.data_bytes,
        };
        Ok(describe_training(&subject, &self.recipe)?)
    }
}

/// The layers, the totals and the memory.
pub(crate) fn for_people(plan: &Description) -> String {
    format!(
        "{}: {} parameters, {} an image\na step of {}: {}, {}\n\n{}\n{}",
        plan.net,
        count(plan.parameters as u64),
        flops(plan.flops),
        counted(plan.batch, "image"),
        counted(plan.parts, "part"),
        counted(plan.barriers, "barrier"),
        layers_table(plan),
        memory_table(&plan.memory),
    )
}

/// A line for each layer.
pub(crate) fn layers_table(plan: &Description) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("op", Align::Left),
        ("output", Align::Right),
        ("parameters", Align::Right),
        ("FLOPs", Align::Right),
        ("saved", Align::Right),
        ("sees", Align::Right),
        ("from", Align::Left),
    ]);
    table.row(input_row(plan));
    let mut previous = None;
    for layer in &plan.layers {
        table.row(layer_row(layer, previous));
        previous = Some(&layer.name);
    }
    table.render()
}

/// The input under the name by which layers read it.
fn input_row(plan: &Description) -> [String; 8] {
    let empty = String::new;
    let read = plan.layers.iter().flat_map(|layer| &layer.from);
    let name = read.into_iter().find(|name| plan.layers.iter().all(|layer| layer.name != **name));
    [
        name.cloned().unwrap_or_default(),
        "input".to_string(),
        sizes(&plan.input),
        empty(),
        empty(),
        empty(),
        empty(),
        empty(),
    ]
}

fn layer_row(layer: &LayerLine, previous: Option<&String>) -> [String; 8] {
    let nothing_if_0 = |n: u64, text: String| if n == 0 { "–".to_string() } else { text };
    [
        layer.name.clone(),
        layer.op.clone(),
        sizes(&layer.output),
        nothing_if_0(layer.parameters as u64, count(layer.parameters as u64)),
        nothing_if_0(layer.flops, amount(layer.flops)),
        nothing_if_0(layer.saved_bytes, bytes(layer.saved_bytes)),
        layer.receptive_field.map_or("all".to_string(), |field| sizes(&field)),
        from(layer, previous),
    ]
}

/// What a layer reads, where that is not the line above it alone: "+ other" is the line above and another.
fn from(layer: &LayerLine, previous: Option<&String>) -> String {
    let Some(previous) = previous else { return String::new() };
    let others: Vec<&str> = layer.from.iter().filter(|name| *name != previous).map(String::as_str).collect();
    match layer.from.contains(previous) {
        true if others.is_empty() => String::new(),
        true => format!("+ {}", others.join(", ")),
        false => others.join(", "),
    }
}

fn memory_table(memory: &Memory) -> String {
    let without_reuse = format!("({} if none were used twice)", bytes(memory.activations_without_reuse));
    let lines = [
        ("program", memory.program, ""),
        ("data", memory.data, ""),
        ("parameters", memory.parameters, ""),
        ("gradients", memory.gradients, ""),
        ("average", memory.average, ""),
        ("optimizer", memory.optimizer, ""),
        ("activations", memory.activations, without_reuse.as_str()),
        ("scratch", memory.scratch, ""),
        ("evaluation", memory.evaluation, ""),
        ("loading", memory.loading, ""),
        ("total", memory.total, ""),
    ];
    let mut table = Table::new(&[("memory", Align::Left), ("", Align::Right), ("", Align::Left)]);
    for (name, size, note) in lines.into_iter().filter(|(_, size, _)| *size > 0) {
        table.row([name.to_string(), bytes(size), note.to_string()]);
    }
    table.render()
}
