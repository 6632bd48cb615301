//! What was found before training: data, network, recipe and memory.

use std::io::Write as _;

use ocelli::describe::{Description, Subject, describe_training};
use ocelli::io::Network;
use ocelli::train::RunConfig;
use ocelli::{Augmentation, ClassWeights, Engine, Error, SCHEMA};
use ocelli_core::loss::Ranking;
use ocelli_core::{Loss, Op};
use ocelli_data::memory::available;
use ocelli_data::{CachePlan, Splits, Summary, Validation, class_counts};
use serde::Serialize;

use crate::console::Console;
use crate::engine::warn_of_precision;
use crate::failure::Failure;
use crate::network::warn_of_unread;
use crate::output::{print, print_json};
use crate::plan;
use crate::text::{bytes, count, counted, duration, flops, sizes};

/// A run before it begins.
pub(super) struct Found<'a> {
    config: &'a RunConfig,
    splits: &'a Splits,
    engine: &'a Engine,
    network: Network,
    description: Description,
}

/// `--dry-run --json`.
#[derive(Serialize)]
struct DryRun<'a> {
    schema: u32,
    config: &'a RunConfig,
    data: Summary,
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
        cache: CachePlan,
        engine: &'a Engine,
    ) -> Result<Found<'a>, Error> {
        let classes = splits.train.classes().len();
        let network = config.build_network(classes)?;
        config.check_sizes(&network)?;
        check_penalties(&network, &config.recipe.loss)?;
        let subject = Subject {
            net: &config.net,
            graph: &network.graph,
            batch: config.recipe.batch.min(splits.train.len()),
            optimizer: &config.recipe.optimizer,
            threads: engine.threads(),
            data_bytes: splits.memory(),
        };
        let mut description = describe_training(&subject, &config.recipe)?;
        // What is decoded later is not there yet.
        let decoding = splits.decoding_bytes().saturating_mul(engine.threads() as u64);
        description.memory.data = description.memory.data.saturating_add(cache.bytes);
        description.memory.loading = description.memory.loading.saturating_add(decoding);
        description.memory.total =
            description.memory.total.saturating_add(cache.bytes).saturating_add(decoding);
        Ok(Found { config, splits, engine, network, description })
    }

    /// Warns of what is odd but can be meant.
    pub(super) fn warn(&self, console: Console) {
        warn_of_unread(&self.network.graph, console);
        warn_of_precision(self.config.recipe.precision, self.engine.isa(), console);
        self.splits.found.warnings().into_iter().for_each(|warning| console.warn(warning));
        let (needs, free) = (self.description.memory.total, available());
        if let Some(free) = free.filter(|&free| free < needs) {
            console.warn(format!(
                "{} of memory are expected, and {} are free: the system may end the run; a smaller --batch, --size or --cache \
                 takes less",
                bytes(needs),
                bytes(free)
            ));
        }
        let (train, val) = (class_counts(&*self.splits.train), class_counts(&*self.splits.val));
        let empty: Vec<usize> = (0..train.len()).filter(|&k| train[k] + val[k] == 0).collect();
        if let Some(&first) = empty.first() {
            console.warn(format!(
                "{} of {} have no image, such as \"{}\": the network has outputs for them that nothing trains",
                count(empty.len() as u64),
                classes(train.len()),
                self.splits.train.classes()[first]
            ));
        }
        let unmeasured = (0..train.len()).filter(|&k| train[k] > 0 && val[k] == 0).count();
        if unmeasured > 0 {
            console.warn(format!("{} have no image to validate on", classes(unmeasured)));
        }
    }

    /// Tells it on standard error.
    pub(super) fn tell(&self, console: Console) {
        let (recipe, train) = (&self.config.recipe, &*self.splits.train);
        let val = format!("{} to validate on ({})", count(self.splits.val.len() as u64), self.validation());
        console.fact("data", self.data_line());
        console.fact("", format!("{} to train on, {val}", count(train.len() as u64)));
        self.splits.found.remarks().into_iter().for_each(|remark| console.fact("", remark));
        console.fact("net", self.net_line());
        if let Some(source) = &self.config.from {
            let fresh = source.fresh.as_ref().map(|layer| format!(", but for '{layer}', which begins anew"));
            console.fact("from", format!("{}{}", source.path.display(), fresh.unwrap_or_default()));
        }
        console.fact("recipe", self.recipe_line());
        console.fact("", self.length_line());
        for more in self.more_of_recipe() {
            console.fact("", more);
        }
        console.fact(
            "engine",
            format!(
                "{}, {} {}",
                counted(self.engine.threads(), "thread"),
                self.engine.isa().name(),
                recipe.precision.name()
            ),
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
            return print_json(&DryRun {
                schema: SCHEMA,
                config: self.config,
                data: self.splits.summary(),
                plan: &self.description,
            });
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

    /// Where the images to validate on come from; of held-out ones, how many of a class there are.
    fn validation(&self) -> String {
        let Validation::HeldOut { seed, .. } = self.splits.val_is else {
            return self.splits.val_is.to_string();
        };
        let counts = class_counts(&*self.splits.val).into_iter().filter(|&n| n > 0);
        let (least, most) = counts.fold((usize::MAX, 0), |(least, most), n| (n.min(least), n.max(most)));
        match least < most {
            true => format!("{least} to {most} of each class held out, seed {seed}"),
            false => format!("{most} of each class held out, seed {seed}"),
        }
    }

    fn data_line(&self) -> String {
        let train = &*self.splits.train;
        let [channels, height, width] = train.image_shape();
        let color = if channels == 1 { "grey " } else { "" };
        let images = counted(train.len() + self.splits.val.len(), &format!("{color}image"));
        let classes = classes(train.classes().len());
        let taken = self.config.preprocess.input_shape();
        let all = match self.splits.found.train.sizes {
            Some(found) => found.to_string(),
            None => sizes(&[height, width]),
        };
        let size = sizes(&taken[1..]);
        let as_they_are = if all == size { String::new() } else { format!(", taken at {size}") };
        let greyed = if taken[0] < channels { ", taken in grey" } else { "" };
        format!("{}: {images} of {all}{as_they_are}{greyed}, {classes}", self.splits.name)
    }

    fn net_line(&self) -> String {
        let description = &self.description;
        let parameters = count(description.parameters as u64);
        format!("{}: {parameters} parameters, {} an image", description.net, flops(description.flops))
    }

    fn recipe_line(&self) -> String {
        let recipe = &self.config.recipe;
        let rate = recipe.schedule.base().unwrap_or(recipe.rate);
        let augmentation = augmentation(self.config);
        let (optimizer, curve) = (recipe.optimizer.name(), recipe.schedule.curve.name());
        format!(
            "{optimizer}, learning rate {} ({curve}), {augmentation}, seed {}",
            crate::text::rate(rate),
            self.config.seed
        )
    }
}

impl Found<'_> {
    /// How long training goes on, and what a step is.
    fn length_line(&self) -> String {
        let (recipe, images) = (&self.config.recipe, self.splits.train.len());
        let batch = match recipe.batch < images {
            true => counted(recipe.batch, "image"),
            false => format!("all {}", counted(images, "image")),
        };
        let step = match recipe.accumulate {
            1 => batch,
            n => format!("{n} × {batch}"),
        };
        let steps = images.div_ceil(recipe.batch).div_ceil(recipe.accumulate);
        match (recipe.time_budget, recipe.steps) {
            (Some(seconds), _) => format!(
                "as many steps of {step} as {} allow, {} an epoch",
                duration(seconds),
                count(steps as u64)
            ),
            (None, Some(all)) => format!(
                "{} of {step}, {:.2} epochs",
                counted(usize::try_from(all).unwrap_or(usize::MAX), "step"),
                all as f64 / steps as f64
            ),
            (None, None) => {
                let epochs = counted(usize::try_from(recipe.epochs).unwrap_or(usize::MAX), "epoch");
                format!("{epochs} of {} of {step}", counted(steps, "step"))
            }
        }
    }

    /// What is not done in every training.
    fn more_of_recipe(&self) -> Vec<String> {
        let recipe = &self.config.recipe;
        let sizes = recipe.sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let lines = [
            (!sizes.is_empty()).then(|| format!("pictures of {sizes} rows one after another")),
            recipe.ema.map(|decay| format!("average of the weights, decay {decay}")),
            recipe.clip_norm.map(|norm| format!("gradients of norm {norm} at most")),
            (recipe.class_weights == ClassWeights::Balanced)
                .then(|| "all classes count the same".to_string()),
            recipe.whiten.as_ref().map(|layer| format!("filters of '{layer}' from the images")),
            (recipe.offset_rate != 1.0).then(|| format!("biases {} times as fast", recipe.offset_rate)),
            recipe.freeze.as_ref().map(|layer| format!("frozen up to '{layer}'")),
            recipe.patience.map(|n| {
                format!("until {} without a better validation accuracy", counted(n as usize, "epoch"))
            }),
        ];
        lines.into_iter().flatten().collect()
    }
}

/// How images are varied, in words.
fn augmentation(config: &RunConfig) -> String {
    let mut text = match config.recipe.augmentation {
        Augmentation::None => "no augmentation".to_string(),
        set => format!("augmentation {}", set.name()),
    };
    let (mix, own) = (config.mix(), config.recipe.overrides);
    for (name, alpha) in [("mixup", mix.mixup), ("cutmix", mix.cutmix)] {
        if alpha > 0.0 {
            text += &format!(", {name} {alpha}");
        }
    }
    if let Some([low, high]) = own.crop_area {
        text += &format!(", crops of {low} to {high} of the area");
    }
    if let Some(share) = own.erase {
        text += &format!(", erasing {share}");
    }
    text
}

/// Losses on penalties take outputs that are distances, never below 0, and others do not.
fn check_penalties(network: &Network, loss: &Loss) -> Result<(), Error> {
    let last = network.graph.node(network.graph.output()?);
    let (name, layer) = (&network.name, last.name());
    match (loss.ranking(), matches!(last.op(), Some(Op::Rbf(_)))) {
        (Ranking::Lowest, false) => Err(Error::Usage(format!(
            "--loss penalty and map take outputs that are penalties, 0 or more, as an rbf layer gives them; the last \
             layer of {name}, '{layer}', is {}; give another --loss, or a network such as --net lenet5",
            last.op().map_or("none", |op| op.name())
        ))),
        (Ranking::Highest, true) => Err(Error::Usage(format!(
            "--loss {}: it takes the largest output for the answer, and those of {name} are penalties (its last layer, \
             '{layer}', is rbf), of which the smallest is; give --loss map or penalty",
            loss.name().replace('_', "-")
        ))),
        _ => Ok(()),
    }
}

fn classes(n: usize) -> String {
    format!("{} class{}", count(n as u64), if n == 1 { "" } else { "es" })
}
