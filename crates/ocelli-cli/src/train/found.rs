//! What was found before training: data, network, recipe and memory.

use std::io::Write as _;
use std::sync::Arc;

use ocelli::describe::{Description, Subject, describe};
use ocelli::train::RunConfig;
use ocelli::{Augmentation, Engine, Error, SCHEMA};
use ocelli_data::{Dataset, Splits};
use serde::Serialize;

use crate::console::Console;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::plan;
use crate::text::{bytes, count, counted, flops, sizes};

/// A run before it begins.
pub(super) struct Found<'a> {
    config: &'a RunConfig,
    splits: &'a Splits,
    engine: &'a Engine,
    description: Description,
}

/// `--dry-run --json`.
#[derive(Serialize)]
struct DryRun<'a> {
    schema: u32,
    config: &'a RunConfig,
    plan: &'a Description,
}

impl<'a> Found<'a> {
    /// Describes a run.
    ///
    /// # Errors
    /// A network that cannot be planned, or whose outputs do not fit the classes.
    pub(super) fn new(
        config: &'a RunConfig,
        splits: &'a Splits,
        engine: &'a Engine,
    ) -> Result<Found<'a>, Error> {
        let classes = splits.train.classes().len();
        let network = config.build_network(classes)?;
        let description = describe(&Subject {
            net: &config.net,
            graph: &network.graph,
            batch: config.recipe.batch.min(splits.train.len()),
            optimizer: &config.recipe.optimizer,
            threads: engine.threads(),
            data_bytes: data_bytes(splits),
        })?;
        Ok(Found { config, splits, engine, description })
    }

    /// Tells it on standard error.
    pub(super) fn tell(&self, console: Console) {
        let (recipe, train) = (&self.config.recipe, &*self.splits.train);
        let val = format!("{} to validate on ({})", count(self.splits.val.len() as u64), self.splits.val_is);
        let steps = train.len().div_ceil(recipe.batch);
        console.fact("data", self.data_line());
        console.fact("", format!("{} to train on, {val}", count(train.len() as u64)));
        console.fact("net", self.net_line());
        console.fact("recipe", self.recipe_line());
        console.fact(
            "",
            format!(
                "{} of {} of {}",
                counted(recipe.epochs as usize, "epoch"),
                counted(steps, "step"),
                recipe.batch
            ),
        );
        console.fact(
            "engine",
            format!("{}, {}", counted(self.engine.threads(), "thread"), self.engine.isa().name()),
        );
        console.fact("memory", format!("{} expected", bytes(self.description.memory.total)));
        if console.verbose() {
            console.always(&format!("\n{}\n", self.splits.summary()));
            console.always(&plan::layers_table(&self.description));
        }
    }

    /// Prints it as the result.
    ///
    /// # Errors
    /// Standard output that cannot be written.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return print_json(&DryRun { schema: SCHEMA, config: self.config, plan: &self.description });
        }
        // The network file would say the same as the table below it.
        let settings = RunConfig { network: String::new(), ..self.config.clone() }.to_toml();
        let settings =
            settings.lines().filter(|line| !line.starts_with("network = ")).collect::<Vec<_>>().join("\n");
        let mut text = Vec::new();
        let _ = writeln!(text, "{}\n\n{settings}\n", self.splits.summary());
        let _ = write!(text, "{}", plan::for_people(&self.description));
        print(&String::from_utf8_lossy(&text))
    }

    fn data_line(&self) -> String {
        let train = &*self.splits.train;
        let [channels, height, width] = train.image_shape();
        let color = if channels == 1 { "grey " } else { "" };
        let images = counted(train.len() + self.splits.val.len(), &format!("{color}image"));
        format!(
            "{}: {images} of {}, {}",
            self.splits.name,
            sizes(&[height, width]),
            classes(train.classes().len())
        )
    }

    fn net_line(&self) -> String {
        let description = &self.description;
        let parameters = count(description.parameters as u64);
        format!("{}: {parameters} parameters, {} an image", description.net, flops(description.flops))
    }

    fn recipe_line(&self) -> String {
        let recipe = &self.config.recipe;
        let rate = recipe.schedule.base().unwrap_or(recipe.rate);
        let augmentation = match recipe.augmentation {
            Augmentation::None => "no augmentation",
            Augmentation::Light => "light augmentation",
            Augmentation::Distort => "distortions",
            Augmentation::Elastic => "elastic deformation",
        };
        let (optimizer, curve) = (recipe.optimizer.name(), recipe.schedule.curve.name());
        format!("{optimizer}, learning rate {rate} ({curve}), {augmentation}, seed {}", self.config.seed)
    }
}

fn classes(n: usize) -> String {
    format!("{} class{}", count(n as u64), if n == 1 { "" } else { "es" })
}

/// Bytes of the images of both splits.
fn data_bytes(splits: &Splits) -> u64 {
    let bytes =
        |set: &Arc<dyn Dataset>| set.len() as u64 * set.image_shape().iter().product::<usize>() as u64;
    bytes(&splits.train) + bytes(&splits.val)
}
