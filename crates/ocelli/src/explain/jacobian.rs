//! Jacobians: how each number of a value changes with each number of another, by as many backward passes as there are rows.
//!
//! A pass that is seeded with the k-th unit row gives row k, e_k·∂y/∂x. All m passes are one batch of m copies of the sample.

use std::sync::Arc;

use ocelli_core::{
    Batch, Criterion, Graph, Loss, Mode, Node, Params, PlanOptions, RandomState, Reduction, Shape, Targets,
    Value, to_channels_first,
};
use ocelli_kernels::Isa;

use super::matrix::Matrix;
use crate::{Engine, Error};

/// ∂(value)/∂(input) for each input of the graph at one sample: m×n with m numbers in `value` and n in the input, both in
/// the field's order (C·H·W). Layers compute as in evaluation.
///
/// # Errors
/// Too little memory.
///
/// # Panics
/// If `inputs` are not one sample of each input of the graph.
pub fn jacobian(
    graph: &Graph,
    params: &Params<f64>,
    inputs: &[&[f64]],
    value: Value,
) -> Result<Vec<Matrix>, Error> {
    let mut graph = graph.clone();
    graph.set_output(value);
    let shape = graph.node(value).shape();
    let (graph, rows) = (Arc::new(graph), shape.len());
    let mode = Mode::EvaluateWithGradients;
    let options =
        PlanOptions { mode, input_gradients: true, reuse: false, fuse: false, ..PlanOptions::train(rows) };
    let mut executor = Engine::new(1, Isa::Portable)?.executor(&graph, options)?;
    let copies: Vec<Vec<f64>> = inputs.iter().map(|input| input.repeat(rows)).collect();
    let copies: Vec<&[f64]> = copies.iter().map(Vec::as_slice).collect();
    // The cost of a sample is the one number of its output that its "class" names, so its gradient is the unit row.
    let unit_rows: Vec<u32> = (0..rows).map(|row| place_in_memory(shape, row) as u32).collect();
    let batch = Batch { inputs: &copies, targets: Some(Targets::Classes(&unit_rows)), count: rows };
    let criterion = Criterion { loss: Loss::Penalty, reduction: Reduction::Sum };
    executor.differentiate(params, &batch, &criterion, RandomState::default());
    let of_input = |input: Value| {
        let shape = graph.node(input).shape();
        let mut data = vec![0.0; rows * shape.len()];
        if let Some(gradient) = executor.value_gradient(input) {
            to_field_order(shape, gradient, &mut data);
        }
        Matrix::new(rows, shape.len(), data)
    };
    Ok(graph.inputs().map(of_input).collect())
}

/// ∂(a layer's output)/∂(each of its inputs), where `inputs` are what it reads, one sample each (H·W·C).
///
/// # Errors
/// Too little memory.
///
/// # Panics
/// If `node` is an input of the graph, or `inputs` are not what it reads.
pub fn layer_jacobians(node: &Node, params: &Params<f64>, inputs: &[&[f64]]) -> Result<Vec<Matrix>, Error> {
    let mut graph = Graph::new();
    let shapes = node.input_shapes().iter().enumerate();
    let from = shapes.map(|(i, shape)| graph.input(&format!("input{i}"), *shape));
    let from = from.collect::<Result<Vec<_>, _>>()?;
    let value = graph.add(node.name(), node.op().expect("a layer has an op").clone(), &from)?;
    let mut own = Params::zeroed(graph.layout())?;
    let entries = graph.node(value).params().iter().map(|&i| graph.layout().entries()[i].range.clone());
    let (theirs, entries) = (params.layout().entries(), entries.collect::<Vec<_>>());
    for (to, &from) in entries.into_iter().zip(node.params()) {
        own.data_mut()[to].copy_from_slice(&params.data()[theirs[from].range.clone()]);
    }
    jacobian(&graph, &own, inputs, value)
}

/// Samples of this shape from H·W·C to the field's order.
pub(super) fn to_field_order(shape: Shape, from: &[f64], to: &mut [f64]) {
    let [channels, height, width] = shape.image().unwrap_or([shape.len(), 1, 1]);
    to_channels_first(from.len() / shape.len().max(1), channels, height * width, from, to);
}

/// Where the element that is number `k` in the field's order stands in memory.
fn place_in_memory(shape: Shape, k: usize) -> usize {
    match shape.image() {
        Some([channels, height, width]) => k % (height * width) * channels + k / (height * width),
        None => k,
    }
}
