//! Models that answer together: the mean of their probabilities, classes by name, pictures in their order.

use std::sync::Arc;

use ocelli::Engine;
use ocelli::ensemble::{Ensemble, EnsembleOptions, Views};
use ocelli::eval::Evaluation;
use ocelli::io::{ModelFile, Network};
use ocelli::predict::{Pictures, Prediction};
use ocelli_core::ops::{Flatten, Linear};
use ocelli_core::{Graph, Params};
use ocelli_data::{DataError, Dataset, MemoryDataset, Normalise, Picture, Preprocess};
use ocelli_kernels::Isa;
use ocelli_kernels::random::Key;
use serde_json::json;

const SIDE: usize = 6;

/// A linear classifier of pictures of `size`, with weights by `seed`.
fn model(classes: &[&str], size: usize, seed: u64) -> ModelFile {
    let mut graph = Graph::new();
    let image = graph.input("image", [1, size, size]).unwrap();
    let flat = graph.add("flatten1", Flatten {}, [image]).unwrap();
    graph.add("fc", Linear::new(classes.len()), [flat]).unwrap();
    let network = Network { name: format!("linear{size}"), graph: Arc::new(graph) };
    let mut params = Params::initialised(network.graph.layout(), seed).unwrap();
    // Small starting weights would have all classes alike.
    params.data_mut().iter_mut().for_each(|w| *w *= 6.0);
    let normalise = Normalise::MeanStd { mean: vec![0.5], std: vec![0.25] };
    let preprocess: Preprocess = serde_json::from_value(json!({
        "channels": 1, "size": [size, size], "normalise": normalise
    }))
    .unwrap();
    ModelFile {
        classes: classes.iter().map(|name| name.to_string()).collect(),
        preprocess: serde_json::to_value(preprocess).unwrap(),
        training: json!({ "recipe": { "loss": { "kind": "cross_entropy" } } }),
        network,
        params,
    }
}

const NAMES: [&str; 7] = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"];

fn ensemble(models: Vec<ModelFile>, views: Views, threads: usize) -> Ensemble {
    let engine = Engine::new(threads, Isa::detect()).unwrap();
    Ensemble::new(models, &engine, EnsembleOptions { views, invert: false }).unwrap()
}

/// Noise with labels at random.
fn noise(images: usize) -> MemoryDataset {
    let key = Key::new(7, &[images as u64]);
    let pixels = (0..images * SIDE * SIDE).map(|i| key.word(i as u64) as u8).collect();
    let labels = (0..images).map(|i| Key::new(8, &[i as u64]).word(0) % 7).collect();
    let classes = NAMES.map(String::from).to_vec();
    MemoryDataset::new("noise", [1, SIDE, SIDE], pixels, labels, classes).unwrap()
}

/// A data set of which some pictures cannot be read.
struct Holed(MemoryDataset, fn(usize) -> bool);

impl Holed {
    fn check(&self, i: usize) -> Result<(), DataError> {
        match self.1(i) {
            true => Err(ocelli_data::decode_bytes(&format!("picture {i}"), b"broken").unwrap_err()),
            false => Ok(()),
        }
    }
}

impl Dataset for Holed {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn classes(&self) -> &[String] {
        self.0.classes()
    }
    fn image_shape(&self) -> [usize; 3] {
        self.0.image_shape()
    }
    fn label(&self, i: usize) -> u32 {
        self.0.label(i)
    }
    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        self.check(i)?;
        self.0.read(i, picture)
    }
    fn name_of(&self, i: usize) -> String {
        format!("picture {i}")
    }
}

impl Pictures for Holed {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        Dataset::read(self, i, picture)
    }
    fn name_of(&self, i: usize) -> String {
        format!("picture {i}")
    }
}

/// The probabilities of each class, by the classes' order, for each picture.
fn probabilities(ensemble: &mut Ensemble, pictures: Holed) -> Vec<Vec<f32>> {
    let of = |prediction: Prediction| {
        let guesses = prediction.guesses.unwrap();
        let by_name = |name: &&str| guesses.iter().find(|g| g.class == **name).unwrap().probability;
        NAMES.iter().map(by_name).collect()
    };
    ensemble.predict(Arc::new(pictures), 7).unwrap().map(of).collect()
}

fn whole(images: usize) -> Holed {
    Holed(noise(images), |_| false)
}

#[test]
fn models_answer_with_the_mean_of_their_probabilities_whatever_their_order_of_classes() {
    let mut names = NAMES;
    names.reverse();
    names.swap(0, 3);
    let (one, other) = (|| model(&NAMES, SIDE, 1), || model(&names, 4, 2));
    let alone = |model: ModelFile| probabilities(&mut ensemble(vec![model], Views::Centre, 1), whole(50));
    let (a, b) = (alone(one()), alone(other()));
    let both = probabilities(&mut ensemble(vec![one(), other()], Views::Centre, 2), whole(50));
    assert_eq!(both.len(), 50);
    for ((a, b), both) in a.iter().zip(&b).zip(&both) {
        for ((a, b), both) in a.iter().zip(b).zip(both) {
            assert!(
                (f64::midpoint(f64::from(*a), f64::from(*b)) - f64::from(*both)).abs() < 1e-6,
                "{a} {b} {both}"
            );
        }
    }
}

#[test]
fn mirrored_pictures_have_the_same_answer_in_views_with_their_mirror_image() {
    let mut pictures = noise(9);
    let answer = |set: MemoryDataset, views| {
        probabilities(&mut ensemble(vec![model(&NAMES, SIDE, 3)], views, 1), Holed(set, |_| false))
    };
    let plain = [Views::Centre, Views::Flip, Views::TenCrop].map(|views| answer(pictures.clone(), views));
    let mut mirrored: Vec<u8> = (0..9).flat_map(|i| pictures.pixels(i).to_vec()).collect();
    mirrored.chunks_exact_mut(SIDE).for_each(<[u8]>::reverse);
    let labels = (0..9).map(|i| pictures.label(i)).collect();
    pictures = MemoryDataset::new("mirrored", [1, SIDE, SIDE], mirrored, labels, pictures.classes().to_vec())
        .unwrap();
    let turned = [Views::Centre, Views::Flip, Views::TenCrop].map(|views| answer(pictures.clone(), views));
    let distance = |k: usize| {
        let pairs = plain[k].iter().flatten().zip(turned[k].iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(distance(0) > 0.01 && distance(1) < 1e-5 && distance(2) < 1e-5);
    assert!(plain[0] != plain[1] && plain[1] != plain[2]);
}

/// Times differ from run to run.
fn timeless(evaluation: Evaluation) -> Evaluation {
    Evaluation { seconds: 0.0, images_per_second: 0.0, ..evaluation }
}

#[test]
fn evaluations_are_those_of_the_predictions_for_any_number_of_threads() {
    let models = || vec![model(&NAMES, SIDE, 1), model(&NAMES, 4, 2)];
    let data: Arc<dyn Dataset> = Arc::new(noise(300));
    let measure = |threads| timeless(ensemble(models(), Views::Flip, threads).evaluate(&data).unwrap());
    let found = measure(1);
    assert_eq!([measure(2), measure(3)], [found.clone(), found.clone()]);
    let predicted = probabilities(&mut ensemble(models(), Views::Flip, 2), whole(300));
    let (mut right, mut loss) = (0, 0.0);
    for (i, p) in predicted.iter().enumerate() {
        let truth = data.label(i) as usize;
        right += usize::from((0..7).all(|k| k == truth || p[k] < p[truth]));
        loss -= f64::from(p[truth]).ln() / 300.0;
    }
    assert_eq!((found.images, found.top1), (300, right as f64 / 300.0));
    assert!((found.loss - loss).abs() < 1e-5, "{} {loss}", found.loss);
    assert_eq!(found.mistakes.len(), 300 - right);
    assert!(found.mistakes.windows(2).all(|w| w[0].loss >= w[1].loss));
}

#[test]
fn pictures_that_cannot_be_read_are_named_and_cost_nothing_else() {
    let mut alone = ensemble(vec![model(&NAMES, SIDE, 1)], Views::Centre, 2);
    let holes = |i: usize| i % 10 == 3 || (64..128).contains(&i);
    let data: Arc<dyn Dataset> = Arc::new(Holed(noise(200), holes));
    let evaluation = alone.evaluate(&data).unwrap();
    let bad: Vec<usize> = (0..200).filter(|&i| holes(i)).collect();
    assert_eq!((evaluation.images, evaluation.unreadable.len()), (200 - bad.len(), bad.len()));
    assert_eq!(evaluation.unreadable[1].image, "picture 13");
    let whole: Vec<_> = alone.predict(Arc::new(whole(200)), 1).unwrap().collect();
    let holed: Vec<_> = alone.predict(Arc::new(Holed(noise(200), holes)), 1).unwrap().collect();
    for (i, (whole, holed)) in whole.iter().zip(&holed).enumerate() {
        assert_eq!((holed.picture, &holed.name), (i, &format!("picture {i}")));
        match &holed.guesses {
            Ok(guesses) => assert_eq!(guesses, whole.guesses.as_ref().unwrap()),
            Err(error) => {
                assert!(holes(i) && error.exit_code() == 3 && error.to_string().contains(&holed.name))
            }
        }
    }
    assert_eq!((whole.len(), holed.len()), (200, 200));
    let none: Arc<dyn Dataset> = Arc::new(Holed(noise(5), |_| true));
    let error = alone.evaluate(&none).unwrap_err();
    assert!(error.to_string().contains("not one image could be read; the first: picture 0"), "{error}");
}

#[test]
fn predictions_can_be_left_before_their_end() {
    let mut alone = ensemble(vec![model(&NAMES, SIDE, 1)], Views::Centre, 3);
    let first = alone.predict(Arc::new(whole(5000)), 2).unwrap().next().unwrap();
    assert_eq!((first.picture, first.guesses.unwrap().len()), (0, 2));
    assert_eq!(alone.predict(Arc::new(whole(0)), 2).unwrap().count(), 0);
}

#[test]
fn models_that_cannot_answer_together_are_refused() {
    let engine = Engine::new(1, Isa::detect()).unwrap();
    let refused = |models: Vec<ModelFile>| match Ensemble::new(models, &engine, EnsembleOptions::default()) {
        Ok(_) => panic!("these cannot answer together"),
        Err(error) => error.to_string(),
    };
    assert!(refused(Vec::new()).contains("needs a model"));
    let other = model(&["ant", "bee", "cat", "dog", "eel", "fox", "hen"], SIDE, 1);
    let error = refused(vec![model(&NAMES, SIDE, 1), other]);
    assert!(error.contains("'hen'"), "{error}");
    let mut torn = model(&NAMES, SIDE, 1);
    torn.classes.pop();
    assert!(refused(vec![torn]).contains("contradicts itself"));
}

#[test]
fn a_report_tells_what_was_measured() {
    let data: Arc<dyn Dataset> = Arc::new(noise(100));
    let mut two = ensemble(vec![model(&NAMES, SIDE, 1), model(&NAMES, 4, 2)], Views::Centre, 2);
    let evaluation = two.evaluate(&data).unwrap();
    let report = two.report(&evaluation, &data).unwrap();
    assert_eq!(
        (report.net.as_str(), report.layers.len(), report.samples.len()),
        ("linear6 + linear4", 0, 24)
    );
    assert_eq!(report.summary.top1, Some(evaluation.top1));
    let mut one = ensemble(vec![model(&NAMES, SIDE, 1)], Views::Centre, 2);
    let evaluation = one.evaluate(&data).unwrap();
    let report = one.report(&evaluation, &data).unwrap();
    assert_eq!((report.layers.len(), report.summary.weights_sha256.len()), (2, 64));
    assert!(ocelli::report::render(&report).contains("Ocelli evaluation"));
}
