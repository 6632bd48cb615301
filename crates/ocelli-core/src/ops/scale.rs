//! Multiplication by a number.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::{
    BackwardInput, BackwardParams, Curvature, Forward, InPlace, Operation, Relation, Relations, Signature, only_input,
};
use crate::graph::Node;
use crate::{Mode, Shape};

/// y = factor·x with a fixed factor.
///
/// Gradient: ∂C/∂x = factor·g. The output has the input's shape. Backward reads nothing but g.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// A finite number.
    pub factor: f64,
}

impl Operation for Scale {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        match self.factor.is_finite() {
            true => Ok(Signature::new(only_input(inputs)?)),
            false => Err(format!("it scales by a finite number, not {}", self.factor)),
        }
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.scale)(T::of(self.factor), pass.inputs.get(0), pass.output, Write::Set);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        (pass.kernels.scale)(T::of(self.factor), pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a fixed factor is no parameter")
    }
}

impl InPlace for Scale {
    fn relations(&self, _: &Node, _: Mode) -> Relations {
        Relations::both(Relation::Over)
    }

    fn forward_in_place<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.scale_in_place)(T::of(self.factor), pass.output);
    }

    fn backward_in_place<T: Element>(&self, pass: BackwardInput<'_, T>) {
        (pass.kernels.scale_in_place)(T::of(self.factor), pass.input_gradient);
    }
}

impl Curvature for Scale {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let squared = T::of(self.factor * self.factor);
        (pass.kernels.scale)(squared, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a fixed factor is no parameter")
    }
}
