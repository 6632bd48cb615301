//! The per-channel bias: y = x + b.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::defaults::{is_zero, zero};
use super::{
    BackwardInput, BackwardParams, Curvature, Forward, InPlace, Operation, Relation, Relations, Signature,
    only_input, pass_on, per_channel,
};
use crate::graph::Node;
use crate::init::Init;
use crate::{Mode, Role, Shape};

/// y = x + b with one b per channel of an image, or per element of a vector (per-channel bias).
///
/// Gradients: ∂C/∂x = g, ∂C/∂b = Σ g over the pixels and samples of the channel. The output has the input's shape.
/// b starts by `init`, at 0 unless told otherwise. Backward reads nothing but g.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {
    /// How b starts.
    #[serde(default = "zero", skip_serializing_if = "is_zero")]
    pub init: Init,
}

impl Default for Bias {
    fn default() -> Bias {
        Bias { init: zero() }
    }
}

impl Operation for Bias {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let shape = only_input(inputs)?;
        let params = vec![per_channel("bias", shape, Role::Bias, self.init.clone())];
        Ok(Signature { params, ..Signature::new(shape) })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.add_bias)(pass.params.get(0), pass.inputs.get(0), pass.output);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        pass_on(pass.kernels, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let [bias, ..] = pass.gradients;
        (pass.kernels.column_sums)(pass.output_gradient, bias, Write::Set);
    }
}

impl InPlace for Bias {
    fn relations(&self, _: &Node, _: Mode) -> Relations {
        Relations { forward: Relation::Over, backward: Relation::Same }
    }

    fn forward_in_place<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.add_bias_in_place)(pass.params.get(0), pass.output);
    }
}

/// All coefficients are 1, and so are their squares.
impl Curvature for Bias {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.backward_input(pass);
    }

    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        self.backward_params(pass);
    }
}
