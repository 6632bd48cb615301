//! From what the user said to a configuration in which nothing is left open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli_core::Shape;
use ocelli_data::{ColourAxes, Dataset, Preprocess, Splits};

use super::config::{RunConfig, noted, preprocess_for};
use crate::arch::{Architecture, Wanted, automatic};
use crate::fit::check_fit;
use crate::io::Network;
use crate::{Error, Recipe};

/// Data that are part of the program, whatever a folder of that name holds.
const BUILT_IN: &str = "digits";

/// Which network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetSpec {
    /// One with a name, and other widths of its hidden layers if any are given.
    Named {
        /// Its name.
        name: String,
        /// The widths.
        widths: Vec<usize>,
    },
    /// One from a network file.
    File(PathBuf),
}

impl NetSpec {
    /// A name, or the path of a network file, which ends in `.toml`.
    pub fn new(text: &str, widths: Vec<usize>) -> NetSpec {
        match Path::new(text).extension().is_some_and(|e| e == "toml") {
            true => NetSpec::File(PathBuf::from(text)),
            false => NetSpec::Named { name: text.to_string(), widths },
        }
    }

    /// The network for these images to train on in so many seconds of cores, if they are limited, where nothing else is asked
    /// for ([`automatic`]).
    pub fn automatic(train: &dyn Dataset, core_seconds: Option<f64>) -> NetSpec {
        let name = automatic(train.image_shape(), train.len(), core_seconds).name;
        NetSpec::Named { name: name.to_string(), widths: Vec::new() }
    }

    /// How this network is best trained; a network from a file has the general recipe.
    ///
    /// # Errors
    /// An unknown name.
    pub fn recipe(&self) -> Result<Recipe, Error> {
        match self {
            NetSpec::Named { name, .. } => Ok(Architecture::find(name)?.recipe()),
            NetSpec::File(_) => Ok(Recipe::default()),
        }
    }

    /// The network for images of shape `input` (C×H×W) and so many classes. A file says itself what its input is.
    ///
    /// # Errors
    /// An unknown name, a file that is none, or a network that does not fit.
    pub fn build(&self, input: [usize; 3], classes: usize) -> Result<Network, Error> {
        match self {
            NetSpec::Named { name, widths } => {
                let wanted = Wanted { input: Shape::from(input), classes, widths: widths.clone() };
                let graph = Architecture::find(name)?.build(&wanted)?;
                Ok(Network { name: name.clone(), graph: Arc::new(graph) })
            }
            NetSpec::File(path) => Ok(Network::read(path, Some(classes))?),
        }
    }
}

impl RunConfig {
    /// The configuration of a new run on `splits`, which were opened from `data` (and `val`) with this `seed`: by it the images
    /// that were held out are found again. If they were opened with a root or another share of unreadable pictures, that has to be
    /// noted as well ([`RunConfig::set_source`]). What it runs on and which command made it are noted when it begins.
    ///
    /// # Errors
    /// A network that is unknown or does not fit the data.
    pub fn resolve(
        data: &str,
        val: Option<&str>,
        net: &NetSpec,
        mut recipe: Recipe,
        seed: u64,
        splits: &Splits,
    ) -> Result<RunConfig, Error> {
        recipe.check()?;
        let train = &*splits.train;
        recipe.augmentation = recipe.augmentation.resolve(train.image_shape());
        // LeNet-5 takes its own size whatever the data have; other named networks take the data's.
        let fixed = match net {
            NetSpec::Named { name, .. } => {
                let (net, [channels, ..]) = (Architecture::find(name)?, train.image_shape());
                net.fixed_input.then(|| [channels, net.input[1], net.input[2]])
            }
            NetSpec::File(_) => image_input(&net.build(train.image_shape(), train.classes().len())?)?,
        };
        let mut preprocess = preprocess_for(train, recipe.pixels, fixed)?;
        preprocess.fit = recipe.augmentation.fit(&recipe.overrides);
        let network = net.build(preprocess.input_shape(), train.classes().len())?;
        check_fit(&network, &preprocess, &recipe.loss, train.classes().len())?;
        let colour_axes = colour_axes(&recipe, &preprocess, train)?;
        let config = RunConfig::assemble(data, val, &network, preprocess, recipe, seed)?;
        Ok(RunConfig { colour_axes, ..config })
    }

    /// A configuration of parts that fit together.
    ///
    /// # Errors
    /// Data at a path that cannot be noted.
    pub(super) fn assemble(
        data: &str,
        val: Option<&str>,
        network: &Network,
        preprocess: Preprocess,
        recipe: Recipe,
        seed: u64,
    ) -> Result<RunConfig, Error> {
        let sizes = recipe.sizes_to(preprocess.size[0]);
        let recipe = Recipe { sizes, grow_from: None, ..recipe };
        let absolute = |name: &str| -> Result<Option<PathBuf>, Error> {
            let found = Path::new(name).canonicalize().ok().filter(|_| name != BUILT_IN);
            found.map(noted).transpose()
        };
        Ok(RunConfig {
            data_path: absolute(data)?,
            val_path: val.map(absolute).transpose()?.flatten(),
            release: env!("CARGO_PKG_VERSION").to_string(),
            isa: String::new(),
            commands: Vec::new(),
            version: RunConfig::VERSION,
            root: None,
            most_unreadable: ocelli_data::MOST_UNREADABLE,
            data: data.to_string(),
            val: val.map(str::to_string),
            net: network.name.clone(),
            seed,
            pace: Vec::new(),
            from: None,
            recipe,
            preprocess,
            colour_axes: None,
            network: network.to_toml(),
        })
    }
}

/// The directions in which the colours of these images vary, where the recipe shifts colours along them.
///
/// # Errors
/// An image that cannot be read.
pub(super) fn colour_axes(
    recipe: &Recipe,
    preprocess: &Preprocess,
    train: &dyn Dataset,
) -> Result<Option<ColourAxes>, Error> {
    let shifts = recipe.augmentation.shifts_colours() && preprocess.channels == 3;
    Ok(shifts.then(|| ColourAxes::of(train)).transpose()?)
}

/// C×H×W of the one image that a network from a file takes.
fn image_input(network: &Network) -> Result<Option<[usize; 3]>, Error> {
    let graph = &network.graph;
    let inputs: Vec<Shape> = graph.inputs().map(|v| graph.node(v).shape()).collect();
    match inputs[..] {
        [shape] if shape.image().is_some_and(|[c, ..]| c == 1 || c == 3) => Ok(shape.image()),
        _ => Err(Error::Usage(format!(
            "network '{}' takes {inputs:?}, but training on images needs one input of 1 or 3 channels, such as \
             input = [1, 28, 28]",
            network.name
        ))),
    }
}
