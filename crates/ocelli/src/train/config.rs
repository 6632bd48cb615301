//! Everything that decides what a run computes, as its folder keeps it.

use std::path::{Path, PathBuf};

use ocelli_data::{
    Augment, ColourAxes, Dataset, Fit, MOST_UNREADABLE, Mix, Normalise, OpenOptions, Preprocess,
};
use serde::{Deserialize, Serialize};

use super::event::EpochRecord;
use super::length::Pace;
use super::sizes::Size;
use super::start_from::Source;
use crate::fit::check_fit;
use crate::io::{ErrorKind, Network};
use crate::recipe::{Pixels, Recipe};
use crate::{Engine, Error};

/// The resolved configuration of a run: with the data, the seed and the instruction set it decides every bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Version of this form.
    #[serde(rename = "ocelli-run")]
    pub version: u32,
    /// The data, as they were named.
    pub data: String,
    /// Other data to validate on, as they were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<String>,
    /// Where the data are, whatever folder the run is resumed from; `None` for built-in data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path: Option<PathBuf>,
    /// Where the other data are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_path: Option<PathBuf>,
    /// The folder or archive that paths in lists and CSV are relative to, in place of their own folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// The share of pictures that may be unreadable.
    #[serde(default = "most_unreadable")]
    pub most_unreadable: f64,
    /// The network's name.
    pub net: String,
    /// What everything random follows from.
    pub seed: u64,
    /// The release that began the run.
    pub release: String,
    /// The instruction set that it began with, and whether it has a unit for bf16 if that is the precision: others round
    /// differently.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub isa: String,
    /// The commands that made the run, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// How many steps there are to be, from which step on: the decisions of a run that this one repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pace: Vec<Pace>,
    /// The model whose parameters it begins with; those that the seed draws where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Source>,
    /// How it is trained.
    pub recipe: Recipe,
    /// What is done to every picture.
    pub preprocess: Preprocess,
    /// The directions in which the training set's colours vary, where they are shifted along them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour_axes: Option<ColourAxes>,
    /// The network, as a network file.
    pub network: String,
}

impl RunConfig {
    /// The version that this release writes.
    pub const VERSION: u32 = 1;

    /// From the text of a run folder's `config.toml`.
    ///
    /// # Errors
    /// [`Error::Bad`] that names `origin` and the line.
    pub fn from_toml(text: &str, origin: &str) -> Result<RunConfig, Error> {
        let config: RunConfig = toml::from_str(text).map_err(|e| Error::Bad(format!("{origin}: {e}")))?;
        match config.version {
            RunConfig::VERSION => Ok(config),
            other => Err(Error::Bad(format!(
                "{origin}: it is of version {other}, and this release knows version {}",
                RunConfig::VERSION
            ))),
        }
    }

    /// What to open to get the data: the path where it is known, else the name.
    pub fn data_spec(&self) -> &Path {
        self.data_path.as_deref().unwrap_or(Path::new(&self.data))
    }

    /// What to open to get the other data.
    pub fn val_spec(&self) -> Option<&Path> {
        self.val_path.as_deref().or(self.val.as_deref().map(Path::new))
    }

    /// Notes how the data were opened.
    ///
    /// # Errors
    /// [`Error::Usage`] for a root that is not there.
    pub fn set_source(&mut self, options: &OpenOptions) -> Result<(), Error> {
        let absolute = |root: &PathBuf| match root.canonicalize() {
            Ok(root) => noted(root),
            Err(e) => Err(Error::Usage(format!("{}: cannot open: {e}", root.display()))),
        };
        self.root = options.root.as_ref().map(absolute).transpose()?;
        self.most_unreadable = options.most_unreadable;
        Ok(())
    }

    /// How to open the data again.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions {
            seed: self.seed,
            val: self.val_spec().map(Path::to_path_buf),
            root: self.root.clone(),
            most_unreadable: self.most_unreadable,
            size: None,
        }
    }

    /// The network, checked to fit pictures, loss and classes.
    ///
    /// # Errors
    /// [`Error::Bad`] for a network that cannot be used, [`Error::Usage`] for one that does not fit.
    pub fn build_network(&self, classes: usize) -> Result<Network, Error> {
        let network = Network::from_toml(&self.network, "the run's network", Some(classes));
        let network = network.map_err(|e| match e.kind() {
            ErrorKind::Memory => Error::from(e),
            _ => Error::Bad(e.to_string()),
        })?;
        check_fit(&network, &self.preprocess, &self.recipe.loss, classes)?;
        self.check_mix(&network, classes)?;
        Ok(network)
    }

    /// Whether the network takes pictures of all sizes that they grow through.
    ///
    /// # Errors
    /// [`Error::Usage`] for the first that it does not.
    pub fn check_sizes(&self, network: &Network) -> Result<(), Error> {
        Size::all(self, network).map(drop)
    }

    /// The configuration of a run that does again what this one did, bit for bit, without a clock where it had one:
    /// `records` are its lines of `metrics.jsonl`.
    ///
    /// # Errors
    /// A run without records: nothing of it is known.
    pub fn repeated(&self, records: &[EpochRecord]) -> Result<RunConfig, Error> {
        let mut config = self.clone();
        config.pace = records.iter().flat_map(|record| record.pace.clone()).collect();
        let Some(last) = config.pace.last().copied() else {
            return Err(Error::Usage(
                "the run to repeat has no epoch in its metrics.jsonl yet; let it come to the end of one"
                    .to_string(),
            ));
        };
        if config.recipe.time_budget.take().is_some() {
            config.recipe.steps = Some(last.steps);
        }
        config.release = env!("CARGO_PKG_VERSION").to_string();
        Ok(config)
    }

    /// Targets that are shares have one for each class, and so must outputs.
    fn check_mix(&self, network: &Network, classes: usize) -> Result<(), Error> {
        let width = network.graph.node(network.graph.output()?).shape().len();
        match self.mix().is_on() && width != classes {
            true => Err(Error::Usage(format!(
                "mixup and CutMix need an output for each of the {classes} classes, and network '{}' has {width}; give \
                 --mixup 0 --cutmix 0, or a network with more outputs",
                network.name
            ))),
            false => Ok(()),
        }
    }

    /// Whether this run computes what `other` does, but for how long it goes on, for who asked for it, and for where its images
    /// lie: their digests tell whether they are the same.
    pub(super) fn trains_like(&self, other: &RunConfig) -> bool {
        let RunConfig { data, data_path, val, val_path, root, commands, pace, .. } = other.clone();
        let recipe = Recipe { epochs: other.recipe.epochs, ..self.recipe.clone() };
        let same = RunConfig { data, data_path, val, val_path, root, commands, pace, recipe, ..self.clone() };
        same == *other
    }

    /// What to tell a user who resumes or repeats with another program or machine than the run was begun with.
    pub fn differences_of_maker(&self, engine: &Engine) -> Vec<String> {
        let mut differences = Vec::new();
        let here = engine.arithmetic(self.recipe.precision);
        if self.isa != here {
            differences.push(format!(
                "the run was begun with instruction set {}, and this is {here}: weights will not be the same bits",
                self.isa
            ));
        }
        if self.release != env!("CARGO_PKG_VERSION") {
            differences.push(format!("the run was begun with release {} of Ocelli", self.release));
        }
        differences
    }

    /// As the text of `config.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain data")
    }

    /// The variation of training images.
    pub fn augment(&self) -> Augment {
        let Recipe { augmentation, overrides, .. } = &self.recipe;
        augmentation.augment(overrides, self.preprocess.size, self.colour_axes)
    }

    /// How the images of a batch are mixed.
    pub fn mix(&self) -> Mix {
        self.recipe.augmentation.mix(&self.recipe.overrides)
    }
}

/// A path as a run notes it.
///
/// # Errors
/// [`Error::Usage`] for one that is no text.
pub(super) fn noted(path: PathBuf) -> Result<PathBuf, Error> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(Error::Usage(format!(
            "{}: a run notes where what it needs lies, and this path is not UTF-8 text; rename the folder",
            path.display()
        ))),
    }
}

fn most_unreadable() -> f64 {
    MOST_UNREADABLE
}

/// What is done to every picture, for a network whose input is `input` (C×H×W; `None`: whatever the data have).
///
/// # Errors
/// An image that cannot be read.
pub fn preprocess_for(
    train: &dyn Dataset,
    pixels: Pixels,
    input: Option<[usize; 3]>,
) -> Result<Preprocess, Error> {
    let mut preprocess = match pixels {
        Pixels::Standardise => Preprocess::fit(train)?,
        Pixels::Lenet5 => {
            let [channels, height, width] = train.image_shape();
            let normalise = Normalise::Range { low: -0.1, high: 1.175 };
            Preprocess {
                channels,
                size: [height, width],
                fit: Fit::Stretch,
                pad: 0,
                background: 0,
                normalise,
            }
        }
    };
    let Some([channels, height, width]) = input else { return Ok(preprocess) };
    if channels != preprocess.channels {
        preprocess.normalise = convert(preprocess.normalise, channels);
        preprocess.channels = channels;
    }
    preprocess.size = [height, width];
    if pixels == Pixels::Lenet5 && height > 4 && width > 4 {
        // MNIST's digits stand in the middle of LeNet-5's input, two pixels from each border.
        preprocess.size = [height - 4, width - 4];
        preprocess.pad = 2;
    }
    Ok(preprocess)
}

/// Statistics for another number of channels: grey ones for each colour, or the mean of the colours for grey.
fn convert(normalise: Normalise, channels: usize) -> Normalise {
    let spread = |values: Vec<f32>| vec![values.iter().sum::<f32>() / values.len().max(1) as f32; channels];
    match normalise {
        Normalise::MeanStd { mean, std } => Normalise::MeanStd { mean: spread(mean), std: spread(std) },
        range => range,
    }
}
