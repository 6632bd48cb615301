//! What an executor says of batches past: costs and gradients are those of the last batch that had them, and a step
//! whose cost is not finite leaves no trace.

use std::sync::Arc;

use ocelli_core::ops::{BatchNorm, Linear};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::{Isa, Team};

const CRITERION: Criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Sum };

fn network() -> Arc<Graph> {
    let mut graph = Graph::new();
    let x = graph.input("x", [2]).unwrap();
    let a = graph.add("norm", BatchNorm::default(), [x]).unwrap();
    graph.add("out", Linear::new(1), [a]).unwrap();
    Arc::new(graph)
}

fn executor(graph: &Arc<Graph>, options: PlanOptions) -> Executor<f64> {
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap()
}

fn numbers(len: usize) -> Vec<f64> {
    (0..len).map(|i| (i as f64).sin()).collect()
}

/// What a panic says.
fn panics(act: impl FnOnce()) -> String {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_err();
    outcome
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| (*outcome.downcast_ref::<&str>().unwrap()).into())
}

#[test]
fn batches_that_teach_nothing_or_something_wrong_are_refused() {
    let graph = network();
    let mut executor = executor(&graph, PlanOptions::train(4));
    let mut params = Params::initialised(graph.layout(), 1).unwrap();
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.1 };
    let mut state = OptimizerState::new(&optimizer, graph.layout()).unwrap();
    let images = numbers(4);
    let before = params.data().to_vec();
    let mut step = |labels: &[u32]| {
        let inputs = [&images[..2 * labels.len()]];
        let batch = Batch { inputs: &inputs, targets: Some(Targets::Classes(labels)), count: labels.len() };
        let update = Update::new(&optimizer, &mut state, 0.1);
        let criterion = Criterion { loss: Loss::BinaryLogistic, reduction: Reduction::Mean };
        executor.step(&mut params, &batch, &criterion, update, RandomState::default());
    };
    // One output tells classes 0 and 1 apart.
    assert!(panics(|| step(&[0, 2])).contains("label 2"));
    assert!(panics(|| step(&[])).contains("no samples"));
    step(&[0, 1]);
    assert_ne!(params.data(), before);
}

#[test]
fn costs_stay_those_of_the_last_batch_that_had_any() {
    let graph = network();
    let mut executor = executor(&graph, PlanOptions::evaluate(10));
    let params = Params::initialised(graph.layout(), 1).unwrap();
    let (images, values) = (numbers(20), numbers(10));
    assert!(executor.costs().is_empty() && executor.output().is_empty());
    let batch = Batch { inputs: &[&images[..8]], targets: Some(Targets::Values(&values[..4])), count: 4 };
    executor.evaluate(&params, &batch, &CRITERION);
    let costs = executor.costs().to_vec();
    assert_eq!(costs.len(), 4);
    for count in [10, 2] {
        executor.forward(&params, &[&images[..2 * count]], count);
        assert_eq!(executor.output().len(), count);
        assert_eq!(executor.costs(), costs, "after a batch of {count} without targets");
    }
}

#[test]
fn gradients_stay_those_of_the_last_batch_that_was_differentiated() {
    let graph = network();
    let image = graph.inputs().next().unwrap();
    let params = Params::initialised(graph.layout(), 1).unwrap();
    let (images, values) = (numbers(20), numbers(10));
    for reuse in [false, true] {
        let options = PlanOptions { reuse, input_gradients: true, ..PlanOptions::train(10) };
        let mut executor = executor(&graph, options);
        assert_eq!(executor.value_gradient(image), None, "nothing was differentiated");
        let batch = Batch { inputs: &[&images[..8]], targets: Some(Targets::Values(&values[..4])), count: 4 };
        executor.differentiate(&params, &batch, &CRITERION, RandomState::default());
        let of_params = executor.gradients().data().to_vec();
        let of_image = executor.value_gradient(image).unwrap().to_vec();
        assert_eq!(of_image.len(), 8);
        executor.forward(&params, &[&images], 10);
        assert_eq!(executor.gradients().data(), of_params);
        let left = (!reuse).then_some(&of_image[..]);
        assert_eq!(executor.value_gradient(image), left, "reuse {reuse}");
    }
}

#[test]
fn a_step_whose_cost_is_not_finite_changes_neither_parameters_nor_the_optimizer() {
    let graph = network();
    let mut executor = executor(&graph, PlanOptions::train(4));
    let mut params = Params::initialised(graph.layout(), 1).unwrap();
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    let mut state = OptimizerState::new(&adam, graph.layout()).unwrap();
    let (images, mut values) = (numbers(8), numbers(4));
    let mut step = |values: &[f64]| {
        let before = params.data().to_vec();
        let batch = Batch { inputs: &[&images], targets: Some(Targets::Values(values)), count: 4 };
        let update = Update::new(&adam, &mut state, 0.1);
        executor.step(&mut params, &batch, &CRITERION, update, RandomState::default());
        let slots: Vec<f64> = state.slots().iter().flat_map(|slot| slot.data().to_vec()).collect();
        (params.data() != before, slots, state.steps)
    };
    let (moved, slots, steps) = step(&values);
    assert!(moved && steps == 1);
    values[2] = f64::INFINITY;
    assert_eq!(step(&values), (false, slots, 1));
}
