//! The loop: batches in, better parameters out, nothing lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ocelli_core::optim::average_curvature;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Optimizer, OptimizerState, Params, PlanOptions, RandomState, Targets,
    Update,
};
use ocelli_data::{Dataset, Loader, LoaderOptions, Named, Picture, Sampler, Splits};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::RunConfig;
use super::event::{EpochRecord, Event};
use super::folder::RunFolder;
use super::health::{self, Health};
use crate::Error;
use crate::engine::Engine;
use crate::eval::{Evaluation, Evaluator};
use crate::io::{Checkpoint, ModelFile, Network, hex};
use crate::report::EpochRow;

/// Batches that are prepared ahead.
pub(crate) const PREFETCH: usize = 4;

/// How the one who started a training steers it, and hears of it.
pub struct Control<'a> {
    /// Is told what happens.
    pub observer: &'a mut dyn FnMut(&Event),
    /// Set to stop after the step at hand, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// At most this long between two checkpoints.
    pub checkpoint_every: Duration,
}

/// How far a run has come: what a checkpoint keeps beside parameters and slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Epochs done.
    pub(super) epoch: u64,
    /// Batches done of the next one.
    pub(super) batch: usize,
    /// The costs of these batches, added up.
    pub(super) loss_sum: f64,
    /// Images of these batches that were classified rightly.
    pub(super) correct: u64,
    /// Images of these batches.
    pub(super) seen: u64,
    /// Seconds that these batches took.
    pub(super) epoch_seconds: f64,
    /// Seconds of training, resumptions included.
    pub(super) seconds: f64,
    /// Steps done in all.
    pub(super) step: u64,
    /// The learning rate of the last step.
    pub(super) rate: f64,
    /// Digests of the training and of the held-out images.
    pub(super) data: [String; 2],
    /// When training began, ISO 8601.
    pub(super) started: String,
    /// The epochs so far.
    pub(super) records: Vec<EpochRecord>,
    /// The epoch with the highest held-out accuracy.
    pub(super) best: Option<Best>,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// Epochs done.
    pub(super) epoch: f64,
    /// Held-out accuracy.
    pub(super) top1: f64,
    /// Held-out loss.
    pub(super) loss: f64,
}

impl Best {
    /// Whether these figures are better: more accurate, or as accurate with less loss.
    fn is_beaten_by(&self, evaluation: &Evaluation) -> bool {
        (evaluation.top1, -evaluation.loss) > (self.top1, -self.loss)
    }
}

/// Trains one network.
pub struct Trainer {
    pub(super) config: RunConfig,
    pub(super) folder: RunFolder,
    pub(super) engine: Engine,
    pub(super) splits: Splits,
    pub(super) network: Network,
    pub(super) criterion: Criterion,
    pub(super) params: Params<f32>,
    pub(super) progress: Progress,
    pub(super) evaluator: Evaluator,
    pub(super) evaluation: Option<Evaluation>,
    state: OptimizerState<f32>,
    executor: Executor<f32>,
    curvature: Option<Executor<f32>>,
    health: Health,
    health_images: Vec<f32>,
    resumed: Instant,
}

impl Trainer {
    /// Begins a run in `folder`, which `command` asked for.
    ///
    /// # Errors
    /// A configuration that does not fit the data, or too little memory.
    pub fn begin(
        mut config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
        command: &str,
    ) -> Result<Trainer, Error> {
        config.isa = engine.isa().name().to_string();
        config.commands = vec![command.to_string()];
        let trainer = Trainer::prepare(config, splits, engine, folder)?;
        if trainer.folder.config().exists() {
            let path = trainer.folder.path().display();
            return Err(Error::Usage(format!("{path} holds a run by now; choose another folder with --out")));
        }
        trainer.folder.write(&trainer.folder.config(), &trainer.config.to_toml())?;
        Ok(trainer)
    }

    /// Goes on with the run in `folder` from its last good checkpoint. The warnings say what the user should know, such
    /// as that this was not the newest.
    ///
    /// # Errors
    /// A folder without a run, a damaged checkpoint, or data that are not those of the run.
    pub fn resume(
        config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
    ) -> Result<(Trainer, Vec<String>), Error> {
        let mut trainer = Trainer::prepare(config, splits, engine, folder)?;
        let mut warnings = trainer.config.differences_of_maker(engine);
        if Checkpoint::exists(trainer.folder.path()) {
            let (checkpoint, fallback) = Checkpoint::load(trainer.folder.path())?;
            warnings.extend(fallback.map(|f| f.to_string()));
            trainer.restore(checkpoint)?;
        } else if trainer.folder.model().exists() || trainer.folder.best().exists() {
            return Err(Error::Bad(format!(
                "{}: the run has a model but no checkpoint any more, so it cannot go on; begin another run",
                trainer.folder.path().display()
            )));
        } else {
            warnings.push("no checkpoint was written yet; training starts anew".to_string());
        }
        trainer.folder.write(&trainer.folder.config(), &trainer.config.to_toml())?;
        trainer.folder.write_metrics(&trainer.progress.records)?;
        Ok((trainer, warnings))
    }

    /// Takes over the state of a checkpoint, which must be of this very run.
    fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        let path = self.folder.path().display();
        let config: RunConfig = serde_json::from_value(checkpoint.config)
            .map_err(|e| Error::Bad(format!("{path}: the checkpoint's configuration is damaged: {e}")))?;
        if !config.trains_like(&self.config) {
            return Err(Error::Bad(format!(
                "{path}: config.toml is not what this run was begun with; restore it, or begin another run"
            )));
        }
        let progress: Progress = serde_json::from_value(checkpoint.progress)
            .map_err(|e| Error::Bad(format!("{path}: the checkpoint's progress is damaged: {e}")))?;
        if progress.data != self.progress.data {
            let train_is_the_same = progress.data[0] == self.progress.data[0];
            let other = self.config.val.as_ref().filter(|_| train_is_the_same);
            return Err(Error::Bad(format!(
                "{path}: '{}' no longer holds the images that this run was begun with; restore them, or begin another \
                 run",
                other.unwrap_or(&self.config.data)
            )));
        }
        let asked = self.config.recipe.epochs;
        if asked < progress.epoch || asked == progress.epoch && progress.batch > 0 {
            return Err(Error::Usage(format!(
                "{} epochs of this run are done, and --epochs {asked} is its new total; give at least {}",
                progress.epoch,
                progress.epoch + u64::from(progress.batch > 0)
            )));
        }
        (self.params, self.state, self.progress) = (checkpoint.params, checkpoint.state, progress);
        Ok(())
    }

    fn prepare(
        config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
    ) -> Result<Trainer, Error> {
        folder.lock()?;
        let recipe = &config.recipe;
        recipe.check()?;
        splits.check()?;
        let classes = splits.train.classes().to_vec();
        let network = config.build_network(classes.len())?;
        let graph = Arc::clone(&network.graph);
        let criterion = Criterion { loss: recipe.loss.clone(), reduction: recipe.reduction };
        let batch = recipe.batch.min(splits.train.len());
        let executor = engine.executor(&graph, super::step_options(batch, recipe.precision))?;
        let curvature =
            curvature_options(&recipe.optimizer).map(|o| engine.executor(&graph, o)).transpose()?;
        let evaluator = Evaluator::new(engine, &graph, &criterion, &config.preprocess, &classes)?;
        let params = Params::initialised(graph.layout(), config.seed)?;
        let state = OptimizerState::new(&recipe.optimizer, graph.layout())?;
        let health = Health::new(engine, &graph)?;
        let health_images = health_images(&splits, &config)?;
        let data = [data_digest(&*splits.train), data_digest(&*splits.val)];
        let progress = Progress { started: crate::machine::now(), data, ..Progress::default() };
        Ok(Trainer {
            engine: engine.clone(),
            resumed: Instant::now(),
            evaluation: None,
            config,
            folder,
            splits,
            network,
            criterion,
            params,
            progress,
            evaluator,
            state,
            executor,
            curvature,
            health,
            health_images,
        })
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.network.graph
    }

    /// The training images that could not be decoded so far, and in whose place others of their class were taken.
    pub fn replaced(&self) -> Named {
        self.splits.train.replaced()
    }

    /// Trains to the end, or until told to stop.
    ///
    /// # Errors
    /// [`Error::Diverged`] where the loss is no longer a number (the checkpoint before stays),
    /// [`Error::Interrupted`] where told to stop (a checkpoint is written), and errors of disk and data.
    pub fn run(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        self.resumed = Instant::now();
        (control.observer)(&self.start_event());
        let epochs = self.config.recipe.epochs;
        let sampler =
            Sampler::new(self.splits.train.len(), self.config.recipe.batch)?.shuffled(self.config.seed);
        let mut loader = self.loader(&sampler, epochs)?;
        let mut pace = Pace::new();
        while self.progress.epoch < epochs {
            self.epoch(&mut loader, &mut pace, control)?;
        }
        if self.evaluation.is_none() {
            self.evaluation = Some(self.evaluator.run(&self.params, &self.splits.val)?);
        }
        Ok(())
    }

    fn loader(&self, sampler: &Sampler, epochs: u64) -> Result<Loader, Error> {
        let options = LoaderOptions {
            threads: usize::from(self.engine.threads() > 1),
            prefetch: PREFETCH,
            augment: self.config.augment(),
            mix: self.config.mix(),
            seed: self.config.seed,
            epochs: self.progress.epoch..epochs.max(self.progress.epoch),
            first_batch: self.progress.batch,
        };
        Ok(Loader::new(Arc::clone(&self.splits.train), &self.config.preprocess, sampler.clone(), options)?)
    }

    fn epoch(
        &mut self,
        loader: &mut Loader,
        pace: &mut Pace,
        control: &mut Control<'_>,
    ) -> Result<(), Error> {
        let batches = self.batches();
        while self.progress.batch < batches {
            let start = Instant::now();
            let batch = loader.next_batch().expect("invariant: the loader has every batch of the run")?;
            if self.curvature_is_due() {
                self.estimate_curvature()?;
            }
            self.step(batch)?;
            let seconds = start.elapsed().as_secs_f64();
            self.progress.epoch_seconds += seconds;
            pace.step(seconds);
            if pace.report_due() {
                (control.observer)(&self.progress_event(pace));
            }
            let due = pace.last_checkpoint.elapsed() >= control.checkpoint_every;
            let stop = control.stop.load(Ordering::Relaxed);
            if (due || stop) && self.progress.batch < batches {
                self.confirm(batch)?;
                self.checkpoint(control)?;
                pace.last_checkpoint = Instant::now();
            }
            if stop && self.progress.batch < batches {
                return Err(Error::Interrupted(self.folder.path().to_path_buf()));
            }
        }
        self.end_of_epoch(control)?;
        pace.last_checkpoint = Instant::now();
        match control.stop.load(Ordering::Relaxed) && self.progress.epoch < self.config.recipe.epochs {
            true => Err(Error::Interrupted(self.folder.path().to_path_buf())),
            false => Ok(()),
        }
    }

    /// Whether the parameters, as the last step left them, still give a finite loss: a checkpoint of others would
    /// take the place of a good one.
    fn confirm(&mut self, batch: &ocelli_data::Batch) -> Result<(), Error> {
        let targets = Some(Targets::Classes(&batch.labels));
        let run = Batch { inputs: &[&batch.images], targets, count: batch.len() };
        let cost = self.executor.evaluate(&self.params, &run, &self.criterion);
        match cost.is_finite() && self.all_finite() {
            true => Ok(()),
            false => Err(self.diverged(&batch.images, batch.len())),
        }
    }

    fn all_finite(&self) -> bool {
        let slots = self.state.slots().iter();
        slots.chain([&self.params]).all(|p| p.data().iter().all(|x| x.is_finite()))
    }

    fn step(&mut self, batch: &ocelli_data::Batch) -> Result<(), Error> {
        let targets = match &batch.targets {
            Some(shares) => Targets::Values(shares),
            None => Targets::Classes(&batch.labels),
        };
        let run = Batch { inputs: &[&batch.images], targets: Some(targets), count: batch.len() };
        let random = RandomState { seed: self.config.seed, step: self.progress.step };
        let rate = self.rate();
        if self.progress.batch + 1 == self.batches() {
            self.executor.note_gradient_norms(); // for the health of the layers
        }
        let update = Update { optimizer: &self.config.recipe.optimizer, state: &mut self.state, rate };
        let cost = self.executor.step(&mut self.params, &run, &self.criterion, update, random);
        if !cost.is_finite() {
            return Err(self.diverged(&batch.images, batch.len()));
        }
        let (loss, outputs) = (&self.criterion.loss, self.executor.output());
        let width = outputs.len() / batch.len();
        let rows = outputs.chunks_exact(width).zip(&batch.labels);
        let progress = &mut self.progress;
        progress.correct +=
            rows.filter(|(x, label)| loss.predicted_class(x) == **label as usize).count() as u64;
        progress.loss_sum += self.executor.costs().iter().map(|&c| f64::from(c)).sum::<f64>();
        progress.seen += batch.len() as u64;
        progress.rate = rate;
        progress.batch += 1;
        progress.step += 1;
        Ok(())
    }

    /// Steps of an epoch.
    fn batches(&self) -> usize {
        self.splits.train.len().div_ceil(self.config.recipe.batch)
    }

    /// Epochs done, with the fraction of this one.
    fn position(&self) -> f64 {
        self.progress.epoch as f64 + self.progress.batch as f64 / self.batches() as f64
    }

    /// The schedule's learning rate for the next batch.
    fn rate(&self) -> f64 {
        let recipe = &self.config.recipe;
        recipe.schedule.rate(recipe.rate, self.position(), recipe.epochs as f64)
    }

    /// Diagonal Levenberg–Marquardt renews its second derivatives before each epoch; in the first one, while the weights
    /// grow out of their small start by orders of magnitude, also after 16, 32, 64, … images.
    fn curvature_is_due(&self) -> bool {
        let seen = self.progress.seen;
        let before = seen.saturating_sub(self.config.recipe.batch as u64);
        let doubled = seen >= 16 && before.max(8).ilog2() < seen.ilog2();
        self.progress.batch == 0 || self.progress.epoch == 0 && doubled
    }

    /// The mean second derivative of each parameter over some images.
    fn estimate_curvature(&mut self) -> Result<(), Error> {
        let Optimizer::DiagonalLm { samples, .. } = self.config.recipe.optimizer else { return Ok(()) };
        const PURPOSE: u64 = u64::from_be_bytes(*b"CURVE   "); // other images than the epoch begins with
        let executor = self.curvature.as_mut().expect("invariant: made with this optimizer");
        let seed = self.config.seed ^ PURPOSE;
        let sampler = Sampler::new(self.splits.train.len(), 1)?.shuffled(seed);
        let epochs = self.progress.epoch..self.progress.epoch + 1;
        let options =
            LoaderOptions { augment: self.config.augment(), seed, epochs, ..LoaderOptions::default() };
        let train = Arc::clone(&self.splits.train);
        let mut loader = Loader::new(train, &self.config.preprocess, sampler, options)?;
        for count in 1..=samples.min(self.splits.train.len()) as u64 {
            let batch = loader.next_batch().expect("as many batches as images")?;
            let targets = Some(Targets::Classes(&batch.labels));
            let run = Batch { inputs: &[&batch.images], targets, count: 1 };
            executor.curvature(&self.params, &run, &self.criterion, RandomState::default())?;
            average_curvature(self.state.slots_mut()[0].data_mut(), executor.gradients().data(), count);
        }
        Ok(())
    }

    fn end_of_epoch(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        let evaluation = self.evaluator.run(&self.params, &self.splits.val)?;
        if !evaluation.loss.is_finite() || !self.all_finite() {
            let images = std::mem::take(&mut self.health_images);
            let count = images.len() / self.config.preprocess.input_shape().iter().product::<usize>();
            return Err(self.diverged(&images, count));
        }
        let progress = &mut self.progress;
        let epoch = (progress.epoch + 1) as f64;
        let row = EpochRow {
            epoch,
            learning_rate: Some(progress.rate),
            train_loss: Some(progress.loss_sum / progress.seen as f64),
            train_top1: Some(progress.correct as f64 / progress.seen as f64),
            val_loss: Some(evaluation.loss),
            val_top1: Some(evaluation.top1),
            val_top5: Some(evaluation.top5),
        };
        let health = self.health.measure(&self.params, &self.executor, &self.health_images, epoch);
        let progress = &mut self.progress;
        let images_per_second = progress.seen as f64 / progress.epoch_seconds.max(1e-9);
        progress.seconds += self.resumed.elapsed().as_secs_f64();
        self.resumed = Instant::now();
        let record =
            EpochRecord { row, step: progress.step, seconds: progress.seconds, images_per_second, health };
        progress.records.push(record.clone());
        let better = progress.best.is_none_or(|best| best.is_beaten_by(&evaluation));
        if better {
            progress.best = Some(Best { epoch, top1: evaluation.top1, loss: evaluation.loss });
        }
        (progress.epoch, progress.batch) = (progress.epoch + 1, 0);
        (progress.loss_sum, progress.correct, progress.seen, progress.epoch_seconds) = (0.0, 0, 0, 0.0);
        self.evaluation = Some(evaluation);
        if better {
            self.model_file().save(&self.folder.best())?;
        }
        self.folder.append_metrics(&record)?;
        self.checkpoint(control)?;
        (control.observer)(&Event::Epoch(record));
        Ok(())
    }

    fn checkpoint(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        self.progress.seconds += self.resumed.elapsed().as_secs_f64();
        self.resumed = Instant::now();
        let checkpoint = Checkpoint {
            network: self.network.clone(),
            optimizer: self.config.recipe.optimizer.clone(),
            params: &self.params,
            state: &self.state,
            progress: serde_json::to_value(&self.progress).expect("plain data"),
            config: serde_json::to_value(&self.config).expect("plain data"),
        };
        checkpoint.save(self.folder.path())?;
        (control.observer)(&Event::Checkpoint { epoch: self.position() });
        Ok(())
    }

    /// The model file of the parameters as they are.
    pub(super) fn model_file(&self) -> ModelFile<&Params<f32>> {
        ModelFile {
            network: self.network.clone(),
            classes: self.splits.train.classes().to_vec(),
            preprocess: serde_json::to_value(&self.config.preprocess).expect("plain data"),
            training: serde_json::json!({
                "data": self.config.data, "train_digest": self.progress.data[0], "val": self.config.val, "net": self.config.net, "seed": self.config.seed,
                "epochs": self.progress.epoch, "recipe": self.config.recipe,
            }),
            params: &self.params,
        }
    }

    fn diverged(&self, images: &[f32], count: usize) -> Error {
        let graph = &self.network.graph;
        let found = health::first_not_finite(&self.engine, graph, &self.params, images, count);
        let found = found.unwrap_or_else(|e| format!("unknown, as finding it failed: {e}"));
        let path = self.folder.path();
        let kept = match Checkpoint::exists(path) {
            true => format!("the last good checkpoint stays in {}", path.display()),
            false => "no checkpoint had been written yet".to_string(),
        };
        let recipe = &self.config.recipe;
        let advice = match recipe.schedule.base() {
            // A schedule that lists its rates takes no other.
            Some(rate) => format!("--schedule constant --lr {:.1e}", rate / 10.0),
            None => format!("--lr {:.1e}", recipe.rate / 10.0),
        };
        Error::Diverged(format!(
            "training diverged: the loss is no longer a number after {} steps (epoch {}, learning rate {:.3e})\n  \
             first not finite: {found}\n  {kept}; try a smaller learning rate, such as {advice}",
            self.progress.step,
            self.progress.epoch + 1,
            self.rate()
        ))
    }

    fn start_event(&self) -> Event {
        Event::Start {
            run: self.folder.path().display().to_string(),
            net: self.config.net.clone(),
            parameters: self.network.graph.layout().trainable(),
            train_images: self.splits.train.len(),
            val_images: self.splits.val.len(),
            val_is: self.splits.val_is.to_string(),
            epochs: self.config.recipe.epochs,
            epochs_done: self.position(),
        }
    }

    fn progress_event(&self, pace: &mut Pace) -> Event {
        let progress = &self.progress;
        Event::Progress {
            epoch: self.position(),
            epochs: self.config.recipe.epochs,
            step: progress.step,
            loss: progress.loss_sum / progress.seen as f64,
            top1: progress.correct as f64 / progress.seen as f64,
            seconds_per_step: pace.seconds_per_step(),
        }
    }
}

/// When to report and to save.
struct Pace {
    last_report: Instant,
    /// Steps since then, and the seconds that they took.
    steps: u32,
    seconds: f64,
    last_checkpoint: Instant,
}

impl Pace {
    fn new() -> Pace {
        Pace { last_report: Instant::now(), steps: 0, seconds: 0.0, last_checkpoint: Instant::now() }
    }

    fn step(&mut self, seconds: f64) {
        (self.steps, self.seconds) = (self.steps + 1, self.seconds + seconds);
    }

    fn report_due(&self) -> bool {
        self.last_report.elapsed() >= Duration::from_millis(200)
    }

    /// The mean since the last report, which this one becomes.
    fn seconds_per_step(&mut self) -> f64 {
        let mean = self.seconds / f64::from(self.steps.max(1));
        (self.last_report, self.steps, self.seconds) = (Instant::now(), 0, 0.0);
        mean
    }
}

/// The plan with which an optimiser's second derivatives are propagated, if it has any.
pub(crate) fn curvature_options(optimizer: &Optimizer) -> Option<PlanOptions> {
    let diagonal = matches!(optimizer, Optimizer::DiagonalLm { .. });
    diagonal.then(|| PlanOptions { curvature: true, ..PlanOptions::train(1) })
}

/// What tells a set of images from others: SHA-256 of classes, labels and some pixels, in their order.
pub fn data_digest(set: &dyn Dataset) -> String {
    const PICTURES: usize = 64;
    let mut hasher = Sha256::new();
    hasher.update((set.len() as u64).to_le_bytes());
    for class in set.classes() {
        hasher.update((class.len() as u64).to_le_bytes());
        hasher.update(class.as_bytes());
    }
    (0..set.len()).for_each(|i| hasher.update(set.label(i).to_le_bytes()));
    let mut picture = Picture::default();
    for i in (0..set.len()).step_by(set.len().div_ceil(PICTURES).max(1)) {
        // A picture that cannot be read is an error of the epoch that needs it, not of this.
        if set.read(i, &mut picture).is_ok() {
            hasher.update(&picture.pixels);
        }
    }
    hex(&hasher.finalize())
}

/// Held-out images on which the health of the layers is measured.
fn health_images(splits: &Splits, config: &RunConfig) -> Result<Vec<f32>, Error> {
    let count = health::IMAGES.min(splits.val.len());
    if count == 0 {
        return Ok(Vec::new());
    }
    let sampler = Sampler::new(splits.val.len(), count)?;
    let mut loader =
        Loader::new(Arc::clone(&splits.val), &config.preprocess, sampler, LoaderOptions::default())?;
    Ok(loader.next_batch().expect("a set with images has a batch")?.images.clone())
}
