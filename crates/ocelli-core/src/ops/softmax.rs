//! Softmax: scores become probabilities.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::{BackwardInput, BackwardParams, Forward, Operation, Reads, Signature, only_input};
use crate::Shape;

/// y_i = e^x_i / Σ_k e^x_k over the elements of a vector, or over the channels of each pixel of an image.
///
/// Gradient: ∂C/∂x_i = y_i·(g_i − Σ_k g_k·y_k). The output has the input's shape. The largest x is subtracted
/// first, so nothing overflows. Backward reads y. Before the cross-entropy loss leave it out: that takes the logits x
/// and is exact where y underflows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl Operation for Softmax {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        Ok(Signature { input_reads: Reads::OUTPUT, ..Signature::new(only_input(inputs)?) })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let channels = pass.node.shape().channels();
        let rows = pass.inputs.get(0).chunks_exact(channels);
        for (x, y) in rows.zip(pass.output.chunks_exact_mut(channels)) {
            let largest = x.iter().copied().fold(T::NEG_INFINITY, T::max);
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - largest).exp());
            let total: T = y.iter().copied().sum();
            y.iter_mut().for_each(|y| *y /= total);
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let channels = pass.node.shape().channels();
        let rows = pass.output.chunks_exact(channels).zip(pass.output_gradient.chunks_exact(channels));
        for ((y, g), dx) in rows.zip(pass.input_gradient.chunks_exact_mut(channels)) {
            let common: T = y.iter().zip(g).map(|(&y, &g)| y * g).sum();
            for (dx, (&y, &g)) in dx.iter_mut().zip(y.iter().zip(g)) {
                let term = y * (g - common);
                *dx = if pass.write == Write::Set { term } else { *dx + term };
            }
        }
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: softmax has no parameters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::ops::testing::forward;

    #[test]
    fn every_pixel_and_every_vector_has_probabilities_that_follow_the_scores() {
        let x = [0.0, 3f64.ln(), 1000.0, 1000.0];
        for sizes in [&[2, 1, 2][..], &[2]] {
            let y = forward(Softmax {}, &[(sizes, &x)], Mode::Evaluate, 4 / sizes.iter().product::<usize>());
            for (y, expected) in y.iter().zip([0.25, 0.75, 0.5, 0.5]) {
                assert!((y - expected).abs() < 1e-12, "{y} {expected}");
            }
        }
    }
}
