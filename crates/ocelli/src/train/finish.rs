//! The end of a run: the model file, the report, and the figures.

use serde::Serialize;

use super::event::EpochRecord;
use super::trainer::Trainer;
use crate::eval::{self, Evaluation};
use crate::io::weights_sha256;
use crate::report::{self, Environment, LayerHealth, PaceRow, Report, Summary};
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
    /// Passes over the training images.
    pub epochs: u64,
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
    /// A disk that cannot be written.
    pub fn finish(&mut self) -> Result<Outcome, Error> {
        let evaluation = match self.evaluation.take() {
            Some(evaluation) => evaluation,
            None => self.evaluator.run(&self.params, &self.splits.val)?,
        };
        self.model_file().save(&self.folder.model())?;
        let outcome = self.outcome(&evaluation);
        let report = self.report(&outcome, &evaluation)?;
        self.folder.write(&self.folder.report(), &report::render(&report))?;
        Ok(outcome)
    }

    fn outcome(&self, evaluation: &Evaluation) -> Outcome {
        let progress = &self.progress;
        let last = progress.records.last().map(|r| &r.row);
        let images = progress.records.len() as f64 * self.splits.train.len() as f64;
        let training: f64 =
            progress.records.iter().map(|r| self.splits.train.len() as f64 / r.images_per_second).sum();
        Outcome {
            schema: SCHEMA,
            run: self.folder.path().display().to_string(),
            model: self.folder.model().display().to_string(),
            net: self.config.net.clone(),
            parameters: self.network.graph.layout().trainable(),
            epochs: progress.epoch,
            seed: self.config.seed,
            train: Figures {
                loss: last.and_then(|r| r.train_loss).unwrap_or(f64::NAN),
                top1: last.and_then(|r| r.train_top1).unwrap_or(f64::NAN),
                top5: None,
            },
            val: Figures { loss: evaluation.loss, top1: evaluation.top1, top5: Some(evaluation.top5) },
            seconds: progress.seconds,
            images_per_second: images / training.max(1e-9),
            peak_memory_bytes: crate::machine::peak_memory_bytes(),
            weights_sha256: weights_sha256(&self.params),
        }
    }

    fn report(&self, outcome: &Outcome, evaluation: &Evaluation) -> Result<Report, Error> {
        let mut report = Report {
            run: self.folder.path().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            net: self.config.net.clone(),
            data: self.splits.name.clone(),
            command: self.config.commands.join("\n"),
            started: self.progress.started.clone(),
            seconds: self.progress.seconds,
            environment: Environment {
                version: env!("CARGO_PKG_VERSION").to_string(),
                isa: self.engine.isa().name().to_string(),
                threads: self.engine.threads(),
            },
            summary: Summary {
                parameters: outcome.parameters as u64,
                images_per_second: outcome.images_per_second,
                weights_sha256: outcome.weights_sha256.clone(),
                ..Summary::default()
            },
            curves: self.progress.records.iter().map(|r| r.row.clone()).collect(),
            pace: self.progress.records.iter().map(pace).collect(),
            best_epoch: self.progress.best.map(|best| best.epoch),
            filters: portrait::filters(&self.network.graph, &self.params),
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
    PaceRow { epoch: record.row.epoch, images_per_second: Some(record.images_per_second), waiting: None }
}
