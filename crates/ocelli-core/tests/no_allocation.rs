//! A step allocates nothing: everything was planned.
//!
//! Allocations count on the threads of the team under test alone: the test harness makes some of its own meanwhile.
//! For the same reason this file has one test.
#![allow(unsafe_code)] // a global allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ocelli_core::ops::{Add, BatchNorm, Concat, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Share, Targets, Update,
};
use ocelli_kernels::{Isa, Team};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether allocations of this thread count.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and says how many allocations there were on the threads that count.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    work();
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", [3, 12, 12]).unwrap();
    let a = g.add("conv1", Conv2d::new(16, 3).padding(1), [x]).unwrap();
    let a = g.add("bn1", BatchNorm::default(), [a]).unwrap();
    let a = g.add("relu1", Relu {}, [a]).unwrap();
    let table = (0..16).map(|o| vec![o, (o + 1) % 16]);
    let b = g.add("conv2", Conv2d::new(16, 3).padding(1).connections(table), [a]).unwrap();
    let a = g.add("sum", Add {}, [a, b]).unwrap();
    let a = g.add("both", Concat {}, [a, b]).unwrap();
    let a = g.add("pool", MaxPool2d::new(2), [a]).unwrap();
    let a = g.add("dropout", Dropout { rate: 0.3 }, [a]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    g.add("out", Linear::new(5), [a]).unwrap();
    Arc::new(g)
}

#[test]
fn training_and_evaluation_allocate_nothing() {
    const COUNT: usize = 32;
    let graph = network();
    let images = vec![0.5f32; COUNT * 3 * 12 * 12];
    let labels = vec![2u32; COUNT];
    let inputs: [&[f32]; 1] = [&images];
    let batch = Batch { inputs: &inputs, targets: Some(Targets::Classes(&labels)), count: COUNT };
    let criterion =
        Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.0 }, reduction: Reduction::Mean };
    let adam = Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
    for threads in [1, 2] {
        let team = Arc::new(Team::new(threads).unwrap());
        team.run(&|_| COUNTS.set(true));
        let made = allocations(|| team.run(&|_| drop(std::hint::black_box(vec![1u8; 100]))));
        assert_eq!(made, threads, "every thread counts its allocations");
        let executor = |options| {
            let plan = Arc::new(Plan::new(&graph, options).unwrap());
            Executor::<f32>::new(plan, Arc::clone(&team), Isa::detect()).unwrap()
        };
        let mut training = executor(PlanOptions::train(COUNT));
        let mut halves = executor(PlanOptions { accumulate: true, ..PlanOptions::train(COUNT) });
        halves.set_class_weights(vec![0.5; 5]);
        let mut average = Params::zeroed(graph.layout()).unwrap();
        let mut evaluation = executor(PlanOptions::evaluate(COUNT));
        let mut single = executor(PlanOptions { parts: Some(4), ..PlanOptions::evaluate(1) });
        assert!(single.plan().parts() > 1, "several threads work on one image");
        let mut params = Params::initialised(graph.layout(), 1).unwrap();
        let mut state = OptimizerState::new(&adam, graph.layout()).unwrap();
        assert!(training.plan().parts() > 1, "several threads work");
        for step in 0..3 {
            let update = Update::new(&adam, &mut state, 1e-3);
            let random = RandomState { seed: 1, step };
            let count = allocations(|| {
                training.step(&mut params, &batch, &criterion, update, random);
            });
            assert_eq!(count, 0, "allocations in step {step} on {threads} threads");
            let random = RandomState { seed: 1, step };
            let count = allocations(|| {
                for first in [true, false] {
                    let share = Share { first, samples: 2 * COUNT };
                    halves.accumulate(&mut params, &batch, &criterion, share, random);
                }
                let update = Update::new(&adam, &mut state, 1e-3);
                halves.apply(&mut params, update, Some(0.1));
                halves.average(&mut average, &params, 0.1);
            });
            assert_eq!(count, 0, "allocations in the halves of step {step} on {threads} threads");
            let count = allocations(|| {
                evaluation.evaluate(&params, &batch, &criterion);
                evaluation.forward(&params, &inputs, COUNT);
                single.forward(&params, &[&images[..3 * 12 * 12]], 1);
            });
            assert_eq!(count, 0, "allocations in evaluation {step} on {threads} threads");
        }
    }
}
