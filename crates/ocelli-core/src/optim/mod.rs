//! Optimisers: how a gradient moves the parameters.
//!
//! An optimiser is a function over flat slices. What it remembers lies in slots, arenas with the layout of
//! the parameters, which the caller owns. Every element moves on its own, so a range may be updated in pieces
//! with the same result. The rate η comes from a [`crate::schedule::Schedule`]. One file per rule.

mod adam;
mod diagonal_lm;
mod sgd;

use ocelli_kernels::{Element, Kernels};
use serde::{Deserialize, Serialize};

pub use diagonal_lm::average_curvature;

use crate::setting::{SettingError, is_positive, require};

/// The rule that moves parameters w along their gradient g. λ is the weight decay, which only ranges whose
/// [`crate::role::Role`] decays are given.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent: g ← g + λw, v ← μv + g, w ← w − ηv; with `nesterov` w ← w − η(g + μv).
    /// The rate multiplies the velocity, so that changing η acts at once.
    Sgd {
        /// μ in [0, 1).
        #[serde(default)]
        momentum: f64,
        /// Looks ahead along the velocity (Nesterov 1983; Sutskever et al. 2013). Needs momentum.
        #[serde(default)]
        nesterov: bool,
        /// λ ≥ 0.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015): g ← g + λw, m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²,
    /// w ← w − η·m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) in step t.
    Adam {
        /// β₁ in [0, 1).
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// β₂ in [0, 1).
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// ε > 0.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// λ ≥ 0.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019): w ← w − ηλw, then Adam's step without
    /// λ.
    #[serde(rename = "adamw")]
    AdamW {
        /// β₁ in [0, 1).
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// β₂ in [0, 1).
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// ε > 0.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// λ ≥ 0.
        #[serde(default = "default_decoupled_decay")]
        weight_decay: f64,
    },
    /// Stochastic diagonal Levenberg–Marquardt (LeCun et al. 1998, appendix C): w ← w − η/(μ + h)·g, where h
    /// is an estimate of ∂²E/∂w² ≥ 0 for each parameter, renewed before every pass over the data.
    DiagonalLm {
        /// μ > 0 keeps steps finite where the cost is flat.
        #[serde(default = "default_mu")]
        mu: f64,
        /// Training samples that h is estimated on.
        #[serde(default = "default_samples")]
        samples: usize,
    },
}

/// What one update needs to know beside the slices.
#[derive(Clone, Copy, Debug)]
pub struct Update<T: Element> {
    /// η.
    pub rate: T,
    /// Which step of training this is; the first is 1.
    pub step: u64,
    /// Whether weight decay applies to this range.
    pub decay: bool,
    /// What does the arithmetic.
    pub kernels: &'static Kernels<T>,
}

impl Optimizer {
    /// Its name, as configuration files write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Optimizer::Sgd { .. } => "sgd",
            Optimizer::Adam { .. } => "adam",
            Optimizer::AdamW { .. } => "adamw",
            Optimizer::DiagonalLm { .. } => "diagonal_lm",
        }
    }

    /// What each slot holds, in order; checkpoints keep them under these names.
    pub fn slot_names(&self) -> &'static [&'static str] {
        match *self {
            Optimizer::Sgd { momentum: 0.0, .. } => &[],
            Optimizer::Sgd { .. } => &["velocity"],
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => &["first_moment", "second_moment"],
            Optimizer::DiagonalLm { .. } => &["curvature"],
        }
    }

    /// How many slots it has: at most 2. They start at 0.
    pub fn slots(&self) -> usize {
        self.slot_names().len()
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Names the setting and what it accepts.
    pub fn check(&self) -> Result<(), SettingError> {
        let fraction = |field, x: f64| {
            // Below 1 in f32 too, or the bias correction would divide by 0.
            require(x >= 0.0 && (x as f32) < 1.0, self.name(), field, x, "a number from 0 to below 1")
        };
        let positive = |field, x: f64| {
            require(is_positive(x), self.name(), field, x, "a number above 0 within the range of f32")
        };
        let decay = |x: f64| {
            let wanted = "a finite number that is not negative";
            require(x >= 0.0 && x.is_finite(), self.name(), "weight_decay", x, wanted)
        };
        match *self {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                fraction("momentum", momentum)?;
                require(
                    !nesterov || momentum > 0.0,
                    self.name(),
                    "nesterov",
                    nesterov,
                    "momentum above 0 too",
                )?;
                decay(weight_decay)
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay }
            | Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                fraction("beta1", beta1)?;
                fraction("beta2", beta2)?;
                positive("epsilon", epsilon)?;
                decay(weight_decay)
            }
            Optimizer::DiagonalLm { mu, samples } => {
                positive("mu", mu)?;
                require(samples > 0, self.name(), "samples", samples, "at least 1")
            }
        }
    }

    /// Moves `params` one step along `grads`.
    ///
    /// Slots that the optimiser has are as long as `params`, the others empty. [`Optimizer::DiagonalLm`] only
    /// reads its slot; the trainer fills it ([`average_curvature`]).
    ///
    /// # Panics
    /// If lengths do not fit together, or the step is 0.
    pub fn update<T: Element>(&self, how: Update<T>, params: &mut [T], grads: &[T], slots: [&mut [T]; 2]) {
        assert_eq!(params.len(), grads.len(), "every parameter has a gradient");
        for (slot, present) in slots.iter().zip([self.slots() > 0, self.slots() > 1]) {
            assert_eq!(
                slot.len(),
                if present { params.len() } else { 0 },
                "slots have the parameters' layout"
            );
        }
        let [first, second] = slots;
        match *self {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                sgd::update(momentum, nesterov, weight_decay, how, params, grads, first);
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay } => {
                let adam = adam::Adam { beta1, beta2, epsilon, weight_decay, decoupled: false };
                adam.update(how, params, grads, first, second);
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let adam = adam::Adam { beta1, beta2, epsilon, weight_decay, decoupled: true };
                adam.update(how, params, grads, first, second);
            }
            Optimizer::DiagonalLm { mu, .. } => diagonal_lm::update(mu, how.rate, params, grads, first),
        }
    }
}

impl<T: Element> Update<T> {
    /// The weight decay that this range gets.
    fn decay(&self, weight_decay: f64) -> T {
        if self.decay { T::of(weight_decay) } else { T::ZERO }
    }
}

fn default_beta1() -> f64 {
    0.9
}

fn default_beta2() -> f64 {
    0.999
}

fn default_epsilon() -> f64 {
    1e-8
}

fn default_decoupled_decay() -> f64 {
    0.01
}

fn default_mu() -> f64 {
    0.02
}

fn default_samples() -> usize {
    500
}

#[cfg(test)]
mod tests;
