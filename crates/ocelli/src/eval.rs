//! Measuring a network on labelled images.

use std::sync::Arc;
use std::time::Instant;

use ocelli_core::{Batch, Criterion, Executor, Graph, Params, PlanOptions, Targets};
use ocelli_data::{Dataset, Loader, LoaderOptions, Preprocess, Sampler};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::{Error, SCHEMA};

/// How many of the worst mistakes are kept.
const MOST_MISTAKES: usize = 48;

/// Images per batch: few enough that activations stay in the caches.
pub(crate) const BATCH: usize = 64;

/// The figures of a network on a set of images. Accuracies are fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Version of this form.
    pub schema: u32,
    /// How many images there were.
    pub images: usize,
    /// Mean loss.
    pub loss: f64,
    /// Share of images whose class is the first guess.
    pub top1: f64,
    /// Share of images whose class is among the first five guesses.
    pub top5: f64,
    /// Each class on its own.
    pub per_class: Vec<ClassFigures>,
    /// Counts by true class (row) and first guess (column), row after row.
    pub confusion: Vec<u32>,
    /// Wall-clock time.
    pub seconds: f64,
    /// Images divided by seconds.
    pub images_per_second: f64,
    /// The wrong guesses with the highest loss, worst first.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
}

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Its name.
    pub class: String,
    /// How many images of it there were.
    pub images: usize,
    /// Share of them whose first guess was right; `None` without images.
    pub top1: Option<f64>,
}

/// A wrong first guess.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Which image of the set.
    pub image: u32,
    /// Its class.
    pub truth: u32,
    /// The first guess.
    pub predicted: u32,
    /// The probability that the network gave to its guess.
    pub probability: f32,
    /// The loss.
    pub loss: f32,
}

/// Evaluates one network again and again with the same memory.
pub struct Evaluator {
    executor: Executor<f32>,
    criterion: Criterion,
    preprocess: Preprocess,
    classes: Vec<String>,
}

impl Evaluator {
    /// An evaluator of `graph`, whose outputs stand for `classes`.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(
        engine: &Engine,
        graph: &Arc<Graph>,
        criterion: &Criterion,
        preprocess: &Preprocess,
        classes: &[String],
    ) -> Result<Evaluator, Error> {
        Ok(Evaluator {
            executor: engine.executor(graph, PlanOptions::evaluate(BATCH))?,
            criterion: criterion.clone(),
            preprocess: preprocess.clone(),
            classes: classes.to_vec(),
        })
    }

    /// Measures the network with these parameters on every image of `dataset`, whose labels count the same classes.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn run(&mut self, params: &Params<f32>, dataset: &Arc<dyn Dataset>) -> Result<Evaluation, Error> {
        let start = Instant::now();
        let sampler = Sampler::new(dataset.len(), BATCH)?;
        let mut loader =
            Loader::new(Arc::clone(dataset), &self.preprocess, sampler, LoaderOptions::default())?;
        let mut tally = Tally::new(self.classes.len());
        while let Some(batch) = loader.next_batch() {
            let batch = batch?;
            let targets = Some(Targets::Classes(&batch.labels));
            let run = Batch { inputs: &[&batch.images], targets, count: batch.len() };
            self.executor.evaluate(params, &run, &self.criterion);
            tally.add(
                &self.criterion,
                self.executor.output(),
                self.executor.costs(),
                &batch.labels,
                &batch.indices,
            );
        }
        Ok(tally.finish(&self.classes, start.elapsed().as_secs_f64()))
    }
}

/// Counts while evaluating.
struct Tally {
    classes: usize,
    images: usize,
    loss: f64,
    top1: usize,
    top5: usize,
    confusion: Vec<u32>,
    mistakes: Vec<Mistake>,
    probabilities: Vec<f32>,
}

impl Tally {
    fn new(classes: usize) -> Tally {
        Tally {
            classes,
            images: 0,
            loss: 0.0,
            top1: 0,
            top5: 0,
            confusion: vec![0; classes * classes],
            mistakes: Vec::new(),
            probabilities: vec![0.0; classes],
        }
    }

    fn add(
        &mut self,
        criterion: &Criterion,
        outputs: &[f32],
        costs: &[f32],
        labels: &[u32],
        indices: &[u32],
    ) {
        let width = outputs.len() / labels.len().max(1);
        for (((x, &cost), &label), &image) in outputs.chunks_exact(width).zip(costs).zip(labels).zip(indices)
        {
            let predicted = criterion.loss.predicted_class(x);
            let rank = criterion.loss.rank(x, label as usize);
            self.images += 1;
            self.loss += f64::from(cost);
            self.top1 += usize::from(rank == 0);
            self.top5 += usize::from(rank < 5);
            self.confusion[label as usize * self.classes + predicted] += 1;
            if predicted != label as usize {
                criterion.loss.probabilities(x, &mut self.probabilities);
                let probability = self.probabilities[predicted];
                let predicted = predicted as u32;
                self.mistake(Mistake { image, truth: label, predicted, probability, loss: cost });
            }
        }
    }

    /// Keeps the worst; among equals, the first.
    fn mistake(&mut self, mistake: Mistake) {
        let at = self.mistakes.partition_point(|m| m.loss.total_cmp(&mistake.loss).is_ge());
        if at < MOST_MISTAKES {
            self.mistakes.insert(at, mistake);
            self.mistakes.truncate(MOST_MISTAKES);
        }
    }

    fn finish(self, names: &[String], seconds: f64) -> Evaluation {
        let share = |count: usize| count as f64 / self.images.max(1) as f64;
        let per_class = names.iter().enumerate().map(|(class, name)| {
            let row = &self.confusion[class * self.classes..(class + 1) * self.classes];
            let images: u32 = row.iter().sum();
            let top1 = (images > 0).then(|| f64::from(row[class]) / f64::from(images));
            ClassFigures { class: name.clone(), images: images as usize, top1 }
        });
        Evaluation {
            schema: SCHEMA,
            images: self.images,
            loss: self.loss / self.images.max(1) as f64,
            top1: share(self.top1),
            top5: share(self.top5),
            per_class: per_class.collect(),
            seconds,
            images_per_second: self.images as f64 / seconds.max(1e-9),
            confusion: self.confusion,
            mistakes: self.mistakes,
        }
    }
}
