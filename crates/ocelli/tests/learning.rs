//! Networks learn what they are said to learn.
#![allow(clippy::print_stderr)] // a skipped test says so

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ocelli::train::{Control, NetSpec, Outcome, RunConfig, RunFolder, Trainer};
use ocelli::{Engine, Recipe};
use ocelli_data::OpenOptions;
use ocelli_kernels::{Isa, Precision};

/// Trains `net` on `data` by its recipe, changed by `change`, and finishes the run.
fn train(data: &str, net: &str, seed: u64, change: impl FnOnce(&mut Recipe)) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let splits = ocelli_data::open(data, &OpenOptions { seed, val: None, ..OpenOptions::default() }).unwrap();
    let net = NetSpec::new(net, Vec::new());
    let mut recipe = net.recipe().unwrap();
    change(&mut recipe);
    let engine = Engine::new(2, Isa::detect()).unwrap();
    let config = RunConfig::resolve(data, None, &net, recipe, seed, &splits).unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    let mut trainer = Trainer::begin(config, splits, &engine, run, "a test").unwrap();
    let stop = AtomicBool::new(false);
    let every = Duration::from_secs(3600);
    trainer.run(&mut Control { observer: &mut |_| {}, stop: &stop, checkpoint_every: every }).unwrap();
    trainer.finish().unwrap()
}

#[test]
fn the_main_job_classifies_985_of_1000_held_out_digits() {
    let top1: Vec<f64> = (0..3).map(|seed| train("digits", "digits", seed, |_| {}).val.top1).collect();
    let mean = top1.iter().sum::<f64>() / 3.0;
    assert!(mean >= 0.985, "seeds 0, 1 and 2 reach {top1:?}");
}

#[test]
fn products_of_bf16_learn_as_well() {
    let top1 = train("digits", "digits", 0, |recipe| recipe.precision = Precision::Bf16).val.top1;
    assert!(top1 >= 0.98, "it reaches {top1}");
}

#[test]
fn lenet5_learns_digits_by_second_derivatives() {
    let outcome = train("digits", "lenet5", 1, |recipe| recipe.epochs = 5);
    assert!(outcome.val.top1 >= 0.93, "it reaches {}", outcome.val.top1);
}

#[test]
fn lenet_reads_975_of_1000_mnist_digits_after_one_epoch() {
    let mnist = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/mnist"));
    if !mnist.is_dir() {
        eprintln!("skipped: there is no MNIST in {}", mnist.display());
        return;
    }
    let outcome = train(mnist.to_str().unwrap(), "lenet", 1, |recipe| recipe.epochs = 1);
    assert!(outcome.val.top1 >= 0.975, "it reaches {}", outcome.val.top1);
    assert!((outcome.train.top1, outcome.train.loss) > (0.8, 0.0), "{:?}", outcome.train);
}
