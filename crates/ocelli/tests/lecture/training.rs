//! Training: items 53 and 68 to 70 of the lecture's list.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ocelli::train::{Control, NetSpec, Outcome, RunConfig, RunFolder, Trainer};
use ocelli::{Engine, Recipe};
use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::schedule::{Curve, Piece};
use ocelli_core::{
    Batch, Criterion, Graph, Loss, Optimizer, OptimizerState, Params, PlanOptions, RandomState, Reduction,
    Targets, Update,
};
use ocelli_data::{OpenOptions, Sampler};
use ocelli_kernels::Isa;
use ocelli_kernels::random::Key;

use crate::support::{close, normal};

/// Trains a perceptron on the embedded digits, and what `metrics.jsonl` then says, line by line.
fn train(threads: usize, seed: u64, change: impl FnOnce(&mut Recipe)) -> (Outcome, Vec<serde_json::Value>) {
    let folder = tempfile::tempdir().unwrap();
    let splits = ocelli_data::open("digits", &OpenOptions { seed, ..OpenOptions::default() }).unwrap();
    let net = NetSpec::new("mlp", vec![16]);
    let mut recipe = net.recipe().unwrap();
    change(&mut recipe);
    let engine = Engine::new(threads, Isa::detect()).unwrap();
    let config = RunConfig::resolve("digits", None, &net, recipe, seed, &splits).unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    let metrics = run.path().join("metrics.jsonl");
    let mut trainer = Trainer::begin(config, splits, &engine, run, "a test").unwrap();
    let (stop, every) = (AtomicBool::new(false), Duration::from_secs(3600));
    trainer.run(&mut Control { observer: &mut |_| {}, stop: &stop, checkpoint_every: every }).unwrap();
    let outcome = trainer.finish().unwrap();
    let lines = std::fs::read_to_string(metrics).unwrap();
    (outcome, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn item_53_the_same_seed_gives_the_same_bits_and_another_one_others() {
    let weights = |threads, seed| train(threads, seed, |recipe| recipe.epochs = 2).0.weights_sha256;
    let first = weights(1, 5);
    assert_eq!((weights(1, 5), weights(2, 5)), (first.clone(), first.clone()));
    assert_ne!(weights(1, 6), first);
}

/// A network of 3 inputs, 4 hidden units and 2 outputs, with samples and targets.
struct Setting {
    graph: Arc<Graph>,
    params: Params<f64>,
    inputs: Vec<f64>,
    targets: Vec<f64>,
}

const SAMPLES: usize = 64;

impl Setting {
    fn new() -> Setting {
        let mut graph = Graph::new();
        let x = graph.input("x", [3]).unwrap();
        let x = graph.add("W1", Linear::new(4), [x]).unwrap();
        let x = graph.add("tanh", Tanh {}, [x]).unwrap();
        graph.add("W2", Linear::new(2), [x]).unwrap();
        let params = Params::initialised(graph.layout(), 1).unwrap();
        Setting {
            graph: Arc::new(graph),
            params,
            inputs: normal(2, SAMPLES * 3),
            targets: normal(3, SAMPLES * 2),
        }
    }

    /// The gradient of the mean cost over these samples.
    fn gradient(&self, params: &Params<f64>, samples: &[u32]) -> Vec<f64> {
        let pick = |from: &[f64], width: usize| -> Vec<f64> {
            samples.iter().flat_map(|&i| from[i as usize * width..][..width].to_vec()).collect()
        };
        let (inputs, targets) = (pick(&self.inputs, 3), pick(&self.targets, 2));
        let engine = Engine::new(1, Isa::Portable).unwrap();
        let mut executor = engine.executor::<f64>(&self.graph, PlanOptions::train(samples.len())).unwrap();
        let batch =
            Batch { inputs: &[&inputs], targets: Some(Targets::Values(&targets)), count: samples.len() };
        let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
        executor.differentiate(params, &batch, &criterion, RandomState::default());
        executor.gradients().data().to_vec()
    }
}

#[test]
fn item_68_batches_of_one_make_as_many_updates_as_there_are_samples_and_one_batch_of_all_makes_one() {
    let setting = Setting::new();
    let sgd = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let engine = Engine::new(1, Isa::Portable).unwrap();
    for (size, updates) in [(1, SAMPLES as u64), (10, 7), (SAMPLES, 1)] {
        let mut params = setting.params.try_clone().unwrap();
        let mut executor = engine.executor::<f64>(&setting.graph, PlanOptions::train(size)).unwrap();
        let mut state = OptimizerState::new(&sgd, setting.graph.layout()).unwrap();
        let sampler = Sampler::new(SAMPLES, size).unwrap();
        let epoch = sampler.epoch(0);
        for number in 0..sampler.batches() {
            let samples = epoch.batch(number);
            let first = samples[0] as usize;
            let inputs = &setting.inputs[first * 3..][..samples.len() * 3];
            let targets = &setting.targets[first * 2..][..samples.len() * 2];
            let batch =
                Batch { inputs: &[inputs], targets: Some(Targets::Values(targets)), count: samples.len() };
            let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
            let update = Update::new(&sgd, &mut state, 0.1);
            executor.step(&mut params, &batch, &criterion, update, RandomState::default());
        }
        assert_eq!(state.steps, updates);
        if size == SAMPLES {
            let full = setting.gradient(&setting.params, &(0..SAMPLES as u32).collect::<Vec<_>>());
            let moved = setting.params.data().iter().zip(&full).map(|(w, g)| w - 0.1 * g);
            close(params.data(), &moved.collect::<Vec<_>>(), 1e-15);
        }
    }
}

#[test]
fn item_69_the_noise_of_the_gradient_is_inversely_proportional_to_the_size_of_the_batch() {
    let setting = Setting::new();
    let all: Vec<u32> = (0..SAMPLES as u32).collect();
    let full = setting.gradient(&setting.params, &all);
    let distance = |g: &[f64]| -> f64 { g.iter().zip(&full).map(|(a, b)| (a - b).powi(2)).sum() };
    // The variance of one sample's gradient, exactly; that of a batch of B drawn with replacement is 1/B of it.
    let one =
        all.iter().map(|&i| distance(&setting.gradient(&setting.params, &[i]))).sum::<f64>() / SAMPLES as f64;
    let seed = 4;
    for (size, draws) in [(1, 4000), (4, 2000), (16, 1000), (64, 500)] {
        let mut stream = Key::new(seed, &[size]).stream();
        let mut draw = || -> Vec<u32> { (0..size).map(|_| stream.below(SAMPLES as u64) as u32).collect() };
        let noise = (0..draws).map(|_| distance(&setting.gradient(&setting.params, &draw()))).sum::<f64>();
        let ratio = noise / f64::from(draws) / (one / size as f64);
        assert!((0.85..1.15).contains(&ratio), "seed {seed}, batches of {size}: {ratio} of 1/B");
    }
}

#[test]
fn item_70_each_epoch_notes_the_rate_of_its_schedule_and_of_changes_by_hand() {
    let rates = |curve: Curve| -> Vec<f64> {
        let (_, lines) = train(1, 0, |recipe| {
            (recipe.epochs, recipe.rate) = (4, 0.04);
            recipe.schedule = curve.into();
        });
        lines.iter().map(|line| line["learning_rate"].as_f64().unwrap()).collect()
    };
    close(
        &rates(Curve::Milestones { at: vec![1.0, 3.0], factor: 0.1 }),
        &[0.04, 0.004, 0.004, 0.0004],
        1e-15,
    );
    // What one would do by hand, watching: other rates for some epochs each.
    let pieces = [(1.0, 0.05), (2.0, 0.01), (1.0, 0.002)].map(|(epochs, rate)| Piece { epochs, rate });
    close(&rates(Curve::List { pieces: pieces.to_vec() }), &[0.05, 0.01, 0.01, 0.002], 1e-15);
}
