//! Runs one op by itself, for the tests beside the ops.

use std::sync::Arc;

use ocelli_kernels::{Isa, Team};

use super::Op;
use crate::{Executor, Graph, Mode, Params, Plan, PlanOptions, Shape};

/// The output of an op with its parameters as they start (seed 1), for `count` samples of these inputs in memory order.
pub(super) fn forward(
    op: impl Into<Op>,
    inputs: &[(&[usize], &[f64])],
    mode: Mode,
    count: usize,
) -> Vec<f64> {
    let mut graph = Graph::new();
    let values: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(i, (sizes, _))| graph.input(&format!("x{i}"), Shape::try_new(sizes).unwrap()).unwrap())
        .collect();
    graph.add("op", op, &values).unwrap();
    let graph = Arc::new(graph);
    let plan = Arc::new(Plan::new(&graph, PlanOptions { mode, ..PlanOptions::train(count) }).unwrap());
    let mut executor = Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap();
    let params = Params::initialised(graph.layout(), 1).unwrap();
    let data: Vec<&[f64]> = inputs.iter().map(|(_, data)| *data).collect();
    executor.forward(&params, &data, count).to_vec()
}
