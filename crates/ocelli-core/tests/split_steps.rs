//! Steps of training in two halves: gradients of several batches added up, clipped, and applied; weighted classes; averages.

use std::sync::Arc;

use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, Linear, MaxPool2d, Relu};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Share, Targets, Update,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Isa, Team};

const CLASSES: usize = 5;
const SGD: Optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-3 };
const PLAIN: Optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
const MEAN: Criterion =
    Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.1 }, reduction: Reduction::Mean };

/// Layers whose gradients are kept per part, and one that is cut by its units.
fn network(norm: bool) -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", [2, 8, 8]).unwrap();
    let mut a = g.add("conv", Conv2d::new(8, 3).padding(1), [x]).unwrap();
    if norm {
        a = g.add("norm", BatchNorm::default(), [a]).unwrap();
    }
    let a = g.add("relu", Relu {}, [a]).unwrap();
    let a = g.add("pool", MaxPool2d::new(2), [a]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    let a = g.add("wide", Linear::new(600), [a]).unwrap();
    let a = g.add("relu2", Relu {}, [a]).unwrap();
    g.add("out", Linear::new(CLASSES), [a]).unwrap();
    Arc::new(g)
}

struct Data {
    images: Vec<f32>,
    labels: Vec<u32>,
}

impl Data {
    fn new(count: usize, seed: u64) -> Data {
        let mut stream = Key::new(seed, &[]).stream();
        let images = (0..count * 128).map(|_| stream.uniform() as f32 - 0.5).collect();
        let labels = (0..count).map(|i| (i * 7 % CLASSES) as u32).collect();
        Data { images, labels }
    }

    fn part(&self, range: std::ops::Range<usize>) -> (&[f32], &[u32]) {
        (&self.images[range.start * 128..range.end * 128], &self.labels[range])
    }
}

fn executor(graph: &Arc<Graph>, options: PlanOptions, threads: usize) -> Executor<f32> {
    let plan = Arc::new(Plan::new(graph, PlanOptions { parts: Some(3), ..options }).unwrap());
    Executor::new(plan, Arc::new(Team::new(threads).unwrap()), Isa::detect()).unwrap()
}

fn start(graph: &Arc<Graph>, optimizer: &Optimizer) -> (Params<f32>, OptimizerState<f32>) {
    let layout = graph.layout();
    (Params::initialised(layout, 4).unwrap(), OptimizerState::new(optimizer, layout).unwrap())
}

/// The parameters after `steps` steps of `counts` images together, batch by batch.
fn in_batches(graph: &Arc<Graph>, counts: &[usize], steps: u64, threads: usize) -> Params<f32> {
    let options = PlanOptions { accumulate: true, ..PlanOptions::train(counts[0]) };
    let mut executor = executor(graph, options, threads);
    let (mut params, mut state) = start(graph, &SGD);
    let samples = counts.iter().sum();
    let data = Data::new(samples, 9);
    for step in 0..steps {
        let mut from = 0;
        for &count in counts {
            let (images, labels) = data.part(from..from + count);
            let batch = Batch { inputs: &[images], targets: Some(Targets::Classes(labels)), count };
            let share = Share { first: from == 0, samples };
            executor.accumulate(&mut params, &batch, &MEAN, share, RandomState { seed: 1, step });
            from += count;
        }
        let update = Update::new(&SGD, &mut state, 0.05);
        assert!(executor.apply(&mut params, update, None) > 0.0);
    }
    assert_eq!(state.steps, steps);
    params
}

fn at_once(graph: &Arc<Graph>, count: usize, steps: u64, keep_gradients: bool) -> Params<f32> {
    let options = PlanOptions { keep_gradients, ..PlanOptions::train(count) };
    let mut executor = executor(graph, options, 1);
    let (mut params, mut state) = start(graph, &SGD);
    let data = Data::new(count, 9);
    for step in 0..steps {
        let (images, labels) = data.part(0..count);
        let batch = Batch { inputs: &[images], targets: Some(Targets::Classes(labels)), count };
        let update = Update::new(&SGD, &mut state, 0.05);
        executor.step(&mut params, &batch, &MEAN, update, RandomState { seed: 1, step });
    }
    params
}

#[test]
fn batches_that_make_a_step_have_the_gradient_of_one_large_batch() {
    let graph = network(false);
    let whole = at_once(&graph, 21, 4, true);
    let parts = in_batches(&graph, &[8, 8, 5], 4, 1);
    let start = Params::<f32>::initialised(graph.layout(), 4).unwrap();
    let (mut off, mut moved) = (0.0f32, 0.0f32);
    for ((a, b), from) in whole.data().iter().zip(parts.data()).zip(start.data()) {
        (off, moved) = (off.max((a - b).abs()), moved.max((a - from).abs()));
    }
    assert!(moved > 0.01 && off < 1e-5 * moved, "off by {off} of {moved}");
}

#[test]
fn the_halves_of_a_step_on_one_batch_are_the_step_bit_for_bit() {
    for norm in [false, true] {
        let graph = network(norm);
        let halves = in_batches(&graph, &[13], 3, 2);
        for keep_gradients in [true, false] {
            let step = at_once(&graph, 13, 3, keep_gradients);
            assert!(halves.data() == step.data(), "norm {norm}, keep_gradients {keep_gradients}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let graph = network(true);
    let one = in_batches(&graph, &[7, 7, 2], 3, 1);
    for threads in [2, 3, 5] {
        assert!(one.data() == in_batches(&graph, &[7, 7, 2], 3, threads).data(), "{threads} threads");
    }
}

#[test]
fn a_gradient_above_the_bound_is_shortened_to_it_and_one_below_is_left_alone() {
    let graph = network(false);
    let mut executor = executor(&graph, PlanOptions::train(9), 2);
    let data = Data::new(9, 3);
    let (images, labels) = data.part(0..9);
    let batch = Batch { inputs: &[images], targets: Some(Targets::Classes(labels)), count: 9 };
    let share = Share { first: true, samples: 9 };
    let mut length = |most: Option<f64>| {
        let (mut params, mut state) = start(&graph, &PLAIN);
        let before = params.try_clone().unwrap();
        executor.accumulate(&mut params, &batch, &MEAN, share, RandomState::default());
        let update = Update::new(&PLAIN, &mut state, 1.0);
        let norm = executor.apply(&mut params, update, most);
        let moved = params.data().iter().zip(before.data()).map(|(a, b)| f64::from(a - b).powi(2));
        (norm, moved.sum::<f64>().sqrt())
    };
    let (norm, free) = length(None);
    assert!((free / norm - 1.0).abs() < 1e-4, "{free} of {norm}");
    let (same, shortened) = length(Some(norm / 8.0));
    assert_eq!(norm, same, "the norm is that before");
    assert!((shortened * 8.0 / norm - 1.0).abs() < 1e-4, "{shortened} of {norm}");
    assert_eq!(length(Some(norm * 1.01)), (norm, free));
}

#[test]
fn gradients_that_overflow_move_nothing() {
    let mut g = Graph::new();
    let x = g.input("x", [4]).unwrap();
    g.add("out", Linear::new(2), [x]).unwrap();
    let graph = Arc::new(g);
    let mut executor = executor(&graph, PlanOptions::train(4), 1);
    let mut params = Params::zeroed(graph.layout()).unwrap();
    let mut state = OptimizerState::new(&PLAIN, graph.layout()).unwrap();
    let batch = Batch { inputs: &[&[2e38; 16]], targets: Some(Targets::Classes(&[0; 4])), count: 4 };
    let euclid = Criterion { loss: Loss::Euclidean, reduction: Reduction::Sum };
    let share = Share { first: true, samples: 4 };
    let cost = executor.accumulate(&mut params, &batch, &euclid, share, RandomState::default());
    let update = Update::new(&PLAIN, &mut state, 1.0);
    let norm = executor.apply(&mut params, update, Some(1.0));
    assert!(cost.is_finite() && !norm.is_finite(), "{cost}, {norm}");
    assert!(state.steps == 0 && params.data().iter().all(|&w| w == 0.0));
}

#[test]
fn a_sample_of_weight_two_counts_as_two_samples() {
    let graph = network(false);
    let mut executor = executor(&graph, PlanOptions::train(8), 1);
    let data = Data::new(4, 5);
    let params = Params::initialised(graph.layout(), 4).unwrap();
    let sum = Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.0 }, reduction: Reduction::Sum };
    let mut gradients = |order: &[usize], weights: Vec<f32>, values: bool| {
        let images: Vec<f32> = order.iter().flat_map(|&i| data.part(i..i + 1).0.to_vec()).collect();
        let labels: Vec<u32> = order.iter().map(|&i| data.labels[i]).collect();
        let one_hot: Vec<f32> = labels
            .iter()
            .flat_map(|&label| (0..CLASSES).map(move |k| f32::from(u8::from(k == label as usize))))
            .collect();
        let targets = if values { Targets::Values(&one_hot[..]) } else { Targets::Classes(&labels) };
        let batch = Batch { inputs: &[&images], targets: Some(targets), count: order.len() };
        executor.set_class_weights(weights);
        let cost = executor.differentiate(&params, &batch, &sum, RandomState::default());
        (executor.gradients().data().to_vec(), cost)
    };
    // The labels are 0, 2, 4 and 1.
    let (twice, _) = gradients(&[0, 1, 1, 2, 3], Vec::new(), false);
    let (once, plain) = gradients(&[0, 1, 2, 3], Vec::new(), false);
    let (weighed, cost) = gradients(&[0, 1, 2, 3], vec![1.0, 1.0, 2.0, 1.0, 1.0], false);
    assert!(plain == cost && once != weighed, "costs stay what they are");
    let off = twice.iter().zip(&weighed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
    assert!(weighed == gradients(&[0, 1, 2, 3], vec![1.0, 1.0, 2.0, 1.0, 1.0], true).0);
}

#[test]
fn an_average_goes_its_share_of_the_way_to_all_parameters() {
    let graph = network(true);
    let executor = executor(&graph, PlanOptions::train(4), 3);
    let params = Params::<f32>::initialised(graph.layout(), 4).unwrap();
    let mut average = Params::initialised(graph.layout(), 5).unwrap();
    let before = average.try_clone().unwrap();
    executor.average(&mut average, &params, 0.25);
    for ((now, before), to) in average.data().iter().zip(before.data()).zip(params.data()) {
        assert!((now - (before + 0.25 * (to - before))).abs() < 1e-6);
    }
    executor.average(&mut average, &params, 1.0);
    let off = average.data().iter().zip(params.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-6, "{off}");
}

#[test]
fn offsets_move_as_many_times_as_far_as_they_are_told_and_nothing_else_does() {
    let graph = network(true);
    let data = Data::new(9, 3);
    let (images, labels) = data.part(0..9);
    let batch = Batch { inputs: &[images], targets: Some(Targets::Classes(labels)), count: 9 };
    let moved = |offset_rate: f64, keep_gradients: bool, halves: bool| {
        let mut executor = executor(&graph, PlanOptions { keep_gradients, ..PlanOptions::train(9) }, 2);
        let (mut params, mut state) = start(&graph, &PLAIN);
        let before = params.try_clone().unwrap();
        let update = Update { offset_rate, ..Update::new(&PLAIN, &mut state, 0.125) };
        if halves {
            let share = Share { first: true, samples: 9 };
            executor.accumulate(&mut params, &batch, &MEAN, share, RandomState::default());
            executor.apply(&mut params, update, None);
        } else {
            executor.step(&mut params, &batch, &MEAN, update, RandomState::default());
        }
        let moves = params.data().iter().zip(before.data()).map(|(after, before)| f64::from(after - before));
        moves.collect::<Vec<f64>>()
    };
    for (keep_gradients, halves) in [(false, false), (true, false), (true, true)] {
        let [same, faster] = [1.0, 64.0].map(|rate| moved(rate, keep_gradients, halves));
        let mut offsets = 0;
        for entry in graph.layout().entries().iter().filter(|entry| entry.spec.role.trainable()) {
            let factor = if ["bias", "shift"].contains(&entry.spec.role.name()) { 64.0 } else { 1.0 };
            offsets += usize::from(factor > 1.0);
            for at in entry.range.clone() {
                let off = (faster[at] - factor * same[at]).abs();
                assert!(off < 1e-5, "{} at {at}: {} for {}", entry.name, faster[at], same[at]);
            }
            let all: f64 = entry.range.clone().map(|at| same[at].abs()).sum();
            assert!(all > 0.0, "{} moves", entry.name);
        }
        assert!(offsets >= 2, "{offsets} offsets");
    }
}
