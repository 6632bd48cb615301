//! The end of a run: the model file, the report, and the figures.

use ocelli_core::Params;
use serde::Serialize;

use super::event::{EpochRecord, whole_if_it_is};
use super::progress::Recorded;
use super::trainer::Trainer;
use crate::eval::{self, Evaluation};
use crate::io::{ModelFile, weights_sha256};
use crate::report::{self, LayerHealth, PaceRow, Report, Summary};
use crate::{Error, SCHEMA, portrait};

/// What a finished run says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Version of this form.
    pub schema: u32,
    /// The run's folder.
    pub run: String,
    /// The model file.
    pub model: String,
    /// The network's name.
    pub net: String,
    /// Numbers that training set.
    pub parameters: usize,
    /// Passes over the training images; a run that was cut to steps or time may end within one.
    #[serde(serialize_with = "whole_if_it_is")]
    pub epochs: f64,
    /// Steps: updates of the parameters.
    pub steps: u64,
    /// The epoch after which the model was taken, where a run stops when it gets no better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<f64>,
    /// The seed.
    pub seed: u64,
    /// Figures on the training images, taken during the last epoch.
    pub train: Figures,
    /// Figures on the held-out images.
    pub val: Figures,
    /// Wall-clock time of training, resumptions included.
    pub seconds: f64,
    /// Training images per second, over all epochs.
    pub images_per_second: f64,
    /// The share of the steps' time that was spent waiting for images, as a fraction of 1.
    pub waiting: f64,
    /// The most memory that the process had resident.
    pub peak_memory_bytes: Option<u64>,
    /// SHA-256 of all parameters.
    pub weights_sha256: String,
}

/// Loss and accuracies, as fractions of 1.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Mean loss.
    pub loss: f64,
    /// Share of images whose class is the first guess.
    pub top1: f64,
    /// Share of images whose class is among the first five guesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
}

impl Trainer {
    /// Writes the model file and the report of a run that has come to its end.
    ///
    /// # Errors
    /// A disk that cannot be written, or an image that cannot be read.
    pub fn finish(&mut self) -> Result<Outcome, Error> {
        if self.config.recipe.patience.is_some() {
            return self.finish_with_the_best();
        }
        let evaluation = match self.evaluation.take() {
            Some(evaluation) => evaluation,
            None => self.evaluator.run(self.learner.weights(), &self.splits.val)?,
        };
        self.model_file().save(&self.folder.model())?;
        self.conclude(self.learner.weights(), &evaluation)
    }

    /// The model of a run that stops when it gets no better is that of its best epoch.
    fn finish_with_the_best(&mut self) -> Result<Outcome, Error> {
        let best = ModelFile::load(&self.folder.best())?;
        best.save(&self.folder.model())?;
        let evaluation = self.evaluator.run(&best.params, &self.splits.val)?;
        self.conclude(&best.params, &evaluation)
    }

    /// The figures and the report of the model with these weights.
    fn conclude(&self, weights: &Params<f32>, evaluation: &Evaluation) -> Result<Outcome, Error> {
        let outcome = self.outcome(weights, evaluation);
        let report = self.report(&outcome, weights, evaluation)?;
        self.folder.write(&self.folder.report(), &report::render(&report))?;
        Ok(outcome)
    }

    fn outcome(&self, weights: &Params<f32>, evaluation: &Evaluation) -> Outcome {
        let progress = &self.progress;
        let last = progress.records.last().map(|r| &r.row);
        let Recorded { images, seconds: training, waited } = progress.recorded;
        let patient = self.config.recipe.patience.is_some();
        Outcome {
            schema: SCHEMA,
            run: self.folder.path().display().to_string(),
            model: self.folder.model().display().to_string(),
            net: self.config.net.clone(),
            parameters: self.network.graph.layout().trainable(),
            epochs: self.position(),
            steps: progress.step,
            best_epoch: progress.best.filter(|_| patient).map(|best| best.epoch),
            seed: self.config.seed,
            train: Figures {
                loss: last.and_then(|r| r.train_loss).unwrap_or(f64::NAN),
                top1: last.and_then(|r| r.train_top1).unwrap_or(f64::NAN),
                top5: None,
            },
            val: Figures { loss: evaluation.loss, top1: evaluation.top1, top5: Some(evaluation.top5) },
            seconds: progress.seconds,
            images_per_second: images as f64 / training.max(1e-9),
            waiting: waited / training.max(1e-9),
            peak_memory_bytes: crate::machine::peak_memory_bytes(),
            weights_sha256: weights_sha256(weights),
        }
    }

    fn report(
        &self,
        outcome: &Outcome,
        weights: &Params<f32>,
        evaluation: &Evaluation,
    ) -> Result<Report, Error> {
        let mut report = Report {
            run: self.folder.path().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            net: self.config.net.clone(),
            data: self.splits.name.clone(),
            command: self.config.commands.join("\n"),
            started: self.progress.started.clone(),
            seconds: self.progress.seconds,
            environment: self.engine.environment(),
            summary: Summary {
                parameters: outcome.parameters as u64,
                images_per_second: outcome.images_per_second,
                weights_sha256: outcome.weights_sha256.clone(),
                ..Summary::default()
            },
            curves: self.progress.records.iter().map(|r| r.row.clone()).collect(),
            pace: self.progress.records.iter().map(pace).collect(),
            best_epoch: self.progress.best.map(|best| best.epoch),
            filters: portrait::filters(&self.network.graph, weights),
            layers: portrait::layers(&self.config.net, &self.network.graph)?,
            health: self.health_by_layer(),
            config_toml: self.config.to_toml(),
            ..Report::default()
        };
        eval::illustrate(&mut report, evaluation, &*self.splits.val, self.engine.threads());
        Ok(report)
    }

    fn health_by_layer(&self) -> Vec<LayerHealth> {
        let mut layers: Vec<LayerHealth> = Vec::new();
        for figures in self.progress.records.iter().flat_map(|r| &r.health) {
            match layers.iter_mut().find(|l| l.layer == figures.layer) {
                Some(layer) => layer.epochs.push(figures.health.clone()),
                None => layers
                    .push(LayerHealth { layer: figures.layer.clone(), epochs: vec![figures.health.clone()] }),
            }
        }
        layers
    }
}

fn pace(record: &EpochRecord) -> PaceRow {
    PaceRow {
        epoch: record.row.epoch,
        images_per_second: Some(record.images_per_second),
        waiting: Some(record.waiting),
    }
}
