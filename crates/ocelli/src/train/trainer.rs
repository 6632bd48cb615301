//! The loop: batches in, better parameters out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ocelli_core::{Criterion, Executor, Graph, RandomState, Share};
use ocelli_data::{Loader, Named, Splits};

use super::budget::{Budget, next_phase};
use super::clock::{Intervals, Stopwatch};
use super::config::RunConfig;
use super::event::{EpochRecord, Event, Over};
use super::folder::RunFolder;
use super::health::Health;
use super::learner::{Learner, Lesson};
use super::length::{Epochs, decided_at};
use super::loading::training_batches;
use super::progress::Progress;
use super::sizes::Size;
use crate::Error;
use crate::engine::Engine;
use crate::eval::{Evaluation, Evaluator};
use crate::io::Network;
use crate::report::EpochRow;

/// How the one who started a training steers it, and hears of it.
pub struct Control<'a> {
    /// Is told what happens.
    pub observer: &'a mut dyn FnMut(&Event),
    /// Set to stop after the step at hand, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// At most this long between two checkpoints.
    pub checkpoint_every: Duration,
}

/// Trains one network.
pub struct Trainer {
    pub(super) config: RunConfig,
    pub(super) folder: RunFolder,
    pub(super) engine: Engine,
    pub(super) splits: Splits,
    pub(super) network: Network,
    pub(super) criterion: Criterion,
    pub(super) learner: Learner,
    pub(super) progress: Progress,
    pub(super) evaluator: Evaluator,
    pub(super) evaluation: Option<Evaluation>,
    pub(super) curvature: Option<Executor<f32>>,
    pub(super) health: Health,
    pub(super) health_images: Vec<f32>,
    pub(super) sizes: Vec<Size>,
    pub(super) stopwatch: Stopwatch,
    /// Seconds that the last checkpoint took.
    pub(super) saving: f64,
}

/// What the report of a run takes, in seconds, beside writing the model: as long as a checkpoint at most.
const FINISH: f64 = 0.1;

/// The batches of a run from some step on, with pictures of one size.
struct Feed {
    loader: Loader,
    phase: usize,
}

/// What a run of [`Trainer::run`] keeps for itself.
struct Running {
    feed: Feed,
    intervals: Intervals,
    budget: Option<Budget>,
}

impl Trainer {
    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.network.graph
    }

    /// The training images that could not be decoded so far, and in whose place others of their class were taken.
    pub fn replaced(&self) -> Named {
        self.splits.train.replaced()
    }

    /// Counts the time budget of the recipe, if it has one, from this moment, at which the command began, say; else it counts from
    /// when the trainer was made.
    pub fn count_from(&mut self, start: Instant) {
        self.stopwatch.budget_from(start);
    }

    /// Trains to the end, or until told to stop.
    ///
    /// # Errors
    /// [`Error::Diverged`] where the loss is no longer a number (the checkpoint before stays),
    /// [`Error::Interrupted`] where told to stop (a checkpoint is written), and errors of disk and data.
    pub fn run(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        self.stopwatch.begin();
        (control.observer)(&self.start_event());
        if !self.is_done() {
            let budget = self.config.recipe.time_budget.map(|seconds| self.budget(seconds));
            let feed = self.feed(self.progress.phase)?;
            let mut running = Running { feed, intervals: Intervals::new(), budget };
            while !self.is_done() {
                self.advance(&mut running, control)?;
            }
        }
        Ok(())
    }

    /// One step, and what is due after it.
    fn advance(&mut self, running: &mut Running, control: &mut Control<'_>) -> Result<(), Error> {
        self.take_up_phase(running)?;
        if self.curvature_is_due() {
            self.estimate_curvature()?;
        }
        self.step(&mut running.feed.loader, &mut running.intervals)?;
        self.decide_length(running);
        if running.intervals.report_due() {
            (control.observer)(&self.progress_event(&mut running.intervals));
        }
        let stop = control.stop.load(Ordering::Relaxed);
        if self.progress.batch == self.epochs().batches() || self.progress.step >= self.progress.total() {
            let start = Instant::now();
            self.end_of_epoch(control)?;
            running.intervals.saved();
            if let Some(budget) = &mut running.budget {
                let seconds = start.elapsed().as_secs_f64();
                budget.note_epoch_end(seconds);
                // With patience the best model is measured again.
                let again = if self.config.recipe.patience.is_some() { seconds } else { 0.0 };
                budget.expect_finish(FINISH + self.saving + again);
                self.stopwatch.lap();
            }
        } else if stop || running.intervals.checkpoint_due(control.checkpoint_every) {
            let batch = running.feed.loader.current();
            if !self.learner.is_sound(batch, &self.criterion) {
                return Err(self.diverged(&batch.images, batch.len(), running.feed.phase));
            }
            self.checkpoint(control)?;
            running.intervals.saved();
        }
        match stop && !self.is_done() {
            true => Err(Error::Interrupted(self.folder.path().to_path_buf())),
            false => Ok(()),
        }
    }

    /// Learns from the batches of one step.
    fn step(&mut self, loader: &mut Loader, intervals: &mut Intervals) -> Result<(), Error> {
        let start = Instant::now();
        let (batches, samples) = self.epochs().step_from(self.progress.batch);
        let rate = self.rate();
        let ends = self.progress.batch + batches == self.epochs().batches();
        for number in 0..batches {
            let asked = Instant::now();
            let batch = loader.next_batch().expect("invariant: the loader has every batch of the run")?;
            self.progress.waited += asked.elapsed().as_secs_f64();
            let step = self.progress.step * self.config.recipe.accumulate as u64 + number as u64;
            let lesson = Lesson {
                recipe: &self.config.recipe,
                criterion: &self.criterion,
                random: RandomState { seed: self.config.seed, step },
                share: Share { first: number == 0, samples },
                last: number + 1 == batches,
                rate,
                norms: ends || self.progress.step + 1 >= self.progress.total(),
            };
            match self.learner.learn(batch, lesson) {
                Some(tally) => self.progress.add(&tally),
                None => return Err(self.diverged(&batch.images, batch.len(), self.progress.phase)),
            }
        }
        self.progress.rate = rate;
        self.progress.step += 1;
        let seconds = start.elapsed().as_secs_f64();
        self.progress.epoch_seconds += seconds;
        intervals.step(seconds);
        Ok(())
    }

    /// Whether the run has come to its end.
    pub(super) fn is_done(&self) -> bool {
        let progress = &self.progress;
        let impatient = |patience: u64| {
            let last = progress.records.last().map_or(0.0, |record| record.row.epoch);
            progress.highest().is_some_and(|highest| last - highest.epoch >= patience as f64)
        };
        progress.step >= progress.total() || self.config.recipe.patience.is_some_and(impatient)
    }

    /// How batches make steps and epochs.
    pub(super) fn epochs(&self) -> Epochs {
        let recipe = &self.config.recipe;
        Epochs { images: self.splits.train.len(), batch: recipe.batch, accumulate: recipe.accumulate }
    }

    /// Epochs done, with the fraction of this one.
    pub(super) fn position(&self) -> f64 {
        self.progress.epoch as f64 + self.progress.batch as f64 / self.epochs().batches() as f64
    }

    /// Epochs in all, as was last decided.
    pub(super) fn total_epochs(&self) -> f64 {
        let (steps, batches) = (self.epochs().steps(), self.epochs().batches());
        let (whole, rest) = (self.progress.total() / steps, (self.progress.total() % steps) as f64);
        whole as f64 + (rest * self.config.recipe.accumulate as f64 / batches as f64).min(1.0)
    }

    /// The schedule's learning rate for the next step.
    pub(super) fn rate(&self) -> f64 {
        let (recipe, progress) = (&self.config.recipe, &self.progress);
        if !recipe.is_stretched() {
            return recipe.schedule.rate(recipe.rate, self.position(), self.total_epochs());
        }
        let epochs = recipe.epochs as f64;
        let done = progress.step as f64 / progress.total().max(1) as f64;
        recipe.schedule.rate(recipe.rate, epochs * done, epochs)
    }

    /// Decides how long the run is where that is not so yet: as the run that it repeats did, or so that it ends in time.
    fn decide_length(&mut self, running: &mut Running) {
        let step = self.progress.step;
        if let Some(steps) = decided_at(&self.config.pace, step) {
            return self.progress.decide(steps);
        }
        let Some(budget) = &mut running.budget else { return };
        budget.note_step(running.feed.phase, self.stopwatch.lap());
        let elapsed = self.progress.budget_seconds + self.stopwatch.budget_seconds();
        // A recipe of few steps does not end a run that has time left.
        let ends = step >= self.progress.total() && !budget.has_decided();
        if budget.is_due(elapsed) || ends {
            let fit = budget.fit(elapsed, step, running.feed.phase);
            // The last step notes the norms of gradients, so that it has to be known before it is taken.
            let known = step >= self.progress.total() || self.progress.batch == self.epochs().batches();
            self.progress.decide(if known { fit } else { fit.max(step + 1) });
        }
    }

    /// What the speed of this run is measured with.
    fn budget(&self, seconds: f64) -> Budget {
        let pixels = self.sizes.iter().map(|s| s.preprocess.size.iter().product::<usize>() as f64);
        let (recipe, epochs) = (&self.config.recipe, self.epochs());
        let step = recipe.batch.saturating_mul(recipe.accumulate).min(epochs.images).max(1);
        let evaluated = self.splits.val.len() as f64 / step as f64;
        Budget::new(seconds, pixels.collect(), epochs.steps(), evaluated)
    }

    /// Goes over to larger pictures where their time has come.
    fn take_up_phase(&mut self, running: &mut Running) -> Result<(), Error> {
        let (progress, now) = (&self.progress, running.feed.phase);
        let phase = next_phase(now, progress.step, progress.total(), self.sizes.len());
        if phase != now {
            running.feed = self.feed(phase)?;
        }
        Ok(())
    }

    /// The batches from the next one on, with pictures of this size, and the plan for them.
    fn feed(&mut self, phase: usize) -> Result<Feed, Error> {
        self.progress.phase = phase;
        let (size, recipe) = (&self.sizes[phase], &self.config.recipe);
        let batch = recipe.batch.min(self.splits.train.len());
        self.learner.plan(recipe, &size.graph, batch, &self.engine)?;
        let sized = RunConfig { preprocess: size.preprocess.clone(), ..self.config.clone() };
        let next = (self.progress.epoch, self.progress.batch);
        let loader = training_batches(&sized, &self.splits.train, next, self.engine.threads())?;
        Ok(Feed { loader, phase })
    }

    fn end_of_epoch(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        let evaluation = self.evaluator.run(self.learner.weights(), &self.splits.val)?;
        if !evaluation.loss.is_finite() || !self.learner.all_finite() {
            let images = std::mem::take(&mut self.health_images);
            let count = images.len() / self.config.preprocess.input_shape().iter().product::<usize>();
            return Err(self.diverged(&images, count, self.sizes.len() - 1));
        }
        let record = self.record(&evaluation);
        let better = self.progress.note(record.row.epoch, &evaluation);
        self.progress.record(record.clone(), self.epochs().batches());
        self.evaluation = Some(evaluation);
        if better {
            self.model_file().save(&self.folder.best())?;
        }
        self.folder.append_metrics(&record)?;
        self.checkpoint(control)?;
        (control.observer)(&Event::Epoch(record));
        Ok(())
    }

    /// The figures of the images since the last record.
    fn record(&mut self, evaluation: &Evaluation) -> EpochRecord {
        let epoch = self.position();
        let health = self.learner.health(&mut self.health, &self.health_images, epoch);
        self.take_time();
        let progress = &self.progress;
        let seconds = progress.epoch_seconds.max(1e-9);
        let row = EpochRow {
            epoch,
            learning_rate: Some(progress.rate),
            train_loss: Some(progress.loss_sum / progress.seen as f64),
            train_top1: Some(progress.correct as f64 / progress.seen as f64),
            val_loss: Some(evaluation.loss),
            val_top1: Some(evaluation.top1),
            val_top5: Some(evaluation.top5),
        };
        EpochRecord {
            row,
            step: progress.step,
            seconds: progress.seconds,
            images_per_second: progress.seen as f64 / seconds,
            waiting: progress.waited / seconds,
            pace: self.progress.undisclosed().to_vec(),
            size: (self.sizes.len() > 1).then(|| self.sizes[progress.phase].preprocess.size[0]),
            health,
        }
    }

    /// Adds the time since the last look at the clock to that of the run.
    pub(super) fn take_time(&mut self) {
        let (seconds, of_budget) = self.stopwatch.take();
        self.progress.seconds += seconds;
        self.progress.budget_seconds += of_budget;
    }

    fn start_event(&self) -> Event {
        Event::Start {
            run: self.folder.path().display().to_string(),
            net: self.config.net.clone(),
            parameters: self.network.graph.layout().trainable(),
            train_images: self.splits.train.len(),
            val_images: self.splits.val.len(),
            val_is: self.splits.val_is.to_string(),
            epochs: self.total_epochs(),
            epochs_done: self.position(),
            over: self.is_done().then(|| self.over()),
        }
    }

    /// Why there is nothing left to do.
    fn over(&self) -> Over {
        let recipe = &self.config.recipe;
        match self.progress.step >= self.progress.total() {
            false => Over::Patience,
            true if recipe.time_budget.is_some() => Over::Time,
            true if recipe.steps.is_some() => Over::Steps,
            true => Over::Epochs,
        }
    }

    fn progress_event(&self, intervals: &mut Intervals) -> Event {
        let progress = &self.progress;
        Event::Progress {
            epoch: self.position(),
            epochs: self.total_epochs(),
            step: progress.step,
            loss: progress.loss_sum / progress.seen as f64,
            top1: progress.correct as f64 / progress.seen as f64,
            seconds_per_step: intervals.seconds_per_step(),
        }
    }
}
