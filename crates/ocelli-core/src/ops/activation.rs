//! The pointwise non-linearities y = h(a): each has its derivative as a function of y, so backward reads y alone.

use ocelli_kernels::{Element, Unary};
use serde::{Deserialize, Serialize};

use super::{
    BackwardInput, BackwardParams, Curvature, Forward, InPlace, Operation, Reads, Relation, Relations, Signature,
    only_input,
};
use crate::{Mode, Shape};
use crate::graph::Node;

/// σ(a) = 1/(1 + e^−a), in (0, 1). σ′ = y·(1 − y).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

/// tanh(a), in (−1, 1). tanh′ = 1 − y².
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tanh {}

/// 1.7159·tanh(2a/3), LeNet-5's squashing function: ±1 at a = ±1 (LeCun et al. 1998, appendix A).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledTanh {}

/// max(0, a). The derivative at 0 is 0 (Nair and Hinton 2010).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

/// a for a > 0, slope·a otherwise, with a fixed slope from 0 to below 1 (Maas, Hannun, Ng 2013).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// The slope for a < 0.
    #[serde(default = "leak")]
    pub slope: f64,
}

/// min(max(0, a), 6) (Krizhevsky 2010). The derivatives at 0 and 6 are 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu6 {}

fn leak() -> f64 {
    0.01
}

impl Default for LeakyRelu {
    fn default() -> LeakyRelu {
        LeakyRelu { slope: leak() }
    }
}

/// What tells one non-linearity from another.
pub(super) trait Pointwise {
    fn unary<T: Element>(&self) -> Unary<T>;

    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

macro_rules! pointwise {
    ($($op:ident),*) => {
        $(impl Pointwise for $op {
            fn unary<T: Element>(&self) -> Unary<T> {
                Unary::$op
            }
        })*
    };
}

pointwise!(Sigmoid, Tanh, ScaledTanh, Relu, Relu6);

impl Pointwise for LeakyRelu {
    fn unary<T: Element>(&self) -> Unary<T> {
        Unary::LeakyRelu(T::of(self.slope))
    }

    fn check(&self) -> Result<(), String> {
        match (0.0..1.0).contains(&self.slope) {
            true => Ok(()),
            false => Err(format!("a leaky ReLU has a slope from 0 to below 1, not {}", self.slope)),
        }
    }
}

impl<P: Pointwise> Operation for P {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        self.check()?;
        Ok(Signature { input_reads: Reads::OUTPUT, ..Signature::new(only_input(inputs)?) })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.unary_forward)(self.unary(), pass.inputs.get(0), pass.output);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let unary = self.unary();
        (pass.kernels.unary_backward)(unary, pass.output, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a non-linearity has no parameters")
    }
}

/// Backward reads y and not a, so that y can take a's place.
impl<P: Pointwise> InPlace for P {
    fn relations(&self, _: &Node, _: Mode) -> Relations {
        Relations::both(Relation::Over)
    }

    fn forward_in_place<T: Element>(&self, pass: Forward<'_, T>) {
        (pass.kernels.unary_in_place)(self.unary(), pass.output);
    }

    fn backward_in_place<T: Element>(&self, pass: BackwardInput<'_, T>) {
        (pass.kernels.unary_backward_in_place)(self.unary(), pass.output, pass.input_gradient);
    }
}

impl<P: Pointwise> Curvature for P {
    fn curvature_scratch(&self, node: &Node) -> usize {
        node.shape().len()
    }

    /// h_in = h′(a)²·h_out: the first-order pass, twice.
    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let (len, unary, backward) = (pass.node.shape().len(), self.unary(), pass.kernels.unary_backward);
        let once = &mut pass.scratch[..len];
        let samples = pass.output.chunks_exact(len).zip(pass.output_gradient.chunks_exact(len));
        for ((y, h), to) in samples.zip(pass.input_gradient.chunks_exact_mut(len)) {
            backward(unary, y, h, once, ocelli_kernels::Write::Set);
            backward(unary, y, once, to, pass.write);
        }
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a non-linearity has no parameters")
    }
}
