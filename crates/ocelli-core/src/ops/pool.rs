//! Pooling with windows that slide over the image.

use std::ops::Range;

use ocelli_kernels::{Element, Pool2d, Write};
use serde::{Deserialize, Serialize};

use super::defaults::{is_false, is_true, is_zeros, yes};
use super::sides::{self, Sides};
use super::{
    Axis, BackwardInput, BackwardParams, Curvature, Forward, Inputs, Operation, Reads, Section, Sectioned,
    Signature, Window, only_image,
};
use crate::Shape;
use crate::graph::Node;

/// The maximum of each window, channel by channel.
///
/// Shapes: C×H×W to C×H′×W′ with H′ = ⌊(H + 2p − k)/s⌋ + 1; with `ceil_mode` rounded up, unless the last window would
/// start in the padding below or right of the image. Padding counts as −∞. All settings have PyTorch's meaning.
///
/// The gradient goes to the maximum of each window, the first one in reading order. No parameters; where there is a
/// backward pass, forward saves the place of each maximum, as many elements as the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Height and width of the window, k.
    #[serde(with = "sides")]
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next, s; the window's own size where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "sides::optional")]
    pub stride: Option<[usize; 2]>,
    /// Padding on each side, p: at most half the window.
    #[serde(default, skip_serializing_if = "is_zeros", with = "sides")]
    pub padding: [usize; 2],
    /// Whether a last window may hang over the image.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ceil_mode: bool,
}

/// The mean of each window, channel by channel.
///
/// Shapes: as [`MaxPool2d`]. Padding counts as zeros, or with `count_padding` off not at all: then a window at the
/// border is the mean of its pixels in the image. What hangs over the padding in ceil mode never counts. All settings have
/// PyTorch's meaning (`count_padding` is its `count_include_pad`).
///
/// The gradient is shared by the pixels of each window. No parameters; backward reads nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Height and width of the window.
    #[serde(with = "sides")]
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next; the window's own size where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "sides::optional")]
    pub stride: Option<[usize; 2]>,
    /// Padding on each side: at most half the window.
    #[serde(default, skip_serializing_if = "is_zeros", with = "sides")]
    pub padding: [usize; 2],
    /// Whether a last window may hang over the image.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ceil_mode: bool,
    /// Whether the zeros of the padding count in the mean.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub count_padding: bool,
}

macro_rules! builders {
    ($op:ident) => {
        /// With this step from one window to the next.
        pub fn stride(self, stride: impl Into<Sides>) -> $op {
            $op { stride: Some(stride.into().0), ..self }
        }

        /// With this padding on each side.
        pub fn padding(self, padding: impl Into<Sides>) -> $op {
            $op { padding: padding.into().0, ..self }
        }

        /// Lets a last window hang over the image.
        pub fn ceil_mode(self) -> $op {
            $op { ceil_mode: true, ..self }
        }
    };
}

impl MaxPool2d {
    /// Windows of this size, side by side.
    pub fn new(kernel: impl Into<Sides>) -> MaxPool2d {
        MaxPool2d { kernel: kernel.into().0, stride: None, padding: [0, 0], ceil_mode: false }
    }

    builders!(MaxPool2d);

    fn sliding(&self) -> Sliding {
        let MaxPool2d { kernel, stride, padding, ceil_mode } = *self;
        Sliding { kernel, stride: stride.unwrap_or(kernel), padding, ceil_mode, count_padding: false }
    }
}

impl AvgPool2d {
    /// Windows of this size, side by side.
    pub fn new(kernel: impl Into<Sides>) -> AvgPool2d {
        let kernel = kernel.into().0;
        AvgPool2d { kernel, stride: None, padding: [0, 0], ceil_mode: false, count_padding: true }
    }

    builders!(AvgPool2d);

    /// Without counting the zeros of the padding.
    pub fn without_padding_counted(self) -> AvgPool2d {
        AvgPool2d { count_padding: false, ..self }
    }

    fn sliding(&self) -> Sliding {
        let AvgPool2d { kernel, stride, padding, ceil_mode, count_padding } = *self;
        Sliding { kernel, stride: stride.unwrap_or(kernel), padding, ceil_mode, count_padding }
    }
}

/// Windows that slide over an image.
pub(super) struct Sliding {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) ceil_mode: bool,
    pub(super) count_padding: bool,
}

/// The largest window whose places, counted from 0, an `f32` tells apart.
const MAX_AREA: usize = 1 << 24;

impl Sliding {
    /// What the kernels are called with for an image of this shape.
    pub(super) fn geometry(&self, [channels, height, width]: [usize; 3]) -> Result<Pool2d, String> {
        self.check()?;
        let (Some(rows), Some(columns)) = (self.output_size(0, height), self.output_size(1, width)) else {
            return Err(format!(
                "a window of {} does not fit into an image of {height}×{width} with padding {}; \
                 use a smaller window or a larger image",
                Sides(self.kernel),
                Sides(self.padding)
            ));
        };
        Ok(Pool2d {
            input: [height, width, channels],
            output: [rows, columns, channels],
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            count_padding: self.count_padding,
        })
    }

    pub(super) fn geometry_of(&self, node: &Node) -> Pool2d {
        let image = node.input_shapes()[0].image().expect("invariant: infer took an image");
        self.geometry(image).expect("invariant: infer found that it fits")
    }

    pub(super) fn signature(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let pool = self.geometry(only_image(inputs)?)?;
        let [rows, columns, channels] = pool.output;
        let output = Shape::try_new(&[channels, rows, columns]);
        let output = output.ok_or_else(|| format!("an output of {channels}×{rows}×{columns} is impossible"))?;
        let window = Window { extent: self.kernel, stride: self.stride, padding: self.padding };
        Ok(Signature { window: Some(window), ..Signature::new(output) })
    }

    fn check(&self) -> Result<(), String> {
        for (name, sides) in [("window", self.kernel), ("stride", self.stride)] {
            if sides.contains(&0) {
                return Err(format!("its {name} is {}; give at least 1 in both directions", Sides(sides)));
            }
        }
        if self.kernel[0].checked_mul(self.kernel[1]).is_none_or(|area| area > MAX_AREA) {
            return Err(format!("a window of {} is too large", Sides(self.kernel)));
        }
        if (0..2).any(|axis| self.padding[axis] > self.kernel[axis] / 2) {
            return Err(format!(
                "padding {} is more than half the window of {}, so that windows would hold no pixel",
                Sides(self.padding),
                Sides(self.kernel)
            ));
        }
        Ok(())
    }

    /// Windows along an axis of `input` pixels; `None` where not even one fits.
    fn output_size(&self, axis: usize, input: usize) -> Option<usize> {
        let (kernel, stride, padding) = (self.kernel[axis], self.stride[axis], self.padding[axis]);
        let over = if self.ceil_mode { stride - 1 } else { 0 };
        let room = input.checked_add(2 * padding)?.checked_add(over)?.checked_sub(kernel)?;
        let windows = room / stride + 1;
        // The last window has to start in the image, or in the padding before it.
        Some(if self.ceil_mode && (windows - 1) * stride >= input + padding { windows - 1 } else { windows })
    }
}

impl Operation for MaxPool2d {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let signature = self.sliding().signature(inputs)?;
        Ok(Signature { saved: signature.output.len(), input_reads: Reads::SAVED, ..signature })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let pool = self.sliding().geometry_of(pass.node);
        let (pool, x) = section(pool, pass.section, &pass.inputs);
        (pass.kernels.max_pool_forward)(&pool, x, pass.output, pass.saved);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let pool = self.sliding().geometry_of(pass.node);
        let backward = pass.kernels.max_pool_backward;
        backward(&pool, pass.saved, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}

impl Operation for AvgPool2d {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        self.sliding().signature(inputs)
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let pool = self.sliding().geometry_of(pass.node);
        let (pool, x) = section(pool, pass.section, &pass.inputs);
        (pass.kernels.average_pool_forward)(&pool, x, pass.output);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let pool = self.sliding().geometry_of(pass.node);
        (pass.kernels.average_pool_backward)(&pool, pass.output_gradient, pass.input_gradient, pass.write);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}

/// The pooling of a part of the output, and what it reads.
fn section<'a, T: Element>(pool: Pool2d, section: Section, inputs: &Inputs<'a, T>) -> (Pool2d, &'a [T]) {
    match section {
        Section::Whole | Section::Channels(_) => (pool, inputs.get(0)),
        Section::Rows(rows) => {
            let (part, input) = pool.of_rows(rows);
            (part, inputs.rows(0, input))
        }
    }
}

impl Sectioned for MaxPool2d {
    fn axis(&self, node: &Node, _: usize) -> Option<Axis> {
        let [_, rows, _] = node.shape().image()?;
        Some(Axis::Rows(rows))
    }

    fn reads_rows(&self, node: &Node, rows: Range<usize>) -> Option<Range<usize>> {
        Some(self.sliding().geometry_of(node).of_rows(rows).1)
    }

    fn section_scratch(&self, _: &Node, _: Section) -> usize {
        0
    }
}

impl Sectioned for AvgPool2d {
    fn axis(&self, node: &Node, _: usize) -> Option<Axis> {
        let [_, rows, _] = node.shape().image()?;
        let counts = self.count_padding && self.padding[0] > 0;
        (!counts).then_some(Axis::Rows(rows))
    }

    fn reads_rows(&self, node: &Node, rows: Range<usize>) -> Option<Range<usize>> {
        self.axis(node, 1).map(|_| self.sliding().geometry_of(node).of_rows(rows).1)
    }

    fn section_scratch(&self, _: &Node, _: Section) -> usize {
        0
    }
}

/// Each derivative is 0 or 1, its own square: h goes where the gradient goes.
impl Curvature for MaxPool2d {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.backward_input(pass);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}

/// Each derivative is 1/n: h is divided by n here, and once more on the way of the gradient.
impl Curvature for AvgPool2d {
    fn curvature_scratch(&self, node: &Node) -> usize {
        node.shape().len()
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let (pool, kernels) = (self.sliding().geometry_of(pass.node), pass.kernels);
        let [_, columns, channels] = pool.output;
        let shared = &mut pass.scratch[..pool.output_len()];
        let samples = pass.output_gradient.chunks_exact(pool.output_len());
        for (h, to) in samples.zip(pass.input_gradient.chunks_exact_mut(pool.input_len())) {
            let pixels = h.chunks_exact(channels).zip(shared.chunks_exact_mut(channels));
            for (at, (h, shared)) in pixels.enumerate() {
                let n = pool.divisor(at / columns, at % columns);
                (kernels.scale)(T::of(1.0 / n as f64), h, shared, Write::Set);
            }
            (kernels.average_pool_backward)(&pool, shared, to, pass.write);
        }
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}
