//! The same bits whatever the number of threads and wherever buffers lie, for a network with every kind of step: batch
//! statistics, dropout, parameter gradients by parts of the batch and by output units, short and tiny batches.

use std::sync::Arc;

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu, Tanh};
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions,
    RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::random::Key;
use ocelli_kernels::{Element, Isa, Precision, Team};

const BATCH: usize = 48;

/// Full batches, short ones that leave parts without samples, and a single sample.
const COUNTS: [usize; 4] = [BATCH, 20, 1, BATCH];

fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", [3, 8, 8]).unwrap();
    let a = g.add("conv1", Conv2d::new(16, 3).padding(1), [x]).unwrap();
    let a = g.add("bn1", BatchNorm::default(), [a]).unwrap();
    let a = g.add("relu1", Relu {}, [a]).unwrap();
    let b = g.add("conv2", Conv2d::new(16, 3).padding(1), [a]).unwrap();
    let b = g.add("bn2", BatchNorm::default(), [b]).unwrap();
    let a = g.add("sum", Add {}, [a, b]).unwrap();
    let a = g.add("relu2", Relu {}, [a]).unwrap();
    let a = g.add("pool", MaxPool2d::new(2), [a]).unwrap();
    let a = g.add("dropout", Dropout { rate: 0.3 }, [a]).unwrap();
    let a = g.add("flat", Flatten {}, [a]).unwrap();
    let a = g.add("hidden", Linear::new(80), [a]).unwrap();
    let a = g.add("tanh", Tanh {}, [a]).unwrap();
    g.add("out", Linear::new(5), [a]).unwrap();
    Arc::new(g)
}

/// Trains a few steps and evaluates; returns the bits of all costs, parameters and outputs.
fn bits(
    graph: &Arc<Graph>,
    threads: usize,
    reuse: bool,
    fuse: bool,
    isa: Isa,
    precision: Precision,
) -> Vec<u64> {
    let team = Arc::new(Team::new(threads).unwrap());
    let executor = |options: PlanOptions| {
        let plan = Arc::new(Plan::new(graph, PlanOptions { reuse, fuse, precision, ..options }).unwrap());
        Executor::<f32>::new(plan, Arc::clone(&team), isa).unwrap()
    };
    let mut training = executor(PlanOptions::train(BATCH));
    assert_eq!(training.plan().parts(), 8, "the test is of batches in many parts");
    let mut evaluation = executor(PlanOptions::evaluate(BATCH));
    let mut params = Params::initialised(graph.layout(), 3).unwrap();
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-3 };
    let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
    let criterion =
        Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.1 }, reduction: Reduction::Mean };
    let mut bits = Vec::new();
    for (step, count) in COUNTS.into_iter().enumerate() {
        let mut stream = Key::new(5, &[step as u64]).stream();
        let images: Vec<f32> = (0..count * 3 * 8 * 8).map(|_| stream.normal() as f32).collect();
        let labels: Vec<u32> = (0..count).map(|_| stream.below(5) as u32).collect();
        let batch = Batch { inputs: &[&images], targets: Some(Targets::Classes(&labels)), count };
        let update = Update::new(&sgd, &mut state, 0.1);
        let random = RandomState { seed: 9, step: step as u64 };
        bits.push(training.step(&mut params, &batch, &criterion, update, random).to_bits());
        bits.push(evaluation.evaluate(&params, &batch, &criterion).to_bits());
        bits.extend(evaluation.output().iter().map(|x| u64::from(x.to_bits())));
    }
    bits.extend(params.data().iter().map(|x| u64::from(x.to_bits())));
    assert!(params.data().iter().all(|x| x.is_finite()));
    bits
}

#[test]
fn threads_fusion_and_reuse_of_memory_do_not_change_a_bit() {
    let graph = network();
    let kinds =
        [(Isa::Portable, Precision::F32), (Isa::detect(), Precision::F32), (Isa::detect(), Precision::Bf16)];
    let mut seen = Vec::new();
    for (isa, precision) in kinds {
        let one = bits(&graph, 1, true, true, isa, precision);
        let others = [
            (2, true, true),
            (3, true, true),
            (8, true, true),
            (1, false, true),
            (8, false, true),
            (8, true, false),
        ];
        for (threads, reuse, fuse) in others {
            let same = bits(&graph, threads, reuse, fuse, isa, precision) == one;
            let kind = format!("{isa:?} and {precision:?}");
            assert!(same, "{threads} threads, reuse {reuse}, fuse {fuse} on {kind} give other bits");
        }
        seen.push(one);
    }
    let rounds = f32::kernels_of(Isa::detect(), Precision::Bf16).precision == Precision::Bf16;
    assert_eq!(seen[1] != seen[2], rounds, "the precision of the plan is that of its kernels");
}

#[test]
fn dropout_changes_with_the_step_and_the_seed_and_with_nothing_else() {
    let mut graph = Graph::new();
    let x = graph.input("x", [100]).unwrap();
    graph.add("dropout", Dropout { rate: 0.5 }, [x]).unwrap();
    let graph = Arc::new(graph);
    let options = PlanOptions { input_gradients: true, ..PlanOptions::train(2) };
    let plan = Arc::new(Plan::new(&graph, options).unwrap());
    let mut executor = Executor::new(plan, Arc::new(Team::new(1).unwrap()), Isa::Portable).unwrap();
    let params = Params::<f32>::zeroed(graph.layout()).unwrap();
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Sum };
    let mut output = |seed, step, count: usize| {
        let (ones, zeros) = (vec![1.0; count * 100], vec![0.0; count * 100]);
        let batch = Batch { inputs: &[&ones], targets: Some(Targets::Values(&zeros)), count };
        executor.differentiate(&params, &batch, &criterion, RandomState { seed, step });
        executor.output().to_vec()
    };
    let first = output(1, 1, 2);
    assert_ne!(first[..100], first[100..], "samples have masks of their own");
    assert_eq!(first, output(1, 1, 2));
    assert_eq!(first[..100], output(1, 1, 1));
    assert_ne!(first, output(1, 2, 2));
    assert_ne!(first, output(2, 1, 2));
}
