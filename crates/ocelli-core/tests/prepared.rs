//! What evaluation packs of the parameters is packed once, and again when they have changed, whoever changed them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, Linear, Relu};
use ocelli_core::plan::Work;
use ocelli_core::{
    Batch, Clock, Criterion, Executor, Graph, Init, Loss, Optimizer, OptimizerState, Params, Plan,
    PlanOptions, RandomState, Reduction, Targets, Update,
};
use ocelli_kernels::{Isa, Team};

const BATCH: usize = 4;
const LEN: usize = 3 * 8 * 8;

fn network() -> Arc<Graph> {
    let mut g = Graph::new();
    let x = g.input("image", [3, 8, 8]).unwrap();
    let x = g.add("conv1", Conv2d::new(32, 3).padding(1), [x]).unwrap();
    let x = g.add("norm1", BatchNorm::default(), [x]).unwrap();
    let x = g.add("relu1", Relu {}, [x]).unwrap();
    let x = g.add("conv2", Conv2d::new(64, 3).padding(1), [x]).unwrap();
    let x = g.add("norm2", BatchNorm::default(), [x]).unwrap();
    let x = g.add("flat", Flatten {}, [x]).unwrap();
    g.add("out", Linear::new(5), [x]).unwrap();
    Arc::new(g)
}

fn executor(graph: &Arc<Graph>, options: PlanOptions) -> Executor<f32> {
    let plan = Arc::new(Plan::new(graph, options).unwrap());
    Executor::new(plan, Arc::new(Team::new(2).unwrap()), Isa::detect()).unwrap()
}

fn images(count: usize) -> Vec<f32> {
    (0..count * LEN).map(|i| (i as f32).sin()).collect()
}

/// What an executor that has seen no other parameters computes.
fn fresh(graph: &Arc<Graph>, batch: usize, params: &Params<f32>, count: usize) -> Vec<f32> {
    executor(graph, PlanOptions::evaluate(batch)).forward(params, &[&images(count)], count).to_vec()
}

#[test]
fn changed_parameters_are_noticed_however_they_change() {
    let graph = network();
    for batch in [1, BATCH] {
        let mut evaluation = executor(&graph, PlanOptions::evaluate(batch));
        let mut params = Params::initialised(graph.layout(), 1).unwrap();
        let mut outputs = Vec::new();
        let mut check = |params: &Params<f32>| {
            for count in [batch, 1, batch] {
                let output = evaluation.forward(params, &[&images(count)], count).to_vec();
                assert_eq!(output, fresh(&graph, batch, params, count), "{count} of {batch}");
                outputs.push(output);
            }
        };
        check(&params);
        params.data_mut()[0] += 1.0;
        check(&params);
        let norm = graph.layout().find("norm2.running_var").unwrap();
        params.set(norm, &[0.25; 64]);
        check(&params);
        let mut training = executor(&graph, PlanOptions::train(BATCH));
        let sgd = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let mut state = OptimizerState::new(&sgd, graph.layout()).unwrap();
        let criterion =
            Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.0 }, reduction: Reduction::Mean };
        let (images, labels) = (images(BATCH), [1; BATCH]);
        let inputs: [&[f32]; 1] = [&images];
        let samples = Batch { inputs: &inputs, targets: Some(Targets::Classes(&labels)), count: BATCH };
        let update = Update::new(&sgd, &mut state, 0.1);
        training.step(&mut params, &samples, &criterion, update, RandomState::default());
        check(&params);
        let firsts: Vec<_> = outputs.iter().step_by(3).collect();
        assert!(firsts.windows(2).all(|pair| pair[0] != pair[1]), "every change shows");
    }
}

/// By the definition, in f64.
fn products(params: &Params<f32>, inputs: usize, x: &[f32]) -> Vec<f64> {
    let get = |name: &str| params.get(params.layout().find(name).unwrap()).data().to_vec();
    let (weights, bias) = (get("out.weight"), get("out.bias"));
    let rows = || weights.chunks_exact(inputs).zip(&bias);
    let dot =
        |row: &[f32], x: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
    x.chunks_exact(inputs).flat_map(|x| rows().map(move |(row, b)| dot(row, x) + f64::from(*b))).collect()
}

#[test]
fn packed_linear_layers_are_right_in_every_size_and_the_same_bits_in_every_batch() {
    // A row of samples is 128 of them, fewer of many inputs, and of the most inputs 8.
    let sizes = [(1, 8), (7, 9), (33, 17), (129, 40), (784, 130), (4096, 16), (16384, 8), (16385, 8)];
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        for (inputs, features) in sizes {
            let mut g = Graph::new();
            let x = g.input("x", [inputs]).unwrap();
            let init = Init::Normal { std: 0.5 };
            g.add("out", Linear::new(features).bias_init(init), [x]).unwrap();
            let graph = Arc::new(g);
            let params = Params::initialised(graph.layout(), 3).unwrap();
            for batch in [8, 13, 300] {
                let run = |threads: usize, count: usize| {
                    let plan = Arc::new(Plan::new(&graph, PlanOptions::evaluate(batch)).unwrap());
                    let packs = plan.steps().any(|step| matches!(step.work, Work::Prepare(..)));
                    assert_eq!(packs, inputs <= 16384, "{inputs} inputs");
                    let team = Arc::new(Team::new(threads).unwrap());
                    let mut executor = Executor::<f32>::new(plan, team, isa).unwrap();
                    let x: Vec<f32> = (0..count * inputs).map(|i| (i as f32 * 0.7).sin()).collect();
                    (executor.forward(&params, &[&x], count).to_vec(), x)
                };
                let (whole, x) = run(1, batch);
                let want = products(&params, inputs, &x);
                for (got, want) in whole.iter().zip(&want) {
                    let off = (f64::from(*got) - want).abs();
                    assert!(
                        off < 1e-5 * (1.0 + want.abs()),
                        "{} {inputs}×{features}: {got}, not {want}",
                        isa.name()
                    );
                }
                for (threads, count) in [(2, batch), (3, batch - 1), (1, 1), (2, 5)] {
                    let (part, _) = run(threads, count);
                    assert!(part == whole[..count * features], "{} of {batch}, {threads} threads", count);
                }
            }
        }
    }
}

#[test]
fn two_sets_of_parameters_may_take_turns() {
    let graph = network();
    let mut evaluation = executor(&graph, PlanOptions::evaluate(BATCH));
    let a = Params::initialised(graph.layout(), 1).unwrap();
    let b = Params::initialised(graph.layout(), 2).unwrap();
    let copy = a.try_clone().unwrap();
    let expected = [&a, &b].map(|params| fresh(&graph, BATCH, params, BATCH));
    assert_ne!(expected[0], expected[1]);
    for (params, which) in [(&a, 0), (&b, 1), (&b, 1), (&a, 0), (&copy, 0), (&b, 1), (&copy, 0)] {
        assert_eq!(evaluation.forward(params, &[&images(BATCH)], BATCH), expected[which]);
    }
}

#[test]
fn passes_with_the_same_parameters_pack_nothing() {
    let graph = network();
    let mut evaluation = executor(&graph, PlanOptions::evaluate(1));
    let mut params = Params::initialised(graph.layout(), 1).unwrap();
    let mut packing = |params: &Params<f32>| {
        let ticks = AtomicU64::new(0);
        let clock: Clock = Arc::new(move || ticks.fetch_add(1, Ordering::Relaxed));
        evaluation.start_profile(clock);
        evaluation.forward(params, &[&images(1)], 1);
        let profile = evaluation.end_profile().expect("a profile was begun");
        let steps = evaluation.plan().steps().enumerate();
        let packs: Vec<usize> =
            steps.filter(|(_, step)| matches!(step.work, Work::Prepare(..))).map(|(at, _)| at).collect();
        assert_eq!(packs.len(), 4, "two convolutions and what two normalisations multiply by");
        packs.iter().filter(|&&at| profile.workers.iter().any(|worker| worker[at].work > 0)).count()
    };
    assert_eq!(packing(&params), 4);
    assert_eq!(packing(&params), 0);
    params.data_mut();
    assert_eq!([packing(&params), packing(&params)], [4, 0]);
}
