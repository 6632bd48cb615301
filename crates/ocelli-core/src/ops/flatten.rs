//! Flattening: an image becomes a vector.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::{
    BackwardInput, BackwardParams, Curvature, Forward, InPlace, Operation, Relation, Relations, Signature, only_input,
    pass_on,
};
use crate::graph::Node;
use crate::{Mode, Shape, to_channels_first};

/// A C×H×W image becomes a vector of C·H·W elements: channel by channel, row by row.
///
/// That is the order that the next linear layer's columns have in PyTorch and in files. In memory images lie
/// channels last, so this is a transposition of every sample, and backward transposes back. A vector passes through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl Operation for Flatten {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        Ok(Signature::new([only_input(inputs)?.len()]))
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let (channels, pixels) = planes(pass.node);
        if channels == 1 || pixels == 1 {
            return pass.output.copy_from_slice(pass.inputs.get(0));
        }
        to_channels_first(pass.samples.len(), channels, pixels, pass.inputs.get(0), pass.output);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let (channels, pixels) = planes(pass.node);
        if channels == 1 || pixels == 1 {
            return pass_on(pass.kernels, pass.output_gradient, pass.input_gradient, pass.write);
        }
        let images = pass.input_gradient.chunks_exact_mut(channels * pixels);
        for (g, dx) in pass.output_gradient.chunks_exact(channels * pixels).zip(images) {
            for (channel, plane) in g.chunks_exact(pixels).enumerate() {
                for (pixel, &g) in dx[channel..].iter_mut().step_by(channels).zip(plane) {
                    *pixel = if pass.write == Write::Set { g } else { *pixel + g };
                }
            }
        }
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: flattening has no parameters")
    }
}

/// Images of one channel or of one pixel, and vectors, are in order as they are.
impl InPlace for Flatten {
    fn relations(&self, node: &Node, _: Mode) -> Relations {
        let (channels, pixels) = planes(node);
        Relations::both(if channels == 1 || pixels == 1 { Relation::Same } else { Relation::Apart })
    }
}

/// All coefficients are 0 or 1, and so are their squares.
impl Curvature for Flatten {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.backward_input(pass);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: flattening has no parameters")
    }
}

/// Channels and pixels of the input; a vector is one row of channels.
fn planes(node: &Node) -> (usize, usize) {
    let shape = node.input_shapes()[0];
    (shape.channels(), shape.len() / shape.channels())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::ops::testing::forward;

    #[test]
    fn elements_come_channel_by_channel() {
        // Two samples of 2 channels, 1 row and 3 columns: in memory pixel by pixel, c0 and c1 of each.
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let y = forward(Flatten {}, &[(&[2, 1, 3], &x)], Mode::Evaluate, 2);
        assert_eq!(y, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 7.0, 9.0, 11.0]);
        assert_eq!(forward(Flatten {}, &[(&[6], &x)], Mode::Evaluate, 2), x);
    }
}
