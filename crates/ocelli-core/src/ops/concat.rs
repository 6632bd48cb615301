//! Concatenation along the channels.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::{BackwardInput, BackwardParams, Curvature, Forward, Operation, Signature};
use crate::Shape;
use crate::graph::Node;

/// The channels of one or more images of equal height and width behind each other, or the elements of vectors
/// (the filter concatenation of Szegedy et al. 2015).
///
/// Shapes: C₁×H×W, C₂×H×W, … give (C₁ + C₂ + …)×H×W. Gradients: each input gets its channels of g. Backward reads
/// nothing but g.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

impl Operation for Concat {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let [first, others @ ..] = inputs else {
            return Err("it takes one input or more, not none".to_string());
        };
        if let Some(other) = others.iter().find(|shape| shape.sizes()[1..] != first.sizes()[1..]) {
            return Err(format!("inputs may differ in their channels alone, but {first} and {other} differ more"));
        }
        let mut sizes = [0; Shape::MAX_RANK];
        sizes[..first.rank()].copy_from_slice(first.sizes());
        sizes[0] = inputs.iter().map(Shape::channels).sum();
        let output = Shape::try_new(&sizes[..first.rank()]);
        Ok(Signature::new(output.ok_or_else(|| format!("{} channels are too many", sizes[0]))?))
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let all = pass.node.shape().channels();
        for index in 0..pass.inputs.count() {
            let (before, own) = channels(pass.node, index);
            let rows = pass.output.chunks_exact_mut(all);
            for (y, x) in rows.zip(pass.inputs.get(index).chunks_exact(own)) {
                y[before..before + own].copy_from_slice(x);
            }
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let (before, own) = channels(pass.node, pass.index);
        let rows = pass.output_gradient.chunks_exact(pass.node.shape().channels());
        for (g, dx) in rows.zip(pass.input_gradient.chunks_exact_mut(own)) {
            let g = &g[before..before + own];
            match pass.write {
                Write::Set => dx.copy_from_slice(g),
                Write::Add => dx.iter_mut().zip(g).for_each(|(dx, &g)| *dx += g),
            }
        }
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a concatenation has no parameters")
    }
}

/// All coefficients are 0 or 1, and so are their squares.
impl Curvature for Concat {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.backward_input(pass);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a concatenation has no parameters")
    }
}

/// How many channels of the output come before those of input `index`, and how many that input has.
fn channels(node: &Node, index: usize) -> (usize, usize) {
    let shapes = node.input_shapes();
    (shapes[..index].iter().map(Shape::channels).sum(), shapes[index].channels())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::ops::testing::forward;

    #[test]
    fn each_pixel_has_the_channels_of_all_inputs_in_order() {
        // Two pixels; one channel, then two.
        let inputs: [(&[usize], &[f64]); 2] = [(&[1, 1, 2], &[1.0, 2.0]), (&[2, 1, 2], &[10.0, 11.0, 20.0, 21.0])];
        assert_eq!(forward(Concat {}, &inputs, Mode::Evaluate, 1), [1.0, 10.0, 11.0, 2.0, 20.0, 21.0]);
    }

    #[test]
    fn vectors_follow_each_other_sample_by_sample() {
        let inputs: [(&[usize], &[f64]); 2] = [(&[1], &[1.0, 2.0]), (&[2], &[10.0, 11.0, 20.0, 21.0])];
        assert_eq!(forward(Concat {}, &inputs, Mode::Evaluate, 2), [1.0, 10.0, 11.0, 2.0, 20.0, 21.0]);
    }
}
