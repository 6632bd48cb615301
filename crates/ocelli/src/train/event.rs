//! What happens during training, as it happens.

use serde::{Deserialize, Serialize, Serializer};

use super::length::Pace;
use crate::report::{EpochRow, HealthRow};

/// Something that whoever started the training may want to know. One line of JSON each with `--json-lines`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Training begins, or goes on.
    Start {
        /// The run's folder.
        run: String,
        /// The network's name.
        net: String,
        /// Numbers that training sets.
        parameters: usize,
        /// Training images.
        train_images: usize,
        /// Held-out images.
        val_images: usize,
        /// Where the held-out images come from.
        val_is: String,
        /// Epochs in all, as far as is known by now.
        #[serde(serialize_with = "whole_if_it_is")]
        epochs: f64,
        /// Epochs done before.
        epochs_done: f64,
        /// Why nothing is left to do of a run that is taken up.
        #[serde(skip_serializing_if = "Option::is_none")]
        over: Option<Over>,
    },
    /// Some steps later.
    Progress {
        /// Epochs done, with the fraction of this one.
        epoch: f64,
        /// Epochs in all, as far as is known by now.
        #[serde(serialize_with = "whole_if_it_is")]
        epochs: f64,
        /// Steps done in all.
        step: u64,
        /// Mean loss of this epoch so far.
        loss: f64,
        /// Training accuracy of this epoch so far.
        top1: f64,
        /// Seconds per step, lately.
        seconds_per_step: f64,
    },
    /// An epoch is over.
    Epoch(EpochRecord),
    /// A checkpoint was written.
    Checkpoint {
        /// Epochs done, with the fraction of this one.
        epoch: f64,
    },
}

/// Why a run has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// All epochs are done.
    Epochs,
    /// All steps are done.
    Steps,
    /// All steps are done for which there was time.
    Time,
    /// No epoch was better for as many as the recipe's patience is.
    Patience,
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The figures.
    #[serde(flatten)]
    pub row: EpochRow,
    /// Steps done in all.
    pub step: u64,
    /// Seconds of training so far, resumptions included.
    pub seconds: f64,
    /// Training images per second in this epoch.
    pub images_per_second: f64,
    /// The share of the epoch's steps that was spent waiting for images, as a fraction of 1.
    #[serde(default)]
    pub waiting: f64,
    /// Rows of the pictures, where they grow in the course of training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// What was decided on the number of steps since the last record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pace: Vec<Pace>,
    /// How the layers fare.
    pub health: Vec<LayerFigures>,
}

/// How one layer fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerFigures {
    /// Its name.
    pub layer: String,
    /// The figures.
    #[serde(flatten)]
    pub health: HealthRow,
}

/// Writes a number of epochs: most are whole, and are written as such.
pub(super) fn whole_if_it_is<S: Serializer>(epochs: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *epochs {
        whole if whole.fract() == 0.0 && (0.0..1e15).contains(&whole) => {
            serializer.serialize_u64(whole as u64)
        }
        part => serializer.serialize_f64(part),
    }
}
