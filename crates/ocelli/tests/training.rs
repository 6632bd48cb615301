//! What a recipe can ask for beside a number of epochs: averages, accumulated and clipped gradients, pictures that grow, classes
//! that count the same, time, patience, and another model to begin with. All of it survives stops, threads and repetition.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ocelli::io::ModelFile;
use ocelli::train::{
    Control, EpochRecord, Event, NetSpec, Outcome, Pretrained, RunConfig, RunFolder, Trainer, find_rate,
};
use ocelli::{Augmentation, ClassWeights, Engine, Error, Recipe};
use ocelli_core::Optimizer;
use ocelli_core::schedule::Curve;
use ocelli_data::{Dataset, MemoryDataset, OpenOptions, Splits, Subset};
use ocelli_kernels::Isa;
use ocelli_kernels::random::Key;

/// A network that takes images of any size, with batch normalisation and dropout.
const NETWORK: &str = r#"
ocelli-network = 1
name = "small"
input = [1, 8, 8]
layers = [
  { name = "conv1", op = "conv2d", channels = 8, kernel = 3, padding = 1 },
  { name = "norm1", op = "batch_norm" },
  { name = "relu1", op = "relu" },
  { name = "conv2", op = "conv2d", channels = 16, kernel = 3, padding = 1 },
  { name = "norm2", op = "batch_norm" },
  { name = "relu2", op = "relu" },
  { name = "pool", op = "global_avg_pool" },
  { name = "flat", op = "flatten" },
  { name = "drop", op = "dropout", rate = 0.2 },
  { name = "out", op = "linear", features = "classes" },
]
"#;

/// A folder with the network in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("small.toml"), NETWORK).unwrap();
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, net: &str, splits: &Splits, change: impl FnOnce(&mut Recipe)) -> RunConfig {
        let net = match net {
            "small" => NetSpec::File(self.path("small.toml")),
            name => NetSpec::new(name, Vec::new()),
        };
        let mut recipe = net.recipe().unwrap();
        change(&mut recipe);
        RunConfig::resolve("digits", None, &net, recipe, 1, splits).unwrap()
    }

    fn begin(&self, name: &str, config: RunConfig, threads: usize) -> Result<Trainer, Error> {
        let folder = RunFolder::create(&self.path(name))?;
        Trainer::begin(config, digits(), &engine(threads), folder, "a test")
    }

    /// Trains to the end.
    fn train(&self, name: &str, config: RunConfig, threads: usize) -> Outcome {
        let mut trainer = self.begin(name, config, threads).unwrap();
        run(&mut trainer, usize::MAX).unwrap();
        trainer.finish().unwrap()
    }

    fn resume(&self, name: &str, threads: usize) -> Trainer {
        let folder = RunFolder::open(&self.path(name)).unwrap();
        let config = folder.load_config().unwrap();
        let (trainer, warnings) = Trainer::resume(config, digits(), &engine(threads), folder).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        trainer
    }

    /// The configuration that does again what a run did.
    fn repeated(&self, name: &str) -> RunConfig {
        let folder = RunFolder::open(&self.path(name)).unwrap();
        folder.load_config().unwrap().repeated(&folder.load_metrics().unwrap()).unwrap()
    }

    fn records(&self, name: &str) -> Vec<EpochRecord> {
        RunFolder::open(&self.path(name)).unwrap().load_metrics().unwrap()
    }

    fn model(&self, name: &str) -> ModelFile {
        ModelFile::load(&self.path(name).join("model.safetensors")).unwrap()
    }
}

/// A quarter of the digits: 359 to train on in six batches of 60.
fn digits() -> Splits {
    let all =
        ocelli_data::open("digits", &OpenOptions { seed: 1, val: None, ..OpenOptions::default() }).unwrap();
    let some = |set: &Arc<dyn Dataset>, count: usize| -> Arc<dyn Dataset> {
        Arc::new(Subset::new(Arc::clone(set), (0..count as u32).collect::<Vec<_>>()))
    };
    Splits { train: some(&all.train, 359), val: some(&all.val, 120), ..all }
}

fn engine(threads: usize) -> Engine {
    Engine::new(threads, Isa::detect()).unwrap()
}

/// Trains, with a checkpoint wherever there can be one, until so many were written.
fn run(trainer: &mut Trainer, checkpoints: usize) -> Result<(), Error> {
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut observer = |event: &Event| {
        let saved = matches!(event, Event::Checkpoint { .. });
        if saved && written.fetch_add(1, Ordering::Relaxed) + 1 == checkpoints {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let every = if checkpoints == usize::MAX { Duration::MAX } else { Duration::ZERO };
    trainer.run(&mut Control { observer: &mut observer, stop: &stop, checkpoint_every: every })
}

/// Everything at once: steps of three batches, an average, a bound, sizes, dropout, augmentation and weighted classes.
fn everything(recipe: &mut Recipe) {
    (recipe.epochs, recipe.batch, recipe.accumulate) = (3, 24, 3);
    (recipe.ema, recipe.clip_norm) = (Some(0.9), Some(0.7));
    recipe.sizes = vec![5, 6, 8];
    recipe.class_weights = ClassWeights::Balanced;
    recipe.augmentation = Augmentation::Light;
    recipe.optimizer = Optimizer::AdamW { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.01 };
    (recipe.rate, recipe.schedule.curve) = (3e-3, Curve::Cosine { to: 0.0 });
}

#[test]
fn a_run_with_everything_stops_and_goes_on_wherever_it_likes_with_any_threads() {
    let place = Place::new();
    let config = place.config("small", &digits(), everything);
    let whole = place.train("whole", config.clone(), 1);
    // Fifteen batches make five steps an epoch.
    assert_eq!((whole.epochs, whole.steps), (3.0, 15));
    let sizes: Vec<_> = place.records("whole").iter().map(|record| record.size).collect();
    assert_eq!(sizes, [Some(5), Some(6), Some(8)]);
    const SEED: u64 = 11;
    let mut stream = Key::new(SEED, &[]).stream();
    for number in 0..4 {
        let name = format!("stopped-{number}");
        let mut trainer = place.begin(&name, config.clone(), 1 + number % 3).unwrap();
        let mut stops = 0;
        while run(&mut trainer, 1 + stream.below(6) as usize).is_err() {
            drop(trainer);
            stops += 1;
            trainer = place.resume(&name, 1 + stream.below(3) as usize);
        }
        let outcome = trainer.finish().unwrap();
        assert!(stops > 0, "seed {SEED}, run {number}");
        assert_eq!(outcome.weights_sha256, whole.weights_sha256, "seed {SEED}, run {number}, {stops} stops");
        assert_eq!(outcome.train.loss, whole.train.loss);
    }
}

#[test]
fn an_average_is_what_is_measured_and_saved() {
    let place = Place::new();
    let trained = |name: &str, ema: Option<f64>| {
        let change = |recipe: &mut Recipe| (recipe.epochs, recipe.batch, recipe.ema) = (2, 60, ema);
        place.train(name, place.config("small", &digits(), change), 1)
    };
    let (plain, averaged) = (trained("plain", None), trained("averaged", Some(0.8)));
    assert_eq!(plain.train.loss, averaged.train.loss, "training itself is the same");
    assert_ne!(plain.val.loss, averaged.val.loss);
    let (plain, averaged) = (place.model("plain"), place.model("averaged"));
    for name in ["conv1.weight", "norm1.running_var", "out.bias"] {
        let entry = plain.params.layout().find(name).unwrap();
        assert_ne!(plain.params.get(entry).data(), averaged.params.get(entry).data(), "{name}");
    }
}

#[test]
fn a_bound_that_is_never_reached_changes_no_bit_and_one_that_is_does() {
    let place = Place::new();
    let trained = |name: &str, most: Option<f64>| {
        let change = |recipe: &mut Recipe| (recipe.epochs, recipe.batch, recipe.clip_norm) = (1, 40, most);
        place.train(name, place.config("small", &digits(), change), 2).weights_sha256
    };
    let plain = trained("plain", None);
    assert_eq!(trained("high", Some(1e6)), plain);
    assert_ne!(trained("low", Some(0.01)), plain);
}

#[test]
fn steps_may_end_within_an_epoch_and_the_schedule_ends_with_them() {
    let place = Place::new();
    let change = |recipe: &mut Recipe| {
        (recipe.steps, recipe.batch, recipe.epochs) = (Some(14), 60, 10);
        recipe.schedule.curve = Curve::Cosine { to: 0.001 };
    };
    let outcome = place.train("steps", place.config("small", &digits(), change), 1);
    let records = place.records("steps");
    let epochs: Vec<f64> = records.iter().map(|record| record.row.epoch).collect();
    assert_eq!(epochs, [1.0, 2.0, 2.0 + 2.0 / 6.0]);
    assert_eq!((outcome.steps, outcome.epochs), (14, epochs[2]));
    let last = records[2].row.learning_rate.unwrap();
    assert!((0.001..0.003).contains(&last), "{last}");
}

#[test]
fn a_run_by_the_clock_is_repeated_without_one() {
    let place = Place::new();
    let change = |recipe: &mut Recipe| {
        (recipe.time_budget, recipe.batch, recipe.sizes) = (Some(0.6), 40, vec![6, 8]);
        recipe.schedule.curve = Curve::Cosine { to: 0.0 };
    };
    let timed = place.train("timed", place.config("small", &digits(), change), 2);
    let again = place.repeated("timed");
    assert_eq!((again.recipe.time_budget, again.recipe.steps), (None, Some(timed.steps)));
    assert!(again.pace.len() > 1, "the length was decided more than once: {:?}", again.pace);
    let repeated = place.train("again", again.clone(), 1);
    assert_eq!((repeated.steps, &repeated.weights_sha256), (timed.steps, &timed.weights_sha256));
    // And so is one of these that was stopped.
    let mut stopped = place.begin("stopped", again, 1).unwrap();
    assert!(matches!(run(&mut stopped, 3), Err(Error::Interrupted(_))));
    drop(stopped);
    let mut resumed = place.resume("stopped", 1);
    run(&mut resumed, usize::MAX).unwrap();
    assert_eq!(resumed.finish().unwrap().weights_sha256, timed.weights_sha256);
}

#[test]
fn a_run_that_was_prolonged_is_repeated_too() {
    let place = Place::new();
    let epochs = |epochs: u64| {
        let change = |recipe: &mut Recipe| {
            (recipe.epochs, recipe.batch) = (epochs, 60);
            recipe.schedule.curve = Curve::Cosine { to: 0.0 };
        };
        place.config("small", &digits(), change)
    };
    place.train("run", epochs(1), 1);
    let folder = RunFolder::open(&place.path("run")).unwrap();
    let mut config = folder.load_config().unwrap();
    config.recipe.epochs = 3;
    let (mut trainer, _) = Trainer::resume(config, digits(), &engine(1), folder).unwrap();
    run(&mut trainer, usize::MAX).unwrap();
    let prolonged = trainer.finish().unwrap();
    let again = place.repeated("run");
    assert_eq!(place.train("again", again, 1).weights_sha256, prolonged.weights_sha256);
    let fresh = place.train("fresh", epochs(3), 1);
    assert_ne!(fresh.weights_sha256, prolonged.weights_sha256, "its rate fell to 0 in between");
}

#[test]
fn patience_ends_a_run_that_gets_no_better_with_the_best_model() {
    let place = Place::new();
    let change = |recipe: &mut Recipe| {
        (recipe.epochs, recipe.batch, recipe.rate, recipe.patience) = (30, 60, 0.02, Some(2));
        // From the third epoch on nothing moves any more.
        recipe.schedule.curve = Curve::Milestones { at: vec![2.0], factor: 1e-15 };
        recipe.optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    };
    let outcome = place.train("run", place.config("mlp", &digits(), change), 1);
    let (records, best) = (place.records("run"), outcome.best_epoch.unwrap());
    assert!(outcome.epochs < 30.0 && outcome.epochs - best == 2.0, "{} epochs, best {best}", outcome.epochs);
    assert_eq!(Some(outcome.val.top1), records[best as usize - 1].row.val_top1);
    let file = ModelFile::load(&place.path("run").join("best.safetensors")).unwrap();
    assert!(file.params.data() == place.model("run").params.data());
    let mut again = place.resume("run", 1);
    run(&mut again, usize::MAX).unwrap();
    assert_eq!(
        again.finish().unwrap().weights_sha256,
        outcome.weights_sha256,
        "its patience stays at an end"
    );
}

/// Images of two classes, so many of each.
fn two_classes(counts: [usize; 2]) -> Splits {
    let labels = [vec![0; counts[0]], vec![1; counts[1]]].concat();
    let pixel = |i: usize, label: u32| if label == 0 { i * 31 % 256 } else { i * 77 % 200 };
    let image =
        |(n, &label): (usize, &u32)| (0..64).map(move |i| pixel(i + n, label) as u8).collect::<Vec<_>>();
    let pixels = labels.iter().enumerate().flat_map(image).collect();
    let names = vec!["a".to_string(), "b".to_string()];
    let set: Arc<dyn Dataset> =
        Arc::new(MemoryDataset::new("made", [1, 8, 8], pixels, labels, names).unwrap());
    Splits { train: Arc::clone(&set), val: set, ..digits() }
}

#[test]
fn weighted_classes_change_nothing_where_all_have_as_many_images() {
    let place = Place::new();
    let trained = |name: &str, counts: [usize; 2], class_weights: ClassWeights| {
        let change = |r: &mut Recipe| (r.epochs, r.batch, r.class_weights) = (1, 16, class_weights);
        let config = place.config("small", &two_classes(counts), change);
        let folder = RunFolder::create(&place.path(name)).unwrap();
        let mut trainer = Trainer::begin(config, two_classes(counts), &engine(1), folder, "a test").unwrap();
        run(&mut trainer, usize::MAX).unwrap();
        trainer.finish().unwrap().weights_sha256
    };
    let [equal, balanced] = [ClassWeights::Equal, ClassWeights::Balanced];
    assert_eq!(trained("a", [30, 30], equal), trained("b", [30, 30], balanced));
    assert_ne!(trained("c", [50, 10], equal), trained("d", [50, 10], balanced));
}

/// The digits of some classes alone.
fn some_classes(classes: std::ops::Range<u32>) -> Splits {
    let all = digits();
    let chosen = |set: &Arc<dyn Dataset>| -> Arc<dyn Dataset> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let mut picture = ocelli_data::Picture::default();
        for i in (0..set.len()).filter(|&i| classes.contains(&set.label(i))) {
            set.read(i, &mut picture).unwrap();
            pixels.extend_from_slice(&picture.pixels);
            labels.push(set.label(i) - classes.start);
        }
        let names = classes.clone().map(|k| set.classes()[k as usize].clone()).collect();
        Arc::new(MemoryDataset::new("some", set.image_shape(), pixels, labels, names).unwrap())
    };
    Splits { train: chosen(&all.train), val: chosen(&all.val), ..all }
}

/// A model of all digits.
fn first(place: &Place) -> Outcome {
    let change = |recipe: &mut Recipe| (recipe.epochs, recipe.batch, recipe.rate) = (8, 30, 0.1);
    place.train("first", place.config("small", &digits(), change), 2)
}

/// A run that begins with it.
fn fine_tune(place: &Place, name: &str, splits: Splits, change: impl FnOnce(&mut Recipe)) -> Outcome {
    let model = Pretrained::load(&place.path("first").join("model.safetensors")).unwrap();
    let mut recipe = Recipe { epochs: 1, ..model.recipe().unwrap() };
    change(&mut recipe);
    let config = RunConfig::fine_tune("digits", None, &model, recipe, 5, &splits).unwrap();
    let folder = RunFolder::create(&place.path(name)).unwrap();
    let mut trainer = Trainer::begin(config, splits, &engine(2), folder, "a test").unwrap();
    run(&mut trainer, usize::MAX).unwrap();
    trainer.finish().unwrap()
}

#[test]
fn a_run_begins_where_another_ended_if_the_classes_are_the_same() {
    let place = Place::new();
    first(&place);
    let model = Pretrained::load(&place.path("first").join("model.safetensors")).unwrap();
    let rate = model.recipe().unwrap().rate;
    assert!((rate - 0.01).abs() < 1e-12, "a tenth of its rate: {rate}");
    fine_tune(&place, "after", digits(), |recipe| recipe.rate = 1e-9);
    let (before, after) = (place.model("first"), place.model("after"));
    for name in ["conv1.weight", "norm2.weight", "out.weight", "out.bias"] {
        let get = |model: &ModelFile| model.params.get(model.params.layout().find(name).unwrap());
        let (a, b) = (get(&before), get(&after));
        let off = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{name} moved by {off}");
    }
}

#[test]
fn other_classes_get_a_new_last_layer_and_frozen_layers_stay_as_they_are() {
    let place = Place::new();
    first(&place);
    let change = |recipe: &mut Recipe| {
        (recipe.freeze, recipe.rate, recipe.epochs) = (Some("relu2".to_string()), 0.1, 6);
    };
    let outcome = fine_tune(&place, "tuned", some_classes(3..7), change);
    assert!(
        outcome.val.top1 > 0.6,
        "what was learned of ten digits tells four of them apart: {:?}",
        outcome.val
    );
    let (before, after) = (place.model("first"), place.model("tuned"));
    assert_eq!(after.classes.len(), 4);
    for entry in after.params.layout().entries() {
        let found = before.params.layout().find(&entry.name).unwrap();
        let same = found.spec.shape == entry.spec.shape
            && before.params.get(found).data() == after.params.get(entry).data();
        assert_eq!(same, !entry.name.starts_with("out."), "{}", entry.name);
    }
    let config = RunFolder::open(&place.path("tuned")).unwrap().load_config().unwrap();
    assert_eq!(config.from.unwrap().fresh.as_deref(), Some("out"));
    assert_eq!(config.preprocess, serde_json::from_value(before.preprocess).unwrap());
}

#[test]
fn a_first_layer_is_made_from_the_images_and_stays_so_where_it_is_frozen() {
    let place = Place::new();
    let whitened = |name: &str, freeze: Option<&str>| {
        let change = |recipe: &mut Recipe| {
            (recipe.epochs, recipe.batch, recipe.offset_rate) = (1, 60, 8.0);
            (recipe.whiten, recipe.freeze) = (Some("conv1".to_string()), freeze.map(str::to_string));
        };
        place.train(name, place.config("small", &digits(), change), 2)
    };
    let filters = |name: &str| {
        let model = place.model(name);
        model.params.get(model.params.layout().find("conv1.weight").unwrap()).data().to_vec()
    };
    whitened("free", None);
    let outcome = whitened("frozen", Some("conv1"));
    let frozen = filters("frozen");
    for pair in frozen.chunks(18) {
        assert!(pair[..9].iter().zip(&pair[9..]).all(|(a, b)| *a == -b), "a filter and its negative");
    }
    assert_ne!(filters("free"), frozen);
    let again = place.train("again", place.repeated("frozen"), 1);
    assert_eq!(again.weights_sha256, outcome.weights_sha256);
    // A run that begins with it keeps what it finds.
    let model = Pretrained::load(&place.path("free").join("model.safetensors")).unwrap();
    let recipe = model.recipe().unwrap();
    assert_eq!((recipe.whiten, recipe.freeze, recipe.offset_rate), (None, None, 8.0));
}

#[test]
fn a_model_that_was_changed_meanwhile_is_refused() {
    let place = Place::new();
    first(&place);
    let path = place.path("first").join("model.safetensors");
    let model = Pretrained::load(&path).unwrap();
    let config = RunConfig::fine_tune("digits", None, &model, model.recipe().unwrap(), 5, &digits()).unwrap();
    fine_tune(&place, "other", digits(), |_| {});
    std::fs::copy(place.path("other").join("model.safetensors"), &path).unwrap();
    let refusal = place.begin("run", config, 1).map(|_| ()).unwrap_err();
    assert!(matches!(&refusal, Error::Bad(text) if text.contains("not the model any more")), "{refusal}");
}

#[test]
fn layers_that_cannot_be_frozen_and_sizes_that_do_not_fit_are_refused_with_what_to_do() {
    let place = Place::new();
    let refusal = |net: &str, freeze: Option<&str>, sizes: &[usize]| {
        let change = |r: &mut Recipe| (r.freeze, r.sizes) = (freeze.map(str::to_string), sizes.to_vec());
        let config = place.config(net, &digits(), change);
        place.begin("never", config, 1).map(|_| ()).unwrap_err().to_string()
    };
    for (freeze, part) in
        [("conv9", "did you mean 'conv"), ("image", "no layer"), ("out", "leaves nothing to train")]
    {
        let text = refusal("small", Some(freeze), &[]);
        assert!(text.contains(part), "{text}");
    }
    let change = |recipe: &mut Recipe| recipe.whiten = Some("conv2".to_string());
    let config = place.config("small", &digits(), change);
    let text = place.begin("never", config, 1).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("--whiten conv2") && text.contains("first layer"), "{text}");
    let text = refusal("small", None, &[4, 6]);
    assert!(text.contains("end with 8"), "{text}");
    let text = refusal("mlp", None, &[4, 8]);
    assert!(text.contains(".weight' would be") && text.contains("pools globally"), "{text}");
}

#[test]
fn a_sweep_through_the_rates_finds_one_that_learns() {
    let place = Place::new();
    let splits = digits();
    let config = place.config("small", &splits, |recipe| recipe.batch = 32);
    let sweep =
        |config: &RunConfig, threads| find_rate(config, &splits, &engine(threads), &AtomicBool::new(false));
    let found = sweep(&config, 2).unwrap();
    assert!((1e-3..1.0).contains(&found.suggested), "{}", found.suggested);
    assert!(found.points.windows(2).all(|pair| pair[0].rate < pair[1].rate));
    assert_eq!(sweep(&config, 1).unwrap(), found, "it is the same however many threads there are");
    let refusal = sweep(&place.config("lenet5", &splits, |_| {}), 1).unwrap_err().to_string();
    assert!(refusal.contains("diagonal-lm"), "{refusal}");
    let stopped = find_rate(&config, &splits, &engine(1), &AtomicBool::new(true)).unwrap_err();
    assert_eq!(stopped.exit_code(), 130, "{stopped}");
}
