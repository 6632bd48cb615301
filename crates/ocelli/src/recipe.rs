//! How a network is trained: everything that decides the weights, beside data and seed.

use ocelli_core::schedule::Curve;
use ocelli_core::{Loss, Optimizer, Reduction, Schedule};
use ocelli_kernels::Precision;
use serde::{Deserialize, Serialize};

use crate::{Augmentation, Error, Overrides};

/// A way to train. Each network has its own ([`Architecture::recipe`](crate::arch::Architecture::recipe)); what the user
/// says explicitly replaces parts of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Passes over the training images.
    pub epochs: u64,
    /// Images per step.
    pub batch: usize,
    /// The learning rate η that the schedule scales.
    pub rate: f64,
    /// How pixels become numbers.
    pub pixels: Pixels,
    /// How training images are varied.
    pub augmentation: Augmentation,
    /// Pieces of that which were asked for explicitly.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overrides: Overrides,
    /// Whether the costs of a batch are averaged or added.
    pub reduction: Reduction,
    /// What training's matrix products and convolutions may round their operands to
    /// ([`PlanOptions::precision`](ocelli_core::PlanOptions)). Evaluation does not round, nor do second derivatives.
    #[serde(default, with = "PrecisionName")]
    pub precision: Precision,
    /// What is minimised.
    pub loss: Loss,
    /// How a gradient moves the parameters.
    pub optimizer: Optimizer,
    /// The learning rate over the epochs.
    pub schedule: Schedule,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The names of [`Precision`] in files.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Precision", rename_all = "snake_case")]
enum PrecisionName {
    F32,
    Bf16,
}

/// How pixels become numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pixels {
    /// Mean 0 and variance 1 per channel over the training images.
    #[default]
    Standardise,
    /// LeNet-5's: background −0.1, ink 1.175, and a border of background up to the network's input size.
    Lenet5,
}

impl Default for Recipe {
    /// Ten epochs of batches of 64 by SGD with momentum, on cross-entropy.
    fn default() -> Recipe {
        Recipe {
            epochs: 10,
            batch: 64,
            rate: 0.05,
            pixels: Pixels::default(),
            augmentation: Augmentation::default(),
            overrides: Overrides::default(),
            reduction: Reduction::Mean,
            precision: Precision::F32,
            loss: Loss::CrossEntropy { label_smoothing: 0.0 },
            optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
            schedule: Schedule { curve: Curve::Constant, warmup: None },
        }
    }
}

impl Recipe {
    /// With another curve of the learning rate.
    pub fn curve(mut self, curve: Curve) -> Recipe {
        self.schedule.curve = curve;
        self
    }

    /// Whether every setting makes sense.
    ///
    /// # Errors
    /// Names the setting, and what it accepts.
    pub fn check(&self) -> Result<(), Error> {
        let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
        if self.epochs == 0 {
            return Err(Error::Usage("--epochs 0 trains nothing; give at least 1".to_string()));
        }
        if self.batch == 0 {
            return Err(Error::Usage("--batch 0 has no images; give at least 1".to_string()));
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::Usage(format!(
                "--lr {} is no learning rate; give a number above 0",
                self.rate
            )));
        }
        self.augmentation.check(&self.overrides, &self.loss)?;
        self.optimizer.check().map_err(|e| usage(&e))?;
        self.schedule.check().map_err(|e| usage(&e))?;
        if matches!(self.optimizer, Optimizer::DiagonalLm { .. }) {
            self.loss.check_curvature().map_err(|e| usage(&e))?;
        }
        Ok(())
    }
}
