//! Average pooling to an image of a given size.

use std::ops::Range;

use ocelli_kernels::{Element, Kernels, Write};
use serde::{Deserialize, Serialize};

use super::sides::{self, Sides};
use super::{BackwardInput, BackwardParams, Curvature, Forward, Operation, Signature, Window, only_image};
use crate::Shape;
use crate::graph::Node;

/// The mean of each channel (Lin, Chen and Yan 2014).
///
/// Shapes: C×H×W to C×1×1, an image of one pixel as PyTorch's `AdaptiveAvgPool2d(1)`; flatten it for a linear layer.
/// The gradient is shared by all pixels. No parameters; backward reads nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool {}

/// The mean of each of h×w windows that cover the image, whatever its size.
///
/// Shapes: C×H×W to C×h×w. Window i of h covers the rows ⌊i·H/h⌋ up to but not including ⌈(i + 1)·H/h⌉: of equal size
/// where h divides H, else overlapping. The rule is PyTorch's. The gradient is shared by the pixels of each window. No
/// parameters; backward reads nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output, h and w.
    #[serde(with = "sides")]
    pub size: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// Pools to this size.
    pub fn new(size: impl Into<Sides>) -> AdaptiveAvgPool2d {
        AdaptiveAvgPool2d { size: size.into().0 }
    }

    /// dx of each pixel += share^`power` · dy over the windows that hold it.
    fn spread<T: Element>(&self, pass: BackwardInput<'_, T>, power: i32) {
        let grid = Grid::of(pass.node);
        if pass.write == Write::Set {
            pass.input_gradient.fill(T::ZERO);
        }
        let samples = pass.output_gradient.chunks_exact(grid.output_len());
        for (dy, dx) in samples.zip(pass.input_gradient.chunks_exact_mut(grid.input_len())) {
            for (dy, window) in dy.chunks_exact(grid.channels).zip(grid.windows()) {
                let share = T::of(window.share().powi(power));
                for pixel in window.pixels(&grid) {
                    (pass.kernels.scale)(share, dy, &mut dx[pixel], Write::Add);
                }
            }
        }
    }
}

/// An image and the pixels to pool it to.
struct Grid {
    input: [usize; 2],
    output: [usize; 2],
    channels: usize,
}

/// Rows and columns of the image that go into one pixel.
struct Cell {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Grid {
    fn of(node: &Node) -> Grid {
        let image = |shape: Shape| shape.image().expect("invariant: infer took an image");
        let ([channels, h, w], [_, rows, columns]) = (image(node.input_shapes()[0]), image(node.shape()));
        Grid { input: [h, w], output: [rows, columns], channels }
    }

    fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    fn output_len(&self) -> usize {
        self.output[0] * self.output[1] * self.channels
    }

    /// The rows (axis 0) or columns (axis 1) of window `i`.
    fn range(&self, axis: usize, i: usize) -> Range<usize> {
        let (input, output) = (self.input[axis], self.output[axis]);
        i * input / output..((i + 1) * input).div_ceil(output)
    }

    /// The windows in the order of the output.
    fn windows(&self) -> impl Iterator<Item = Cell> + '_ {
        let columns = self.output[1];
        (0..self.output[0] * columns)
            .map(move |at| Cell { rows: self.range(0, at / columns), columns: self.range(1, at % columns) })
    }

    /// The largest window and the distance between windows, for the receptive field.
    fn window(&self) -> Window {
        // Windows repeat with the period n/gcd; the largest has ⌈(m − gcd + n)/n⌉ of m pixels for n outputs.
        let largest = |axis: usize| {
            let (pixels, outputs) = (self.input[axis], self.output[axis]);
            (pixels - gcd(pixels, outputs) + outputs).div_ceil(outputs)
        };
        let step = |axis: usize| (self.input[axis] / self.output[axis]).max(1);
        Window { extent: [largest(0), largest(1)], stride: [step(0), step(1)], padding: [0, 0] }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Cell {
    /// 1/n for n pixels.
    fn share(&self) -> f64 {
        1.0 / (self.rows.len() * self.columns.len()) as f64
    }

    /// The elements of each pixel.
    fn pixels(&self, grid: &Grid) -> impl Iterator<Item = Range<usize>> + use<> {
        let (columns, width, channels) = (self.columns.clone(), grid.input[1], grid.channels);
        self.rows.clone().flat_map(move |y| {
            columns.clone().map(move |x| (y * width + x) * channels..(y * width + x + 1) * channels)
        })
    }

    /// y = the mean of each channel.
    fn average<T: Element>(&self, grid: &Grid, kernels: &Kernels<T>, x: &[T], y: &mut [T]) {
        y.fill(T::ZERO);
        for pixel in self.pixels(grid) {
            (kernels.accumulate)(&x[pixel], y);
        }
        let share = T::of(self.share());
        y.iter_mut().for_each(|y| *y *= share);
    }
}

impl Operation for AdaptiveAvgPool2d {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let [channels, height, width] = only_image(inputs)?;
        let output = Shape::try_new(&[channels, self.size[0], self.size[1]]);
        let output = output.ok_or_else(|| {
            format!("an image cannot be pooled to {}; give a size of at least 1", Sides(self.size))
        })?;
        let grid = Grid { input: [height, width], output: self.size, channels };
        Ok(Signature { window: Some(grid.window()), ..Signature::new(output) })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let grid = Grid::of(pass.node);
        let samples = pass.inputs.get(0).chunks_exact(grid.input_len());
        for (x, y) in samples.zip(pass.output.chunks_exact_mut(grid.output_len())) {
            for (y, window) in y.chunks_exact_mut(grid.channels).zip(grid.windows()) {
                window.average(&grid, pass.kernels, x, y);
            }
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.spread(pass, 1);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}

/// Each derivative is 1/n, so h is shared as 1/n².
impl Curvature for AdaptiveAvgPool2d {
    fn curvature_scratch(&self, _: &Node) -> usize {
        0
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.spread(pass, 2);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}

/// The one window of a global pooling.
const GLOBAL: AdaptiveAvgPool2d = AdaptiveAvgPool2d { size: [1, 1] };

impl Operation for GlobalAvgPool {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        GLOBAL.infer(inputs)
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        GLOBAL.forward(pass);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        GLOBAL.backward_input(pass);
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}

impl Curvature for GlobalAvgPool {
    fn curvature_scratch(&self, node: &Node) -> usize {
        GLOBAL.curvature_scratch(node)
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        GLOBAL.curvature_input(pass);
    }

    fn curvature_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: pooling has no parameters")
    }
}
