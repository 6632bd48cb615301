//! What learns: the parameters, what belongs to them, and the executor of the steps of training.

use std::sync::Arc;

use ocelli_core::{
    Batch, Criterion, Executor, Graph, Optimizer, OptimizerState, Params, RandomState, Share, Targets, Update,
};

use super::health::Health;
use crate::Error;
use crate::Recipe;
use crate::engine::Engine;

/// Parameters, the optimiser's memory and the average, and the plan that moves them.
pub(super) struct Learner {
    pub(super) params: Params<f32>,
    pub(super) state: OptimizerState<f32>,
    /// The moving average of the parameters, where the recipe has one.
    pub(super) average: Option<Params<f32>>,
    /// For pictures of the size at hand; `None` until a size is chosen.
    executor: Option<Executor<f32>>,
    class_weights: Vec<f32>,
}

/// How a batch takes part in a step.
#[derive(Clone, Copy)]
pub(super) struct Lesson<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) criterion: &'a Criterion,
    pub(super) random: RandomState,
    /// Its place among the batches of the step.
    pub(super) share: Share,
    /// Whether it is the last of them, which moves the parameters.
    pub(super) last: bool,
    /// The learning rate.
    pub(super) rate: f64,
    /// Whether the norms of the gradients are wanted.
    pub(super) norms: bool,
}

/// What a batch showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// The costs of its images, added up.
    pub(super) loss_sum: f64,
    /// Images that were classified rightly.
    pub(super) correct: u64,
    /// Images.
    pub(super) seen: u64,
}

impl Learner {
    /// A learner with these parameters.
    pub(super) fn new(
        recipe: &Recipe,
        params: Params<f32>,
        class_weights: Vec<f32>,
    ) -> Result<Learner, Error> {
        let state = OptimizerState::new(&recipe.optimizer, params.layout())?;
        let average = recipe.ema.map(|_| params.try_clone()).transpose()?;
        Ok(Learner { params, state, average, executor: None, class_weights })
    }

    /// Makes the plan for pictures of another size, when that for the last one is gone.
    pub(super) fn plan(
        &mut self,
        recipe: &Recipe,
        graph: &Arc<Graph>,
        batch: usize,
        engine: &Engine,
    ) -> Result<(), Error> {
        self.executor = None;
        let mut executor = engine.executor(graph, super::recipe_options(recipe, graph, batch)?)?;
        executor.set_class_weights(self.class_weights.clone());
        self.executor = Some(executor);
        Ok(())
    }

    /// The executor of the steps.
    pub(super) fn executor(&self) -> &Executor<f32> {
        self.executor.as_ref().expect("invariant: a size was chosen")
    }

    /// The parameters that are measured and saved: the average where there is one.
    pub(super) fn weights(&self) -> &Params<f32> {
        self.average.as_ref().unwrap_or(&self.params)
    }

    /// Learns from a batch. `None` where a cost is no finite number, or no gradient is: then no parameter was moved.
    pub(super) fn learn(&mut self, batch: &ocelli_data::Batch, lesson: Lesson<'_>) -> Option<Tally> {
        let Lesson { recipe, criterion, random, share, last, rate, norms } = lesson;
        let executor = self.executor.as_mut().expect("invariant: a size was chosen");
        let run = Batch { inputs: &[&batch.images], targets: Some(targets(batch)), count: batch.len() };
        let offset_rate = recipe.offset_rate;
        let update = Update { offset_rate, ..Update::new(&recipe.optimizer, &mut self.state, rate) };
        let params = &mut self.params;
        let finite = if in_halves(recipe) {
            let cost = executor.accumulate(params, &run, criterion, share, random);
            cost.is_finite() && (!last || executor.apply(params, update, recipe.clip_norm).is_finite())
        } else {
            if norms {
                executor.note_gradient_norms();
            }
            executor.step(params, &run, criterion, update, random).is_finite()
        };
        if let (true, true, Some(decay), Some(average)) = (finite, last, recipe.ema, &mut self.average) {
            executor.average(average, params, 1.0 - decay_after(self.state.steps, decay));
        }
        finite.then(|| self.tally(batch, criterion))
    }

    fn tally(&self, batch: &ocelli_data::Batch, criterion: &Criterion) -> Tally {
        let executor = self.executor();
        let outputs = executor.output();
        let rows = outputs.chunks_exact(outputs.len() / batch.len()).zip(&batch.labels);
        let right = rows.filter(|(x, label)| criterion.loss.predicted_class(x) == **label as usize);
        Tally {
            correct: right.count() as u64,
            loss_sum: executor.costs().iter().map(|&cost| f64::from(cost)).sum(),
            seen: batch.len() as u64,
        }
    }

    /// Whether the parameters as they are give a finite loss, and all that a checkpoint keeps is finite.
    pub(super) fn is_sound(&mut self, batch: &ocelli_data::Batch, criterion: &Criterion) -> bool {
        let run = Batch { inputs: &[&batch.images], targets: Some(targets(batch)), count: batch.len() };
        let executor = self.executor.as_mut().expect("invariant: a size was chosen");
        executor.evaluate(&self.params, &run, criterion).is_finite() && self.all_finite()
    }

    /// Whether every number that a checkpoint keeps is finite.
    pub(super) fn all_finite(&self) -> bool {
        let slots = self.state.slots().iter().chain(&self.average);
        slots.chain([&self.params]).all(|p| p.data().iter().all(|x| x.is_finite()))
    }

    /// How the layers fare.
    pub(super) fn health(
        &self,
        health: &mut Health,
        images: &[f32],
        epoch: f64,
    ) -> Vec<super::event::LayerFigures> {
        health.measure(self.weights(), self.executor(), images, epoch)
    }
}

/// Whether gradients are kept before they move anything: to be added up, or to be shortened.
pub(super) fn in_halves(recipe: &Recipe) -> bool {
    recipe.accumulate > 1 || recipe.clip_norm.is_some()
}

/// What is wanted of a batch: of mixed images shares of classes.
fn targets(batch: &ocelli_data::Batch) -> Targets<'_, f32> {
    match &batch.targets {
        Some(shares) => Targets::Values(shares),
        None => Targets::Classes(&batch.labels),
    }
}

/// The decay of the average in a run's `steps`-th step: in the first ones it forgets faster, or else it would long remember the
/// weights that training began with.
fn decay_after(steps: u64, decay: f64) -> f64 {
    decay.min((1.0 + steps as f64) / (10.0 + steps as f64))
}

/// The optimiser that needs second derivatives, with what it says of them.
pub(super) fn curvature_samples(optimizer: &Optimizer) -> Option<usize> {
    match optimizer {
        Optimizer::DiagonalLm { samples, .. } => Some(*samples),
        _ => None,
    }
}
