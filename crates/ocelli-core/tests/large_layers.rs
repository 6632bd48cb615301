//! Passes of layers whose weights are far larger than a batch's activations are cut by units: forward, to the input, and to
//! the parameters. The same bits for any number of threads, wherever buffers lie, fused or not, whether gradients are
//! kept or not; and the numbers of a plan in one part, which cuts nothing.

use std::sync::Arc;

use ocelli_core::ops::{Add, Linear, Relu, Tanh};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Element, Isa, Team};

const BATCH: usize = 12;
const WIDTH: usize = 1030;
const CLASSES: usize = 5;

/// Large layers in a row; the gradient of the first one's output has two terms, of which a large layer adds one.
fn network() -> Arc<Graph> {
    layers(WIDTH, 777)
}

fn layers(width: usize, inner: usize) -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("x", [width]).unwrap();
    let a = g.add("narrow", Linear::new(8), [x]).unwrap();
    let a = g.add("tanh", Tanh {}, [a]).unwrap();
    let from = g.add("spread", Linear::new(width), [a]).unwrap();
    let a = g.add("large1", Linear::new(inner), [from]).unwrap();
    let a = g.add("relu", Relu {}, [a]).unwrap();
    let a = g.add("large2", Linear::new(width).without_bias(), [a]).unwrap();
    let a = g.add("sum", Add {}, [from, a]).unwrap();
    g.add("out", Linear::new(CLASSES), [a]).unwrap();
    Arc::new(g)
}

/// Outputs, costs and parameters of a few steps.
fn trained<T: Element>(graph: &Arc<Graph>, options: PlanOptions, threads: usize, isa: Isa) -> Vec<f64> {
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    let mut executor = Executor::<T>::new(plan, Arc::new(Team::new(threads).unwrap()), isa).unwrap();
    let mut params = Params::initialised(graph.layout(), 3).unwrap();
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-3 };
    let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
    let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
    let criterion = Criterion { loss, reduction: Reduction::Mean };
    let mut numbers = Vec::new();
    for (step, count) in [BATCH, 5, 1, BATCH].into_iter().enumerate() {
        let mut stream = Key::new(5, &[step as u64]).stream();
        let x: Vec<T> = (0..count * WIDTH).map(|_| T::of(stream.normal())).collect();
        let labels: Vec<u32> = (0..count).map(|_| stream.below(CLASSES as u64) as u32).collect();
        let batch = Batch { inputs: &[&x], targets: Some(Targets::Classes(&labels)), count };
        let update = Update::new(&sgd, &mut state, 0.01);
        let random = RandomState { seed: 9, step: step as u64 };
        numbers.push(executor.step(&mut params, &batch, &criterion, update, random));
        numbers.extend(executor.output().iter().map(|x| x.f64()));
    }
    numbers.extend(params.data().iter().map(|x| x.f64()));
    assert!(numbers.iter().all(|x| x.is_finite()));
    numbers
}

fn options() -> PlanOptions {
    PlanOptions { parts: Some(6), ..PlanOptions::train(BATCH) }
}

#[test]
fn the_bits_do_not_depend_on_threads_memory_fusion_or_kept_gradients() {
    let graph = network();
    for isa in [Isa::Portable, Isa::detect()] {
        let one = trained::<f32>(&graph, options(), 1, isa);
        for threads in [2, 3, 8] {
            assert!(trained::<f32>(&graph, options(), threads, isa) == one, "{threads} threads, {isa:?}");
        }
        let others = [
            PlanOptions { reuse: false, ..options() },
            PlanOptions { fuse: false, ..options() },
            PlanOptions { poison: true, ..options() },
            PlanOptions { keep_gradients: false, ..options() },
            PlanOptions { keep_gradients: false, poison: true, ..options() },
        ];
        for options in others {
            assert!(trained::<f32>(&graph, options.clone(), 3, isa) == one, "{options:?}, {isa:?}");
        }
    }
}

#[test]
fn the_numbers_are_those_of_a_plan_in_one_part() {
    let graph = network();
    let whole = trained::<f64>(&graph, PlanOptions { parts: Some(1), ..options() }, 1, Isa::Portable);
    let cut = trained::<f64>(&graph, options(), 2, Isa::Portable);
    for (i, (whole, cut)) in whole.iter().zip(&cut).enumerate() {
        assert!((whole - cut).abs() <= 1e-10 * whole.abs().max(1.0), "number {i}: {cut} instead of {whole}");
    }
}

/// Outputs of a batch and of a short one.
fn evaluated<T: Element>(graph: &Arc<Graph>, options: PlanOptions, threads: usize, isa: Isa) -> Vec<f64> {
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    let mut executor = Executor::<T>::new(plan, Arc::new(Team::new(threads).unwrap()), isa).unwrap();
    let params = Params::initialised(graph.layout(), 3).unwrap();
    let mut numbers = Vec::new();
    let width = graph.node(graph.inputs().next().unwrap()).shape().len();
    for count in [BATCH, 7] {
        let mut stream = Key::new(6, &[count as u64]).stream();
        let x: Vec<T> = (0..count * width).map(|_| T::of(stream.normal())).collect();
        numbers.extend(executor.forward(&params, &[&x], count).iter().map(|x| x.f64()));
    }
    assert!(numbers.iter().all(|x| x.is_finite()));
    numbers
}

#[test]
fn evaluation_is_cut_so_too_with_the_activation_that_follows() {
    // More weights than are packed.
    let graph = layers(2100, 2040);
    let options = || PlanOptions { parts: Some(6), ..PlanOptions::evaluate(BATCH) };
    let large = Work::Forward(graph.find("large1").unwrap());
    let plan = Plan::new(&graph, options()).unwrap();
    let step = plan.steps().find(|step| step.work == large).expect("it is the head of its chain");
    assert!(step.parts == 6 && step.barrier, "it reads what others computed");
    evaluates_alike(&graph, options);
}

#[test]
fn evaluation_packs_the_others_and_gives_the_same_numbers() {
    let graph = network();
    let options = || PlanOptions { parts: Some(6), ..PlanOptions::evaluate(BATCH) };
    let plan = Plan::new(&graph, options()).unwrap();
    let packed = plan.steps().filter(|step| matches!(step.work, Work::Prepare(..))).count();
    assert_eq!(packed, 4, "all but the layer of 5 classes");
    evaluates_alike(&graph, options);
}

/// The same bits for any number of threads, and the numbers of a plan in one part.
fn evaluates_alike(graph: &Arc<Graph>, options: impl Fn() -> PlanOptions) {
    for isa in [Isa::Portable, Isa::detect()] {
        let one = evaluated::<f32>(graph, options(), 1, isa);
        for threads in [2, 3, 8] {
            assert!(evaluated::<f32>(graph, options(), threads, isa) == one, "{threads} threads, {isa:?}");
        }
        for options in [PlanOptions { fuse: false, ..options() }, PlanOptions { poison: true, ..options() }] {
            assert!(evaluated::<f32>(graph, options.clone(), 3, isa) == one, "{options:?}, {isa:?}");
        }
    }
    let whole = evaluated::<f64>(graph, PlanOptions { parts: Some(1), ..options() }, 1, Isa::Portable);
    for (whole, cut) in whole.iter().zip(evaluated::<f64>(graph, options(), 2, Isa::Portable)) {
        assert!((whole - cut).abs() <= 1e-10 * whole.abs().max(1.0), "{cut} instead of {whole}");
    }
}

#[test]
fn only_layers_with_large_weights_are_cut_so() {
    let graph = network();
    // Parts of a plan of 12 samples in 6: passes by units of 5 classes or 8 features have fewer.
    let plan = Plan::new(&graph, PlanOptions { parts: Some(12), ..options() }).unwrap();
    let waits = |plan: &Plan, name: &str| {
        let forward = Work::Forward(graph.find(name).unwrap());
        plan.steps().find(|step| step.work == forward).unwrap().barrier
    };
    assert!(waits(&plan, "large1") && waits(&plan, "large2"), "they read what others computed");
    assert!(!waits(&plan, "spread"), "it reads its own samples");
    let evaluation = Plan::new(&graph, PlanOptions::evaluate(BATCH)).unwrap();
    assert!(!waits(&evaluation, "spread"));
    let large_batch = Plan::new(&graph, PlanOptions::train(400)).unwrap();
    assert!(!waits(&large_batch, "large1"), "its activations are no longer small beside the weights");
}
