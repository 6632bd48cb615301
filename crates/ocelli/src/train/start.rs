//! How a run begins, and how it goes on.

use ocelli_core::{Criterion, Params};
use ocelli_data::{Dataset, Splits, class_counts};

use super::clock::Stopwatch;
use super::config::RunConfig;
use super::folder::RunFolder;
use super::health::Health;
use super::images::{data_digest, health_images};
use super::learner::Learner;
use super::length::decided_at;
use super::progress::Progress;
use super::sizes::Size;
use super::trainer::Trainer;
use super::whiten::whiten;
use super::{curvature_options, start_from};
use crate::Error;
use crate::engine::Engine;
use crate::eval::Evaluator;
use crate::io::{Checkpoint, Network};

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
        config.isa = engine.arithmetic(config.recipe.precision);
        config.commands = vec![command.to_string()];
        let trainer = Trainer::prepare(config, splits, engine, folder, Beginning::Anew)?;
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
        let from = match Checkpoint::exists(folder.path()) {
            true => Beginning::Checkpoint,
            false => Beginning::Anew,
        };
        let mut trainer = Trainer::prepare(config, splits, engine, folder, from)?;
        let mut warnings = trainer.config.differences_of_maker(engine);
        if from == Beginning::Checkpoint {
            let (checkpoint, fallback) = Checkpoint::load(trainer.folder.path())?;
            warnings.extend(fallback.map(|f| f.to_string()));
            trainer.restore(checkpoint)?;
        } else if trainer.folder.model().exists() || trainer.folder.has_epochs() {
            // The best model alone was written just before the first checkpoint, which did not come about.
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
        let mut progress: Progress = serde_json::from_value(checkpoint.progress)
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
        /// More steps than any run has; counters stay far from where they would overflow.
        const MOST: u64 = 1 << 48;
        let counted = [progress.epoch, progress.step, checkpoint.state.steps];
        if checkpoint.average.is_some() != self.learner.average.is_some()
            || checkpoint.optimizer != self.config.recipe.optimizer
            || checkpoint.network.to_toml() != self.network.to_toml()
            || progress.phase >= self.sizes.len()
            || progress.batch >= self.epochs().batches()
            || counted.iter().any(|&count| count > MOST)
        {
            return Err(Error::Bad(format!("{path}: the checkpoint is not of this run; begin another run")));
        }
        progress.records = self.folder.whole_records(std::mem::take(&mut progress.records));
        self.go_on_for(&mut progress)?;
        (self.learner.params, self.learner.state) = (checkpoint.params, checkpoint.state);
        (self.learner.average, self.progress) = (checkpoint.average, progress);
        Ok(())
    }

    /// How long a run is that is taken up: as was asked for now, or else as was decided.
    fn go_on_for(&self, progress: &mut Progress) -> Result<(), Error> {
        let recipe = &self.config.recipe;
        let asked = recipe.epochs.saturating_mul(self.epochs().steps());
        // Figures of releases before this one have no decisions: their runs are as long as the recipe says.
        let decided = progress.total().max(if progress.pace.is_empty() { asked } else { 0 });
        if recipe.is_stretched() || !self.config.pace.is_empty() {
            progress.decide(decided);
            return Ok(());
        }
        if asked < progress.step {
            return Err(Error::Usage(format!(
                "{} epochs of this run are done, and --epochs {} is its new total; give at least {}",
                progress.epoch,
                recipe.epochs,
                progress.epoch + u64::from(progress.batch > 0)
            )));
        }
        progress.decide(asked);
        Ok(())
    }

    fn prepare(
        config: RunConfig,
        splits: Splits,
        engine: &Engine,
        folder: RunFolder,
        from: Beginning,
    ) -> Result<Trainer, Error> {
        folder.lock()?;
        let recipe = &config.recipe;
        recipe.check()?;
        splits.check()?;
        let classes = splits.train.classes().to_vec();
        let network = config.build_network(classes.len())?;
        let graph = &network.graph;
        let criterion = Criterion { loss: recipe.loss.clone(), reduction: recipe.reduction };
        let sizes = Size::all(&config, &network)?;
        let params = match from {
            Beginning::Anew => initial_params(&config, &network, &*splits.train)?,
            // All are replaced: nothing else has to be there any more that they once came from.
            Beginning::Checkpoint => Params::initialised(graph.layout(), config.seed)?,
        };
        let learner = Learner::new(recipe, params, recipe.class_weights.of(&class_counts(&*splits.train)))?;
        let curvature =
            curvature_options(recipe, graph)?.map(|options| engine.executor(graph, options)).transpose()?;
        let evaluator = Evaluator::new(engine, graph, &criterion, &config.preprocess, &classes)?;
        let health = Health::new(engine, graph)?;
        let health_images = health_images(&splits, &config.preprocess)?;
        let data = [data_digest(&*splits.train), data_digest(&*splits.val)];
        let progress = Progress { started: crate::machine::now(), data, ..Progress::default() };
        let mut trainer = Trainer {
            engine: engine.clone(),
            stopwatch: Stopwatch::new(),
            saving: 0.0,
            evaluation: None,
            config,
            folder,
            splits,
            network,
            criterion,
            learner,
            progress,
            evaluator,
            curvature,
            health,
            health_images,
            sizes,
        };
        let recipe = &trainer.config.recipe;
        let asked = recipe.steps.unwrap_or(recipe.epochs.saturating_mul(trainer.epochs().steps()));
        trainer.progress.decide(decided_at(&trainer.config.pace, 0).unwrap_or(asked));
        Ok(trainer)
    }
}

/// Where the parameters come from that a trainer begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// From what the configuration says.
    Anew,
    /// From a checkpoint that is about to be read.
    Checkpoint,
}

/// The parameters that training begins with: drawn by the seed, or those of another model; those of a first layer from the
/// images of `train` where the recipe says so.
pub(super) fn initial_params(
    config: &RunConfig,
    network: &Network,
    train: &dyn Dataset,
) -> Result<Params<f32>, Error> {
    let mut params = Params::initialised(network.graph.layout(), config.seed)?;
    if let Some(source) = &config.from {
        start_from::take_over(source, &mut params)?;
    }
    whiten(&config.recipe, &config.preprocess, train, &network.graph, &mut params)?;
    Ok(params)
}
