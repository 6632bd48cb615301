//! A profile accounts for a pass and changes nothing of it. The clock ticks once each time it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, Linear, Relu};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Clock, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, StepTime, Targets, Update,
};
use ocelli_kernels::{Direction, Isa, Team};

const COUNT: usize = 16;

fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", [2, 12, 12]).unwrap();
    let x = g.add("conv1", Conv2d::new(16, 3).padding(1), [x]).unwrap();
    let x = g.add("bn1", BatchNorm::default(), [x]).unwrap();
    let x = g.add("relu1", Relu {}, [x]).unwrap();
    let x = g.add("conv2", Conv2d::new(16, 3), [x]).unwrap();
    let x = g.add("flat", Flatten {}, [x]).unwrap();
    g.add("out", Linear::new(5), [x]).unwrap();
    Arc::new(g)
}

fn ticking() -> Clock {
    let ticks = AtomicU64::new(0);
    Arc::new(move || ticks.fetch_add(1, Ordering::Relaxed))
}

/// Three steps of training; the executor, and the weights after them.
fn trained(threads: usize, parts: usize, clock: Option<Clock>) -> (Executor<f32>, Params<f32>) {
    let graph = network();
    let options = PlanOptions { parts: Some(parts), ..PlanOptions::train(COUNT) };
    let plan = Arc::new(Plan::new(&graph, options).unwrap());
    let mut executor = Executor::new(plan, Arc::new(Team::new(threads).unwrap()), Isa::detect()).unwrap();
    let mut params = Params::initialised(graph.layout(), 1).unwrap();
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    let mut state = OptimizerState::new(&optimizer, graph.layout()).unwrap();
    let images: Vec<f32> = (0..COUNT * 2 * 12 * 12).map(|i| (i % 13) as f32 / 13.0).collect();
    let inputs: [&[f32]; 1] = [&images];
    let labels: Vec<u32> = (0..COUNT as u32).map(|i| i % 5).collect();
    let batch = Batch { inputs: &inputs, targets: Some(Targets::Classes(&labels)), count: COUNT };
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let criterion = Criterion { loss, reduction: Reduction::Mean };
    if let Some(clock) = clock {
        executor.start_profile(clock);
    }
    for step in 0..3 {
        let update = Update::new(&optimizer, &mut state, 0.1);
        executor.step(&mut params, &batch, &criterion, update, RandomState { seed: 1, step });
    }
    (executor, params)
}

#[test]
fn every_reading_of_the_clock_belongs_to_a_step() {
    let (mut executor, _) = trained(1, 4, Some(ticking()));
    let profile = executor.end_profile().expect("a profile was begun");
    let steps: Vec<_> = executor.plan().steps().collect();
    assert_eq!((profile.passes, profile.workers.len(), profile.workers[0].len()), (3, 1, steps.len()));
    for (step, time) in steps.iter().zip(&profile.workers[0]) {
        let wait = if step.barrier { 3 } else { 0 };
        assert_eq!(*time, StepTime { work: 3, wait }, "a tick in each of three passes: {step:?}");
    }
    let inside: u64 = profile.workers[0].iter().map(|time| time.work + time.wait).sum();
    // One tick before the worker begins and one after it has ended.
    assert_eq!(profile.total, inside + 3 * 2);
}

#[test]
fn a_profile_changes_no_bit_whatever_the_number_of_threads() {
    let (mut plain, weights) = trained(2, 4, None);
    assert_eq!(plain.end_profile(), None);
    for threads in [1, 2, 3] {
        let (mut executor, profiled) = trained(threads, 4, Some(ticking()));
        assert_eq!(profiled.data(), weights.data(), "{threads} threads");
        let profile = executor.end_profile().expect("a profile was begun");
        assert_eq!(profile.workers.len(), threads);
        for worker in &profile.workers {
            assert!(worker.iter().all(|time| time.work >= 3), "{worker:?}");
            assert!(worker.iter().map(|time| time.work + time.wait).sum::<u64>() <= profile.total);
        }
    }
}

#[test]
fn inference_on_a_plan_for_training_notes_its_forward_steps_alone() {
    let (mut executor, params) = trained(2, 1, None);
    executor.start_profile(ticking());
    executor.forward(&params, &[&[0.5; COUNT * 2 * 12 * 12]], COUNT);
    let profile = executor.end_profile().expect("a profile was begun");
    assert_eq!(profile.workers.len(), 1, "a plan with one part runs on the caller's thread");
    for (step, time) in executor.plan().steps().zip(&profile.workers[0]) {
        let ran = matches!(
            step.work,
            Work::Prepare(_, Direction::Forward) | Work::Statistics(_) | Work::Forward(_)
        );
        assert_eq!(time.work, u64::from(ran), "{step:?}");
    }
}

#[test]
fn steps_say_what_they_multiply_and_touch() {
    let (executor, _) = trained(1, 1, None);
    let (plan, graph) = (executor.plan(), executor.plan().graph());
    let conv = graph.find("conv1").expect("a layer");
    let of = |work| plan.steps().find(|step| step.work == work);
    let forward = of(Work::Forward(conv)).expect("a step");
    assert_eq!(forward.macs, (COUNT * 12 * 12 * 16 * 3 * 3 * 2) as u64);
    // Pictures, output, weights and biases.
    assert_eq!(forward.elements, (COUNT * 12 * 12 * (2 + 16) + 16 * 2 * 9 + 16) as u64);
    assert_eq!(of(Work::BackwardParams(conv)).expect("a step").macs, forward.macs);
    assert_eq!(of(Work::BackwardInput(conv, 0)), None, "nobody wants the picture's gradient");
    assert_eq!(of(Work::Update).expect("a step").macs, 0);
}
