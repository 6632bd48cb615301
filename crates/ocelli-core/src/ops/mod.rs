//! The ops: each in one file with the lecture's three equations, and one line in the list below.

mod by_units;
mod connections;
mod contract;
mod defaults;
mod in_place;
mod sides;
#[cfg(test)]
mod testing;

pub(crate) use by_units::{ByUnits, Columns, UnitPass};
pub(crate) use contract::{
    Activated, Apply, Axis, BackwardInput, BackwardParams, BatchStatistics, BlockGradients, ChannelCut,
    Curvature, Forward, Held, Inputs, MAX_PARAMS, Operation, PAIR, Packing, ParamViews, Place, Preparation,
    Prepare, Section, Sectioned, Statistics, Values, range_of, row_parts, rows_of,
};
pub use contract::{RandomState, Reads, Signature, Window};
pub(crate) use in_place::{InPlace, Relation, Relations};
pub use sides::Sides;

use std::ops::Range;

use ocelli_kernels::{Direction, Element, Kernels, Unary, Write};
use serde::{Deserialize, Serialize};

use crate::graph::Node;
use crate::init::{Fan, Init};
use crate::{Mode, ParamSpec, Role, Shape};

/// Declares the modules, the enum and its dispatch. The string is the op's name in files and messages; files may
/// also use the names behind a bar.
macro_rules! ops {
    ($($module:ident { $($op:ident = $name:literal $(| $alias:literal)*),* $(,)? })*) => {
        $(mod $module;)*
        $(pub use $module::{$($op),*};)*

        /// An op: an enum for identity, so that whoever must know all ops is told by the compiler of a new one.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "op")]
        pub enum Op {
            $($(#[doc = concat!("`", $name, "`: [`", stringify!($op), "`](struct@", stringify!($op), ").")]
              #[serde(rename = $name $(, alias = $alias)*)]
              $op($op),)*)*
        }

        $($(impl From<$op> for Op {
            fn from(op: $op) -> Op {
                Op::$op(op)
            }
        })*)*

        impl Op {
            /// The names of all ops, as files write them.
            pub const NAMES: &'static [&'static str] = &[$($($name),*),*];

            /// Its name, as files write it.
            pub fn name(&self) -> &'static str {
                match self { $($(Op::$op(_) => $name),*),* }
            }
        }

        impl Operation for Op {
            fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
                match self { $($(Op::$op(op) => op.infer(inputs)),*),* }
            }
            fn forward<T: Element>(&self, pass: Forward<'_, T>) {
                match self { $($(Op::$op(op) => op.forward(pass)),*),* }
            }
            fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
                match self { $($(Op::$op(op) => op.backward_input(pass)),*),* }
            }
            fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
                match self { $($(Op::$op(op) => op.backward_params(pass)),*),* }
            }
        }
    };
}

ops! {
    linear { Linear = "linear" }
    conv2d { Conv2d = "conv2d" }
    pool { MaxPool2d = "max_pool2d", AvgPool2d = "avg_pool2d" }
    adaptive_pool { GlobalAvgPool = "global_avg_pool", AdaptiveAvgPool2d = "adaptive_avg_pool2d" }
    subsample { Subsample = "subsample" }
    lrn { LocalResponseNorm = "local_response_norm" }
    activation {
        Sigmoid = "sigmoid", Tanh = "tanh", ScaledTanh = "scaled_tanh",
        Relu = "relu", LeakyRelu = "leaky_relu", Relu6 = "relu6",
    }
    prelu { Prelu = "prelu" | "probabilistic_relu" }
    softmax { Softmax = "softmax" }
    bias { Bias = "bias" }
    scale { Scale = "scale" }
    batch_norm { BatchNorm = "batch_norm" }
    dropout { Dropout = "dropout" }
    flatten { Flatten = "flatten" }
    add { Add = "add" }
    concat { Concat = "concat" }
    rbf { Rbf = "rbf" }
}

/// Declares the ops through which second derivatives can be propagated.
macro_rules! with_curvature {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// Scratch for second derivatives; `None` where the op does not give any.
            pub(crate) fn curvature_scratch(&self, node: &Node) -> Option<usize> {
                match self {
                    $(Op::$op(op) => Some(op.curvature_scratch(node)),)*
                    _ => None,
                }
            }
            pub(crate) fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
                match self {
                    $(Op::$op(op) => op.curvature_input(pass),)*
                    _ => unreachable!("invariant: the plan refuses ops without second derivatives"),
                }
            }
            pub(crate) fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
                match self {
                    $(Op::$op(op) => op.curvature_params(pass),)*
                    _ => unreachable!("invariant: the plan refuses ops without second derivatives"),
                }
            }
        }
    };
}

with_curvature!(
    Linear,
    Conv2d,
    MaxPool2d,
    AvgPool2d,
    GlobalAvgPool,
    AdaptiveAvgPool2d,
    Subsample,
    Sigmoid,
    Tanh,
    ScaledTanh,
    Relu,
    LeakyRelu,
    Relu6,
    Prelu,
    Bias,
    Scale,
    Flatten,
    Add,
    Concat,
    Rbf,
);

/// Declares the ops that look at the whole batch before forward.
macro_rules! with_statistics {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// This part's contribution to the batch statistics.
            pub(crate) fn statistics<T: Element>(&self, pass: Statistics<'_, T>) {
                match self {
                    $(Op::$op(op) => op.statistics(pass),)*
                    _ => unreachable!("invariant: only ops that declare statistics are asked for them"),
                }
            }

            /// Folds the statistics of a batch into the parameters that keep a running average of them.
            pub(crate) fn fold_statistics<'a, T: Element>(
                &self,
                statistics: &[T],
                param: impl Fn(usize) -> &'a mut [T],
            ) {
                match self {
                    $(Op::$op(op) => op.fold_statistics(statistics, param),)*
                    _ => unreachable!("invariant: only ops that declare statistics fold them"),
                }
            }
        }
    };
}

with_statistics!(BatchNorm);

/// Declares the ops whose kernels read weights packed.
macro_rules! with_preparation {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// In how many pieces weights are packed for a pass; 0 where they are taken as they stand.
            pub(crate) fn prepared_pieces(&self, node: &Node, packing: &Packing) -> usize {
                match self {
                    $(Op::$op(op) => op.prepared_pieces(node, packing),)*
                    _ => 0,
                }
            }

            /// The elements that some pieces fill.
            pub(crate) fn prepared_range(
                &self,
                node: &Node,
                packing: &Packing,
                pieces: Range<usize>,
            ) -> Range<usize> {
                match self {
                    $(Op::$op(op) => op.prepared_range(node, packing, pieces),)*
                    _ => 0..0,
                }
            }

            /// Packs some pieces of the weights.
            pub(crate) fn prepare<T: Element>(&self, pass: Prepare<'_, T>) {
                match self {
                    $(Op::$op(op) => op.prepare(pass),)*
                    _ => unreachable!("invariant: only ops with pieces are asked for them"),
                }
            }
        }
    };
}

with_preparation!(Conv2d, Linear, BatchNorm);

/// Declares the ops that can compute parts of a sample's output, and those whose every pixel follows from the same
/// pixel of the inputs.
macro_rules! with_sections {
    ($($op:ident),*; $($local:ident),*) => {
        impl Op {
            /// How the output of a sample is best cut.
            pub(crate) fn axis(&self, node: &Node, batch: usize) -> Option<Axis> {
                match self {
                    $(Op::$op(op) => op.axis(node, batch),)*
                    $(Op::$local(_) => {
                        let [_, rows, _] = node.shape().image()?;
                        Some(Axis::Rows(rows))
                    })*
                    _ => None,
                }
            }

            /// Whether every pixel follows from the same pixel of the inputs, so that the op need not know of rows.
            pub(crate) fn is_local(&self) -> bool {
                matches!(self, $(Op::$local(_))|*)
            }

            /// See [`Sectioned::reads_rows`]; also of several inputs where it is local.
            pub(crate) fn reads_rows(&self, node: &Node, rows: Range<usize>) -> Option<Range<usize>> {
                match self {
                    $(Op::$op(op) => op.reads_rows(node, rows),)*
                    $(Op::$local(_) => node.shape().image().map(|_| rows),)*
                    _ => None,
                }
            }

            /// See [`Sectioned::grain`].
            pub(crate) fn grain(&self, node: &Node) -> Option<usize> {
                match self {
                    $(Op::$op(op) => op.grain(node),)*
                    _ => None,
                }
            }

            /// Scratch memory for a section.
            pub(crate) fn section_scratch(&self, node: &Node, section: Section) -> usize {
                match self {
                    $(Op::$op(op) => op.section_scratch(node, section),)*
                    _ => node.signature().scratch,
                }
            }
        }
    };
}

with_sections!(
    Linear, Conv2d, MaxPool2d, AvgPool2d;
    Sigmoid, Tanh, ScaledTanh, Relu, LeakyRelu, Relu6, Bias, Scale, BatchNorm, Add, Concat
);

/// Declares the ops that can hand over the gradient of their parameters block by block.
macro_rules! with_block_gradients {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// Scratch for the blocks of so many units; `None` where the op cannot hand them over.
            pub(crate) fn block_scratch(&self, node: &Node, units: usize) -> Option<usize> {
                match self {
                    $(Op::$op(op) => op.block_scratch(node, units),)*
                    _ => None,
                }
            }

            /// See [`BlockGradients::parts_together`].
            pub(crate) fn parts_together(&self, node: &Node, units: usize) -> usize {
                match self {
                    $(Op::$op(op) => op.parts_together(node, units),)*
                    _ => 1,
                }
            }
        }
    };
}

with_block_gradients!(Linear, Conv2d);

/// Declares the ops whose passes can be cut by units.
macro_rules! with_units {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// How many units the result of a pass has, if it is worth cutting by them.
            pub(crate) fn units(&self, node: &Node, direction: Direction, batch: usize) -> Option<usize> {
                match self {
                    $(Op::$op(op) => op.units(node, direction, batch),)*
                    _ => None,
                }
            }
            pub(crate) fn unit_scratch(&self, node: &Node, direction: Direction, batch: usize) -> usize {
                match self {
                    $(Op::$op(op) => op.unit_scratch(node, direction, batch),)*
                    _ => 0,
                }
            }
            pub(crate) fn pass_units<T: Element>(&self, pass: UnitPass<'_, T>) {
                match self {
                    $(Op::$op(op) => op.pass_units(pass),)*
                    _ => unreachable!("invariant: only ops with units are cut by them"),
                }
            }
        }
    };
}

with_units!(Linear);

/// Declares the ops that can work in the memory of what they read.
macro_rules! with_in_place {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// How what it computes relates to what it is computed from.
            pub(crate) fn relations(&self, node: &Node, mode: Mode) -> Relations {
                match self {
                    $(Op::$op(op) => op.relations(node, mode),)*
                    _ => Relations::default(),
                }
            }
            pub(crate) fn forward_in_place<T: Element>(&self, pass: Forward<'_, T>) {
                match self {
                    $(Op::$op(op) => op.forward_in_place(pass),)*
                    _ => unreachable!("invariant: only ops that offer it write over their input"),
                }
            }
            pub(crate) fn backward_in_place<T: Element>(&self, pass: BackwardInput<'_, T>) {
                match self {
                    $(Op::$op(op) => op.backward_in_place(pass),)*
                    _ => unreachable!("invariant: only ops that offer it write over a gradient"),
                }
            }
        }
    };
}

with_in_place!(
    Sigmoid, Tanh, ScaledTanh, Relu, LeakyRelu, Relu6, Bias, Scale, BatchNorm, Dropout, Flatten, Add,
);

/// Declares the non-linearities that other ops can apply to what they compute before they write it.
macro_rules! with_unary {
    ($($op:ident),* $(,)?) => {
        impl Op {
            /// The function of one number that it is, if it is one.
            pub(crate) fn unary<T: Element>(&self) -> Option<Unary<T>> {
                match self {
                    $(Op::$op(op) => Some(activation::Pointwise::unary(op)),)*
                    _ => None,
                }
            }
        }
    };
}

with_unary!(Sigmoid, Tanh, ScaledTanh, Relu, LeakyRelu, Relu6);

impl Op {
    /// Whether it applies what follows it to its output itself, while that is near ([`Forward::finish`]).
    pub(crate) fn finishes(&self, node: &Node) -> bool {
        match self {
            Op::Conv2d(op) => op.finishes(node),
            Op::BatchNorm(_) => true,
            _ => false,
        }
    }
}

/// The one input's shape, or an error that says how many there were.
fn only_input(inputs: &[Shape]) -> Result<Shape, String> {
    match inputs {
        [shape] => Ok(*shape),
        _ => Err(format!("it takes one input, not {}", inputs.len())),
    }
}

/// Channels, height and width of the one input.
fn only_image(inputs: &[Shape]) -> Result<[usize; 3], String> {
    let shape = only_input(inputs)?;
    shape.image().ok_or_else(|| {
        format!("it takes an image of channels×height×width, not {shape}; put it before the flatten layer")
    })
}

/// Squares into `to`, for second derivatives: what is linear with coefficients w is so with coefficients w².
fn squares<T: Element>(from: &[T], to: &mut [T]) {
    for (to, &x) in to.iter_mut().zip(from) {
        *to = x * x;
    }
}

/// A parameter with one element per channel of `shape`.
fn per_channel(name: &'static str, shape: Shape, role: Role, init: Init) -> ParamSpec {
    ParamSpec { name, shape: Shape::from([shape.channels()]), role, init, fan: Fan { inputs: 1, outputs: 1 } }
}

/// Copies a gradient through, or adds it.
fn pass_on<T: Element>(kernels: &Kernels<T>, from: &[T], to: &mut [T], write: Write) {
    match write {
        Write::Set => to.copy_from_slice(from),
        Write::Add => (kernels.accumulate)(from, to),
    }
}
