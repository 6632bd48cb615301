//! LeNet-5's convolutions and subsamplings as the paper counts them.

use std::sync::Arc;

use ocelli_core::ops::{Conv2d, Subsample};
use ocelli_core::{Executor, Graph, Init, Op, Params, Plan, PlanOptions};
use ocelli_kernels::{Isa, Team};

use crate::single::random;

/// The layers of LeNet-5 up to C5, without the squashing in between.
fn graph() -> Graph {
    let mut graph = Graph::new();
    let mut last = graph.input("image", [1, 32, 32]).unwrap();
    let layers: [(&str, Op); 5] = [
        ("c1", Conv2d::new(6, 5).into()),
        ("s2", Subsample::new(2).into()),
        ("c3", Conv2d::new(16, 5).connections(Conv2d::LENET_C3).into()),
        ("s4", Subsample::new(2).into()),
        ("c5", Conv2d::new(120, 5).into()),
    ];
    for (name, op) in layers {
        last = graph.add(name, op, [last]).unwrap();
    }
    graph
}

#[test]
fn has_the_shapes_parameters_and_connections_of_the_paper() {
    let graph = graph();
    // Name, shape, trainable parameters, connections (biases counted once per unit).
    let paper = [
        ("c1", "6×28×28", 156, 122_304),
        ("s2", "6×14×14", 12, 5_880),
        ("c3", "16×10×10", 1_516, 151_600),
        ("s4", "16×5×5", 32, 2_000),
        ("c5", "120×1×1", 48_120, 48_120),
    ];
    for (name, shape, parameters, connections) in paper {
        let node = graph.node(graph.find(name).unwrap());
        let signature = node.signature();
        assert_eq!(node.shape().to_string(), shape, "{name}");
        let found: usize = signature.params.iter().map(|spec| spec.shape.len()).sum();
        assert_eq!(found, parameters, "parameters of {name}");
        assert_eq!(signature.macs + node.shape().len() as u64, connections, "connections of {name}");
    }
    let weight = graph.layout().find("c3.weight").unwrap();
    assert_eq!(weight.range.len(), 1_500);
}

#[test]
fn weights_start_within_2_4_over_the_fan_in() {
    let mut graph = Graph::new();
    let x = graph.input("x", [6, 14, 14]).unwrap();
    let init = Init::UniformFanIn { a: 2.4, power: 1.0 };
    let conv = Conv2d::new(16, 5).connections(Conv2d::LENET_C3).init(init);
    let c3 = graph.add("c3", conv, [x]).unwrap();
    graph.add("s4", Subsample::new(2), [c3]).unwrap();
    let params = Params::<f64>::initialised(graph.layout(), 1).unwrap();
    let largest = |name: &str| {
        let values = params.get(graph.layout().find(name).unwrap());
        values.data().iter().fold(0.0f64, |m, v| m.max(v.abs()))
    };
    // 60 connections of 25 taps make 93 inputs for the average of 16 units.
    let bound = 2.4 / 93.0;
    assert!(largest("c3.weight") <= bound && largest("c3.weight") > 0.9 * bound);
    assert!(largest("s4.coefficient") <= 0.6 && largest("s4.coefficient") > 0.3);
    assert_eq!(largest("s4.bias"), 0.0);
}

#[test]
fn single_and_double_precision_agree_on_any_machine() {
    let graph = Arc::new(graph());
    let plan = Arc::new(Plan::new(&graph, PlanOptions::evaluate(2)).unwrap());
    let team = Arc::new(Team::new(1).unwrap());
    let x = random(2 * 1024, 7);
    let double = Params::<f64>::initialised(graph.layout(), 3).unwrap();
    let mut single = Params::<f32>::zeroed(graph.layout()).unwrap();
    single.data_mut().iter_mut().zip(double.data()).for_each(|(to, &from)| *to = from as f32);
    let mut exact = Executor::new(Arc::clone(&plan), Arc::clone(&team), Isa::Portable).unwrap();
    let mut fast = Executor::new(plan, team, Isa::detect()).unwrap();
    let narrow: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let exact = exact.forward(&double, &[&x], 2);
    for (found, expected) in fast.forward(&single, &[&narrow], 2).iter().zip(exact) {
        assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}
