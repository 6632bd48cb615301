//! How the layers fare: gradients that vanish, rectifiers that died, squashing units that are saturated.

use std::sync::Arc;

use ocelli_core::{Executor, Graph, Op, Params, PlanOptions, Value};

use super::event::LayerFigures;
use crate::Error;
use crate::engine::Engine;
use crate::report::HealthRow;

/// How many images the activations are measured on.
pub(super) const IMAGES: usize = 128;

/// How many of them at once: a plan that keeps all activations needs memory for each.
const BATCH: usize = 16;

/// Measures activations with a plan that keeps all of them.
pub(super) struct Health {
    executor: Executor<f32>,
    layers: Vec<Tally>,
}

/// What was seen of one layer's output.
struct Tally {
    value: Value,
    /// For rectifiers: which units were above 0 for some image.
    alive: Vec<bool>,
    /// For squashing functions: outputs in the flat ends, and outputs in all.
    saturated: (usize, usize),
}

impl Health {
    pub(super) fn new(engine: &Engine, graph: &Arc<Graph>) -> Result<Health, Error> {
        let executor = engine.executor(graph, Health::options())?;
        let layers = graph.values().filter(|v| graph.node(*v).op().is_some());
        let tally = |value| Tally { value, alive: Vec::new(), saturated: (0, 0) };
        Ok(Health { executor, layers: layers.map(tally).collect() })
    }

    /// The plan that it runs.
    pub(super) fn options() -> PlanOptions {
        PlanOptions { reuse: false, fuse: false, ..PlanOptions::evaluate(BATCH) }
    }

    /// The figures after `epoch`, on these images, with the norms of the gradients that the last step of `training` noted.
    pub(super) fn measure(
        &mut self,
        params: &Params<f32>,
        training: &Executor<f32>,
        images: &[f32],
        epoch: f64,
    ) -> Vec<LayerFigures> {
        let graph = Arc::clone(self.executor.plan().graph());
        let image: usize = graph.inputs().map(|v| graph.node(v).shape().len()).sum();
        self.layers.iter_mut().for_each(|t| t.start(&graph));
        for images in images.chunks(BATCH * image) {
            self.executor.forward(params, &[images], images.len() / image);
            for tally in &mut self.layers {
                if let Some(output) = self.executor.value(tally.value) {
                    tally.add(graph.node(tally.value).op(), output);
                }
            }
        }
        self.layers.iter().filter_map(|t| t.figures(&graph, training, epoch)).collect()
    }
}

impl Tally {
    fn start(&mut self, graph: &Graph) {
        let node = graph.node(self.value);
        let units = if is_rectifier(node.op()) { node.shape().len() } else { 0 };
        (self.alive, self.saturated) = (vec![false; units], (0, 0));
    }

    fn add(&mut self, op: Option<&Op>, output: &[f32]) {
        if !self.alive.is_empty() {
            for image in output.chunks_exact(self.alive.len()) {
                self.alive.iter_mut().zip(image).for_each(|(alive, &y)| *alive |= y != 0.0);
            }
        } else if let Some(flat) = flat_ends(op) {
            self.saturated.0 += output.iter().filter(|&&y| flat(y)).count();
            self.saturated.1 += output.len();
        }
    }

    fn figures(&self, graph: &Graph, training: &Executor<f32>, epoch: f64) -> Option<LayerFigures> {
        let node = graph.node(self.value);
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        let health = HealthRow {
            epoch,
            // Layers that share parameters share their gradient: it is shown once.
            gradient_norm: gradient_norm(training, node.params()).filter(|_| node.shares().is_none()),
            dead: share(self.alive.iter().filter(|alive| !**alive).count(), self.alive.len()),
            saturated: share(self.saturated.0, self.saturated.1),
        };
        let any = health.gradient_norm.is_some() || health.dead.is_some() || health.saturated.is_some();
        any.then(|| LayerFigures { layer: node.name().to_string(), health })
    }
}

fn is_rectifier(op: Option<&Op>) -> bool {
    matches!(op, Some(Op::Relu(_) | Op::Relu6(_)))
}

/// Whether an output lies where the derivative is below a sixteenth of its maximum.
fn flat_ends(op: Option<&Op>) -> Option<fn(f32) -> bool> {
    match op? {
        Op::Sigmoid(_) => Some(|y| !(0.016..=0.984).contains(&y)),
        Op::Tanh(_) => Some(|y| y.abs() > 0.968),
        Op::ScaledTanh(_) => Some(|y| y.abs() > 0.968 * 1.7159),
        _ => None,
    }
}

/// Euclidean norm over the trained parameters of a layer.
fn gradient_norm(training: &Executor<f32>, params: &[usize]) -> Option<f64> {
    let trained = params.iter().any(|&p| training.plan().trains(p));
    trained.then(|| training.gradient_norm(params))
}

/// The first layer with a parameter or an output that is not finite, in the words of an error.
pub(super) fn first_not_finite(
    engine: &Engine,
    graph: &Arc<Graph>,
    params: &Params<f32>,
    images: &[f32],
    count: usize,
) -> Result<String, Error> {
    if images.iter().any(|x| !x.is_finite()) {
        return Ok("the input itself: a picture has pixels that are not numbers".to_string());
    }
    for entry in params.layout().entries() {
        if params.data()[entry.range.clone()].iter().any(|w| !w.is_finite()) {
            return Ok(format!("parameter '{}'", entry.name));
        }
    }
    let options = PlanOptions {
        reuse: false,
        fuse: false,
        mode: ocelli_core::Mode::Train,
        keep_gradients: false,
        ..PlanOptions::evaluate(count)
    };
    let mut executor: Executor<f32> = engine.executor(graph, options)?;
    executor.forward(params, &[images], count);
    let overflows = |v: &Value| executor.value(*v).is_some_and(|y| y.iter().any(|y| !y.is_finite()));
    let first = graph.values().find(overflows);
    Ok(first.map_or("the loss".to_string(), |v| format!("the output of layer '{}'", graph.node(v).name())))
}
