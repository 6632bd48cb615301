//! Ops that can work in the memory of what they read.

use super::{BackwardInput, Forward, Operation};
use crate::Mode;
use crate::graph::Node;

/// What becomes of a value's memory in a pass that reads it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The result needs memory of its own.
    #[default]
    Apart,
    /// The result can overwrite what it is computed from.
    Over,
    /// The result is what it is computed from: there is nothing to do.
    Same,
}

/// How what an op computes relates to what it is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relations {
    /// The output to an input: to the first one, or to either of the first two of an op with several.
    pub(crate) forward: Relation,
    /// The gradient of each input to the gradient of the output.
    pub(crate) backward: Relation,
}

impl Relations {
    /// Both passes have the same relation.
    pub(crate) fn both(relation: Relation) -> Relations {
        Relations { forward: relation, backward: relation }
    }
}

/// The contract of an op that can work in the memory of what it reads. The plan asks it to where nobody else reads that.
pub(crate) trait InPlace: Operation {
    /// What it can do for this node. Where it says [`Relation::Over`] the op has the function below.
    fn relations(&self, node: &Node, mode: Mode) -> Relations;

    /// As `forward`, where `output` holds one of the inputs, which is lent nowhere else.
    fn forward_in_place<T: ocelli_kernels::Element>(&self, _: Forward<'_, T>) {
        unreachable!("invariant: the op did not offer to write over its input")
    }

    /// As `backward_input`, where `input_gradient` holds the gradient of the output, which is lent nowhere else.
    fn backward_in_place<T: ocelli_kernels::Element>(&self, _: BackwardInput<'_, T>) {
        unreachable!("invariant: the op did not offer to write over the gradient of its output")
    }
}
