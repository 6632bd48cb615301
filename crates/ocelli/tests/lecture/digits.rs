//! Reading digits: items 19 to 23 and 25 of the lecture's list.
#![allow(clippy::print_stderr)] // a skipped test says so

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ocelli::baselines::{Affine, Moments, Nearest, Quadratic, deskew, thicken, warp};
use ocelli::io::ModelFile;
use ocelli::predict::{model_loss, model_preprocess};
use ocelli::train::{Control, NetSpec, Outcome, RunConfig, RunFolder, Trainer};
use ocelli_core::{Executor, PlanOptions};
use ocelli_data::{Dataset, MemoryDataset, OpenOptions, Picture, Preprocessor, Splits, Subset, open};

use crate::support::engine;

/// MNIST, where it is beside the repository.
fn mnist() -> Option<Splits> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/mnist"));
    if !path.is_dir() {
        eprintln!("skipped: there is no MNIST in {}", path.display());
        return None;
    }
    Some(open(&path, &OpenOptions::default()).expect("MNIST opens"))
}

/// LeNet-5 after so many passes by its recipe.
fn lenet5(splits: &Splits, epochs: u64) -> (Outcome, ModelFile) {
    let folder = tempfile::tempdir().unwrap();
    let net = NetSpec::new("lenet5", Vec::new());
    let mut recipe = net.recipe().unwrap();
    recipe.epochs = epochs;
    let config = RunConfig::resolve(&splits.name, None, &net, recipe, 0, splits).unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    let mut trainer = Trainer::begin(config, splits.clone(), &engine(), run, "a test").unwrap();
    let (stop, never) = (AtomicBool::new(false), Duration::MAX);
    trainer.run(&mut Control { observer: &mut |_| {}, stop: &stop, checkpoint_every: never }).unwrap();
    let outcome = trainer.finish().unwrap();
    let model = ModelFile::load(outcome.model.as_ref()).unwrap();
    (outcome, model)
}

fn digits() -> Splits {
    open("digits", &OpenOptions::default()).unwrap()
}

/// LeNet-5 after six passes over the embedded digits, trained once for all tests of a process.
fn trained() -> &'static (Outcome, ModelFile) {
    static TRAINED: OnceLock<(Outcome, ModelFile)> = OnceLock::new();
    TRAINED.get_or_init(|| lenet5(&digits(), 6))
}

/// Ink from 0 to 1 and the labels, of every `step`-th picture.
fn ink(set: &dyn Dataset, step: usize) -> (Vec<f32>, Vec<u32>) {
    let (mut images, mut labels, mut picture) = (Vec::new(), Vec::new(), Picture::default());
    for i in (0..set.len()).step_by(step) {
        set.read(i, &mut picture).unwrap();
        images.extend(picture.pixels.iter().map(|&p| f32::from(p) / 255.0));
        labels.push(set.label(i));
    }
    (images, labels)
}

fn error(found: impl IntoIterator<Item = u32>, labels: &[u32]) -> f64 {
    let wrong = found.into_iter().zip(labels).filter(|(found, label)| found != *label).count();
    100.0 * wrong as f64 / labels.len() as f64
}

#[test]
fn item_19_one_pass_of_lenet5_over_a_sixth_of_mnist_leaves_few_errors() {
    let Some(splits) = mnist() else { return };
    // All of it, twenty times and with three seeds, is `ocelli lecture lenet5-digits --data`.
    let sixth: Vec<u32> = (0..splits.train.len() as u32).step_by(6).collect();
    let train = Arc::new(Subset::new(Arc::clone(&splits.train), sixth));
    let error = 100.0 * (1.0 - lenet5(&Splits { train, ..splits }, 1).0.val.top1);
    assert!(error <= 15.0, "{error} %");
}

#[test]
fn item_20_linear_classifiers_reach_what_was_published_on_mnist_as_it_is_and_deskewed() {
    let Some(splits) = mnist() else { return };
    let ((train, labels), (test, truth)) = (ink(&*splits.train, 1), ink(&*splits.val, 1));
    let linear = |train: &[f32], test: &[f32]| {
        let mut moments = Moments::new(784, 10);
        moments.add(&engine(), train, &labels);
        let linear = moments.solve(1e-5).unwrap();
        error(test.chunks_exact(784).map(|x| linear.classify(x)), &truth)
    };
    let plain = linear(&train, &test);
    assert!((11.0..16.0).contains(&plain), "linear: {plain} %, 12.0 in 1998");
    let upright =
        |images: &[f32]| images.chunks_exact(784).flat_map(|x| deskew(x, [28, 28])).collect::<Vec<_>>();
    let deskewed = linear(&upright(&train), &upright(&test));
    assert!((7.4..9.4).contains(&deskewed), "deskewed: {deskewed} %, 8.4 in 1998");
}

#[test]
fn item_20_a_quadratic_classifier_on_40_components_reaches_what_was_published_on_mnist() {
    let Some(splits) = mnist() else { return };
    let ((train, labels), (test, truth)) = (ink(&*splits.train, 1), ink(&*splits.val, 1));
    let quadratic = Quadratic::fit(&engine(), &train, 784, &labels, 10, 40).unwrap();
    let error = error(test.chunks_exact(784).map(|x| quadratic.classify(x)), &truth);
    assert!((2.5..4.5).contains(&error), "{error} %, 3.3 in 1998");
}

#[test]
fn item_20_nearest_neighbours_reach_what_was_published_on_mnist() {
    let Some(splits) = mnist() else { return };
    // A tenth of the test pictures: all of them take ten times as long.
    let ((train, labels), (test, truth)) = (ink(&*splits.train, 1), ink(&*splits.val, 10));
    let found = Nearest::new(&engine(), &train, 784, &labels, 10).unwrap().classify(&test, 3);
    let error = error(found, &truth);
    assert!((1.5..5.0).contains(&error), "{error} %, 3.09 to 5.0 published");
}

/// The share of held-out digits that LeNet-5 reads after `distort` was applied to their ink.
fn read(distort: impl Fn(&[f32]) -> Vec<f32>) -> f64 {
    let (_, model) = trained();
    let mut executor = network(model);
    let loss = model_loss(model).unwrap();
    let (inputs, labels) = inputs(model);
    let found = inputs.chunks_exact(1024).map(|input| {
        let ink: Vec<f32> = input.iter().map(|v| (v + 0.1) / 1.275).collect();
        let bent: Vec<f32> = distort(&ink).iter().map(|p| 1.275 * p - 0.1).collect();
        loss.predicted_class(executor.forward(&model.params, &[&bent], 1)) as u32
    });
    1.0 - error(found, &labels) / 100.0
}

fn network(model: &ModelFile) -> Executor<f32> {
    let options = PlanOptions { reuse: false, fuse: false, ..PlanOptions::evaluate(1) };
    engine().executor(&model.network.graph, options).unwrap()
}

/// The held-out digits as LeNet-5 takes them.
fn inputs(model: &ModelFile) -> (Vec<f32>, Vec<u32>) {
    let mut preprocessor = Preprocessor::new(&model_preprocess(model).unwrap()).unwrap();
    let set = digits().val;
    let (mut images, mut picture) = (vec![0.0; set.len() * 1024], Picture::default());
    for (i, image) in images.chunks_exact_mut(1024).enumerate() {
        set.read(i, &mut picture).unwrap();
        preprocessor.apply(&picture, image);
    }
    let labels = (0..set.len()).map(|i| set.label(i)).collect();
    (images, labels)
}

#[test]
fn item_21_digits_are_read_under_small_distortions_and_not_under_large_ones() {
    const SIZE: [usize; 2] = [32, 32];
    let undistorted = read(<[f32]>::to_vec);
    assert!(undistorted > 0.93, "{undistorted}");
    let little = [
        read(|ink| warp(ink, SIZE, &Affine::shift(1.0, -1.0))),
        read(|ink| warp(ink, SIZE, &Affine::scale(0.9, 0.9))),
        read(|ink| warp(ink, SIZE, &Affine::rotation(8.0))),
        read(|ink| warp(ink, SIZE, &Affine::scale(0.95, 1.05))),
        read(|ink| thicken(ink, SIZE, 0.5)),
    ];
    let much = [
        read(|ink| warp(ink, SIZE, &Affine::shift(0.0, 12.0))),
        read(|ink| warp(ink, SIZE, &Affine::scale(0.3, 0.3))),
        read(|ink| warp(ink, SIZE, &Affine::rotation(90.0))),
    ];
    assert!(little.iter().all(|share| *share > 0.8), "{little:?}");
    assert!(much.iter().all(|share| *share < 0.5), "{much:?}");
}

#[test]
fn item_22_the_right_label_has_the_smallest_penalty_and_is_the_answer() {
    let (_, model) = trained();
    let (mut executor, loss) = (network(model), model_loss(model).unwrap());
    let (inputs, labels) = inputs(model);
    let (mut right, mut others) = (0.0, 0.0);
    for (input, label) in inputs.chunks_exact(1024).zip(&labels) {
        let penalties = executor.forward(&model.params, &[input], 1);
        let answer = loss.predicted_class(penalties);
        assert!(penalties.iter().all(|p| *p >= penalties[answer] && *p >= 0.0), "{penalties:?}");
        right += penalties[*label as usize];
        others += (penalties.iter().sum::<f32>() - penalties[*label as usize]) / 9.0;
    }
    assert!(right < 0.2 * others, "{right} {others}");
}

#[test]
fn item_23_every_map_can_be_looked_at_and_f6_draws_the_digit() {
    let (_, model) = trained();
    let graph = &model.network.graph;
    let mut executor = network(model);
    let codes = model.params.get(graph.layout().entries().last().unwrap()).into_data();
    let (inputs, labels) = inputs(model);
    let (mut agreeing, mut units) = (0, 0);
    for (input, label) in inputs.chunks_exact(1024).zip(labels) {
        executor.forward(&model.params, &[input], 1);
        for value in graph.values().filter(|v| graph.node(*v).op().is_some()) {
            let maps = executor.value(value).expect("a plan without reuse keeps every value");
            assert_eq!(maps.len(), graph.node(value).shape().len());
        }
        let f6 = executor.value(graph.find("F6.squash").unwrap()).unwrap();
        let code = &codes[label as usize * 84..][..84];
        agreeing += f6.iter().zip(code).filter(|(f, code)| (**f > 0.0) == (**code > 0.0)).count();
        units += 84;
    }
    assert!(agreeing as f64 > 0.85 * f64::from(units), "{agreeing} of {units}");
}

#[test]
fn item_25_the_same_network_makes_more_errors_on_a_tougher_problem() {
    let plain = digits();
    let moved = |set: &dyn Dataset| -> Arc<dyn Dataset> {
        let (images, labels) = ink(set, 1);
        let pixels = images.chunks_exact(64).enumerate().flat_map(|(i, ink)| {
            let shift = |k: usize| (i * k % 5) as f64 - 2.0;
            let turned = warp(ink, [8, 8], &Affine::rotation((i * 37 % 81) as f64 - 40.0));
            warp(&turned, [8, 8], &Affine::shift(shift(3), shift(7)))
        });
        let pixels = pixels.map(|p| (255.0 * p).round() as u8).collect();
        let classes = set.classes().to_vec();
        Arc::new(MemoryDataset::new("moved", [1, 8, 8], pixels, labels, classes).unwrap())
    };
    let tougher = Splits { train: moved(&*plain.train), val: moved(&*plain.val), ..plain };
    let error = |outcome: &Outcome| 1.0 - outcome.val.top1;
    let (easy, hard) = (error(&trained().0), error(&lenet5(&tougher, 6).0));
    assert!(hard > 3.0 * easy && hard < 0.85, "{easy} {hard}");
}
