//! Back-propagation: items 66, 67 and 71 to 81 of the lecture's list.

use std::sync::Arc;

use ocelli::Engine;
use ocelli::explain::{Matrix, Trace, jacobian, layer_jacobians, trace};
use ocelli_core::ops::{Add, Bias, Concat, Conv2d, Flatten, LeakyRelu, Linear, Relu, Sigmoid, Tanh};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Criterion, Executor, GradientCheck, Graph, Loss, Mode, Op, Params, Plan, PlanOptions, RandomState,
    Reduction, Targets,
};
use ocelli_kernels::Isa;

use crate::support::{close, normal};

/// 4 inputs, 3 tanh units, 2 outputs.
fn small() -> (Arc<Graph>, Params<f64>) {
    let mut graph = Graph::new();
    let x = graph.input("x", [4]).unwrap();
    let a = graph.add("W1", Linear::new(3), [x]).unwrap();
    let h = graph.add("tanh", Tanh {}, [a]).unwrap();
    graph.add("W2", Linear::new(2), [h]).unwrap();
    let params = Params::initialised(graph.layout(), 7).unwrap();
    (Arc::new(graph), params)
}

fn executor(graph: &Arc<Graph>, batch: usize) -> Executor<f64> {
    let options =
        PlanOptions { reuse: false, fuse: false, input_gradients: true, ..PlanOptions::train(batch) };
    Engine::new(1, Isa::Portable).unwrap().executor(graph, options).unwrap()
}

/// The gradients of all parameters for these samples.
fn gradients(
    graph: &Arc<Graph>,
    params: &Params<f64>,
    inputs: &[f64],
    targets: &[f64],
    count: usize,
    reduction: Reduction,
) -> Vec<f64> {
    let mut executor = executor(graph, count);
    let batch = Batch { inputs: &[inputs], targets: Some(Targets::Values(targets)), count };
    executor.differentiate(
        params,
        &batch,
        &Criterion { loss: Loss::Euclidean, reduction },
        RandomState::default(),
    );
    executor.gradients().data().to_vec()
}

/// The lecture's worked example.
fn worked_example() -> Trace {
    let mut graph = Graph::new();
    let x = graph.input("x", [2]).unwrap();
    let a = graph.add("W0", Linear::new(2).without_bias(), [x]).unwrap();
    let h = graph.add("tanh", Tanh {}, [a]).unwrap();
    graph.add("W1", Linear::new(1).without_bias(), [h]).unwrap();
    let graph = Arc::new(graph);
    let mut params = Params::zeroed(graph.layout()).unwrap();
    params.set(graph.layout().find("W0.weight").unwrap(), &[1.0, -3.0, 0.2, 1.0]);
    params.set(graph.layout().find("W1.weight").unwrap(), &[1.0, -1.0]);
    trace(&graph, &params, &[&[1.0, 0.1]], Targets::Values(&[0.5]), &Loss::Euclidean, 0.2).unwrap()
}

#[test]
fn item_66_the_network_is_the_composition_of_its_layers() {
    let (graph, params) = small();
    let input = normal(1, 4);
    let whole = executor(&graph, 1).forward(&params, &[&input], 1).to_vec();
    // Each layer as a network of its own, fed with what the one before it computed.
    let mut x = input;
    for node in graph.nodes().iter().filter(|node| node.op().is_some()) {
        let mut single = Graph::new();
        let from = single.input("x", node.input_shapes()[0]).unwrap();
        single.add(node.name(), node.op().unwrap().clone(), [from]).unwrap();
        let single = Arc::new(single);
        let mut own = Params::zeroed(single.layout()).unwrap();
        for entry in single.layout().entries() {
            own.set(entry, params.get(graph.layout().find(&entry.name).unwrap()).data());
        }
        x = executor(&single, 1).forward(&own, &[&x], 1).to_vec();
    }
    assert_eq!(x, whole, "bit for bit");
}

#[test]
fn item_67_gradients_of_sum_and_mean_differ_by_the_number_of_samples() {
    let (graph, params) = small();
    let (inputs, targets) = (normal(2, 8 * 4), normal(3, 8 * 2));
    let mean = gradients(&graph, &params, &inputs, &targets, 8, Reduction::Mean);
    let sum = gradients(&graph, &params, &inputs, &targets, 8, Reduction::Sum);
    // Division by 8 rounds nothing, so the two differ by it exactly.
    assert!(mean.iter().zip(&sum).all(|(mean, sum)| 8.0 * mean == *sum));
    assert!(mean.iter().any(|g| *g != 0.0));
}

#[test]
fn item_71_gradients_are_rows_and_jacobians_m_by_n_and_both_agree_with_differences() {
    let (graph, params) = small();
    let input = normal(4, 4);
    let found = jacobian(&graph, &params, &[&input], graph.output().unwrap()).unwrap().remove(0);
    assert_eq!((found.rows, found.columns), (2, 4));
    let mut runs = executor(&graph, 1);
    let mut column = |j: usize, h: f64| {
        let mut moved = input.clone();
        moved[j] += h;
        runs.forward(&params, &[&moved], 1).to_vec()
    };
    for j in 0..4 {
        let h = 1e-5;
        let (above, below) = (column(j, h), column(j, -h));
        for i in 0..2 {
            assert!((found.at(i, j) - (above[i] - below[i]) / (2.0 * h)).abs() < 1e-9, "{i}, {j}");
        }
    }
    // A scalar by a matrix has the matrix's layout: ∂C/∂W of the worked example is 2×2 like W0.
    let traced = worked_example();
    let w0 = &traced.layers[1].params[0];
    assert_eq!((w0.shape.as_slice(), w0.gradient.len()), (&[2, 2][..], 4));
    // And a scalar by a vector is a row.
    let gradient = Matrix::row(&traced.layers[2].gradient);
    assert_eq!((gradient.rows, gradient.columns), (1, 2));
}

#[test]
fn item_72_a_chain_of_jacobians_multiplies_to_that_of_the_whole_and_wrong_dimensions_are_an_error() {
    let (graph, params) = small();
    let input = normal(5, 4);
    let traced =
        trace(&graph, &params, &[&input], Targets::Values(&[0.0, 0.0]), &Loss::Euclidean, 0.0).unwrap();
    let [first, second, third] = [1, 2, 3].map(|layer| &traced.layers[layer].jacobians[0]);
    assert_eq!([first, second, third].map(|m| (m.rows, m.columns)), [(3, 4), (3, 3), (2, 3)]);
    let chain = third.times(second).unwrap().times(first).unwrap();
    let whole = jacobian(&graph, &params, &[&input], graph.output().unwrap()).unwrap().remove(0);
    assert!(chain.largest_difference(&whole) < 1e-15);
    // The gradient of the input is the row ∂C/∂x_n times that chain.
    let gradient = Matrix::row(&traced.layers[3].gradient).times(&chain).unwrap();
    close(&gradient.data, &traced.layers[0].gradient, 1e-15);
    // The other way round the dimensions do not meet.
    let error = first.times(second).unwrap_err().to_string();
    assert!(
        error.contains("3×4") && error.contains("3×3") && error.contains("4 columns meet 3 rows"),
        "{error}"
    );
}

#[test]
fn item_73_the_gradient_of_a_batch_is_the_sum_of_those_of_its_examples() {
    let (graph, params) = small();
    let (inputs, targets) = (normal(6, 5 * 4), normal(7, 5 * 2));
    let batch = gradients(&graph, &params, &inputs, &targets, 5, Reduction::Sum);
    let mut sum = vec![0.0; batch.len()];
    for (x, t) in inputs.chunks(4).zip(targets.chunks(2)) {
        let one = gradients(&graph, &params, x, t, 1, Reduction::Sum);
        sum.iter_mut().zip(one).for_each(|(sum, g)| *sum += g);
    }
    close(&batch, &sum, 1e-14);
}

#[test]
fn item_74_the_gradient_of_the_euclidean_cost_is_output_minus_target() {
    let (graph, params) = small();
    let target = [0.3, -0.7];
    let traced =
        trace(&graph, &params, &[&normal(8, 4)], Targets::Values(&target), &Loss::Euclidean, 0.0).unwrap();
    let output = traced.layers.last().unwrap();
    let difference: Vec<f64> = output.value.iter().zip(target).map(|(x, y)| x - y).collect();
    assert_eq!(output.gradient, difference);
    let half: f64 = difference.iter().map(|d| 0.5 * d * d).sum();
    close(&[traced.cost], &[half], 1e-16);
}

#[test]
fn item_75_backward_visits_each_layer_once_for_its_input_and_once_for_its_weights() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 8, 8]).unwrap();
    let a = graph.add("conv", Conv2d::new(3, 3), [x]).unwrap();
    let b = graph.add("relu", Relu {}, [a]).unwrap();
    let c = graph.add("more", Conv2d::new(3, 3).padding(1), [b]).unwrap();
    let d = graph.add("sum", Add {}, [b, c]).unwrap();
    let e = graph.add("flat", Flatten {}, [d]).unwrap();
    graph.add("out", Linear::new(2), [e]).unwrap();
    let graph = Arc::new(graph);
    let options = PlanOptions { fuse: false, input_gradients: true, ..PlanOptions::train(4) };
    let plan = Plan::new(&graph, options).unwrap();
    let count = |work: Work| plan.steps().filter(|step| step.work == work).count();
    for value in graph.values() {
        let node = graph.node(value);
        assert_eq!(count(Work::Forward(value)), usize::from(node.op().is_some()), "{}", node.name());
        for input in 0..node.inputs().len() {
            assert_eq!(count(Work::BackwardInput(value, input)), 1, "input {input} of {}", node.name());
        }
        let weights = usize::from(!node.params().is_empty());
        assert_eq!(count(Work::BackwardParams(value)), weights, "weights of {}", node.name());
    }
    assert_eq!((count(Work::Loss), count(Work::Update)), (1, 1));
}

#[test]
fn item_76_each_op_of_the_lecture_passes_the_gradient_check() {
    // Every op there is has its case in the engine's own tests, which walk the list of ops; these are the lecture's.
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 6, 6]).unwrap();
    let x = graph.add("conv", Conv2d::new(3, 3), [x]).unwrap();
    let x = graph.add("relu", Relu {}, [x]).unwrap();
    let x = graph.add("flat", Flatten {}, [x]).unwrap();
    let x = graph.add("linear", Linear::new(5), [x]).unwrap();
    let x = graph.add("sigmoid", Sigmoid {}, [x]).unwrap();
    let x = graph.add("bias", Bias::default(), [x]).unwrap();
    let x = graph.add("tanh", Tanh {}, [x]).unwrap();
    graph.add("leaky", LeakyRelu { slope: 0.02 }, [x]).unwrap();
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
    let report = GradientCheck::new(criterion, Mode::Train).layers(&graph, 3).unwrap();
    assert!(report.passed(1e-6), "{report}");
    assert!(report.layers.iter().all(|layer| layer.inputs.checked > 0));
}

#[test]
fn item_77_linear_sends_g_w_to_its_input_and_g_x_to_its_weights() {
    let (graph, params) = small();
    let traced =
        trace(&graph, &params, &[&normal(9, 4)], Targets::Values(&[1.0, -1.0]), &Loss::Euclidean, 0.1);
    let traced = traced.unwrap();
    for layer in [1, 3] {
        let (x, linear) = (&traced.layers[layer - 1], &traced.layers[layer]);
        let (g, w) = (Matrix::row(&linear.gradient), &linear.params[0]);
        let weights = Matrix::new(w.shape[0], w.shape[1], w.before.clone());
        close(&g.times(&weights).unwrap().data, &x.gradient, 1e-15);
        // gᵀ·xᵀ has the layout of W; the lecture writes its transpose, x·g.
        let outer = g.transposed().times(&Matrix::row(&x.value)).unwrap();
        close(&w.gradient, &outer.data, 1e-15);
        close(&linear.params[1].gradient, &linear.gradient, 0.0);
        let moved: Vec<f64> = w.before.iter().zip(&w.gradient).map(|(w, g)| w - 0.1 * g).collect();
        close(&w.after, &moved, 1e-15);
    }
}

#[test]
fn item_78_of_h_of_x_plus_b_the_gradients_of_x_and_b_are_equal() {
    let mut graph = Graph::new();
    let x = graph.input("x", [5]).unwrap();
    let a = graph.add("b", Bias::default(), [x]).unwrap();
    graph.add("h", Tanh {}, [a]).unwrap();
    let graph = Arc::new(graph);
    let mut params = Params::zeroed(graph.layout()).unwrap();
    params.set(&graph.layout().entries()[0], &normal(10, 5));
    let target = normal(11, 5);
    let traced =
        trace(&graph, &params, &[&normal(12, 5)], Targets::Values(&target), &Loss::Euclidean, 0.0).unwrap();
    assert_eq!(traced.layers[1].params[0].gradient, traced.layers[0].gradient);
    assert!(traced.layers[0].gradient.iter().all(|g| *g != 0.0));
}

#[test]
fn item_79_slopes_are_one_minus_tanh_squared_and_one_above_zero() {
    let points = [-2.0, -0.5, 0.0, 0.5, 2.0];
    let slopes = |op: Op| {
        let mut graph = Graph::new();
        let x = graph.input("x", [5]).unwrap();
        let h = graph.add("h", op, [x]).unwrap();
        let params = Params::zeroed(graph.layout()).unwrap();
        let matrix = layer_jacobians(graph.node(h), &params, &[&points]).unwrap().remove(0);
        // Each output depends on its own input alone.
        assert!((0..25).all(|k| k / 5 == k % 5 || matrix.at(k / 5, k % 5) == 0.0));
        [0, 1, 2, 3, 4].map(|k| matrix.at(k, k))
    };
    close(&slopes(Tanh {}.into()), &points.map(|x: f64| 1.0 - x.tanh().powi(2)), 1e-15);
    assert_eq!(slopes(Relu {}.into()), [0.0, 0.0, 0.0, 1.0, 1.0], "and at 0 it is 0");
    assert_eq!(
        slopes(LeakyRelu { slope: 0.02 }.into()),
        [0.02, 0.02, 0.02, 1.0, 1.0],
        "the slope's sign is +"
    );
}

#[test]
fn item_80_the_worked_example_to_six_digits_and_as_printed() {
    let traced = worked_example();
    let [x, a, h, output] = [0, 1, 2, 3].map(|i| &traced.layers[i]);
    close(&a.value, &[0.7, 0.3], 1e-6);
    close(&h.value, &[0.604368, 0.291313], 1e-6);
    close(&output.value, &[0.313055], 1e-6);
    close(&[traced.cost, traced.cost_after], &[0.0174742, 0.0075886], 1e-6);
    close(&traced.output_after, &[0.376804], 1e-6);
    close(&output.gradient, &[-0.186945], 1e-6);
    close(&h.gradient, &[-0.186945, 0.186945], 1e-6);
    close(&a.gradient, &[-0.118661, 0.171080], 1e-6);
    close(&a.params[0].gradient, &[-0.118661, -0.011866, 0.171080, 0.017108], 1e-6);
    close(&output.params[0].gradient, &[-0.112983, -0.054459], 1e-6);
    close(&a.params[0].after, &[1.023732, -2.997627, 0.165784, 0.996578], 1e-6);
    close(&output.params[0].after, &[1.022597, -0.989108], 1e-6);
    let printed = a.params[0].after.iter().chain(&output.params[0].after).map(|w| format!("{w:.2}"));
    assert_eq!(printed.collect::<Vec<_>>(), ["1.02", "-3.00", "0.17", "1.00", "1.02", "-0.99"]);
    // Nothing is lost on the way to the input: g·W0.
    close(&x.gradient, &[-0.118661 + 0.2 * 0.171080, 3.0 * 0.118661 + 0.171080], 1e-6);
}

#[test]
fn item_81_merge_branch_shared_weights_and_convolution() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 5, 5]).unwrap();
    let trunk = graph.add("conv", Conv2d::new(2, 3).padding(1), [x]).unwrap();
    // A branch: two layers read the trunk. Shared weights: the second is the first once more. A merge: both ways.
    let left = graph.add("left", Conv2d::new(2, 3).padding(1), [trunk]).unwrap();
    let left = graph.add("tanh", Tanh {}, [left]).unwrap();
    let right = graph.add_shared("right", graph.find("left").unwrap(), [left]).unwrap();
    let sum = graph.add("sum", Add {}, [left, right]).unwrap();
    let both = graph.add("both", Concat {}, [sum, trunk]).unwrap();
    let flat = graph.add("flat", Flatten {}, [both]).unwrap();
    graph.add("out", Linear::new(2), [flat]).unwrap();
    let graph = Arc::new(graph);
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
    let check = GradientCheck::new(criterion, Mode::Train);
    let params = check.random_params(&graph).unwrap();
    let (input, target) = (normal(13, 3 * 50), normal(14, 3 * 2));
    let batch = Batch { inputs: &[&input], targets: Some(Targets::Values(&target)), count: 3 };
    let report = check.network(&graph, &params, &batch).unwrap();
    assert!(report.passed(1e-6), "{report}");

    // At a branch gradients add up; through shared weights as well: both against the parts by themselves.
    let mut graph = Graph::new();
    let x = graph.input("x", [3]).unwrap();
    let w = graph.add("w", Linear::new(3).without_bias(), [x]).unwrap();
    let again = graph.add_shared("again", w, [w]).unwrap();
    graph.add("sum", Add {}, [w, again]).unwrap();
    let graph = Arc::new(graph);
    let params = Params::initialised(graph.layout(), 15).unwrap();
    let (input, target) = (normal(16, 3), normal(17, 3));
    let traced = trace(&graph, &params, &[&input], Targets::Values(&target), &Loss::Euclidean, 0.0).unwrap();
    let [_, w, again, sum] = [0, 1, 2, 3].map(|i| &traced.layers[i]);
    let weights = Matrix::new(3, 3, w.params[0].before.clone());
    let g = Matrix::row(&sum.gradient);
    let through = g.times(&weights).unwrap();
    let branch: Vec<f64> =
        g.data.iter().zip(&through.data).map(|(direct, through)| direct + through).collect();
    close(&w.gradient, &branch, 1e-15);
    let outer = |g: &[f64], x: &[f64]| Matrix::column(g).times(&Matrix::row(x)).unwrap();
    let (first, second) = (outer(&w.gradient, &input), outer(&again.gradient, &w.value));
    let both: Vec<f64> = first.data.iter().zip(&second.data).map(|(a, b)| a + b).collect();
    close(&w.params[0].gradient, &both, 1e-14);
}
