//! Dropout: in training, some elements are left out at random.

use std::ops::Range;

use ocelli_kernels::random::Key;
use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::{
    BackwardInput, BackwardParams, Forward, InPlace, Operation, RandomState, Relation, Relations, Signature,
    only_input, pass_on,
};
use crate::graph::Node;
use crate::{Mode, Shape};

/// y = m·x/(1 − rate), where m is 0 with probability `rate` and 1 otherwise, drawn for each element of each sample
/// (Srivastava et al. 2014; inverted, so that evaluation is the identity).
///
/// Gradient: ∂C/∂x = m·g/(1 − rate). The output has the input's shape. m follows from the seed, the step, the
/// layer and the sample alone: backward draws it again, nothing is saved, and any number of threads draws the
/// same. Outside of training y = x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The probability with which an element is dropped, from 0 to below 1.
    pub rate: f64,
}

/// What the random numbers are for: keeps them apart from other uses of the seed.
const PURPOSE: u64 = 0x6472_6f70; // "drop"

impl Dropout {
    /// Multiplies by the mask.
    fn mask<T: Element>(
        &self,
        random: RandomState,
        node: &Node,
        samples: Range<usize>,
        from: &[T],
        to: &mut [T],
        write: Write,
    ) {
        let (factor, dropped) = self.factor_and_bound::<T>();
        let len = node.shape().len();
        for (sample, (from, to)) in samples.zip(from.chunks_exact(len).zip(to.chunks_exact_mut(len))) {
            let key = key(random, node, sample);
            for (block, (from, to)) in from.chunks(4).zip(to.chunks_mut(4)).enumerate() {
                for ((word, &x), y) in key.block(block as u64).into_iter().zip(from).zip(to) {
                    let kept = if u64::from(word) < dropped { T::ZERO } else { factor * x };
                    *y = if write == Write::Set { kept } else { *y + kept };
                }
            }
        }
    }

    /// Multiplies by the mask in place.
    fn mask_over<T: Element>(&self, random: RandomState, node: &Node, samples: Range<usize>, values: &mut [T]) {
        let (factor, dropped) = self.factor_and_bound::<T>();
        for (sample, values) in samples.zip(values.chunks_exact_mut(node.shape().len())) {
            let key = key(random, node, sample);
            for (block, values) in values.chunks_mut(4).enumerate() {
                for (word, x) in key.block(block as u64).into_iter().zip(values) {
                    *x = if u64::from(word) < dropped { T::ZERO } else { factor * *x };
                }
            }
        }
    }

    /// What is kept is multiplied by the first; a random word is below the second with probability `rate`.
    fn factor_and_bound<T: Element>(&self) -> (T, u64) {
        (T::of(1.0 / (1.0 - self.rate)), (self.rate * (1u64 << 32) as f64) as u64)
    }
}

/// A sample's random words, in blocks of four: one for each four elements.
fn key(random: RandomState, node: &Node, sample: usize) -> Key {
    Key::new(random.seed, &[PURPOSE, random.step, node.index() as u64, sample as u64])
}

impl Operation for Dropout {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("dropout has a rate from 0 to below 1, not {}", self.rate));
        }
        Ok(Signature::new(only_input(inputs)?))
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        match pass.mode {
            Mode::Train => {
                let x = pass.inputs.get(0);
                self.mask(pass.random, pass.node, pass.samples, x, pass.output, Write::Set);
            }
            Mode::Evaluate | Mode::EvaluateWithGradients => pass.output.copy_from_slice(pass.inputs.get(0)),
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let (from, to) = (pass.output_gradient, pass.input_gradient);
        match pass.mode {
            Mode::Train => self.mask(pass.random, pass.node, pass.samples, from, to, pass.write),
            Mode::Evaluate | Mode::EvaluateWithGradients => pass_on(pass.kernels, from, to, pass.write),
        }
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: dropout has no parameters")
    }
}

impl InPlace for Dropout {
    fn relations(&self, _: &Node, mode: Mode) -> Relations {
        Relations::both(if mode == Mode::Train { Relation::Over } else { Relation::Same })
    }

    fn forward_in_place<T: Element>(&self, pass: Forward<'_, T>) {
        self.mask_over(pass.random, pass.node, pass.samples, pass.output);
    }

    fn backward_in_place<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.mask_over(pass.random, pass.node, pass.samples, pass.input_gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::forward;

    #[test]
    fn a_share_of_rate_is_dropped_and_the_rest_scaled_so_that_the_mean_stays() {
        const LEN: usize = 10_000;
        let x: Vec<f64> = vec![1.0; 2 * LEN];
        for rate in [0.0, 0.2, 0.5, 0.9] {
            let y = forward(Dropout { rate }, &[(&[LEN], &x)], Mode::Train, 2);
            let dropped = y.iter().filter(|y| **y == 0.0).count() as f64;
            let deviation = (2.0 * LEN as f64 * rate * (1.0 - rate)).sqrt();
            assert!((dropped - 2.0 * LEN as f64 * rate).abs() <= 4.0 * deviation, "{dropped} at {rate}");
            assert!(y.iter().all(|y| *y == 0.0 || (*y - 1.0 / (1.0 - rate)).abs() < 1e-12));
        }
    }

    #[test]
    fn outside_of_training_it_is_the_identity() {
        let x = [1.0, -2.0, 3.0];
        for mode in [Mode::Evaluate, Mode::EvaluateWithGradients] {
            assert_eq!(forward(Dropout { rate: 0.9 }, &[(&[3], &x)], mode, 1), x);
        }
    }
}
