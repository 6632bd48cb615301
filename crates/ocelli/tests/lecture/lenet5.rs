//! LeNet-5 as its authors describe it: items 15 to 18 and 24 of the lecture's list.

use std::sync::Arc;

use ocelli::Engine;
use ocelli::arch::{Architecture, Wanted};
use ocelli::explain::{jacobian, trace};
use ocelli_core::ops::{Conv2d, Linear, Rbf, ScaledTanh, Subsample};
use ocelli_core::{
    Batch, Criterion, Graph, Loss, Params, PlanOptions, RandomState, Reduction, Shape, Targets,
};
use ocelli_kernels::Isa;

use crate::support::{close, normal};

fn lenet5() -> Graph {
    let wanted = Wanted { input: Shape::from([1, 32, 32]), classes: 10, widths: Vec::new() };
    Architecture::find("lenet5").unwrap().build(&wanted).unwrap()
}

#[test]
fn item_15_shapes_parameters_and_connections_are_those_of_the_paper() {
    let graph = lenet5();
    let paper = [
        ("C1", "6×28×28", 156, Some(122_304)),
        ("S2", "6×14×14", 12, Some(5_880)),
        ("C3", "16×10×10", 1_516, Some(151_600)),
        ("S4", "16×5×5", 32, Some(2_000)),
        ("C5", "120×1×1", 48_120, None),
        ("F6", "84", 10_164, None),
    ];
    let mut sum = 0;
    for (name, shape, parameters, connections) in paper {
        let node = graph.node(graph.find(name).unwrap());
        assert_eq!(node.shape().to_string(), shape, "{name}");
        let found: usize = node.signature().params.iter().map(|p| p.shape.len()).sum();
        assert_eq!(found, parameters, "{name}");
        // The paper counts a unit's bias as one of its connections.
        let counted = node.signature().macs + node.shape().len() as u64;
        assert!(connections.is_none_or(|c| c == counted), "{name}: {counted}");
        sum += parameters;
    }
    assert_eq!((sum, graph.layout().trainable()), (60_000, 60_000));
}

#[test]
fn item_16_a_map_of_c3_does_not_feel_what_its_table_leaves_out() {
    let mut graph = Graph::new();
    let x = graph.input("S2", [6, 14, 14]).unwrap();
    graph.add("C3", Conv2d::new(16, 5).connections(Conv2d::LENET_C3), [x]).unwrap();
    let graph = Arc::new(graph);
    let params = Params::<f64>::initialised(graph.layout(), 1).unwrap();
    let engine = Engine::new(1, Isa::Portable).unwrap();
    let mut executor = engine.executor::<f64>(&graph, PlanOptions::evaluate(1)).unwrap();
    let base = normal(2, 6 * 14 * 14);
    let before = executor.forward(&params, &[&base], 1).to_vec();
    for map in 0..6 {
        for change in [100.0, -100.0] {
            let mut changed = base.clone();
            changed.iter_mut().skip(map).step_by(6).for_each(|x| *x += change);
            let after = executor.forward(&params, &[&changed], 1);
            for (unit, table) in Conv2d::LENET_C3.iter().enumerate() {
                let same = (0..100).all(|pixel| before[pixel * 16 + unit] == after[pixel * 16 + unit]);
                assert_eq!(same, !table.contains(&map), "map {map} of S2 and map {unit} of C3");
            }
        }
    }
}

#[test]
fn item_17_subsampling_squash_units_and_criterion_have_the_values_by_hand() {
    // A window of 1, 2, 3, 4 with coefficient ½ and bias −1: 4. Then 1.7159·tanh(8/3).
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 2, 2]).unwrap();
    let sum = graph.add("S", Subsample::new(2), [x]).unwrap();
    graph.add("squash", ScaledTanh {}, [sum]).unwrap();
    let graph = Arc::new(graph);
    let mut params = Params::<f64>::zeroed(graph.layout()).unwrap();
    params.set(graph.layout().find("S.coefficient").unwrap(), &[0.5]);
    params.set(graph.layout().find("S.bias").unwrap(), &[-1.0]);
    let traced =
        trace(&graph, &params, &[&[1.0, 2.0, 3.0, 4.0]], Targets::Values(&[0.0]), &Loss::Euclidean, 0.0);
    let traced = traced.unwrap();
    close(&traced.layers[1].value, &[4.0], 0.0);
    close(&traced.layers[2].value, &[1.7159 * (8.0f64 / 3.0).tanh()], 1e-15);
    // f(±1) = ±1 is why the squash has these constants.
    assert!((1.7159 * (2.0f64 / 3.0).tanh() - 1.0).abs() < 1e-4);

    // Three units at (1, 1), (1, −1), (−1, −1) seen from (0.5, −1): 0.25 + 4, 0.25, 2.25.
    let mut graph = Graph::new();
    let x = graph.input("x", [2]).unwrap();
    graph.add("output", Rbf::new(3), [x]).unwrap();
    let graph = Arc::new(graph);
    let mut params = Params::<f64>::zeroed(graph.layout()).unwrap();
    params.set(&graph.layout().entries()[0], &[1.0, 1.0, 1.0, -1.0, -1.0, -1.0]);
    let loss = Loss::Map { rubbish: 1.0 };
    let traced = trace(&graph, &params, &[&[0.5, -1.0]], Targets::Classes(&[2]), &loss, 0.0).unwrap();
    let y = [4.25, 0.25, 2.25];
    close(&traced.layers[1].value, &y, 1e-15);
    let sum = (-1.0f64).exp() + y.iter().map(|y| (-y).exp()).sum::<f64>();
    close(&[traced.cost], &[y[2] + sum.ln()], 1e-14);
    let share = |y: f64| (-y).exp() / sum;
    close(&traced.layers[1].gradient, &[-share(4.25), -share(0.25), 1.0 - share(2.25)], 1e-14);
    // The smallest is the answer.
    assert_eq!(loss.predicted_class(&y), 1);
}

#[test]
fn item_18_the_gauss_newton_diagonal_of_a_linear_layer_is_twice_the_squared_input() {
    let mut graph = Graph::new();
    let x = graph.input("u", [3]).unwrap();
    graph.add("linear", Linear::new(2), [x]).unwrap();
    let graph = Arc::new(graph);
    let params = Params::<f64>::initialised(graph.layout(), 3).unwrap();
    let options = PlanOptions { curvature: true, reuse: false, fuse: false, ..PlanOptions::train(1) };
    let engine = Engine::new(1, Isa::Portable).unwrap();
    let mut executor = engine.executor::<f64>(&graph, options).unwrap();
    let u = [0.5, -3.0, 2.0];
    let batch = Batch { inputs: &[&u], targets: Some(Targets::Values(&[1.0, -1.0])), count: 1 };
    let criterion = Criterion { loss: Loss::SquaredError, reduction: Reduction::Sum };
    executor.curvature(&params, &batch, &criterion, RandomState::default()).unwrap();
    let of = |name: &str| executor.gradients().get(graph.layout().find(name).unwrap()).into_data();
    let row = u.map(|u| 2.0 * u * u);
    close(&of("linear.weight"), &[row, row].concat(), 1e-14);
    close(&of("linear.bias"), &[2.0, 2.0], 1e-14);
}

#[test]
fn item_24_all_units_of_a_map_have_the_same_weights() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 6, 7]).unwrap();
    let conv = graph.add("conv", Conv2d::new(3, 3), [x]).unwrap();
    let params = Params::<f64>::initialised(graph.layout(), 5).unwrap();
    let weight = params.get(graph.layout().find("conv.weight").unwrap()).into_data();
    let input = normal(6, 2 * 6 * 7);
    let all = jacobian(&graph, &params, &[&input], conv).unwrap().remove(0);
    assert_eq!((all.rows, all.columns), (3 * 4 * 5, 2 * 6 * 7));
    // ∂(unit at row r, column c of map o)/∂(pixel) is the one kernel of the map, laid at (r, c), and 0 elsewhere.
    for (o, r, c) in (0..3 * 4 * 5).map(|k| (k / 20, k / 5 % 4, k % 5)) {
        for (i, y, x) in (0..2 * 6 * 7usize).map(|k| (k / 42, k / 7 % 6, k % 7)) {
            let (v, h) = (y.wrapping_sub(r), x.wrapping_sub(c));
            let expected = if v < 3 && h < 3 { weight[(o * 2 + i) * 9 + v * 3 + h] } else { 0.0 };
            let found = all.at(o * 20 + r * 5 + c, i * 42 + y * 7 + x);
            assert!((found - expected).abs() < 1e-15, "{found} is not {expected}");
        }
    }
}
