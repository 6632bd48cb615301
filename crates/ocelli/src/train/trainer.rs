//! The loop: batches in, better parameters out, nothing lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ocelli_core::optim::average_curvature;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Optimizer, OptimizerState, Params, PlanOptions, RandomState, Targets,
    Update,
};
use ocelli_data::{Loader, LoaderOptions, Sampler, Splits};
use serde::{Deserialize, Serialize};

use super::config::RunConfig;
use super::event::{EpochRecord, Event};
use super::folder::RunFolder;
use super::health::{self, Health};
use crate::Error;
use crate::engine::Engine;
use crate::eval::{Evaluation, Evaluator};
use crate::io::{Checkpoint, ModelFile, Network};
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
    /// Seconds of training, all sessions together.
    pub(super) seconds: f64,
    /// Steps done in all.
    pub(super) step: u64,
    /// Length of `metrics.jsonl`.
    pub(super) metrics_len: u64,
    /// When training began, ISO 8601.
    pub(super) started: String,
    /// The epochs so far.
    pub(super) records: Vec<EpochRecord>,
    /// The epoch with the highest held-out accuracy, and what it was.
    pub(super) best: Option<(f64, f64, f64)>,
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
    health: Health,
    health_images: Vec<f32>,
    session: Instant,
}

impl Trainer {
    /// Begins a run in `folder`.
    ///
    /// # Errors
    /// A configuration that does not fit the data, or too little memory.
    pub fn begin(
        config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
    ) -> Result<Trainer, Error> {
        let trainer = Trainer::prepare(config, splits, engine, folder)?;
        trainer.folder.write(&trainer.folder.config(), &trainer.config.to_toml())?;
        Ok(trainer)
    }

    /// Goes on with the run in `folder` from its last good checkpoint. A `warning` says if that was not the newest.
    ///
    /// # Errors
    /// A folder without a run, a damaged checkpoint, or data that are not those of the run.
    pub fn resume(
        config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
    ) -> Result<(Trainer, Option<String>), Error> {
        let mut trainer = Trainer::prepare(config, splits, engine, folder)?;
        if !Checkpoint::exists(trainer.folder.path()) {
            return Ok((trainer, Some("no checkpoint was written yet; training starts anew".to_string())));
        }
        let (checkpoint, fallback) = Checkpoint::load(trainer.folder.path())?;
        let same = checkpoint.network.to_toml() == trainer.network.to_toml()
            && checkpoint.optimizer == trainer.config.recipe.optimizer;
        if !same {
            let path = trainer.folder.path().display();
            return Err(Error::Bad(format!(
                "{path}: the checkpoint is not of the run that config.toml describes"
            )));
        }
        (trainer.params, trainer.state) = (checkpoint.params, checkpoint.state);
        let progress = serde_json::from_value(checkpoint.progress);
        trainer.progress =
            progress.map_err(|e| Error::Bad(format!("the checkpoint's progress is damaged: {e}")))?;
        let (done, asked) = (trainer.progress.epoch, trainer.config.recipe.epochs);
        if asked < done {
            return Err(Error::Usage(format!(
                "{done} epochs of this run are done, and --epochs {asked} is its new total; give at least {done}"
            )));
        }
        let warning = fallback.map(|f| f.to_string());
        trainer.folder.write(&trainer.folder.config(), &trainer.config.to_toml())?;
        Ok((trainer, warning))
    }

    fn prepare(
        config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
    ) -> Result<Trainer, Error> {
        let recipe = &config.recipe;
        recipe.check()?;
        ocelli_data::check_trainable(&*splits.train)?;
        let classes = splits.train.classes().to_vec();
        let network = Network::from_toml(&config.network, "the network", Some(classes.len()))?;
        let graph = Arc::clone(&network.graph);
        let width = graph.node(graph.output()?).shape().len();
        recipe.loss.check(width, Some(classes.len())).map_err(|e| Error::Usage(e.to_string()))?;
        let criterion = Criterion { loss: recipe.loss.clone(), reduction: recipe.reduction };
        let batch = recipe.batch.min(splits.train.len());
        let executor = engine.executor(&graph, PlanOptions::train(batch))?;
        let evaluator = Evaluator::new(engine, &graph, &criterion, &config.preprocess, &classes)?;
        let params = Params::initialised(graph.layout(), config.seed)?;
        let state = OptimizerState::new(&recipe.optimizer, graph.layout())?;
        let health = Health::new(engine, &graph)?;
        let health_images = health_images(&splits, &config)?;
        let progress = Progress { started: crate::machine::now(), ..Progress::default() };
        Ok(Trainer {
            engine: engine.clone(),
            session: Instant::now(),
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
            health,
            health_images,
        })
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.network.graph
    }

    /// Trains to the end, or until told to stop.
    ///
    /// # Errors
    /// [`Error::Diverged`] where the loss is no longer a number (the checkpoint before stays),
    /// [`Error::Interrupted`] where told to stop (a checkpoint is written), and errors of disk and data.
    pub fn run(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        self.session = Instant::now();
        (control.observer)(&self.start_event());
        let epochs = self.config.recipe.epochs;
        let sampler =
            Sampler::new(self.splits.train.len(), self.config.recipe.batch)?.shuffled(self.config.seed);
        let mut loader = self.loader(&sampler, epochs)?;
        let mut pace = Pace::new();
        while self.progress.epoch < epochs {
            self.epoch(&mut loader, sampler.batches(), &mut pace, control)?;
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
            seed: self.config.seed,
            epochs: self.progress.epoch..epochs.max(self.progress.epoch),
            first_batch: self.progress.batch,
        };
        Ok(Loader::new(Arc::clone(&self.splits.train), &self.config.preprocess, sampler.clone(), options)?)
    }

    fn epoch(
        &mut self,
        loader: &mut Loader,
        batches: usize,
        pace: &mut Pace,
        control: &mut Control<'_>,
    ) -> Result<(), Error> {
        while self.progress.batch < batches {
            let batch = loader.next_batch().expect("invariant: the loader has every batch of the run")?;
            if self.curvature_is_due() {
                self.estimate_curvature()?;
            }
            let rate = self.rate(batches);
            let start = Instant::now();
            self.step(batch, rate)?;
            let seconds = start.elapsed().as_secs_f64();
            self.progress.epoch_seconds += seconds;
            pace.step(seconds);
            if pace.report_due() {
                (control.observer)(&self.progress_event(batches, pace));
            }
            let due = pace.last_checkpoint.elapsed() >= control.checkpoint_every;
            let stop = control.stop.load(Ordering::Relaxed);
            if (due || stop) && self.progress.batch < batches {
                self.checkpoint(batches, control)?;
                pace.last_checkpoint = Instant::now();
            }
            if stop && self.progress.batch < batches {
                return Err(Error::Interrupted(self.folder.path().to_path_buf()));
            }
        }
        self.end_of_epoch(batches, control)?;
        pace.last_checkpoint = Instant::now();
        match control.stop.load(Ordering::Relaxed) && self.progress.epoch < self.config.recipe.epochs {
            true => Err(Error::Interrupted(self.folder.path().to_path_buf())),
            false => Ok(()),
        }
    }

    fn step(&mut self, batch: &ocelli_data::Batch, rate: f64) -> Result<(), Error> {
        let targets = Some(Targets::Classes(&batch.labels));
        let run = Batch { inputs: &[&batch.images], targets, count: batch.len() };
        let random = RandomState { seed: self.config.seed, step: self.progress.step };
        let update = Update { optimizer: &self.config.recipe.optimizer, state: &mut self.state, rate };
        let cost = self.executor.step(&mut self.params, &run, &self.criterion, update, random);
        if !cost.is_finite() {
            return Err(self.diverged(batch));
        }
        let (loss, outputs) = (&self.criterion.loss, self.executor.output());
        let width = outputs.len() / batch.len();
        let rows = outputs.chunks_exact(width).zip(&batch.labels);
        let progress = &mut self.progress;
        progress.correct +=
            rows.filter(|(x, label)| loss.predicted_class(x) == **label as usize).count() as u64;
        progress.loss_sum += self.executor.costs().iter().map(|&c| f64::from(c)).sum::<f64>();
        progress.seen += batch.len() as u64;
        progress.batch += 1;
        progress.step += 1;
        Ok(())
    }

    /// The schedule's learning rate for the next batch.
    fn rate(&self, batches: usize) -> f64 {
        let recipe = &self.config.recipe;
        let done = self.progress.epoch as f64 + self.progress.batch as f64 / batches as f64;
        recipe.schedule.rate(recipe.rate, done, recipe.epochs as f64)
    }

    /// Diagonal Levenberg–Marquardt renews its second derivatives before each epoch; in the first one, while the weights
    /// grow out of their small start by orders of magnitude, also after 16, 32, 64, … images.
    fn curvature_is_due(&self) -> bool {
        let images = self.progress.seen;
        self.progress.batch == 0 || self.progress.epoch == 0 && images >= 16 && images.is_power_of_two()
    }

    /// The mean second derivative of each parameter over some images.
    fn estimate_curvature(&mut self) -> Result<(), Error> {
        let Optimizer::DiagonalLm { samples, .. } = self.config.recipe.optimizer else { return Ok(()) };
        const PURPOSE: u64 = u64::from_be_bytes(*b"CURVE   "); // another order than the epoch's
        let sampler = Sampler::new(self.splits.train.len(), 1)?.shuffled(self.config.seed ^ PURPOSE);
        let epochs = self.progress.epoch..self.progress.epoch + 1;
        let options = LoaderOptions { augment: self.config.augment(), epochs, ..LoaderOptions::default() };
        let mut loader =
            Loader::new(Arc::clone(&self.splits.train), &self.config.preprocess, sampler, options)?;
        let options = PlanOptions { curvature: true, ..PlanOptions::train(1) };
        let mut executor: Executor<f32> = self.engine.executor(&self.network.graph, options)?;
        for count in 1..=samples.min(self.splits.train.len()) as u64 {
            let batch = loader.next_batch().expect("as many batches as images")?;
            let targets = Some(Targets::Classes(&batch.labels));
            let run = Batch { inputs: &[&batch.images], targets, count: 1 };
            executor.curvature(&self.params, &run, &self.criterion, RandomState::default())?;
            average_curvature(self.state.slots_mut()[0].data_mut(), executor.gradients().data(), count);
        }
        Ok(())
    }

    fn end_of_epoch(&mut self, batches: usize, control: &mut Control<'_>) -> Result<(), Error> {
        let rate = self.rate(batches);
        let evaluation = self.evaluator.run(&self.params, &self.splits.val)?;
        let progress = &mut self.progress;
        let epoch = (progress.epoch + 1) as f64;
        let row = EpochRow {
            epoch,
            learning_rate: Some(rate),
            train_loss: Some(progress.loss_sum / progress.seen as f64),
            train_top1: Some(progress.correct as f64 / progress.seen as f64),
            val_loss: Some(evaluation.loss),
            val_top1: Some(evaluation.top1),
            val_top5: Some(evaluation.top5),
        };
        let health = self.health.measure(&self.params, self.executor.gradients(), &self.health_images, epoch);
        let progress = &mut self.progress;
        let images_per_second = progress.seen as f64 / progress.epoch_seconds.max(1e-9);
        progress.seconds += self.session.elapsed().as_secs_f64();
        self.session = Instant::now();
        let record =
            EpochRecord { row, step: progress.step, seconds: progress.seconds, images_per_second, health };
        let line = serde_json::to_string(&record).expect("plain data");
        progress.metrics_len = self.folder.append_metrics(progress.metrics_len, &line)?;
        progress.records.push(record.clone());
        let better = match progress.best {
            None => true,
            Some((_, top1, loss)) => (evaluation.top1, -evaluation.loss) > (top1, -loss),
        };
        if better {
            progress.best = Some((epoch, evaluation.top1, evaluation.loss));
        }
        (progress.epoch, progress.batch) = (progress.epoch + 1, 0);
        (progress.loss_sum, progress.correct, progress.seen, progress.epoch_seconds) = (0.0, 0, 0, 0.0);
        self.evaluation = Some(evaluation);
        if better {
            self.model_file().save(&self.folder.best())?;
        }
        self.checkpoint(batches, control)?;
        (control.observer)(&Event::Epoch(record));
        Ok(())
    }

    fn checkpoint(&mut self, batches: usize, control: &mut Control<'_>) -> Result<(), Error> {
        self.progress.seconds += self.session.elapsed().as_secs_f64();
        self.session = Instant::now();
        let checkpoint = Checkpoint {
            network: self.network.clone(),
            optimizer: self.config.recipe.optimizer.clone(),
            params: &self.params,
            state: &self.state,
            progress: serde_json::to_value(&self.progress).expect("plain data"),
            config: serde_json::to_value(&self.config).expect("plain data"),
        };
        checkpoint.save(self.folder.path())?;
        let epoch = self.progress.epoch as f64 + self.progress.batch as f64 / batches as f64;
        (control.observer)(&Event::Checkpoint { epoch });
        Ok(())
    }

    /// The model file of the parameters as they are.
    pub(super) fn model_file(&self) -> ModelFile<&Params<f32>> {
        ModelFile {
            network: self.network.clone(),
            classes: self.splits.train.classes().to_vec(),
            preprocess: serde_json::to_value(&self.config.preprocess).expect("plain data"),
            training: serde_json::json!({
                "data": self.config.data, "val": self.config.val, "net": self.config.net, "seed": self.config.seed,
                "epochs": self.progress.epoch, "recipe": self.config.recipe,
            }),
            params: &self.params,
        }
    }

    fn diverged(&self, batch: &ocelli_data::Batch) -> Error {
        let graph = &self.network.graph;
        let where_ = health::first_not_finite(&self.engine, graph, &self.params, &batch.images, batch.len());
        let where_ = where_.unwrap_or_else(|e| format!("unknown, as finding it failed: {e}"));
        let rate = self.rate(self.splits.train.len().div_ceil(self.config.recipe.batch));
        let path = self.folder.path();
        let kept = match Checkpoint::exists(path) {
            true => format!("the last good checkpoint stays in {}", path.display()),
            false => "no checkpoint had been written yet".to_string(),
        };
        Error::Diverged(format!(
            "training diverged: the loss is not a number in step {} (epoch {}, learning rate {rate:.3e})\n  first not \
             finite: {where_}\n  {kept}; try a smaller learning rate, such as --lr {:.1e}",
            self.progress.step + 1,
            self.progress.epoch + 1,
            self.config.recipe.rate / 10.0
        ))
    }

    fn start_event(&self) -> Event {
        let batches = self.splits.train.len().div_ceil(self.config.recipe.batch);
        Event::Start {
            run: self.folder.path().display().to_string(),
            net: self.config.net.clone(),
            parameters: self.network.graph.layout().trainable(),
            train_images: self.splits.train.len(),
            val_images: self.splits.val.len(),
            val_is: self.splits.val_is.to_string(),
            epochs: self.config.recipe.epochs,
            epochs_done: self.progress.epoch as f64 + self.progress.batch as f64 / batches as f64,
        }
    }

    fn progress_event(&self, batches: usize, pace: &mut Pace) -> Event {
        let progress = &self.progress;
        Event::Progress {
            epoch: progress.epoch as f64 + progress.batch as f64 / batches as f64,
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
