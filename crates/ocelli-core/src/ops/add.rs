//! The sum of several values: where branches meet.

use ocelli_kernels::Element;
use serde::{Deserialize, Serialize};

use super::{
    BackwardInput, BackwardParams, Curvature, Forward, InPlace, Operation, Relation, Relations, Signature, pass_on,
};
use crate::{Mode, Shape};
use crate::graph::Node;

/// y = x₁ + x₂ + …: two or more inputs of one shape, which is the output's too (the shortcut of He et al. 2016).
///
/// Gradients: ∂C/∂x_k = g. Backward reads nothing but g.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {}

impl Operation for Add {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let [first, others @ ..] = inputs else { return Err(too_few(0)) };
        match others.iter().find(|shape| *shape != first) {
            _ if others.is_empty() => Err(too_few(1)),
            Some(other) => Err(format!("it adds values of one shape, but {first} and {other} differ")),
            None => Ok(Signature::new(*first)),
        }
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.add)(pass.inputs.get(0), pass.inputs.get(1), pass.output);
        for i in 2..pass.inputs.count() {
            (pass.kernels.accumulate)(pass.inputs.get(i), pass.output);
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        pass_on(pass.kernels, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a sum has no parameters")
    }
}

/// The first two inputs can be added in either order without changing a bit.
impl InPlace for Add {
    fn relations(&self, _: &Node, _: Mode) -> Relations {
        Relations { forward: Relation::Over, backward: Relation::Same }
    }

    fn forward_in_place<T: Element>(&self, pass: Forward<'_, T>) {
        for i in (0..pass.inputs.count()).filter(|&i| pass.inputs.overwritten != Some(i)) {
            (pass.kernels.accumulate)(pass.inputs.get(i), pass.output);
        }
    }
}

/// All coefficients are 1, and so are their squares.
impl Curvature for Add {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.backward_input(pass);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a sum has no parameters")
    }
}

fn too_few(count: usize) -> String {
    format!("it adds two or more inputs, not {count}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use crate::ops::testing::forward;

    #[test]
    fn all_inputs_are_summed() {
        let inputs: [(&[usize], &[f64]); 3] =
            [(&[2], &[1.0, 2.0]), (&[2], &[10.0, 20.0]), (&[2], &[100.0, 200.0])];
        assert_eq!(forward(Add {}, &inputs, Mode::Evaluate, 1), [111.0, 222.0]);
        assert_eq!(forward(Add {}, &inputs[..2], Mode::Evaluate, 1), [11.0, 22.0]);
    }
}
