//! What a gradient check found.

use std::fmt;

use serde::Serialize;

use super::probe::Comparison;
use crate::graph::Node;
use crate::ops::Op;

/// What a gradient check found, layer by layer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GradientReport {
    /// The layers (and inputs of the graph) that were checked, in the order of the graph.
    pub layers: Vec<LayerReport>,
}

/// What was found of one layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// The layer's name.
    pub layer: String,
    /// Its op; "input" for an input of the graph.
    pub op: &'static str,
    /// Of the gradients of its trained parameters.
    pub params: Agreement,
    /// Of the gradients of its inputs; of an input of the graph, of its own.
    pub inputs: Agreement,
}

/// How well analytic and numeric derivatives agree.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Agreement {
    /// Elements that were compared.
    pub checked: usize,
    /// Elements where the cost has a kink, so that there is no derivative to compare with.
    pub skipped: usize,
    /// The largest error: |analytic − numeric| relative to the larger of both (or, of derivatives so small that they
    /// are rounding alone, to a small share of the largest).
    pub largest_error: f64,
    /// Where it is.
    pub worst: Option<Worst>,
}

/// The element with the largest error.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// The parameter or input, by name.
    pub tensor: String,
    /// The element's place in memory.
    pub element: usize,
    /// Its derivative as back-propagation has it.
    pub analytic: f64,
    /// Its derivative by differences.
    pub numeric: f64,
}

impl GradientReport {
    /// Whether no error is larger than `tolerance`, and of everything that was to be checked something could be.
    pub fn passed(&self, tolerance: f64) -> bool {
        self.layers.iter().all(|layer| layer.params.passed(tolerance) && layer.inputs.passed(tolerance))
    }

    /// The largest error; NaN where a gradient is NaN.
    pub fn largest_error(&self) -> f64 {
        let errors =
            self.layers.iter().flat_map(|layer| [layer.params.largest_error, layer.inputs.largest_error]);
        errors.fold(0.0, |largest, error| if is_worse(error, largest) { error } else { largest })
    }
}

/// A line for each layer, with the worst element of each.
impl fmt::Display for GradientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.layers {
            writeln!(
                f,
                "{} ({}): parameters {}; inputs {}",
                layer.layer, layer.op, layer.params, layer.inputs
            )?;
        }
        Ok(())
    }
}

impl LayerReport {
    pub(super) fn of(node: &Node, params: Agreement, inputs: Agreement) -> LayerReport {
        let op = node.op().map_or("input", Op::name);
        LayerReport { layer: node.name().to_string(), op, params, inputs }
    }
}

impl Agreement {
    /// Whether no error is larger than `tolerance`, and if there was anything to check, something could be.
    pub fn passed(&self, tolerance: f64) -> bool {
        self.largest_error <= tolerance && !self.is_open()
    }

    /// Whether there was something to check, and nothing of it could be: all of it lies at kinks.
    pub fn is_open(&self) -> bool {
        self.checked == 0 && self.skipped > 0
    }

    pub(super) fn note(&mut self, tensor: &str, element: usize, found: Option<Comparison>) {
        let Some(Comparison { analytic, numeric, error }) = found else {
            self.skipped += 1;
            return;
        };
        self.checked += 1;
        if self.worst.is_none() || is_worse(error, self.largest_error) {
            self.largest_error = error;
            self.worst = Some(Worst { tensor: tensor.to_string(), element, analytic, numeric });
        }
    }

    pub(super) fn merge(&mut self, other: Agreement) {
        self.checked += other.checked;
        self.skipped += other.skipped;
        let first = self.worst.is_none() && other.worst.is_some();
        if first || is_worse(other.largest_error, self.largest_error) {
            self.largest_error = other.largest_error;
            self.worst = other.worst;
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checked, {} skipped", self.checked, self.skipped)?;
        if let Some(Worst { tensor, element, analytic, numeric }) = &self.worst {
            let error = self.largest_error;
            write!(f, ", error {error:.1e} at {tensor}[{element}]: {analytic} for {numeric}")?;
        }
        Ok(())
    }
}

/// Whether an error is larger than another, NaN counting as the largest.
fn is_worse(error: f64, than: f64) -> bool {
    error > than || (error.is_nan() && !than.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(errors: &[Option<f64>]) -> Agreement {
        let mut agreement = Agreement::default();
        for (element, error) in errors.iter().enumerate() {
            let comparison = error.map(|error| Comparison { analytic: 1.0, numeric: 1.0, error });
            agreement.note("weight", element, comparison);
        }
        agreement
    }

    #[test]
    fn the_largest_error_counts_and_nan_is_larger_than_any() {
        let some = found(&[Some(1e-9), None, Some(3e-7), Some(1e-8)]);
        assert_eq!((some.checked, some.skipped, some.largest_error), (3, 1, 3e-7));
        assert_eq!(some.worst.as_ref().map(|w| w.element), Some(2));
        assert!(some.passed(1e-6) && !some.passed(1e-7));
        let mut nan = found(&[Some(f64::NAN), Some(1.0)]);
        assert!(nan.largest_error.is_nan() && !nan.passed(10.0));
        nan.merge(some);
        assert!(nan.largest_error.is_nan() && nan.checked == 5);
    }

    #[test]
    fn nothing_to_check_passes_and_nothing_that_could_be_checked_fails() {
        assert!(found(&[]).passed(1e-6));
        assert!(!found(&[None, None]).passed(1e-6));
    }
}
