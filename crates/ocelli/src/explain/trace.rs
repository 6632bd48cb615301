//! One step of gradient descent on one sample, with every number of it.

use std::sync::Arc;

use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Mode, Node, Op, Optimizer, OptimizerState, Params, PlanOptions,
    RandomState, Reduction, Role, Targets, Update, Value,
};
use ocelli_kernels::Isa;
use serde::Serialize;

use super::jacobian::{layer_jacobians, to_field_order};
use super::matrix::Matrix;
use crate::{Engine, Error};

/// Jacobians with more elements than this are not computed: nobody would read them.
const MOST_OF_A_JACOBIAN: usize = 1 << 16;

/// One step θ ← θ − η·∂C/∂θ on one sample, computed in f64. Layers compute as in evaluation, so that the step is a
/// function of the sample alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// The loss, by name.
    pub loss: &'static str,
    /// η.
    pub rate: f64,
    /// What the output should be: 1 at the class and 0 elsewhere where a class is wanted.
    pub target: Vec<f64>,
    /// C before the step.
    pub cost: f64,
    /// C after it.
    pub cost_after: f64,
    /// The output after it.
    pub output_after: Vec<f64>,
    /// Inputs and layers, each after what it reads.
    pub layers: Vec<LayerTrace>,
}

/// A value x_i and all that the step has of it. Values stand in the field's order, C·H·W.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerTrace {
    /// The layer's name.
    pub layer: String,
    /// Its op; "input" for an input of the network.
    pub op: &'static str,
    /// What it reads.
    pub reads: Vec<String>,
    /// Its shape, C×H×W or n.
    pub shape: Vec<usize>,
    /// x_i.
    pub value: Vec<f64>,
    /// ∂C/∂x_i; zeros where the output does not depend on it.
    pub gradient: Vec<f64>,
    /// ∂x_i/∂x_{i−1} for each value that it reads; empty where one of them is too large to be looked at.
    pub jacobians: Vec<Matrix>,
    /// Its parameters.
    pub params: Vec<ParamTrace>,
}

/// A parameter before and after the step, in the field's order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParamTrace {
    /// Its name within the layer.
    pub name: &'static str,
    /// Its shape: O×I, or O×I×kh×kw.
    pub shape: Vec<usize>,
    /// Whether it is one that training sets.
    pub trained: bool,
    /// W_i.
    pub before: Vec<f64>,
    /// ∂C/∂W_i, in the layout of W_i; zeros for one that is not trained.
    pub gradient: Vec<f64>,
    /// W_i − η·∂C/∂W_i.
    pub after: Vec<f64>,
}

/// Traces one step on the sample `inputs` (one slice for each input of the graph, H·W·C) towards `target`, that sample's
/// class or values.
///
/// # Errors
/// A graph without layers, a rate that is not a finite number from 0 on, or too little memory.
///
/// # Panics
/// If inputs or target have other lengths than the graph's.
pub fn trace(
    graph: &Arc<Graph>,
    params: &Params<f64>,
    inputs: &[&[f64]],
    target: Targets<'_, f64>,
    loss: &Loss,
    rate: f64,
) -> Result<Trace, Error> {
    if !(rate >= 0.0 && rate.is_finite()) {
        return Err(Error::Usage(format!(
            "a learning rate of {rate} makes no step; give a number from 0 on"
        )));
    }
    let output = graph.output()?;
    // Everything is kept, so that every value and gradient can be read afterwards.
    let mode = Mode::EvaluateWithGradients;
    let options =
        PlanOptions { mode, reuse: false, fuse: false, input_gradients: true, ..PlanOptions::train(1) };
    let mut executor = Engine::new(1, Isa::Portable)?.executor(graph, options)?;
    let criterion = Criterion { loss: loss.clone(), reduction: Reduction::Sum };
    let batch = Batch { inputs, targets: Some(target), count: 1 };
    let descent = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut state = OptimizerState::new(&descent, graph.layout())?;
    let mut moved = params.try_clone()?;
    let update = Update::new(&descent, &mut state, rate);
    let cost = executor.step(&mut moved, &batch, &criterion, update, RandomState::default());
    let step = Step { graph, inputs, executor: &executor, before: params, after: &moved };
    let layers = graph.values().map(|value| step.layer(value)).collect::<Result<Vec<_>, _>>()?;
    let cost_after = executor.evaluate(&moved, &batch, &criterion);
    let output_after = in_field_order(graph.node(output), executor.output());
    let target = wanted(graph.node(output), target);
    Ok(Trace { loss: loss.name(), rate, target, cost, cost_after, output_after, layers })
}

/// What a step left behind.
struct Step<'a> {
    graph: &'a Graph,
    inputs: &'a [&'a [f64]],
    executor: &'a Executor<f64>,
    before: &'a Params<f64>,
    after: &'a Params<f64>,
}

impl Step<'_> {
    fn layer(&self, value: Value) -> Result<LayerTrace, Error> {
        let node = self.graph.node(value);
        let zeros = vec![0.0; node.shape().len()];
        let gradient = self.executor.value_gradient(value).unwrap_or(&zeros);
        Ok(LayerTrace {
            layer: node.name().to_string(),
            op: node.op().map_or("input", Op::name),
            reads: node.inputs().iter().map(|v| self.graph.node(*v).name().to_string()).collect(),
            shape: node.shape().sizes().to_vec(),
            value: in_field_order(node, self.value(value)),
            gradient: in_field_order(node, gradient),
            jacobians: self.jacobians(node)?,
            params: node.params().iter().map(|&number| self.param(number)).collect(),
        })
    }

    /// x of a node, as it lies in memory.
    fn value(&self, value: Value) -> &[f64] {
        let number = self.graph.inputs().position(|input| input == value);
        match number {
            Some(number) => self.inputs[number],
            None => self.executor.value(value).expect("a plan without reuse keeps every value"),
        }
    }

    fn jacobians(&self, node: &Node) -> Result<Vec<Matrix>, Error> {
        let most =
            node.input_shapes().iter().map(|shape| shape.len().saturating_mul(node.shape().len())).max();
        if node.op().is_none() || most.unwrap_or(0) > MOST_OF_A_JACOBIAN {
            return Ok(Vec::new());
        }
        let inputs: Vec<&[f64]> = node.inputs().iter().map(|v| self.value(*v)).collect();
        layer_jacobians(node, self.before, &inputs)
    }

    fn param(&self, number: usize) -> ParamTrace {
        let entry = &self.graph.layout().entries()[number];
        ParamTrace {
            name: entry.spec.name,
            shape: entry.spec.shape.sizes().to_vec(),
            trained: Role::trainable(entry.spec.role),
            before: self.before.get(entry).into_data(),
            gradient: self.executor.gradients().get(entry).into_data(),
            after: self.after.get(entry).into_data(),
        }
    }
}

/// The target as values, a class as one of the outputs that is 1.
fn wanted(output: &Node, target: Targets<'_, f64>) -> Vec<f64> {
    match target {
        Targets::Values(values) => in_field_order(output, values),
        Targets::Classes(classes) => match output.shape().len() {
            1 => vec![f64::from(classes[0])],
            outputs => (0..outputs).map(|i| f64::from(u8::from(i == classes[0] as usize))).collect(),
        },
    }
}

fn in_field_order(node: &Node, values: &[f64]) -> Vec<f64> {
    let mut ordered = vec![0.0; values.len()];
    to_field_order(node.shape(), values, &mut ordered);
    ordered
}
