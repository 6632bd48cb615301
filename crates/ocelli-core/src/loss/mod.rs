//! Losses: how far the outputs of a network are from what was wanted.
//!
//! A loss stands outside the graph. It gives each sample's cost C and seeds the last gradient ∂C/∂x, which
//! the graph's backward pass then carries to the weights. E, what training lowers, is the mean of the costs
//! over the batch or their sum ([`Reduction`]). One file per loss; each sees one sample at a time.

mod cross_entropy;
mod exponential;
mod hinge;
mod logistic;
mod map;
mod partition;
mod penalty;
mod pointwise;
mod predict;
mod squares;
mod targets;

use ocelli_kernels::Element;
use serde::{Deserialize, Serialize};

use crate::setting::{SettingError, no_fields, require};

pub use predict::Ranking;
use targets::Target;
pub use targets::{Targets, check_labels};

/// A loss on the outputs x (`width` numbers) of one sample.
///
/// A target is a class or values. A class c stands for the one-hot values t with t_c = 1. A single output
/// distinguishes two classes under the losses that say so: class 1 is the positive one, class 0 the other.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// ½‖x − t‖², so that ∂C/∂x = x − t. One output: two classes, t = 0 or 1.
    #[serde(deserialize_with = "no_fields")]
    Euclidean,
    /// ‖x − t‖². One output: two classes, t = 0 or 1.
    #[serde(deserialize_with = "no_fields")]
    SquaredError,
    /// −Σ q_i ln p_i with p the softmax of the logits x, and q the target t, smoothed. Values are
    /// class probabilities: not negative, with sum 1.
    CrossEntropy {
        /// ε in [0, 1]: q = (1 − ε)·t + ε/width (Szegedy et al. 2016).
        #[serde(default)]
        label_smoothing: f64,
    },
    /// Σ ln(1 + e^x_i) − t_i·x_i: each output is the logit of its own yes-or-no question, t_i its probability
    /// of yes. One output: two classes. More: every class against the rest.
    #[serde(deserialize_with = "no_fields")]
    BinaryLogistic,
    /// Margins. One output and y = ±1: max(0, m − y·x). More outputs and a class c: Σ over i ≠ c of
    /// max(0, m + x_i − x_c) (Weston and Watkins 1999). Values are ±1, each output on its own.
    Hinge {
        /// m > 0.
        #[serde(default = "one")]
        margin: f64,
        /// Squares every term (L2-SVM): differentiable, and it has a second derivative.
        #[serde(default)]
        squared: bool,
    },
    /// Σ e^(−y_i·x_i), the loss of boosting, with y_i = ±1 (values are these). One output: two classes. More:
    /// every class against the rest. Above −y·x = 60 it goes on along its tangent, so that it stays finite.
    #[serde(deserialize_with = "no_fields")]
    Exponential,
    /// LeNet-5's discriminative criterion on penalties x ≥ 0: x_c + ln(e^−j + Σ e^−x_i), the negative
    /// logarithm of the posterior when a rubbish class has penalty j (LeCun et al. 1998, equation 9).
    Map {
        /// j, the penalty of the class "none of these".
        rubbish: f64,
    },
    /// The penalty x_c of the right class: with radial basis outputs, LeNet-5's "MSE" (equation 8).
    #[serde(deserialize_with = "no_fields")]
    Penalty,
}

/// How the costs of a batch make E.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// E = Σ C / M over M samples: the rate need not follow the batch size.
    #[default]
    Mean,
    /// E = Σ C.
    Sum,
}

/// Why a loss cannot be used as asked.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum LossError {
    /// A setting outside its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The network has no outputs.
    #[error("loss {loss}: the network gives no outputs; end it in a layer with at least one")]
    NoOutputs {
        /// The loss, by name.
        loss: &'static str,
    },
    /// The outputs do not fit the classes.
    #[error(
        "loss {loss}: {width} outputs tell {told} classes apart, and the data have {classes}; \
         give the last layer {needed} outputs"
    )]
    Width {
        /// The loss, by name.
        loss: &'static str,
        /// Outputs per sample.
        width: usize,
        /// Classes that so many outputs distinguish.
        told: usize,
        /// Classes of the data.
        classes: usize,
        /// Outputs that the classes ask for.
        needed: String,
    },
    /// A label that is no class.
    #[error("label {label} of sample {sample} is no class: labels go from 0 to {}; correct it", .classes - 1)]
    Label {
        /// Position of the sample.
        sample: usize,
        /// Its label.
        label: u32,
        /// Classes that there are.
        classes: usize,
    },
    /// Labels where there are no classes.
    #[error("there are labels but no classes; name at least one class")]
    NoClasses,
    /// Diagonal Levenberg–Marquardt asked for a second derivative that is 0 everywhere.
    #[error(
        "loss {loss} is piecewise linear and has no curvature to scale steps by; \
         square it or choose another loss or optimiser"
    )]
    NoCurvature {
        /// The loss, by name.
        loss: &'static str,
    },
}

impl Loss {
    /// Its name, as configuration files write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Loss::Euclidean => "euclidean",
            Loss::SquaredError => "squared_error",
            Loss::CrossEntropy { .. } => "cross_entropy",
            Loss::BinaryLogistic => "binary_logistic",
            Loss::Hinge { .. } => "hinge",
            Loss::Exponential => "exponential",
            Loss::Map { .. } => "map",
            Loss::Penalty => "penalty",
        }
    }

    /// The cost of every sample and, if asked for, scale·∂C/∂outputs of every sample, which overwrites what
    /// was there.
    ///
    /// `outputs` and the gradient are samples×`width`, `costs` has one place per sample. Samples do not
    /// influence each other, so a batch may be evaluated in pieces.
    ///
    /// # Panics
    /// If lengths do not fit together.
    pub fn evaluate<T: Element>(
        &self,
        outputs: &[T],
        width: usize,
        targets: Targets<'_, T>,
        costs: &mut [T],
        gradient: Option<(&mut [T], T)>,
    ) {
        check_lengths(outputs.len(), width, targets, costs.len());
        let (mut gradients, scale) = match gradient {
            Some((all, scale)) => {
                assert_eq!(all.len(), outputs.len(), "a gradient has the layout of the outputs");
                (Some(all.chunks_exact_mut(width)), scale)
            }
            None => (None, T::ONE),
        };
        for (sample, (x, cost)) in outputs.chunks_exact(width).zip(costs).enumerate() {
            let gradient = gradients.as_mut().and_then(Iterator::next).map(|g| (g, scale));
            *cost = T::of(self.cost(x, targets.of(sample, width), gradient));
        }
    }

    /// scale times the diagonal of the second derivative of every sample's cost with respect to its outputs,
    /// where necessary in a form that is never negative (Gauss–Newton); diagonal Levenberg–Marquardt carries
    /// it backward.
    ///
    /// Euclidean: 1. Squared error: 2. Cross-entropy: p(1 − p). Logistic: σ(1 − σ). Squared hinge: 2 per
    /// active margin. Exponential: e^(−yx). Penalty and MAP: the output layer of radial basis units counts as
    /// part of the loss there, since the second derivative of a penalty itself is 0. They seed 1 at the right
    /// class, which these units turn into 2, the curvature of y_c = ‖x − w_c‖², for each of their inputs.
    ///
    /// # Errors
    /// [`LossError::NoCurvature`] for the plain hinge.
    ///
    /// # Panics
    /// If lengths do not fit together.
    pub fn curvature<T: Element>(
        &self,
        outputs: &[T],
        width: usize,
        targets: Targets<'_, T>,
        scale: T,
        h: &mut [T],
    ) -> Result<(), LossError> {
        self.check_curvature()?;
        assert_eq!(h.len(), outputs.len(), "the curvature has the layout of the outputs");
        check_lengths(outputs.len(), width, targets, outputs.len() / width.max(1));
        for (sample, (x, h)) in outputs.chunks_exact(width).zip(h.chunks_exact_mut(width)).enumerate() {
            self.curvature_of_one(x, targets.of(sample, width), scale, h);
        }
        Ok(())
    }

    /// Whether diagonal Levenberg–Marquardt can train with it.
    ///
    /// # Errors
    /// [`LossError::NoCurvature`] for the plain hinge.
    pub fn check_curvature(&self) -> Result<(), LossError> {
        match self {
            Loss::Hinge { squared: false, .. } => Err(LossError::NoCurvature { loss: self.name() }),
            _ => Ok(()),
        }
    }

    /// Whether `width` outputs fit data with so many `classes` (`None`: targets are values), and the settings
    /// make sense.
    ///
    /// # Errors
    /// Says which setting, or which number of outputs, to change.
    pub fn check(&self, width: usize, classes: Option<usize>) -> Result<(), LossError> {
        self.check_settings()?;
        if width == 0 {
            return Err(LossError::NoOutputs { loss: self.name() });
        }
        match classes {
            Some(classes) if classes != self.classes(width) => Err(LossError::Width {
                loss: self.name(),
                width,
                told: self.classes(width),
                classes,
                needed: if classes == 2 && self.is_binary(1) { "1 or 2".into() } else { classes.to_string() },
            }),
            _ => Ok(()),
        }
    }

    /// How many classes `width` outputs distinguish: as many, or 2 by the sign of a single output.
    pub fn classes(&self, width: usize) -> usize {
        if self.is_binary(width) { 2 } else { width }
    }

    fn check_settings(&self) -> Result<(), SettingError> {
        match *self {
            Loss::CrossEntropy { label_smoothing: e } => {
                require((0.0..=1.0).contains(&e), self.name(), "label_smoothing", e, "a number from 0 to 1")
            }
            Loss::Hinge { margin, .. } => require(
                margin > 0.0 && margin.is_finite(),
                self.name(),
                "margin",
                margin,
                "a finite number above 0",
            ),
            Loss::Map { rubbish } => {
                require(rubbish.is_finite(), self.name(), "rubbish", rubbish, "a finite number")
            }
            _ => Ok(()),
        }
    }

    /// Whether a single output decides between two classes.
    const fn is_binary(&self, width: usize) -> bool {
        let either = !matches!(self, Loss::CrossEntropy { .. } | Loss::Map { .. } | Loss::Penalty);
        width == 1 && either
    }

    fn cost<T: Element>(&self, x: &[T], target: Target<'_, T>, gradient: Option<(&mut [T], T)>) -> f64 {
        match *self {
            Loss::Euclidean => squares::cost(0.5, x, target, gradient),
            Loss::SquaredError => squares::cost(1.0, x, target, gradient),
            Loss::CrossEntropy { label_smoothing } => {
                cross_entropy::cost(label_smoothing, x, target, gradient)
            }
            Loss::BinaryLogistic => logistic::cost(x, target, gradient),
            Loss::Hinge { margin, squared } => {
                hinge::Hinge { margin: T::of(margin), squared }.cost(x, target, gradient)
            }
            Loss::Exponential => exponential::cost(x, target, gradient),
            Loss::Map { rubbish } => map::cost(rubbish, x, target, gradient),
            Loss::Penalty => penalty::cost(x, target, gradient),
        }
    }

    fn curvature_of_one<T: Element>(&self, x: &[T], target: Target<'_, T>, scale: T, h: &mut [T]) {
        match *self {
            Loss::Euclidean => h.fill(scale),
            Loss::SquaredError => h.fill(scale * T::of(2.0)),
            Loss::CrossEntropy { .. } => cross_entropy::curvature(x, scale, h),
            Loss::BinaryLogistic => logistic::curvature(x, scale, h),
            Loss::Hinge { margin, squared } => {
                hinge::Hinge { margin: T::of(margin), squared }.curvature(x, target, scale, h);
            }
            Loss::Exponential => exponential::curvature(x, target, scale, h),
            Loss::Map { .. } | Loss::Penalty => penalty::curvature(target, scale, h),
        }
    }
}

impl Reduction {
    /// What ∂C/∂x of each of `samples` samples is multiplied by to give ∂E/∂x.
    pub fn scale<T: Element>(self, samples: usize) -> T {
        match self {
            Reduction::Mean => T::of(1.0 / samples.max(1) as f64),
            Reduction::Sum => T::ONE,
        }
    }

    /// E of these costs, summed in f64. Of no costs: 0.
    pub fn reduce<T: Element>(self, costs: &[T]) -> f64 {
        let sum: f64 = costs.iter().map(|cost| cost.f64()).sum();
        match self {
            Reduction::Mean => sum / costs.len().max(1) as f64,
            Reduction::Sum => sum,
        }
    }
}

fn one() -> f64 {
    1.0
}

fn check_lengths<T>(outputs: usize, width: usize, targets: Targets<'_, T>, samples: usize) {
    assert!(width > 0, "a loss needs at least one output");
    assert_eq!(outputs, samples * width, "outputs are samples×width");
    match targets {
        Targets::Classes(labels) => assert_eq!(labels.len(), samples, "one label per sample"),
        Targets::Values(values) => assert_eq!(values.len(), outputs, "target values are samples×width"),
    }
}

#[cfg(test)]
mod tests;
