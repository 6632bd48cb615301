//! Into how many parts a batch is cut changes nothing but rounding: outputs, costs, gradients, running statistics and
//! updated parameters in f64 are those of the batch in one part, whose gradients the gradient checks hold against
//! differences. Poison throughout finds what crosses from part to part undeclared.

use std::sync::Arc;

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu, Tanh};
use ocelli_core::{
    Batch, Criterion, Error, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Isa, Team};

const BATCH: usize = 40;
const SHAPE: [usize; 3] = [2, 8, 8];
const CLASSES: usize = 5;

/// Full batches, short ones that leave parts without samples, and a single sample.
const COUNTS: [usize; 4] = [BATCH, 23, 1, BATCH];

/// Every kind of parameter gradient: small ones kept per part, large ones (200×200 weights) cut by units, and both of
/// layers whose parameters are used twice.
fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", SHAPE).unwrap();
    let a = g.add("conv", Conv2d::new(6, 3).padding(1), [x]).unwrap();
    let norm = g.add("norm", BatchNorm::default(), [a]).unwrap();
    let a = g.add("relu", Relu {}, [norm]).unwrap();
    let conv = g.add("conv2", Conv2d::new(6, 3).padding(1), [a]).unwrap();
    let a = g.add_shared("conv2.again", conv, [conv]).unwrap();
    let a = g.add_shared("norm.again", norm, [a]).unwrap();
    let a = g.add("sum", Add {}, [a, norm]).unwrap();
    let a = g.add("pool", MaxPool2d::new(2), [a]).unwrap();
    let a = g.add("dropout", Dropout { rate: 0.3 }, [a]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    let a = g.add("narrow", Linear::new(200), [a]).unwrap();
    let a = g.add("tanh1", Tanh {}, [a]).unwrap();
    let a = g.add("wide", Linear::new(200), [a]).unwrap();
    let a = g.add("tanh2", Tanh {}, [a]).unwrap();
    let twice = g.add("twice", Linear::new(200), [a]).unwrap();
    let a = g.add("tanh3", Tanh {}, [twice]).unwrap();
    let a = g.add_shared("twice.again", twice, [a]).unwrap();
    let a = g.add("vector.norm", BatchNorm::default(), [a]).unwrap();
    g.add("out", Linear::new(CLASSES), [a]).unwrap();
    Arc::new(g)
}

/// What a few steps of training leave, each number beside what it is.
fn trained(graph: &Arc<Graph>, parts: usize, poison: bool) -> Vec<(String, Vec<f64>)> {
    let options =
        PlanOptions { parts: Some(parts), poison, input_gradients: true, ..PlanOptions::train(BATCH) };
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    assert_eq!(plan.parts(), parts);
    let mut executor = Executor::<f64>::new(plan, Arc::new(Team::new(3).unwrap()), Isa::Portable).unwrap();
    let mut params = Params::initialised(graph.layout(), 3).unwrap();
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-3 };
    let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
    let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
    let criterion = Criterion { loss, reduction: Reduction::Mean };
    let image = graph.inputs().next().unwrap();
    let mut numbers = Vec::new();
    for (step, count) in COUNTS.into_iter().enumerate() {
        let mut stream = Key::new(5, &[step as u64]).stream();
        let images: Vec<f64> = (0..count * 2 * 8 * 8).map(|_| stream.normal()).collect();
        let labels: Vec<u32> = (0..count).map(|_| stream.below(CLASSES as u64) as u32).collect();
        let batch = Batch { inputs: &[&images], targets: Some(Targets::Classes(&labels)), count };
        let update = Update::new(&sgd, &mut state, 0.01);
        let random = RandomState { seed: 9, step: step as u64 };
        let cost = executor.step(&mut params, &batch, &criterion, update, random);
        let mut note = |what: &str, values: &[f64]| numbers.push((format!("{what} {step}"), values.to_vec()));
        note("cost", &[cost]);
        note("output", executor.output());
        note("input gradient", executor.value_gradient(image).unwrap());
        for entry in graph.layout().entries() {
            note(&format!("gradient of {}", entry.name), &executor.gradients().data()[entry.range.clone()]);
            note(&entry.name, &params.data()[entry.range.clone()]);
        }
    }
    numbers
}

#[test]
fn the_number_of_parts_changes_nothing_but_rounding() {
    let graph = network();
    let whole = trained(&graph, 1, false);
    for (parts, poison) in [(1, true), (2, false), (2, true), (5, false), (5, true), (8, false), (8, true)] {
        for ((what, expected), (_, found)) in whole.iter().zip(trained(&graph, parts, poison)) {
            assert_eq!(found.len(), expected.len());
            let largest = expected.iter().fold(1.0, |max: f64, x| max.max(x.abs()));
            for (found, expected) in found.iter().zip(expected) {
                let apart = (found - expected).abs();
                assert!(
                    apart <= 1e-12 * largest,
                    "{what} in {parts} parts, poison {poison}: {found} instead of {expected}"
                );
            }
        }
    }
}

#[test]
fn parts_are_at_most_those_asked_for_and_all_have_samples() {
    let graph = network();
    let parts = |batch, parts| Plan::new(&graph, PlanOptions { parts, ..PlanOptions::train(batch) });
    for (batch, asked, made) in [(9, 8, 5), (3, 8, 3), (8, 3, 3), (7, 1, 1)] {
        assert_eq!(parts(batch, Some(asked)).unwrap().parts(), made, "{batch} samples in {asked} parts");
    }
    assert!(matches!(parts(3, Some(0)), Err(Error::Options(_))));
}
