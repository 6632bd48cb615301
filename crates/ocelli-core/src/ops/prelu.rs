//! The parametric ReLU: a leaky ReLU that learns its slope.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::defaults::is_false;
use super::{
    BackwardInput, BackwardParams, Curvature, Forward, Operation, Reads, Signature, only_input, per_channel,
};
use crate::graph::Node;
use crate::init::Init;
use crate::{Role, Shape};

/// y = x for x > 0, α·x otherwise, with a learned slope α per channel, or one for the whole layer (He et al. 2015,
/// equation 1).
///
/// Gradients: ∂C/∂x = g for x > 0, α·g otherwise; ∂C/∂α = Σ g·x over the x < 0 that α belongs to. The output has the
/// input's shape. α, named "weight" as in PyTorch, starts at `start`. Backward reads x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prelu {
    /// One slope for the whole layer instead of one per channel.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared: bool,
    /// Where the slopes start.
    #[serde(default = "quarter")]
    pub start: f64,
}

fn quarter() -> f64 {
    0.25
}

impl Default for Prelu {
    fn default() -> Prelu {
        Prelu { shared: false, start: quarter() }
    }
}

impl Prelu {
    /// Adds rule(x, g) of every x < 0 to the sum that its slope belongs to.
    fn sum_negatives<T: Element>(&self, pass: BackwardParams<'_, T>, rule: impl Fn(T, T) -> T) {
        let [sums, ..] = pass.gradients;
        let width = sums.len();
        sums.fill(T::ZERO);
        let rows = pass.inputs.get(0).chunks_exact(width).zip(pass.output_gradient.chunks_exact(width));
        for (x, g) in rows {
            for (sum, (&x, &g)) in sums.iter_mut().zip(x.iter().zip(g)) {
                *sum += if x < T::ZERO { rule(x, g) } else { T::ZERO };
            }
        }
    }
}

/// ∂C/∂x with these slopes: rows of as many elements as there are slopes.
fn slope<T: Element>(pass: BackwardInput<'_, T>, of: impl Fn(T) -> T) {
    let slopes = pass.params.get(0);
    let rows = pass.inputs.get(0).chunks_exact(slopes.len()).zip(pass.output_gradient.chunks_exact(slopes.len()));
    for ((x, g), dx) in rows.zip(pass.input_gradient.chunks_exact_mut(slopes.len())) {
        for (((&x, &g), dx), &slope) in x.iter().zip(g).zip(dx).zip(slopes) {
            let term = if x > T::ZERO { g } else { of(slope) * g };
            *dx = if pass.write == Write::Set { term } else { *dx + term };
        }
    }
}

impl Operation for Prelu {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let shape = only_input(inputs)?;
        if !self.start.is_finite() {
            return Err(format!("a slope starts at a finite number, not {}", self.start));
        }
        let slopes = if self.shared { Shape::from([1]) } else { shape };
        let params = vec![per_channel("weight", slopes, Role::Slope, Init::Constant { value: self.start })];
        Ok(Signature { params, input_reads: Reads::INPUT, param_reads: Reads::INPUT, ..Signature::new(shape) })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let slopes = pass.params.get(0);
        let rows = pass.inputs.get(0).chunks_exact(slopes.len());
        for (x, y) in rows.zip(pass.output.chunks_exact_mut(slopes.len())) {
            for ((y, &x), &slope) in y.iter_mut().zip(x).zip(slopes) {
                *y = if x > T::ZERO { x } else { slope * x };
            }
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        slope(pass, |slope| slope);
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        self.sum_negatives(pass, |x, g| g * x);
    }
}

impl Curvature for Prelu {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        slope(pass, |slope| slope * slope);
    }

    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        self.sum_negatives(pass, |x, h| h * x * x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::ops::testing::forward;

    #[test]
    fn negative_values_are_scaled_by_the_slope() {
        for shared in [false, true] {
            let op = Prelu { shared, start: 0.5 };
            assert_eq!(forward(op, &[(&[2], &[-2.0, 4.0, 0.0, -1.0])], Mode::Evaluate, 2), [-1.0, 4.0, 0.0, -0.5]);
        }
    }
}
