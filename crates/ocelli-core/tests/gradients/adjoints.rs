//! For an op that is a linear map A, backward is its transpose: ⟨Ax, y⟩ = ⟨x, Aᵀy⟩.

use std::sync::Arc;

use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Mode, Params, Plan, PlanOptions, RandomState, Reduction, Role,
    Targets,
};
use ocelli_kernels::{Isa, Team};

use super::cases::lone_op;
use super::{stream, with_seeds};

/// The ops that are linear once what they add is 0.
const LINEAR: [&str; 11] = [
    "linear",
    "conv2d",
    "avg_pool2d",
    "global_avg_pool",
    "adaptive_avg_pool2d",
    "bias",
    "scale",
    "dropout",
    "flatten",
    "add",
    "concat",
];

#[test]
fn backward_of_a_linear_op_is_its_transpose() {
    for (number, name) in LINEAR.iter().enumerate() {
        with_seeds(name, 50, |seed| {
            let mut s = stream(&[u64::MAX, number as u64, seed]);
            let graph = Arc::new(lone_op(name, &mut s));
            let count = 1 + s.below(3) as usize;
            let mut params = Params::<f64>::initialised(graph.layout(), seed).unwrap();
            for entry in graph.layout().entries().iter().filter(|e| e.spec.role == Role::Bias) {
                params.data_mut()[entry.range.clone()].fill(0.0);
            }
            let mut random = |len| (0..len).map(|_| s.normal()).collect::<Vec<f64>>();
            let x: Vec<Vec<f64>> =
                graph.inputs().map(|v| random(count * graph.node(v).shape().len())).collect();
            let y = random(count * graph.node(graph.output().unwrap()).shape().len());
            let (forward, backward) = products(&graph, &params, &x, &y, count);
            let scale = y.len() as f64;
            assert!(
                (forward - backward).abs() < 1e-12 * scale,
                "{forward} {backward} of {:?}",
                graph.layers()
            );
        });
    }
}

/// ⟨Ax, y⟩ and ⟨x, Aᵀy⟩.
fn products(graph: &Arc<Graph>, params: &Params<f64>, x: &[Vec<f64>], y: &[f64], count: usize) -> (f64, f64) {
    let options =
        PlanOptions { mode: Mode::Train, poison: true, input_gradients: true, ..PlanOptions::train(count) };
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    let mut executor = Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap();
    let inputs: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
    let image = executor.forward(params, &inputs, count).to_vec();
    // The Euclidean cost with target Ax − y has gradient y.
    let targets: Vec<f64> = image.iter().zip(y).map(|(a, y)| a - y).collect();
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Sum };
    let batch = Batch { inputs: &inputs, targets: Some(Targets::Values(&targets)), count };
    executor.differentiate(params, &batch, &criterion, RandomState::default());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let of_input =
        |(v, x): (_, &Vec<f64>)| dot(x, executor.value_gradient(v).expect("a gradient of every input"));
    (dot(&image, y), graph.inputs().zip(x).map(of_input).sum())
}
