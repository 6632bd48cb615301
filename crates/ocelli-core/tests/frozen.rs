//! Layers that stay as they are: they work as in evaluation, and nothing is computed for them on the way back.

use std::sync::Arc;

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update, Value,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Isa, Team};

const COUNT: usize = 6;
const LOSS: Criterion =
    Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.0 }, reduction: Reduction::Mean };

/// A residual block with dropout behind it, and a head.
fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", [2, 8, 8]).unwrap();
    let stem = g.add("stem", Conv2d::new(8, 3).padding(1), [x]).unwrap();
    let a = g.add("norm1", BatchNorm::default(), [stem]).unwrap();
    let a = g.add("relu1", Relu {}, [a]).unwrap();
    let b = g.add("conv2", Conv2d::new(8, 3).padding(1), [a]).unwrap();
    let b = g.add("norm2", BatchNorm::default(), [b]).unwrap();
    let a = g.add("sum", Add {}, [b, a]).unwrap();
    let a = g.add("relu2", Relu {}, [a]).unwrap();
    let a = g.add("pool", MaxPool2d::new(2), [a]).unwrap();
    let a = g.add("dropout", Dropout { rate: 0.5 }, [a]).unwrap();
    let a = g.add("conv3", Conv2d::new(8, 3).padding(1), [a]).unwrap();
    let a = g.add("norm3", BatchNorm::default(), [a]).unwrap();
    let a = g.add("relu3", Relu {}, [a]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    g.add("out", Linear::new(4), [a]).unwrap();
    Arc::new(g)
}

fn images(seed: u64) -> Vec<f32> {
    let mut stream = Key::new(seed, &[]).stream();
    (0..COUNT * 128).map(|_| stream.uniform() as f32 - 0.5).collect()
}

fn executor(graph: &Arc<Graph>, options: PlanOptions) -> Executor<f32> {
    let plan = Arc::new(Plan::new(graph, PlanOptions { parts: Some(2), ..options }).unwrap());
    Executor::new(plan, Arc::new(Team::new(2).unwrap()), Isa::detect()).unwrap()
}

fn frozen(graph: &Graph, name: &str) -> PlanOptions {
    PlanOptions { frozen: Some(graph.find(name).unwrap()), ..PlanOptions::train(COUNT) }
}

/// The parameters after three steps.
fn trained(graph: &Arc<Graph>, options: PlanOptions) -> Params<f32> {
    let adam = Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    let mut executor = executor(graph, options);
    let mut params = Params::initialised(graph.layout(), 2).unwrap();
    let mut state = OptimizerState::new(&adam, graph.layout()).unwrap();
    for step in 0..3 {
        let images = images(step);
        let targets = Some(Targets::Classes(&[0, 1, 2, 3, 0, 1]));
        let batch = Batch { inputs: &[&images], targets, count: COUNT };
        let update = Update::new(&adam, &mut state, 0.01);
        let random = RandomState { seed: 1, step };
        assert!(executor.step(&mut params, &batch, &LOSS, update, random).is_finite());
    }
    params
}

/// The layers with a parameter that is not as it started.
fn moved(graph: &Graph, params: &Params<f32>) -> Vec<String> {
    let start = Params::<f32>::initialised(graph.layout(), 2).unwrap();
    let differs = |name: &&str| {
        let entries = graph.layout().entries().iter().filter(|e| e.name.starts_with(&format!("{name}.")));
        entries.into_iter().any(|e| start.data()[e.range.clone()] != params.data()[e.range.clone()])
    };
    let names = graph.nodes().iter().map(|node| node.name());
    names.filter(differs).map(str::to_string).collect()
}

#[test]
fn nothing_up_to_the_frozen_layer_moves_not_even_running_statistics() {
    let graph = network();
    let all = ["stem", "norm1", "conv2", "norm2", "conv3", "norm3", "out"];
    for (name, moves) in [
        ("stem", &all[1..]),
        ("norm1", &all[2..]),
        ("relu2", &all[4..]),
        ("dropout", &all[4..]),
        ("flat", &all[6..]),
    ] {
        for keep_gradients in [true, false] {
            let options = PlanOptions { keep_gradients, ..frozen(&graph, name) };
            assert_eq!(moved(&graph, &trained(&graph, options)), moves, "frozen up to {name}");
        }
    }
    assert_eq!(moved(&graph, &trained(&graph, PlanOptions::train(COUNT))), all);
}

#[test]
fn plans_with_frozen_layers_compute_the_same_however_memory_is_used() {
    let graph = network();
    for name in ["norm1", "norm2", "sum", "dropout", "flat"] {
        let plain = trained(&graph, frozen(&graph, name));
        for options in [
            PlanOptions { reuse: false, ..frozen(&graph, name) },
            PlanOptions { fuse: false, ..frozen(&graph, name) },
            PlanOptions { fuse: false, poison: true, ..frozen(&graph, name) },
            PlanOptions { poison: true, ..frozen(&graph, name) },
        ] {
            assert!(plain.data() == trained(&graph, options.clone()).data(), "{name}: {options:?}");
        }
    }
}

#[test]
fn the_frozen_part_computes_what_it_does_in_evaluation() {
    let graph = network();
    let options = PlanOptions { reuse: false, fuse: false, ..frozen(&graph, "dropout") };
    let mut training = executor(&graph, options);
    let evaluation = PlanOptions { reuse: false, fuse: false, ..PlanOptions::evaluate(COUNT) };
    let mut evaluation = executor(&graph, evaluation);
    let mut params = Params::initialised(graph.layout(), 2).unwrap();
    for entry in graph.layout().entries() {
        if entry.name.ends_with("running_var") || entry.name.ends_with("running_mean") {
            params.data_mut()[entry.range.clone()].fill(0.7);
        }
    }
    let images = images(7);
    let batch = Batch { inputs: &[&images], targets: Some(Targets::Classes(&[0; COUNT])), count: COUNT };
    training.differentiate(&params, &batch, &LOSS, RandomState { seed: 3, step: 0 });
    evaluation.forward(&params, &[&images], COUNT);
    for name in ["norm2", "relu2", "dropout", "conv3"] {
        let value = graph.find(name).unwrap();
        let (a, b) = (training.value(value).unwrap(), evaluation.value(value).unwrap());
        let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{name} is off by {off}");
    }
    let norm = graph.find("norm3").unwrap();
    assert!(
        training.value(norm).unwrap() != evaluation.value(norm).unwrap(),
        "what trains has a batch's statistics"
    );
}

#[test]
fn no_step_goes_back_into_the_frozen_part_and_less_memory_is_needed() {
    let graph = network();
    let plan = |options| Plan::new(&graph, options).unwrap();
    let (all, some) = (plan(PlanOptions::train(COUNT)), plan(frozen(&graph, "dropout")));
    let last = graph.find("dropout").unwrap();
    let back = |value: Value| value <= last;
    for step in some.steps() {
        match step.work {
            Work::BackwardParams(v) | Work::BackwardInput(v, _) => assert!(!back(v), "{:?}", step.work),
            Work::Statistics(v) => assert!(!back(v), "{:?}", step.work),
            _ => {}
        }
    }
    assert!(some.arena_len() < all.arena_len() * 2 / 3, "{} of {}", some.arena_len(), all.arena_len());
    let trains = |name: &str| {
        let entry = graph.layout().entries().iter().position(|e| e.name == name).unwrap();
        some.trains(entry)
    };
    assert!(trains("conv3.weight") && !trains("conv2.weight") && !trains("norm3.running_var"));
}

#[test]
fn a_layer_that_shares_what_is_frozen_is_refused() {
    let mut g = Graph::new();
    let x = g.input("x", [4]).unwrap();
    let a = g.add("first", Linear::new(4), [x]).unwrap();
    let b = g.add("relu", Relu {}, [a]).unwrap();
    let c = g.add_shared("again", a, [b]).unwrap();
    g.add("out", Linear::new(2), [c]).unwrap();
    let graph = Arc::new(g);
    let error = Plan::new(&graph, frozen(&graph, "relu")).unwrap_err().to_string();
    assert!(error.contains("'again'") && error.contains("'first'") && error.contains("'relu'"), "{error}");
    assert!(Plan::new(&graph, frozen(&graph, "again")).is_ok());
}
