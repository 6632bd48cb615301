//! The learning-rate range test: which rate suits a network and its data (Smith, "Cyclical learning rates for training neural
//! networks", 2017, section 3.3).
//!
//! Training begins as a run would, on weights that are thrown away, while the rate grows from tiny to huge by the same factor in
//! each step. At rates that are too small the loss stays; then it falls; then it rises, as steps overshoot. What is suggested is
//! a third of the rate at which the loss was lowest: there training is still fast, and still far from breaking
//! (`docs/training.md` holds it against trainings).

use std::sync::atomic::{AtomicBool, Ordering};

use ocelli_core::{Criterion, Optimizer, RandomState, Share};
use ocelli_data::{Loader, Splits, class_counts};
use serde::Serialize;

use super::config::RunConfig;
use super::learner::{Learner, Lesson};
use super::length::Epochs;
use super::loading::training_batches;
use super::sizes::as_it_begins;
use crate::engine::Engine;
use crate::{Error, SCHEMA};

/// Steps of a sweep.
const STEPS: usize = 140;
/// The rates that it goes through.
const FIRST: f64 = 1e-6;
const LAST: f64 = 10.0;
/// How much of itself the smoothed loss keeps in a step.
const SMOOTHING: f64 = 0.85;
/// A loss so many times as high as the lowest one ends the sweep.
const TOO_HIGH: f64 = 3.0;
/// The share of the rate of the lowest loss that is suggested.
const SUGGESTED: f64 = 1.0 / 3.0;

/// What a sweep through the learning rates found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateSweep {
    /// Version of this form.
    pub schema: u32,
    /// The network's name.
    pub net: String,
    /// The optimiser's name.
    pub optimizer: String,
    /// Images of a step.
    pub batch: usize,
    /// A rate to train with.
    pub suggested: f64,
    /// The rate at which the loss was lowest.
    pub lowest: f64,
    /// The steps, by ascending rate.
    pub points: Vec<RatePoint>,
}

/// A step of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatePoint {
    /// The learning rate.
    pub rate: f64,
    /// The mean loss of its images, before the step.
    pub loss: f64,
    /// The mean over the steps so far, the last ones first.
    pub smoothed: f64,
}

/// Whether a sweep tells something of an optimiser's rate.
///
/// # Errors
/// [`Error::Usage`] for one whose steps second derivatives scale.
pub fn check_sweep(optimizer: &Optimizer) -> Result<(), Error> {
    match optimizer {
        Optimizer::DiagonalLm { .. } => Err(Error::Usage(
            "--find-lr does not go with diagonal-lm, which has a rate of its own for each weight; give another --optimizer"
                .to_string(),
        )),
        _ => Ok(()),
    }
}

/// Sweeps through the learning rates as a run of `config` would begin, and keeps nothing of what was learned.
///
/// # Errors
/// As for a run and [`check_sweep`]; losses that tell nothing of the rate; and [`Error::Stopped`] where `stop` was set.
pub fn find_rate(
    config: &RunConfig,
    splits: &Splits,
    engine: &Engine,
    stop: &AtomicBool,
) -> Result<RateSweep, Error> {
    let recipe = &config.recipe;
    check_sweep(&recipe.optimizer)?;
    let classes = splits.train.classes();
    let network = config.build_network(classes.len())?;
    let (config, graph) = as_it_begins(config, &network)?;
    let config = &config;
    let criterion = Criterion { loss: recipe.loss.clone(), reduction: recipe.reduction };
    let weights = recipe.class_weights.of(&class_counts(&*splits.train));
    let mut learner =
        Learner::new(recipe, super::start::initial_params(config, &network, &*splits.train)?, weights)?;
    let batch = recipe.batch.min(splits.train.len());
    learner.plan(recipe, &graph, batch, engine)?;
    let epochs = Epochs { images: splits.train.len(), batch: recipe.batch, accumulate: recipe.accumulate };
    let loader = training_batches(config, &splits.train, (0, 0), engine.threads())?;
    let mut sweep = Sweep { config, criterion, learner, loader, epochs, points: Vec::new() };
    sweep.run(stop)?;
    sweep.result(&network.name, epochs.step_from(0).1)
}

struct Sweep<'a> {
    config: &'a RunConfig,
    criterion: Criterion,
    learner: Learner,
    loader: Loader,
    epochs: Epochs,
    points: Vec<RatePoint>,
}

impl Sweep<'_> {
    fn run(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        let (mut mean, mut first) = (0.0, 0);
        for step in 0..STEPS {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped("stopped before a rate was found".to_string()));
            }
            let rate = FIRST * (LAST / FIRST).powf(step as f64 / (STEPS - 1) as f64);
            let Some(loss) = self.step(step as u64, first, rate)? else { return Ok(()) };
            first += self.epochs.step_from(first).0;
            first %= self.epochs.batches();
            mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss;
            let smoothed = mean / (1.0 - SMOOTHING.powi(step as i32 + 1));
            self.points.push(RatePoint { rate, loss, smoothed });
            let lowest = self.points.iter().map(|point| point.smoothed).fold(f64::INFINITY, f64::min);
            if smoothed > TOO_HIGH * lowest {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A step with this rate from the batch of this number on: the mean loss, unless it is no number.
    fn step(&mut self, step: u64, first: usize, rate: f64) -> Result<Option<f64>, Error> {
        let (batches, samples) = self.epochs.step_from(first);
        let (mut sum, mut seen) = (0.0, 0);
        for number in 0..batches {
            let batch = self.loader.next_batch().expect("invariant: there is an epoch after each")?;
            let step = step * self.config.recipe.accumulate as u64 + number as u64;
            let lesson = Lesson {
                recipe: &self.config.recipe,
                criterion: &self.criterion,
                random: RandomState { seed: self.config.seed, step },
                share: Share { first: number == 0, samples },
                last: number + 1 == batches,
                rate,
                norms: false,
            };
            let Some(tally) = self.learner.learn(batch, lesson) else { return Ok(None) };
            (sum, seen) = (sum + tally.loss_sum, seen + tally.seen);
        }
        Ok(Some(sum / seen as f64).filter(|loss| loss.is_finite()))
    }

    fn result(self, net: &str, batch: usize) -> Result<RateSweep, Error> {
        let lowest = self.points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed));
        let start = self.points.first().map_or(f64::NAN, |point| point.smoothed);
        let Some(lowest) = lowest.filter(|lowest| lowest.smoothed < 0.99 * start) else {
            return Err(Error::Usage(
                "no learning rate makes the loss fall in these steps; look at the data, the loss and the network"
                    .to_string(),
            ));
        };
        if self.points.len() == STEPS && self.points.last().is_some_and(|last| lowest.rate >= last.rate) {
            return Err(Error::Usage(format!(
                "the loss still falls at the largest rate that is tried, {}, so none can be suggested; look at the data, the loss \
                 and the network",
                two_digits(lowest.rate)
            )));
        }
        Ok(RateSweep {
            schema: SCHEMA,
            net: net.to_string(),
            optimizer: self.config.recipe.optimizer.name().to_string(),
            batch,
            suggested: two_digits(SUGGESTED * lowest.rate),
            lowest: lowest.rate,
            points: self.points,
        })
    }
}

/// A rate has no more digits than are known of it.
fn two_digits(x: f64) -> f64 {
    format!("{x:.1e}").parse().expect("a number that was written as one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_with_two_digits() {
        assert_eq!([0.0512345, 1.26e-5, 3.0].map(two_digits), [0.051, 1.3e-5, 3.0]);
    }
}
