//! Runs that stop, break or are tampered with: what is kept, and what is refused.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ocelli::io::Checkpoint;
use ocelli::train::{Control, Event, NetSpec, RunConfig, RunFolder, Trainer};
use ocelli::{Engine, Error, Recipe};
use ocelli_data::{OpenOptions, Splits};
use ocelli_kernels::{Isa, Precision};

fn digits(seed: u64) -> Splits {
    ocelli_data::open("digits", &OpenOptions { seed, val: None, ..OpenOptions::default() }).unwrap()
}

fn engine() -> Engine {
    Engine::new(1, Isa::detect()).unwrap()
}

/// A run of a linear classifier or an MLP in `folder`.
fn begin(folder: &Path, net: &str, change: impl FnOnce(&mut Recipe)) -> Result<Trainer, Error> {
    let net = NetSpec::new(net, Vec::new());
    let mut recipe = net.recipe().unwrap();
    change(&mut recipe);
    let config = RunConfig::resolve("digits", None, &net, recipe, 1, &digits(1)).unwrap();
    Trainer::begin(config, digits(1), &engine(), RunFolder::create(folder)?, "a test")
}

fn resume(folder: &Path, change: impl FnOnce(&mut RunConfig)) -> Result<(Trainer, Vec<String>), Error> {
    let folder = RunFolder::open(folder)?;
    let mut config = folder.load_config()?;
    change(&mut config);
    Trainer::resume(config.clone(), digits(config.seed), &engine(), folder)
}

/// Trains, with a checkpoint after every step, until `steps` checkpoints were written.
fn run(trainer: &mut Trainer, checkpoints: usize) -> Result<(), Error> {
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut observer = |event: &Event| {
        if matches!(event, Event::Checkpoint { .. })
            && written.fetch_add(1, Ordering::Relaxed) + 1 == checkpoints
        {
            stop.store(true, Ordering::Relaxed);
        }
    };
    trainer.run(&mut Control { observer: &mut observer, stop: &stop, checkpoint_every: Duration::ZERO })
}

#[test]
fn a_run_that_diverges_in_its_last_step_has_diverged() {
    let folder = tempfile::tempdir().unwrap();
    for (net, rate) in [("perceptron", 1e38), ("perceptron", 3e39), ("mlp", 1e38)] {
        let run_folder = folder.path().join(format!("{net}{rate}"));
        let mut trainer = begin(&run_folder, net, |r| (r.epochs, r.batch, r.rate) = (1, 2000, rate)).unwrap();
        let error = run(&mut trainer, usize::MAX).unwrap_err();
        assert!(matches!(error, Error::Diverged(_)), "{error}");
        assert!(error.to_string().contains("first not finite"), "{error}");
        assert!(!run_folder.join("best.safetensors").exists() && !run_folder.join("metrics.jsonl").exists());
    }
}

#[test]
fn broken_weights_never_take_the_place_of_a_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    // The rate jumps in the second epoch: its first step breaks the weights, the one after would notice.
    let mut trainer = begin(&path, "mlp", |recipe| {
        (recipe.epochs, recipe.batch, recipe.rate) = (3, 720, 0.01);
        recipe.schedule.curve = ocelli_core::schedule::Curve::Step { every: 1.0, factor: 1e37 };
    })
    .unwrap();
    assert!(matches!(run(&mut trainer, usize::MAX), Err(Error::Diverged(_))));
    drop(trainer);
    let (mut again, _) = resume(&path, |_| {}).unwrap();
    let mut epochs_done = f64::NAN;
    let stop = AtomicBool::new(true);
    let mut observer = |event: &Event| {
        if let Event::Start { epochs_done: done, .. } = event {
            epochs_done = *done;
        }
    };
    let every = Duration::MAX;
    let stopped = again.run(&mut Control { observer: &mut observer, stop: &stop, checkpoint_every: every });
    assert!(stopped.is_err());
    assert_eq!(epochs_done, 1.0, "the checkpoint after the first epoch is the last good one");
}

#[test]
fn a_changed_configuration_is_refused_and_more_epochs_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| (r.epochs, r.batch) = (2, 500)).unwrap();
    assert!(matches!(run(&mut trainer, 2), Err(Error::Interrupted(_))));
    drop(trainer);
    let changes: [fn(&mut RunConfig); 10] = [
        |c| c.seed = 5,
        |c| c.recipe.batch = 10,
        |c| c.recipe.rate = 1.0,
        |c| c.recipe.precision = Precision::Bf16,
        |c| c.preprocess.background = 9,
        |c| c.recipe.ema = Some(0.9),
        |c| c.recipe.accumulate = 2,
        |c| c.recipe.clip_norm = Some(1.0),
        |c| c.recipe.steps = Some(9),
        |c| c.recipe.class_weights = ocelli::ClassWeights::Balanced,
    ];
    for change in changes {
        let error = resume(&path, change).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Bad(_)), "{error}");
    }
    let fewer = resume(&path, |c| c.recipe.epochs = 0).map(|_| ()).unwrap_err();
    assert!(matches!(fewer, Error::Usage(_)), "{fewer}");
    let (mut trainer, warnings) = resume(&path, |c| c.recipe.epochs = 3).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    run(&mut trainer, usize::MAX).unwrap();
    assert_eq!(RunFolder::open(&path).unwrap().load_config().unwrap().recipe.epochs, 3);
}

#[test]
fn images_may_lie_elsewhere_by_now_and_a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| (r.epochs, r.batch) = (2, 500)).unwrap();
    assert!(matches!(run(&mut trainer, 2), Err(Error::Interrupted(_))));
    drop(trainer);
    resume(&path, |config| config.data_path = Some("moved/digits".into())).unwrap();
    let changes: [fn(&mut Checkpoint); 4] = [
        |c| c.state.steps = u64::MAX,
        |c| c.progress["epoch"] = u64::MAX.into(),
        |c| c.progress["batch"] = 1000.into(),
        |c| c.optimizer = ocelli_core::Optimizer::Sgd { momentum: 0.5, nesterov: true, weight_decay: 0.0 },
    ];
    let (last, kept) = (path.join("last.ckpt"), folder.path().join("kept.ckpt"));
    std::fs::copy(&last, &kept).unwrap();
    for change in changes {
        std::fs::copy(&kept, &last).unwrap();
        let (mut forged, _) = Checkpoint::load(&path).unwrap();
        change(&mut forged);
        forged.save(&path).unwrap();
        std::fs::remove_file(path.join("previous.ckpt")).unwrap();
        let error = resume(&path, |_| {}).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Bad(_)) && error.to_string().contains("not of this run"), "{error}");
    }
}

#[test]
fn a_run_whose_first_checkpoint_failed_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| r.epochs = 2).unwrap();
    // Stopped in the second epoch: as if the files of the end of the first had come as far as the best model.
    let batches = trainer.run(&mut Control {
        observer: &mut |_| (),
        stop: &AtomicBool::new(false),
        checkpoint_every: Duration::MAX,
    });
    batches.unwrap();
    drop(trainer);
    for file in ["last.ckpt", "previous.ckpt", "model.safetensors"] {
        let _ = std::fs::remove_file(path.join(file));
    }
    let first = std::fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    std::fs::write(path.join("metrics.jsonl"), first.lines().next().unwrap()).unwrap();
    let (_, warnings) = resume(&path, |_| {}).unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("training starts anew")), "{warnings:?}");
}

#[test]
fn other_data_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| (r.epochs, r.batch) = (2, 500)).unwrap();
    assert!(run(&mut trainer, 1).is_err());
    drop(trainer);
    let folder = RunFolder::open(&path).unwrap();
    let config = folder.load_config().unwrap();
    let error = Trainer::resume(config, digits(2), &engine(), folder).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Bad(_)) && error.to_string().contains("images"), "{error}");
}

#[test]
fn metrics_that_were_lost_come_back_with_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| (r.epochs, r.batch) = (3, 500)).unwrap();
    assert!(run(&mut trainer, 7).is_err());
    drop(trainer);
    let metrics = path.join("metrics.jsonl");
    let before = std::fs::read_to_string(&metrics).unwrap();
    assert_eq!(before.lines().count(), 2);
    for damage in [None, Some(b"\0\0garbage".as_slice()), Some(before.repeat(3).as_bytes())] {
        match damage {
            None => std::fs::remove_file(&metrics).unwrap(),
            Some(bytes) => std::fs::write(&metrics, bytes).unwrap(),
        }
        drop(resume(&path, |_| {}).unwrap());
        assert_eq!(std::fs::read_to_string(&metrics).unwrap(), before);
    }
}

#[test]
fn one_folder_is_trained_in_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let trainer = begin(&path, "perceptron", |_| {}).unwrap();
    let error = resume(&path, |_| {}).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("another process"), "{error}");
    drop(trainer);
    resume(&path, |_| {}).unwrap();
}

#[test]
fn a_finished_run_without_its_checkpoints_is_not_trained_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| (r.epochs, r.batch) = (1, 500)).unwrap();
    run(&mut trainer, usize::MAX).unwrap();
    trainer.finish().unwrap();
    drop(trainer);
    for name in ["last.ckpt", "previous.ckpt"] {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    let error = resume(&path, |c| c.recipe.epochs = 2).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Bad(_)), "{error}");
}

#[test]
fn what_a_run_that_never_began_leaves_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("lock"), "").unwrap();
    drop(begin(&path, "perceptron", |_| {}).unwrap());
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("lock"), "").unwrap();
    RunFolder::create(&other).unwrap().remove_unused();
    assert!(!other.exists());
    RunFolder::open(&path).unwrap().remove_unused();
    assert!(path.join("config.toml").exists(), "a run that began stays");
}

#[test]
fn a_batch_larger_than_the_data_is_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut trainer = begin(&path, "perceptron", |r| (r.epochs, r.batch) = (1, usize::MAX / 8)).unwrap();
    run(&mut trainer, usize::MAX).unwrap();
    assert_eq!(trainer.finish().unwrap().epochs, 1.0);
}
