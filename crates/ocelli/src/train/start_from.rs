//! Fine-tuning: a run that begins with the parameters of another model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli_core::schedule::Curve;
use ocelli_core::{Graph, Op, Params, Value};
use ocelli_data::{Preprocess, Splits};
use serde::{Deserialize, Serialize};

use super::config::{RunConfig, noted};
use super::resolve::colour_axes;
use crate::fit::check_fit;
use crate::io::{ModelFile, Network, weights_sha256};
use crate::predict::model_preprocess;
use crate::{Error, Recipe};

/// The model that a run's parameters come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The model file, wherever the run is resumed from.
    pub path: PathBuf,
    /// The digest of its parameters: another model in its place is refused.
    pub weights_sha256: String,
    /// The layer whose parameters are not taken: the last one, where the classes are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<String>,
}

/// A trained network that another run is to begin with.
pub struct Pretrained {
    model: ModelFile,
    path: PathBuf,
    preprocess: Preprocess,
}

/// How many times slower than it was trained a network is trained on.
const SLOWER: f64 = 10.0;

impl Pretrained {
    /// Reads a model file.
    ///
    /// # Errors
    /// A file that is none, is damaged or contradicts itself.
    pub fn load(path: &Path) -> Result<Pretrained, Error> {
        let model = ModelFile::load(path)?;
        let preprocess = model_preprocess(&model)?;
        let path = noted(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()))?;
        Ok(Pretrained { model, path, preprocess })
    }

    /// The network's name.
    pub fn net(&self) -> &str {
        &self.model.network.name
    }

    /// The recipe that the model was trained by, at a tenth of its learning rate: what was learned is to be changed, not
    /// undone. How long, with which layers frozen and what else was for that run alone is not taken.
    ///
    /// # Errors
    /// A model whose recipe cannot be read.
    pub fn recipe(&self) -> Result<Recipe, Error> {
        let recipe = self.model.training.get("recipe").cloned().unwrap_or_default();
        let mut recipe: Recipe = serde_json::from_value(recipe).map_err(|e| {
            Error::Bad(format!("{}: how it was trained cannot be read: {e}", self.path.display()))
        })?;
        (recipe.steps, recipe.time_budget, recipe.patience) = (None, None, None);
        (recipe.freeze, recipe.whiten) = (None, None);
        recipe.rate /= SLOWER;
        // Rates that stand for themselves come down with it.
        match &mut recipe.schedule.curve {
            Curve::Cosine { to } => *to /= SLOWER,
            Curve::List { pieces } => pieces.iter_mut().for_each(|piece| piece.rate /= SLOWER),
            _ => {}
        }
        Ok(recipe)
    }

    /// The network for data with these classes, and the layer that begins anew: none where the classes are the same names in
    /// the same order, else the last one with parameters.
    fn network(&self, classes: &[String]) -> Result<(Network, Option<String>), Error> {
        let Network { name, graph } = &self.model.network;
        if classes == self.model.classes {
            return Ok((self.model.network.clone(), None));
        }
        let last = last_with_parameters(graph)?;
        let fresh = graph.node(last).name().to_string();
        let graph = Arc::new(with_outputs(graph, last, classes.len()).map_err(|reason| {
            Error::Usage(format!(
                "--from {}: its classes are others, and its last layer with parameters, '{fresh}', cannot be made \
                 to tell {} apart: {reason}",
                self.path.display(),
                classes.len()
            ))
        })?);
        Ok((Network { name: name.clone(), graph }, Some(fresh)))
    }
}

impl RunConfig {
    /// The configuration of a new run on `splits` that begins with the parameters of a trained network: the network and what
    /// is done to pictures are its own.
    ///
    /// # Errors
    /// Data that do not fit the network, or a last layer that cannot be made anew for their classes.
    pub fn fine_tune(
        data: &str,
        val: Option<&str>,
        from: &Pretrained,
        mut recipe: Recipe,
        seed: u64,
        splits: &Splits,
    ) -> Result<RunConfig, Error> {
        recipe.check()?;
        recipe.augmentation = recipe.augmentation.resolve(splits.train.image_shape());
        let colour_axes = colour_axes(&recipe, &from.preprocess, &*splits.train)?;
        let classes = splits.train.classes();
        let (network, fresh) = from.network(classes)?;
        check_fit(&network, &from.preprocess, &recipe.loss, classes.len())?;
        let weights_sha256 = weights_sha256(&from.model.params);
        let source = Source { path: from.path.clone(), weights_sha256, fresh };
        let config = RunConfig::assemble(data, val, &network, from.preprocess.clone(), recipe, seed)?;
        Ok(RunConfig { from: Some(source), colour_axes, ..config })
    }
}

/// Takes the parameters of a run's source in place of those that were drawn, but for a layer that begins anew.
///
/// # Errors
/// A model file that is gone, damaged, or another one by now.
pub(super) fn take_over(source: &Source, params: &mut Params<f32>) -> Result<(), Error> {
    let model = ModelFile::load(&source.path)?;
    if weights_sha256(&model.params) != source.weights_sha256 {
        return Err(Error::Bad(format!(
            "{} is not the model any more that this run was begun from; restore it, or begin another run",
            source.path.display()
        )));
    }
    let layout = Arc::clone(params.layout());
    for entry in layout.entries() {
        let layer = entry.name.rsplit_once('.').map_or(&*entry.name, |(layer, _)| layer);
        if source.fresh.as_deref() == Some(layer) {
            continue;
        }
        let found = model.params.layout().find(&entry.name).filter(|e| e.spec.shape == entry.spec.shape);
        let found = found.ok_or_else(|| {
            Error::Bad(format!("{} has no '{}' as this run's network", source.path.display(), entry.name))
        })?;
        params.set(entry, &model.params.in_field_order(found)?);
    }
    Ok(())
}

/// The last layer with parameters, trained or fixed, behind which nothing but one reader after another follows.
fn last_with_parameters(graph: &Graph) -> Result<Value, Error> {
    let mut value = graph.output()?;
    loop {
        let node = graph.node(value);
        if !node.signature().params.is_empty() {
            return Ok(value);
        }
        match node.inputs() {
            [input] => value = *input,
            _ => {
                return Err(Error::Usage(format!(
                    "--from: the network's outputs come from several layers at '{}', so its last layer cannot be made \
                     anew for other classes",
                    node.name()
                )));
            }
        }
    }
}

/// The same network with so many outputs of one layer.
fn with_outputs(graph: &Graph, layer: Value, outputs: usize) -> Result<Graph, String> {
    let mut layers = graph.layers();
    let name = graph.node(layer).name();
    let changed = layers.iter_mut().find(|l| l.name == name).expect("invariant: the graph's own layer");
    match &mut changed.op {
        Op::Linear(linear) => linear.features = outputs,
        Op::Conv2d(conv) => conv.channels = outputs,
        Op::Rbf(units) => units.classes = outputs,
        other => return Err(format!("an op {} has outputs of its own", other.name())),
    }
    let inputs: Vec<_> = graph.inputs().map(|v| (graph.node(v).name(), graph.node(v).shape())).collect();
    let mut changed = Graph::from_layers(&inputs, &layers).map_err(|e| e.to_string())?;
    let output = graph.node(graph.output().map_err(|e| e.to_string())?).name();
    changed.set_output(changed.find(output).expect("it has the same layers"));
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use ocelli_core::ops::{Add, Flatten, Linear, Rbf, Softmax};

    use super::*;

    #[test]
    fn fixed_prototypes_of_other_classes_are_others() {
        let mut graph = Graph::new();
        let x = graph.input("features", [5]).unwrap();
        let a = graph.add("hidden", Linear::new(84), [x]).unwrap();
        graph.add("output", Rbf::new(10), [a]).unwrap();
        let last = last_with_parameters(&graph).unwrap();
        assert_eq!(graph.node(last).name(), "output");
        let eight = with_outputs(&graph, last, 8).unwrap();
        assert_eq!(eight.node(eight.output().unwrap()).shape().len(), 8);
        assert_eq!(eight.node(eight.find("hidden").unwrap()).shape().len(), 84);
    }

    #[test]
    fn the_last_layer_with_parameters_may_have_others_without_behind_it() {
        let mut graph = Graph::new();
        let x = graph.input("image", [1, 2, 2]).unwrap();
        let a = graph.add("flat", Flatten {}, [x]).unwrap();
        let a = graph.add("hidden", Linear::new(5), [a]).unwrap();
        let a = graph.add("out", Linear::new(3), [a]).unwrap();
        graph.add("softmax", Softmax {}, [a]).unwrap();
        let last = last_with_parameters(&graph).unwrap();
        assert_eq!(graph.node(last).name(), "out");
        let changed = with_outputs(&graph, last, 7).unwrap();
        let shape = |name: &str| changed.node(changed.find(name).unwrap()).shape().len();
        assert_eq!((shape("hidden"), shape("out"), shape("softmax")), (5, 7, 7));
        assert_eq!(changed.node(changed.output().unwrap()).name(), "softmax");
    }

    #[test]
    fn outputs_that_several_layers_make_are_left_alone() {
        let mut graph = Graph::new();
        let x = graph.input("x", [4]).unwrap();
        let a = graph.add("a", Linear::new(3), [x]).unwrap();
        let b = graph.add("b", Linear::new(3), [x]).unwrap();
        graph.add("sum", Add {}, [a, b]).unwrap();
        assert!(last_with_parameters(&graph).unwrap_err().to_string().contains("'sum'"));
    }
}
