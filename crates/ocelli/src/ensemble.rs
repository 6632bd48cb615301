//! One model or several, in one view of each picture or several, answering with one voice: the mean of their
//! probabilities.
//!
//! With models k = 1…K and views v = 1…V of a picture x, the probability of class c is Σ p_k(c | x_v) / (K·V) (Krizhevsky,
//! Sutskever and Hinton 2012, section 4.1, of ten views; section 5, of several networks). Classes are matched by name, so that models
//! may have them in different orders; pictures are prepared for each model as it was trained.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use ocelli_core::{Criterion, Executor, PlanOptions, Reduction};
use ocelli_data::{Dataset, Preprocess, View};

use crate::engine::Engine;
use crate::eval::{self, Answered, Evaluation, Tally, Unreadable};
use crate::feed::{Fed, Feed, FeedOptions, OfDataset, Pictures};
use crate::io::{ModelFile, weights_sha256};
use crate::predict::{Predictions, model_loss, model_preprocess};
use crate::report::{Occasion, Report, Summary};
use crate::{Error, portrait, suggest};

/// Which views of each picture are taken, and their answers averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Views {
    /// The picture as evaluation shows it.
    #[default]
    Centre,
    /// That and its mirror image.
    Flip,
    /// Four corners and the centre, and their mirror images.
    TenCrop,
}

impl Views {
    /// Every value.
    pub const ALL: [Views; 3] = [Views::Centre, Views::Flip, Views::TenCrop];

    /// What it is called: `centre`, `flip` or `ten-crop`.
    pub const fn name(self) -> &'static str {
        match self {
            Views::Centre => "centre",
            Views::Flip => "flip",
            Views::TenCrop => "ten-crop",
        }
    }

    /// The views.
    pub const fn list(self) -> &'static [View] {
        match self {
            Views::Centre => &[View::CENTRE],
            Views::Flip => &View::FLIP,
            Views::TenCrop => &View::TEN_CROP,
        }
    }
}

impl FromStr for Views {
    type Err = Error;

    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::Usage`] with the names that there are.
    fn from_str(name: &str) -> Result<Views, Error> {
        let names = Views::ALL.map(Views::name);
        Views::ALL.into_iter().find(|views| views.name() == name).ok_or_else(|| {
            let hint = suggest::did_you_mean(name, names);
            Error::Usage(format!("no views are called '{name}'{hint}; there are {}", names.join(", ")))
        })
    }
}

/// How an ensemble looks at pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnsembleOptions {
    /// Which views it takes.
    pub views: Views,
    /// Whether pictures are the negatives of what the models were trained on.
    pub invert: bool,
}

/// Models that answer together.
pub struct Ensemble {
    members: Vec<Member>,
    classes: Vec<String>,
    /// The different ways in which the members want pictures.
    ways: Vec<Preprocess>,
    options: EnsembleOptions,
    engine: Engine,
    /// The probabilities of the last batch: pictures × classes.
    probabilities: Vec<f32>,
}

struct Member {
    model: ModelFile,
    criterion: Criterion,
    /// Which of the ways is its.
    way: usize,
    /// For each of its classes, the ensemble's.
    order: Vec<usize>,
    /// Made for the largest batch so far.
    executor: Option<Executor<f32>>,
    /// The probabilities of one view of one picture.
    row: Vec<f32>,
}

impl Ensemble {
    /// An ensemble of one model or more, in the order of whose first one classes are numbered.
    ///
    /// # Errors
    /// [`Error::Usage`] without a model, or with models of different classes; [`Error::Bad`] for a model file whose parts
    /// contradict each other.
    pub fn new(models: Vec<ModelFile>, engine: &Engine, options: EnsembleOptions) -> Result<Ensemble, Error> {
        let Some(first) = models.first() else {
            return Err(Error::Usage("an ensemble needs a model".to_string()));
        };
        let classes = first.classes.clone();
        let (mut members, mut ways) = (Vec::new(), Vec::new());
        for (number, model) in models.into_iter().enumerate() {
            let mut preprocess = model_preprocess(&model)?;
            if options.invert {
                preprocess = preprocess.inverted();
            }
            let way = ways.iter().position(|way| *way == preprocess).unwrap_or_else(|| {
                ways.push(preprocess);
                ways.len() - 1
            });
            let criterion = Criterion { loss: model_loss(&model)?, reduction: Reduction::Mean };
            let order = order_of(number, &model.classes, &classes)?;
            let row = vec![0.0; classes.len()];
            members.push(Member { model, criterion, way, order, executor: None, row });
        }
        Ok(Ensemble { members, classes, ways, options, engine: engine.clone(), probabilities: Vec::new() })
    }

    /// The class names, in the order in which classes are numbered.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many models there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Measures the ensemble on every image of `dataset` that can be read; [`Evaluation::unreadable`] names the others.
    ///
    /// # Errors
    /// Classes that no model knows, a set of which no image can be read, or too little memory.
    pub fn evaluate(&mut self, dataset: &Arc<dyn Dataset>) -> Result<Evaluation, Error> {
        self.evaluate_telling(dataset, &mut |_| {})
    }

    /// [`Ensemble::evaluate`], which tells after each batch how many images are done.
    ///
    /// # Errors
    /// As [`Ensemble::evaluate`].
    pub fn evaluate_telling(
        &mut self,
        dataset: &Arc<dyn Dataset>,
        done: &mut dyn FnMut(usize),
    ) -> Result<Evaluation, Error> {
        let start = Instant::now();
        let dataset = ocelli_data::match_classes(Arc::clone(dataset), &self.classes)?;
        let mut feed = self.feed(Arc::new(OfDataset(Arc::clone(&dataset))), eval::BATCH, false)?;
        let mut tally = Tally::new(self.classes.len(), dataset.len());
        let (mut unreadable, mut images) = (Vec::new(), 0);
        while let Some(fed) = feed.next_batch() {
            images += fed.pictures.len() + fed.failures.len();
            for (i, error) in fed.failures.drain(..) {
                let (image, error) = (dataset.name_of(i as usize), Error::from(error).to_string());
                unreadable.push(Unreadable { image, error });
            }
            let labels: Vec<u32> = fed.pictures.iter().map(|&i| dataset.label(i as usize)).collect();
            if !labels.is_empty() {
                self.count(fed, &labels, &mut tally);
            }
            done(images);
        }
        let mut evaluation = tally.finish(&self.classes, start.elapsed().as_secs_f64());
        if let ([first, ..], 0) = (&unreadable[..], evaluation.images) {
            return Err(Error::Bad(format!("not one image could be read; the first: {}", first.error)));
        }
        evaluation.unreadable = unreadable;
        Ok(evaluation)
    }

    /// A report on an evaluation of this ensemble on `dataset`. What the data and the models are called, which command it was and when it
    /// started, is the caller's to fill in.
    ///
    /// # Errors
    /// A network that cannot be planned.
    pub fn report(&self, evaluation: &Evaluation, dataset: &Arc<dyn Dataset>) -> Result<Report, Error> {
        let names: Vec<&str> = self.members.iter().map(|m| m.model.network.name.as_str()).collect();
        let parameters = self.members.iter().map(|m| m.model.network.graph.layout().trainable() as u64);
        let mut report = Report {
            occasion: Occasion::Evaluation,
            net: names.join(" + "),
            seconds: evaluation.seconds,
            environment: self.engine.environment(),
            summary: Summary {
                parameters: parameters.sum(),
                images_per_second: evaluation.images_per_second,
                ..Summary::default()
            },
            ..Report::default()
        };
        if let [Member { model, .. }] = &self.members[..] {
            let graph = &model.network.graph;
            report.summary.weights_sha256 = weights_sha256(&model.params);
            report.filters = portrait::filters(graph, &model.params);
            report.layers = portrait::layers(&model.network.name, graph)?;
        }
        eval::illustrate(&mut report, evaluation, &**dataset, self.engine.threads());
        Ok(report)
    }

    /// The classes of pictures, in their order, as they are found. At most `top` classes each.
    ///
    /// # Errors
    /// Too little memory, or too many pictures.
    pub fn predict(&mut self, pictures: Arc<dyn Pictures>, top: usize) -> Result<Predictions<'_>, Error> {
        // Few pictures are shared out among the threads that read; how, must not depend on how many these are.
        let samples = eval::BATCH.min(pictures.len().div_ceil(SHARES) * self.options.views.list().len());
        let judges = !self.options.invert;
        let feed = self.feed(Arc::clone(&pictures), samples, judges)?;
        Ok(Predictions::new(self, pictures, feed, top))
    }

    /// A feed in batches of about so many samples, views of pictures.
    fn feed(&mut self, pictures: Arc<dyn Pictures>, samples: usize, judges: bool) -> Result<Feed, Error> {
        let views = self.options.views.list();
        let batch = (samples / views.len()).max(1);
        for member in &mut self.members {
            member.make_room(&self.engine, batch * views.len())?;
        }
        let options = FeedOptions {
            ways: self.ways.clone(),
            views: views.to_vec(),
            batch,
            threads: self.engine.reading_threads(),
            judges_inversion: judges,
        };
        Feed::new(pictures, &options)
    }

    /// Counts the answers to a batch. One model in one view is measured by its own loss, as in training.
    fn count(&mut self, fed: &Fed, labels: &[u32], tally: &mut Tally) {
        if let ([member], [_]) = (&mut self.members[..], self.options.views.list()) {
            let Member { model, criterion, executor, .. } = member;
            let executor = executor.as_mut().expect(ROOM);
            eval::measure(executor, &model.params, criterion, &fed.inputs[0], labels);
            tally.add_outputs(&criterion.loss, executor.output(), executor.costs(), labels, &fed.pictures);
            return;
        }
        let classes = self.classes.len();
        let rows = self.answer(fed).chunks_exact(classes);
        for ((probabilities, &truth), &image) in rows.zip(labels).zip(&fed.pictures) {
            let best = || best_classes(probabilities, eval::FIVE);
            let rank = rank_of(truth as usize, probabilities);
            let predicted = best_classes(probabilities, 1)[0];
            let loss = -probabilities[truth as usize].max(f32::MIN_POSITIVE).ln();
            tally.add(&Answered { image, truth, predicted, rank, loss, probabilities }, best);
        }
    }

    /// The probabilities of each class for each picture of a batch: pictures × classes.
    pub(crate) fn answer(&mut self, fed: &Fed) -> &[f32] {
        let (classes, views) = (self.classes.len(), self.options.views.list().len());
        self.probabilities.clear();
        self.probabilities.resize(fed.pictures.len() * classes, 0.0);
        let share = 1.0 / (self.members.len() * views) as f32;
        for member in &mut self.members {
            member.add(&fed.inputs[member.way], views, share, &mut self.probabilities);
        }
        &self.probabilities
    }
}

/// Into how many shares few pictures are divided.
const SHARES: usize = 16;

const ROOM: &str = "invariant: room was made before pictures were read";

impl Member {
    /// Has an executor for so many samples.
    fn make_room(&mut self, engine: &Engine, samples: usize) -> Result<(), Error> {
        if self.executor.as_ref().is_none_or(|executor| executor.plan().options().batch < samples) {
            self.executor = None;
            let options = PlanOptions::evaluate(samples);
            self.executor = Some(engine.executor(&self.model.network.graph, options)?);
        }
        Ok(())
    }

    /// Adds `share` of the probabilities of each view to those of its picture.
    fn add(&mut self, inputs: &[f32], views: usize, share: f32, probabilities: &mut [f32]) {
        let classes = self.row.len();
        let samples = probabilities.len() / classes * views;
        if samples == 0 {
            return;
        }
        let executor = self.executor.as_mut().expect(ROOM);
        let outputs = executor.forward(&self.model.params, &[inputs], samples);
        let width = outputs.len() / samples;
        let pictures = outputs.chunks_exact(width * views).zip(probabilities.chunks_exact_mut(classes));
        for (outputs, probabilities) in pictures {
            for view in outputs.chunks_exact(width) {
                self.criterion.loss.probabilities(view, &mut self.row);
                for (&p, &class) in self.row.iter().zip(&self.order) {
                    probabilities[class] += p * share;
                }
            }
        }
    }
}

/// The most probable classes, most probable first; of equals, the one with the lower number.
pub(crate) fn best_classes(probabilities: &[f32], most: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    let better = |&a: &usize, &b: &usize| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b));
    if most < classes.len() {
        classes.select_nth_unstable_by(most.max(1) - 1, better);
        classes.truncate(most);
    }
    classes.sort_by(better);
    classes
}

/// How many classes come before `class` in the order of the best ones, also where outputs overflowed and nothing is a number.
fn rank_of(class: usize, probabilities: &[f32]) -> usize {
    let before = |&(other, p): &(usize, &f32)| match p.total_cmp(&probabilities[class]) {
        Ordering::Greater => true,
        Ordering::Equal => other < class,
        Ordering::Less => false,
    };
    probabilities.iter().enumerate().filter(before).count()
}

/// For each class of model `number`, its place among `classes`.
fn order_of(number: usize, own: &[String], classes: &[String]) -> Result<Vec<usize>, Error> {
    let places: HashMap<&String, usize> = classes.iter().zip(0..).collect();
    let missing = |name: &String, has: usize, lacks: usize| {
        Error::Usage(format!(
            "these models know different classes: model {} has '{name}', and model {} has not; only models of the same \
             classes can answer together",
            has + 1,
            lacks + 1
        ))
    };
    let place = |name: &String| places.get(name).copied().ok_or_else(|| missing(name, number, 0));
    let order: Vec<usize> = own.iter().map(place).collect::<Result<_, _>>()?;
    match classes.iter().find(|name| !own.contains(name)) {
        Some(name) => Err(missing(name, 0, number)),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_classes_come_in_their_order() {
        let p = [0.1, 0.3, 0.05, 0.3, 0.25];
        assert_eq!(best_classes(&p, 3), [1, 3, 4]);
        assert_eq!(best_classes(&p, 1), [1]);
        assert_eq!(best_classes(&p, 9), [1, 3, 4, 0, 2]);
        assert_eq!(best_classes(&p, 0), [] as [usize; 0]);
        for p in [&p[..], &[f32::NAN; 4], &[0.5, f32::NAN, 0.5]] {
            for (rank, class) in best_classes(p, p.len()).into_iter().enumerate() {
                assert_eq!(rank_of(class, p), rank, "{p:?}");
            }
        }
    }

    #[test]
    fn classes_are_matched_by_name_and_must_be_the_same() {
        let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let all = names(&["cat", "dog", "owl"]);
        assert_eq!(order_of(1, &names(&["owl", "cat", "dog"]), &all).unwrap(), [2, 0, 1]);
        let error = order_of(1, &names(&["owl", "cat"]), &all).unwrap_err().to_string();
        assert!(error.contains("model 1 has 'dog', and model 2 has not"), "{error}");
        let error = order_of(2, &names(&["owl", "cat", "dog", "fox"]), &all).unwrap_err().to_string();
        assert!(error.contains("model 3 has 'fox', and model 1 has not"), "{error}");
    }

    #[test]
    fn views_have_names() {
        for views in Views::ALL {
            assert_eq!(views.name().parse::<Views>().unwrap(), views);
        }
        assert_eq!([1, 2, 10], Views::ALL.map(|views| views.list().len()));
        let error = "tencrop".parse::<Views>().unwrap_err().to_string();
        assert!(error.contains("did you mean 'ten-crop'?"), "{error}");
    }
}
