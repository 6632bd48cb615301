//! The plans that training runs.

use std::sync::Arc;

use ocelli_core::{Graph, Optimizer, Plan, PlanOptions, Value};
use ocelli_kernels::Precision;

use super::health::Health;
use super::learner::in_halves;
use super::whiten::whitened;
use crate::suggest::did_you_mean;
use crate::{Error, Recipe};

/// The plan with which steps of training are done where nothing but their outcome is wanted.
pub(crate) fn step_options(batch: usize, precision: Precision) -> PlanOptions {
    PlanOptions { keep_gradients: false, precision, ..PlanOptions::train(batch) }
}

/// The plan with which a recipe's steps are done, in batches of so many images.
///
/// # Errors
/// A layer to freeze or to whiten that there is not, or none left to train.
pub(crate) fn recipe_options(
    recipe: &Recipe,
    graph: &Arc<Graph>,
    batch: usize,
) -> Result<PlanOptions, Error> {
    whitened(recipe, graph)?;
    Ok(PlanOptions {
        keep_gradients: in_halves(recipe),
        accumulate: recipe.accumulate > 1,
        frozen: frozen(recipe, graph)?,
        ..step_options(batch, recipe.precision)
    })
}

/// The plan with which an optimiser's second derivatives are propagated, if it has any.
///
/// # Errors
/// As [`recipe_options`].
pub(crate) fn curvature_options(recipe: &Recipe, graph: &Arc<Graph>) -> Result<Option<PlanOptions>, Error> {
    let frozen = frozen(recipe, graph)?;
    let diagonal = matches!(recipe.optimizer, Optimizer::DiagonalLm { .. });
    Ok(diagonal.then(|| PlanOptions { curvature: true, frozen, ..PlanOptions::train(1) }))
}

/// The plan with which the health of the layers is measured.
pub(crate) fn health_options() -> PlanOptions {
    Health::options()
}

/// A layer by its name, or the last one of a block: of those whose names begin with `block.`.
fn layer_or_block(graph: &Graph, name: &str) -> Option<Value> {
    let layers = || graph.values().filter(|value| graph.node(*value).op().is_some());
    let named = |value: &Value| graph.node(*value).name();
    let inside = |value: &Value| named(value).strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    layers().find(|value| named(value) == name).or_else(|| layers().rfind(inside))
}

/// What is said of a layer that an option names and the network lacks.
pub(super) fn no_layer(graph: &Graph, option: &str, name: &str) -> Error {
    let layers = || graph.nodes().iter().filter(|node| node.op().is_some()).map(|node| node.name());
    Error::Usage(format!(
        "{option} {name}: the network has no layer of that name{}; ocelli plan lists them, from '{}' to '{}'",
        did_you_mean(name, layers()),
        layers().next().unwrap_or_default(),
        layers().next_back().unwrap_or_default()
    ))
}

/// The last layer that stays as it is.
fn frozen(recipe: &Recipe, graph: &Arc<Graph>) -> Result<Option<Value>, Error> {
    let Some(name) = &recipe.freeze else { return Ok(None) };
    let value = layer_or_block(graph, name).ok_or_else(|| no_layer(graph, "--freeze", name))?;
    let options = PlanOptions { frozen: Some(value), ..step_options(1, recipe.precision) };
    let plan = Plan::new(graph, options)?;
    match (0..graph.layout().entries().len()).any(|entry| plan.trains(entry)) {
        true => Ok(Some(value)),
        false => Err(Error::Usage(format!(
            "--freeze {name} leaves nothing to train: no layer with parameters comes after it; freeze fewer layers"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use ocelli_core::ops::{Linear, Relu};

    use super::*;

    #[test]
    fn a_block_is_its_last_layer_and_a_layer_goes_before_a_block() {
        let mut graph = Graph::new();
        let mut x = graph.input("image", [4]).unwrap();
        for name in ["stage1.0.fc", "stage1.0.relu", "stage1.10.fc", "stage1.10.relu", "stage11.fc"] {
            x = match name.ends_with("fc") {
                true => graph.add(name, Linear::new(4), [x]).unwrap(),
                false => graph.add(name, Relu {}, [x]).unwrap(),
            };
        }
        graph.add("stage1", Relu {}, [x]).unwrap();
        let found = |name: &str| layer_or_block(&graph, name).map(|value| graph.node(value).name());
        assert_eq!(found("stage1.0"), Some("stage1.0.relu"));
        assert_eq!(found("stage1.10"), Some("stage1.10.relu"));
        assert_eq!(found("stage1.0.fc"), Some("stage1.0.fc"));
        assert_eq!(found("stage1"), Some("stage1"), "a layer of that name");
        assert_eq!(found("stage11"), Some("stage11.fc"));
        assert_eq!((found("stage"), found("image")), (None, None));
    }
}
