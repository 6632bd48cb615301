//! The lecture's worked example of back-propagation: two inputs, two tanh hidden units, one linear output.
//!
//! ```text
//! node 1 ─ w13 ─▶ 3 (tanh) ─ w35 ─▶ 5      W0 = [[w13, w23], [w14, w24]] = [[1, −3], [0.2, 1]]
//! node 2 ─ w24 ─▶ 4 (tanh) ─ w45 ─▶        W1 = [w35, w45] = [1, −1]
//! ```
//! Input (1.0, 0.1), target 0.5, cost ½(x₅ − y)², learning rate 0.2. Figures as printed in the lecture to two
//! digits, and recomputed to six.

use std::sync::Arc;

use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Mode, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::{Isa, Team};

/// Whether each of `found` is what the lecture says, to 1e-6.
#[track_caller]
fn is(found: &[f64], lecture: &[f64]) {
    assert_eq!(found.len(), lecture.len());
    for (found, lecture) in found.iter().zip(lecture) {
        assert!((found - lecture).abs() < 1e-6, "{found} is not {lecture}");
    }
}

#[test]
fn one_step_of_back_propagation_gives_the_lectures_numbers() {
    let mut graph = Graph::new();
    let input = graph.input("x", [2]).unwrap();
    let a = graph.add("W0", Linear::new(2).without_bias(), [input]).unwrap();
    let hidden = graph.add("hidden", Tanh {}, [a]).unwrap();
    let output = graph.add("W1", Linear::new(1).without_bias(), [hidden]).unwrap();
    let graph = Arc::new(graph);
    let layout = graph.layout();
    let (w0, w1) = (layout.find("W0.weight").unwrap(), layout.find("W1.weight").unwrap());

    let mut params = Params::<f64>::zeroed(layout).unwrap();
    params.set(w0, &[1.0, -3.0, 0.2, 1.0]);
    params.set(w1, &[1.0, -1.0]);

    // Everything is kept, so that every value and gradient of the lecture can be read afterwards.
    let options = PlanOptions { mode: Mode::Train, reuse: false, fuse: false, ..PlanOptions::train(1) };
    let plan = Arc::new(Plan::new(&graph, options).unwrap());
    let mut executor = Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap();
    let batch = Batch { inputs: &[&[1.0, 0.1]], targets: Some(Targets::Values(&[0.5])), count: 1 };
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
    let sgd = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut state = OptimizerState::new(&sgd, layout).unwrap();
    let update = Update::new(&sgd, &mut state, 0.2);
    let cost = executor.step(&mut params, &batch, &criterion, update, RandomState::default());

    // Forward.
    is(executor.value(a).unwrap(), &[0.7, 0.3]);
    is(executor.value(hidden).unwrap(), &[0.604368, 0.291313]);
    is(executor.value(output).unwrap(), &[0.313055]);
    is(&[cost], &[0.0174742]);

    // Backward: the gradients of the values, then those of the weights.
    is(executor.value_gradient(output).unwrap(), &[-0.186945]);
    is(executor.value_gradient(hidden).unwrap(), &[-0.186945, 0.186945]);
    is(executor.value_gradient(a).unwrap(), &[-0.118661, 0.171080]);
    is(executor.gradients().get(w0).data(), &[-0.118661, -0.011866, 0.171080, 0.017108]);
    is(executor.gradients().get(w1).data(), &[-0.112983, -0.054459]);

    // The new weights, and as the lecture prints them: w13 1.02, w23 −3.0, w14 0.17, w24 1.0, w35 1.02, w45 −0.99.
    let (new0, new1) = (params.get(w0), params.get(w1));
    is(new0.data(), &[1.023732, -2.997627, 0.165784, 0.996578]);
    is(new1.data(), &[1.022597, -0.989108]);
    let printed: Vec<String> = new0.data().iter().chain(new1.data()).map(|w| format!("{w:.2}")).collect();
    assert_eq!(printed, ["1.02", "-3.00", "0.17", "1.00", "1.02", "-0.99"]);

    // The cost went down.
    let after = executor.evaluate(&params, &batch, &criterion);
    is(executor.output(), &[0.376804]);
    is(&[after], &[0.0075886]);
}
