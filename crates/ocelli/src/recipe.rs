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
    /// Passes over the training images, which the schedule is written for.
    pub epochs: u64,
    /// Steps in all, in place of the epochs. The schedule is stretched to them: it comes to where `epochs` would bring it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Seconds in all, in place of the epochs: as many steps are done as there is time for, by the clock. The schedule is
    /// stretched to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_budget: Option<f64>,
    /// Epochs without a better held-out accuracy after which training ends, and the best epoch's model is the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Images per batch.
    pub batch: usize,
    /// Batches per step: their gradients are added up to those of one large batch.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Where pictures are to grow in the course of training: the share of their rows in the network's input that they begin with.
    /// A run resolves it to `sizes`, which win over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grow_from: Option<f64>,
    /// Heights in pixels, ascending, that pictures have in equal shares of the training one after another; the last one is the
    /// network's input's. Empty: that all the time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<usize>,
    /// The norm that the gradient of a step is shortened to where it is above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// The decay of a moving average of the weights, which is measured and saved in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// What images of rare classes count for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub class_weights: ClassWeights,
    /// The last layer, by name, that stays as it is with all that it is computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<String>,
    /// The first layer, a convolution of the input, whose filters are made from the training images: they and their negatives
    /// are the directions in which patches of the images vary, scaled to a variance of 1
    /// ([`Patches::filters`](ocelli_data::Patches::filters)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whiten: Option<String>,
    /// The learning rate η that the schedule scales.
    pub rate: f64,
    /// The rate of biases and of batch normalisation's shifts, in multiples of η.
    #[serde(default = "same", skip_serializing_if = "is_same")]
    pub offset_rate: f64,
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

/// What an image of each class counts for in the loss that is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    Equal,
    /// Images of class c N / (K·N_c) times, for N training images of K classes, N_c of them of class c: all classes count the
    /// same, and the mean over all images is 1. A loss that is weighted takes every image once in an epoch, in the order that it
    /// would have anyhow; drawing images of rare classes more often would show some of a large class never.
    Balanced,
}

impl ClassWeights {
    /// The weight of each class, by how many training images it has; empty where all count the same. Classes without images
    /// have weight 0.
    pub fn of(self, counts: &[usize]) -> Vec<f32> {
        let filled = counts.iter().filter(|&&count| count > 0).count();
        let images: usize = counts.iter().sum();
        let weight = |&count: &usize| match count {
            0 => 0.0,
            count => (images as f64 / (filled * count) as f64) as f32,
        };
        match self {
            ClassWeights::Equal => Vec::new(),
            ClassWeights::Balanced => counts.iter().map(weight).collect(),
        }
    }
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

fn same() -> f64 {
    1.0
}

fn is_same(factor: &f64) -> bool {
    *factor == 1.0
}

impl Default for Recipe {
    /// Ten epochs of batches of 64 by SGD with momentum, on cross-entropy.
    fn default() -> Recipe {
        Recipe {
            epochs: 10,
            steps: None,
            time_budget: None,
            patience: None,
            batch: 64,
            accumulate: 1,
            grow_from: None,
            sizes: Vec::new(),
            clip_norm: None,
            ema: None,
            class_weights: ClassWeights::Equal,
            freeze: None,
            whiten: None,
            rate: 0.05,
            offset_rate: 1.0,
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
        self.check_numbers()?;
        self.check_combinations()?;
        self.augmentation.check(&self.overrides, &self.loss)?;
        self.optimizer.check().map_err(|e| usage(&e))?;
        self.schedule.check().map_err(|e| usage(&e))?;
        if matches!(self.optimizer, Optimizer::DiagonalLm { .. }) {
            self.loss.check_curvature().map_err(|e| usage(&e))?;
        }
        Ok(())
    }

    /// The sizes that pictures have one after another, where the network's input has so many rows: given ones, or steps from where
    /// they are to grow from, of 16 rows, which the strides of most networks divide, or of 8 where there are fewer than 64.
    pub(crate) fn sizes_to(&self, height: usize) -> Vec<usize> {
        let step = if height < 64 { 8 } else { 16 };
        let Some(share) = self.grow_from.filter(|_| self.sizes.is_empty()) else { return self.sizes.clone() };
        let first = ((height as f64 * share / step as f64).round() as usize).max(1) * step;
        let sizes: Vec<usize> = (first..height).step_by(step).chain([height]).collect();
        if sizes.len() > 1 { sizes } else { Vec::new() }
    }

    /// Whether the schedule is stretched to steps or time, whatever epochs those are.
    pub fn is_stretched(&self) -> bool {
        self.steps.is_some() || self.time_budget.is_some()
    }

    /// Each number by itself.
    fn check_numbers(&self) -> Result<(), Error> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let wrong = [
            (!positive(self.rate), format!("--lr {} is no learning rate; give a number above 0", self.rate)),
            (
                !positive(self.offset_rate),
                format!(
                    "--bias-lr {} is no factor of the learning rate; give a number above 0",
                    self.offset_rate
                ),
            ),
            (self.steps == Some(0), "--steps 0 trains nothing; give at least 1".to_string()),
            (self.accumulate == 0, "--accumulate 0 makes no step; give at least 1".to_string()),
            (self.patience == Some(0), "--patience 0 never begins; give at least 1".to_string()),
            (
                !self.time_budget.is_none_or(positive),
                "--time-budget is no time; give one such as 90s, 45m or 1h30m".to_string(),
            ),
            (
                !self.clip_norm.is_none_or(positive),
                "--clip-norm is no bound of a norm; give a number above 0, such as 1".to_string(),
            ),
            (
                !self.ema.is_none_or(|decay| (0.0..1.0).contains(&decay)),
                "--ema is no decay; give a number from 0 to below 1, such as 0.999".to_string(),
            ),
            (
                !self.grow_from.is_none_or(|share| (0.1..=1.0).contains(&share)),
                "pictures grow from a share of their rows from 0.1 to 1".to_string(),
            ),
            (
                self.sizes.contains(&0) || !self.sizes.is_sorted_by(|a, b| a < b),
                format!("--sizes {:?} do not grow; give heights in pixels such as 96,112,128", self.sizes),
            ),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, text)) => Err(Error::Usage(text)),
            None => Ok(()),
        }
    }

    /// What excludes each other.
    fn check_combinations(&self) -> Result<(), Error> {
        match (self.steps, self.time_budget) {
            (Some(_), Some(_)) => {
                let text = "--steps and --time-budget both say how long; give one of them";
                Err(Error::Usage(text.to_string()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_grow_in_steps_to_the_networks_size() {
        let sizes = |share, height| Recipe { grow_from: Some(share), ..Recipe::default() }.sizes_to(height);
        assert_eq!(sizes(0.75, 128), [96, 112, 128]);
        assert_eq!(sizes(0.75, 64), [48, 64]);
        assert_eq!(sizes(0.75, 32), [24, 32]);
        assert_eq!(sizes(0.75, 28), [24, 28]);
        assert_eq!(sizes(0.7, 100), [64, 80, 96, 100]);
        assert!(sizes(1.0, 128).is_empty() && sizes(0.5, 8).is_empty());
        let given = Recipe { grow_from: Some(0.5), sizes: vec![90, 128], ..Recipe::default() };
        assert_eq!(given.sizes_to(128), [90, 128]);
        assert!(Recipe::default().sizes_to(128).is_empty());
    }

    #[test]
    fn balanced_classes_count_the_same_and_images_one_on_average() {
        let weights = ClassWeights::Balanced.of(&[10, 0, 30, 20]);
        let of_class = |k: usize, n: f32| weights[k] * n;
        assert_eq!([of_class(0, 10.0), of_class(2, 30.0), of_class(3, 20.0)], [20.0; 3]);
        assert_eq!(weights[1], 0.0);
        assert!(ClassWeights::Equal.of(&[1, 2]).is_empty());
    }

    #[test]
    fn recipes_of_before_are_read_and_settings_that_are_off_are_not_written() {
        let text = toml::to_string(&Recipe::default()).unwrap();
        for name in [
            "steps",
            "time_budget",
            "accumulate",
            "sizes",
            "ema",
            "class_weights",
            "freeze",
            "patience",
            "whiten",
            "offset_rate",
        ] {
            assert!(!text.contains(name), "{name} in {text}");
        }
        assert_eq!(toml::from_str::<Recipe>(&text).unwrap(), Recipe::default());
        let full = Recipe {
            time_budget: Some(90.0),
            patience: Some(3),
            accumulate: 4,
            sizes: vec![96, 128],
            clip_norm: Some(1.0),
            ema: Some(0.999),
            class_weights: ClassWeights::Balanced,
            freeze: Some("conv2".to_string()),
            whiten: Some("conv1".to_string()),
            offset_rate: 2.0,
            ..Recipe::default()
        };
        assert_eq!(toml::from_str::<Recipe>(&toml::to_string(&full).unwrap()).unwrap(), full);
    }

    #[test]
    fn settings_out_of_their_range_are_named() {
        let refusal = |change: fn(&mut Recipe)| {
            let mut recipe = Recipe::default();
            change(&mut recipe);
            recipe.check().unwrap_err().to_string()
        };
        assert!(refusal(|r| r.accumulate = 0).contains("--accumulate"));
        assert!(refusal(|r| r.sizes = vec![128, 96]).contains("--sizes"));
        assert!(refusal(|r| r.ema = Some(1.0)).contains("--ema"));
        assert!(refusal(|r| r.clip_norm = Some(f64::NAN)).contains("--clip-norm"));
        assert!(refusal(|r| r.time_budget = Some(0.0)).contains("--time-budget"));
        assert!(refusal(|r| (r.steps, r.time_budget) = (Some(1), Some(1.0))).contains("one of them"));
    }
}
