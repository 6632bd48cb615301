//! Measuring networks on labelled images.
//!
//! An [`Evaluator`] measures one network again and again, as training does; an [`Ensemble`](crate::ensemble::Ensemble) measures finished
//! models, alone or together, in one view of each image or several. Both give an [`Evaluation`].
//!
//! ```
//! use ocelli::Engine;
//! use ocelli::ensemble::{Ensemble, EnsembleOptions};
//! use ocelli::io::ModelFile;
//! use ocelli::data::open_parts;
//! use ocelli::kernels::Isa;
//!
//! # fn main() -> Result<(), ocelli::Error> {
//! # if false {
//! let models = vec![ModelFile::load("a.safetensors".as_ref())?, ModelFile::load("b.safetensors".as_ref())?];
//! let mut ensemble = Ensemble::new(models, &Engine::new(0, Isa::detect())?, EnsembleOptions::default())?;
//! let evaluation = ensemble.evaluate(&open_parts("digits")?.for_evaluation())?;
//! println!("{:.1} % of {} images", 100.0 * evaluation.top1, evaluation.images);
//! # }
//! # Ok(())
//! # }
//! ```

mod calibration;
mod illustrate;
mod tally;

use std::sync::Arc;
use std::time::Instant;

use ocelli_core::{Batch, Criterion, Executor, Graph, Params, PlanOptions, Targets};
use ocelli_data::{Dataset, Preprocess, View};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::engine::Engine;
use crate::feed::{Feed, FeedOptions, OfDataset};

pub use calibration::{BINS, Bin, Calibration};
pub use illustrate::illustrate;
pub(crate) use tally::{Answered, FIVE, Tally};

/// Samples per forward pass: few enough that activations stay in the caches.
pub(crate) const BATCH: usize = 64;

/// The most confusions that are listed.
const MOST_CONFUSED: usize = 20;

/// The figures of a network, or of several together, on a set of images. Accuracies and probabilities are fractions of 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Version of this form.
    pub schema: u32,
    /// How many images were measured.
    pub images: usize,
    /// Mean loss: that which the network was trained with. Of several networks or views, −ln of the
    /// probability that they give to the right class on average (not below 2⁻¹²⁶).
    pub loss: f64,
    /// Share of images whose class is the first guess.
    pub top1: f64,
    /// Share of images whose class is among the first five guesses; with five classes or fewer, 1.
    pub top5: f64,
    /// By how much the probability of the first guess differs from how often it is right: see [`Calibration`].
    pub calibration_error: f64,
    /// Each class on its own.
    pub per_class: Vec<ClassFigures>,
    /// The most frequent confusions, most frequent first.
    pub confused: Vec<Confused>,
    /// What the calibration error is made of.
    pub calibration: Calibration,
    /// Counts by true class (row) and first guess (column), row after row.
    pub confusion: Vec<u32>,
    /// Images that could not be read, and are in no figure.
    pub unreadable: Vec<Unreadable>,
    /// Wall-clock time.
    pub seconds: f64,
    /// Images divided by seconds.
    pub images_per_second: f64,
    /// All wrong first guesses, those with the highest loss first.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
    /// The guesses for some images that chance chose, the same at each evaluation of a set.
    #[serde(skip)]
    pub samples: Vec<Answer>,
}

/// The figures of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Its name.
    pub class: String,
    /// How many images of it there were.
    pub images: usize,
    /// Share of them whose first guess was right; `None` without images.
    pub top1: Option<f64>,
    /// Share of them with the class among the first five guesses; `None` without images.
    pub top5: Option<f64>,
}

/// A class that is taken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// The class of the images.
    pub truth: String,
    /// The first guess.
    pub predicted: String,
    /// How many images of the one were taken for the other.
    pub images: u32,
}

/// An image that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Its name.
    pub image: String,
    /// Why.
    pub error: String,
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
    /// The probability given to the guess.
    pub probability: f32,
    /// The loss.
    pub loss: f32,
}

/// The best guesses for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Which image of the set.
    pub image: u32,
    /// Its class.
    pub truth: u32,
    /// Up to five classes and their probabilities, best first.
    pub guesses: Vec<(u32, f32)>,
}

impl Evaluation {
    /// The `most` largest counts of one class taken for another: true class, first guess, images; largest first, then
    /// in the order of classes.
    pub fn most_confused(&self, most: usize) -> Vec<(usize, usize, u32)> {
        let classes = self.per_class.len().max(1);
        let pair = |(cell, &images): (usize, &u32)| (cell / classes, cell % classes, images);
        let cells = self.confusion.iter().enumerate().map(pair);
        let mut pairs: Vec<_> =
            cells.filter(|&(truth, guess, images)| truth != guess && images > 0).collect();
        pairs.sort_by_key(|&(truth, guess, images)| (std::cmp::Reverse(images), truth, guess));
        pairs.truncate(most);
        pairs
    }
}

/// Evaluates one network again and again with the same memory.
pub struct Evaluator {
    executor: Executor<f32>,
    criterion: Criterion,
    preprocess: Preprocess,
    classes: Vec<String>,
    threads: usize,
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
            threads: engine.reading_threads(),
        })
    }

    /// Measures the network with these parameters on every image of `dataset`, whose labels count the same classes.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn run(&mut self, params: &Params<f32>, dataset: &Arc<dyn Dataset>) -> Result<Evaluation, Error> {
        let start = Instant::now();
        let options = FeedOptions {
            ways: vec![self.preprocess.clone()],
            views: vec![View::CENTRE],
            batch: BATCH,
            // What is only copied takes less time than waking a thread that does it, on a core that computes.
            threads: if dataset.decodes() { self.threads } else { 0 },
            judges_inversion: false,
        };
        let mut feed = Feed::new(Arc::new(OfDataset(Arc::clone(dataset))), &options)?;
        let mut tally = Tally::new(self.classes.len(), dataset.len());
        let mut labels = Vec::new();
        while let Some(fed) = feed.next_batch() {
            if let Some((_, error)) = fed.failures.drain(..).next() {
                return Err(error.into());
            }
            labels.clear();
            labels.extend(fed.pictures.iter().map(|&i| dataset.label(i as usize)));
            measure(&mut self.executor, params, &self.criterion, &fed.inputs[0], &labels);
            let (outputs, costs) = (self.executor.output(), self.executor.costs());
            tally.add_outputs(&self.criterion.loss, outputs, costs, &labels, &fed.pictures);
        }
        Ok(tally.finish(&self.classes, start.elapsed().as_secs_f64()))
    }
}

/// Runs a network over images with their labels; outputs and costs stay in the executor.
pub(crate) fn measure(
    executor: &mut Executor<f32>,
    params: &Params<f32>,
    criterion: &Criterion,
    images: &[f32],
    labels: &[u32],
) {
    let targets = Some(Targets::Classes(labels));
    executor.evaluate(params, &Batch { inputs: &[images], targets, count: labels.len() }, criterion);
}
