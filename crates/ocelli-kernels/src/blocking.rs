//! How products are cut into blocks that stay in caches, and so how much scratch they need.
//!
//! The same for all instruction sets, so that a plan made on one machine holds on another.

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) mod matrix;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) mod pairs;
pub(crate) mod winograd;

use std::ops::Range;

use crate::axis::Axis;
use crate::{Conv2d, Direction, Element, Gemm};

/// Columns of the widest panel of any instruction set.
const PANEL: usize = 48;
/// Numbers in the widest vector.
pub(crate) const LANES: usize = 16;
/// Elements by which scratch may be off the alignment that loads like best.
const ALIGN: usize = 16;

/// Terms of a matrix product's sums that are taken at a time.
pub(crate) const DEPTH: usize = 384;
/// Columns of B that are packed at a time: with [`DEPTH`], half a megabyte of `f32`.
pub(crate) const WIDTH: usize = 7 * PANEL;

/// Rows of A that are packed at a time, where they are.
pub(crate) const HEIGHT: usize = 112;
/// Up to so many rows of A, a product turns A and C instead of a transposed B: copying B would cost a share of 16 by the rows.
pub(crate) const TURNED_ROWS: usize = 128;
/// Elements of C that are turned at a time: a quarter of a megabyte of `f32`.
pub(crate) const TURNED: usize = 1 << 16;
/// Scratch that any product gets by with.
const PRODUCT: usize = {
    let plain = DEPTH * WIDTH;
    let turned = TURNED + DEPTH * TURNED_ROWS;
    (if plain > turned { plain } else { turned }) + (DEPTH + 2 * ALIGN) * HEIGHT
};

/// Elements of packed weights that a convolution uses at a time, if one panel is not more.
const WEIGHTS: usize = 1 << 18;
/// Elements of the image that a convolution treats at a time, if one row of windows is not more.
const WINDOW: usize = 1 << 15;

impl Gemm {
    /// Elements of scratch that the product needs.
    pub fn scratch<T: Element>(&self) -> usize {
        if T::BYTES != 4 {
            return 0;
        }
        let depth = self.k.min(DEPTH);
        let blocks = |rows: usize, columns: usize| {
            depth * columns.min(WIDTH).next_multiple_of(LANES) + row_step(depth) * rows.min(HEIGHT)
        };
        let few = self.m.min(TURNED_ROWS).next_multiple_of(LANES);
        let turned = (few.saturating_mul(self.n)).min(TURNED) + blocks(self.n, few);
        blocks(self.m, self.n).max(turned).max(matrix::product_scratch(self)) + ALIGN
    }
}

impl Conv2d {
    /// Elements of scratch that each of the three directions needs; `usize::MAX` for what no memory holds.
    pub fn scratch<T: Element>(&self) -> usize {
        if T::BYTES != 4 {
            return 0;
        }
        let outputs = self.group_outputs();
        let forward = self.correlation();
        let mut most = self.winograd_scratch();
        for direction in [Direction::Forward, Direction::BackwardInput] {
            let shapes = self.phases(direction).map(|(_, shape)| shape.scratch());
            most = most.max(shapes.max().unwrap_or(0));
            most = most.max(self.of_any_samples(|conv| conv.matrix_scratch(direction)));
        }
        most = most.max(self.of_any_samples(Conv2d::matrix_weights_scratch));
        // The gradient of the weights reads the same windows as the forward direction, of several samples. It and
        // the forward direction may take several pixels as one.
        let transposed = if self.is_shallow() { self.filter_len().saturating_mul(outputs) } else { 0 };
        let windows = forward.window(forward.rows()).saturating_mul(forward.samples());
        most = most.max(windows.saturating_add(transposed));
        let pairs =
            |conv: &Conv2d| conv.is_for_direct_pairs_weights().then(|| forward.pairs_weights_scratch());
        most = most.max(self.of_any_samples(|conv| pairs(conv).unwrap_or(0)));
        let by = self.widening(LANES);
        if by > 1 {
            let wide = forward.widened(by);
            let weights = wide.terms() * wide.outputs + wide.outputs.next_multiple_of(LANES);
            let windows = wide.window(wide.rows()).saturating_mul(wide.samples());
            most = most.max(weights.saturating_add(wide.scratch().max(windows)));
        }
        let special = if self.is_depthwise() {
            self.depthwise_scratch()
        } else if self.is_dense() {
            PRODUCT.max(matrix::MOST)
        } else if self.is_narrow() {
            let rows = (self.kernel[0] * self.group_outputs()).saturating_add(self.output[1]);
            rows.saturating_mul(narrow_columns(self)).saturating_add(LANES)
        } else {
            0
        };
        most.max(special).saturating_add(ALIGN)
    }

    /// Elements of scratch that the forward direction needs by itself. Each call makes sure of them, so they are quickly found.
    pub fn forward_scratch<T: Element>(&self) -> usize {
        if T::BYTES != 4 {
            return 0;
        }
        if self.is_depthwise() {
            return self.depthwise_scratch() + ALIGN;
        }
        if self.is_dense() {
            return PRODUCT.max(matrix::MOST) + ALIGN;
        }
        let (shape, by) = (self.correlation(), self.widening(LANES));
        let matrix = self.of_any_samples(|conv| conv.matrix_scratch(Direction::Forward));
        let mut most = shape.scratch().max(matrix);
        if self.could_be_for_winograd() {
            most = most.max(shape.winograd_scratch());
        }
        if by > 1 {
            let wide = shape.widened(by);
            let weights = wide.terms() * wide.outputs + wide.outputs.next_multiple_of(LANES);
            most = most.max(weights.saturating_add(wide.scratch()));
        }
        most.saturating_add(ALIGN)
    }

    /// Weights or sums by tap, the total of sums, and a row of zeros.
    fn depthwise_scratch(&self) -> usize {
        2 * self.filter_len() * self.output[2].next_multiple_of(LANES) + self.input[2]
    }

    /// The most scratch that any number of samples needs. The method goes by whether there is one, and by whether there are enough
    /// for Winograd's filtering. Where that is out of the question, several go wherever one does.
    fn of_any_samples(&self, scratch: impl Fn(&Conv2d) -> usize) -> usize {
        let all: &[usize] = if self.could_be_for_winograd() { &[1, 2, 1 << 20] } else { &[2] };
        all.iter().map(|&samples| scratch(&Conv2d { samples, ..*self })).max().unwrap_or(0)
    }

    /// What the gradient of the weights needs in a matrix unit, if it is worth taking there.
    fn matrix_weights_scratch(&self) -> usize {
        let parts = matrix::PARTS.into_iter().filter(|&parts| self.is_for_matrix_weights(parts));
        parts.map(|parts| self.correlation().matrix_weights_scratch(usize::MAX, parts)).max().unwrap_or(0)
    }

    /// What a pass needs in a matrix unit, if it is worth taking there.
    fn matrix_scratch(&self, direction: Direction) -> usize {
        let methods = self.methods(direction);
        let of_shape = |shape: Correlation| {
            let most = methods.parts().map(|parts| shape.matrix_scratch(usize::MAX, parts)).max();
            most.map_or(0, |most| {
                most.saturating_add(shape.columns() / LANES * methods.packed_column(&shape))
            })
        };
        self.phases(direction).map(|(_, shape)| of_shape(shape)).max().unwrap_or(0)
    }

    /// Which units take a pass.
    pub(crate) fn methods(&self, direction: Direction) -> Methods {
        Methods {
            matrix: matrix::PARTS.map(|parts| self.is_for_matrix(direction, parts)),
            winograd: self.is_for_winograd(direction),
        }
    }

    /// Elements of the weights packed for a pass; 0 where it takes them as they stand.
    pub fn packed_len<T: Element>(&self, direction: Direction) -> usize {
        match self.packed_pieces::<T>(direction) {
            0 => 0,
            _ if self.is_depthwise() => self.packed_depthwise(),
            _ => self.groups * self.packed_group(direction, self.methods(direction)),
        }
    }

    /// Pieces that the weights are packed in for a pass, each for itself; 0 where it takes them as they stand.
    pub fn packed_pieces<T: Element>(&self, direction: Direction) -> usize {
        if T::BYTES != 4 || self.is_dense() {
            return 0;
        }
        if self.is_depthwise() {
            return usize::from(direction == Direction::Forward && self.has_depthwise_tiles());
        }
        let packs = match direction {
            Direction::Forward => self.widening(LANES) == 1,
            // Each pair of phases is a piece at least: no network has strides of many.
            Direction::BackwardInput => !self.is_narrow() && self.stride.iter().all(|&stride| stride <= 8),
        };
        if packs {
            self.groups * self.phases(direction).map(|(_, shape)| shape.blocks()).sum::<usize>()
        } else {
            0
        }
    }

    /// The elements of the packed weights that a piece fills: the pieces follow each other.
    ///
    /// # Panics
    /// Where there is no such piece.
    pub fn packed_range(&self, direction: Direction, piece: usize) -> Range<usize> {
        match self.is_depthwise() {
            true => 0..self.packed_depthwise(),
            false => self.packed_piece(direction, piece).range,
        }
    }

    /// Elements of depthwise weights by tap, in whole vectors of any set.
    fn packed_depthwise(&self) -> usize {
        self.filter_len() * self.output[2].next_multiple_of(LANES)
    }

    pub(crate) fn packed_piece(&self, direction: Direction, piece: usize) -> Piece {
        let per_group: usize = self.phases(direction).map(|(_, shape)| shape.blocks()).sum();
        let (group, mut left) = (piece / per_group, piece % per_group);
        let methods = self.methods(direction);
        let mut start = if group == 0 { 0 } else { group * self.packed_group(direction, methods) };
        for (phase, shape) in self.phases(direction) {
            if left < shape.blocks() {
                let column = left * shape.columns();
                let columns = shape.columns().min(shape.outputs - column);
                let column_len = methods.packed_column(&shape);
                start += column / LANES * column_len;
                let range = start..start + columns.div_ceil(LANES) * column_len;
                return Piece { group, phase, column, columns, range };
            }
            left -= shape.blocks();
            start += methods.packed_len_of(&shape);
        }
        unreachable!("invariant: the pieces of a group are those of its phases")
    }

    /// Elements of one group's packed weights.
    pub(crate) fn packed_group(&self, direction: Direction, methods: Methods) -> usize {
        self.phases(direction).map(|(_, shape)| methods.packed_len_of(&shape)).sum()
    }

    /// The convolution itself in each group.
    pub(crate) fn correlation(&self) -> Correlation {
        Correlation {
            y: Axis::forward(self, 0),
            x: Axis::forward(self, 1),
            inputs: self.group_inputs(),
            outputs: self.group_outputs(),
        }
    }

    /// The correlations that a pass consists of in each group, with the phases of the strides that they are for.
    pub(crate) fn phases(&self, direction: Direction) -> impl Iterator<Item = ([usize; 2], Correlation)> {
        let [inputs, outputs] = [self.group_inputs(), self.group_outputs()];
        let (inputs, outputs, steps) = match direction {
            Direction::Forward => (inputs, outputs, [1, 1]),
            Direction::BackwardInput => {
                (outputs, inputs, [0, 1].map(|axis| self.stride[axis].min(self.input[axis])))
            }
        };
        let at = move |axis: usize, phase: usize| match direction {
            Direction::Forward => Axis::forward(self, axis),
            Direction::BackwardInput => Axis::backward(self, axis, phase),
        };
        // Phases that no tap meets have no gradient. Of long strides these are most, so each axis is asked by itself.
        let met = move |axis: usize| {
            (0..steps[axis]).map(move |phase| (phase, at(axis, phase))).filter(|(_, along)| along.taps > 0)
        };
        met(0).flat_map(move |(row, y)| {
            met(1).map(move |(column, x)| ([row, column], Correlation { y, x, inputs, outputs }))
        })
    }

    /// Whether there are phases of the strides that no tap meets: kernels that are smaller than their step.
    pub(crate) fn passes_over_pixels(&self) -> bool {
        let steps = [0, 1].map(|axis| self.stride[axis].min(self.input[axis]));
        self.phases(Direction::BackwardInput).count() < steps[0] * steps[1]
    }

    /// One input and one output channel in each of several groups.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.input[2] && self.groups == self.output[2]
    }

    /// Depthwise with the small windows that tiles of pixels are made for.
    pub(crate) fn has_depthwise_tiles(&self) -> bool {
        let stride = self.stride[0];
        self.is_depthwise()
            && self.kernel == [3, 3]
            && self.dilation == [1, 1]
            && self.stride == [stride; 2]
            && stride <= 2
            && self.padding.iter().all(|&padding| padding <= 2)
    }

    /// Whether `conv_forward` does what follows the sums while they are near. Elsewhere it does so in the end, over all outputs that
    /// it is given, so that they had better be few.
    pub fn finishes(&self) -> bool {
        match self.is_depthwise() {
            true => self.has_depthwise_tiles(),
            false => !self.is_dense() && self.widening(LANES) == 1,
        }
    }

    /// A group's input channels fill no more than half a vector, and there are taps that would.
    pub(crate) fn is_narrow(&self) -> bool {
        self.group_inputs() <= LANES / 2 && self.filter_len() > self.group_inputs()
    }

    /// A kernel row is short, or leaves a quarter of its vectors empty and the output channels do not: better to have those in
    /// vectors for the weights' gradient.
    pub(crate) fn is_shallow(&self) -> bool {
        let (run, outputs) = (self.run_len(), self.group_outputs());
        let vectors = |elements: usize| elements.div_ceil(LANES);
        let sparse = 4 * run < 3 * LANES * vectors(run) && run * vectors(outputs) < outputs * vectors(run);
        (self.has_short_runs() || sparse) && outputs >= LANES
    }

    /// A kernel row does not fill two vectors.
    pub(crate) fn has_short_runs(&self) -> bool {
        self.run_len() <= 24
    }

    /// How many neighbouring outputs are treated as one to fill vectors of `lanes`; 1 where that does not help.
    pub(crate) fn widening(&self, lanes: usize) -> usize {
        let overlapping = self.dilation[1] == 1 && self.stride[1] < self.kernel[1];
        if self.groups > 1 || !overlapping || self.is_dense() || self.is_depthwise() {
            return 1;
        }
        let most = (lanes / self.output[2].max(1)).max(1);
        (1..=most).rev().find(|by| self.output[1].is_multiple_of(*by)).unwrap_or(1)
    }

    /// Weights of an output whose taps read contiguous elements of the image.
    fn run_len(&self) -> usize {
        let contiguous = self.groups == 1 && self.dilation[1] == 1;
        if contiguous { self.kernel[1] * self.input[2] } else { self.group_inputs() }
    }

    /// The kernel covers the image: a fully connected layer over whole samples.
    pub(crate) fn is_dense(&self) -> bool {
        let covers = self.kernel == [self.input[0], self.input[1]] && self.dilation == [1, 1];
        covers && self.groups == 1 && self.padding == [0, 0] && self.output[..2] == [1, 1]
    }
}

/// Columns of the product that a narrow input's gradient is gathered from: the taps of a kernel row, whole vectors.
pub(crate) fn narrow_columns(conv: &Conv2d) -> usize {
    (conv.kernel[1] * conv.group_inputs()).next_multiple_of(LANES)
}

/// Which units take a pass, in one table of kernels or another: packed weights have room for any of them.
#[derive(Clone, Copy)]
pub(crate) struct Methods {
    /// The matrix unit, of numbers in so many [parts](matrix::PARTS).
    matrix: [bool; matrix::PARTS.len()],
    winograd: bool,
}

impl Methods {
    /// In how many parts numbers go to a matrix unit.
    fn parts(self) -> impl Iterator<Item = usize> {
        matrix::PARTS.into_iter().zip(self.matrix).filter(|(_, takes)| *takes).map(|(parts, _)| parts)
    }

    /// Elements from 16 columns of packed weights to the next: room for any unit's.
    pub(crate) fn packed_column(self, shape: &Correlation) -> usize {
        let winograd = if self.winograd { shape.winograd_packed() } else { 0 };
        let plain = winograd.max(shape.terms() * LANES);
        self.parts().map(|parts| shape.matrix_packed(parts)).fold(plain, usize::max)
    }

    /// Elements of one correlation's packed weights, of all blocks one after the other.
    pub(crate) fn packed_len_of(self, shape: &Correlation) -> usize {
        shape.outputs.div_ceil(LANES) * self.packed_column(shape)
    }
}

/// A piece of the packed weights: some columns of one group's correlation for one phase of the strides.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) group: usize,
    pub(crate) phase: [usize; 2],
    pub(crate) column: usize,
    pub(crate) columns: usize,
    pub(crate) range: Range<usize>,
}

/// One direction of a convolution for one group: windows over a source of `inputs` channels, to `outputs` channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlation {
    pub(crate) y: Axis,
    pub(crate) x: Axis,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Correlation {
    /// Terms of each sum.
    pub(crate) fn terms(&self) -> usize {
        self.y.taps * self.x.taps * self.inputs
    }

    /// Elements of the source that the windows of `rows` rows of outputs reach.
    pub(crate) fn window(&self, rows: usize) -> usize {
        self.y.reach(rows).saturating_mul(self.x.reach(self.x.count)).saturating_mul(self.inputs)
    }

    /// The same with `by` neighbouring outputs of a row, which divides their number, as one. Needs taps that are
    /// neighbours.
    pub(crate) fn widened(&self, by: usize) -> Correlation {
        let taps = self.x.taps + (by - 1) * self.x.step;
        let x = Axis { count: self.x.count / by, step: self.x.step * by, taps, ..self.x };
        Correlation { x, outputs: self.outputs * by, ..*self }
    }

    /// Rows of outputs that are treated at a time.
    pub(crate) fn rows(&self) -> usize {
        let one = self.window(1);
        let next = (self.window(2) - one).max(1);
        (WINDOW.saturating_sub(one) / next + 1).min(self.y.count)
    }

    /// Columns, whole vectors, whose weights are packed at a time: one panel at least.
    pub(crate) fn columns(&self) -> usize {
        let fitting = WEIGHTS / self.terms().max(1) / PANEL * PANEL;
        self.outputs.next_multiple_of(LANES).min(fitting.max(PANEL))
    }

    /// Blocks of so many columns.
    pub(crate) fn blocks(&self) -> usize {
        self.outputs.div_ceil(self.columns())
    }

    /// Samples that the gradient of the weights sums over at a time: enough that the sums are long.
    pub(crate) fn samples(&self) -> usize {
        if self.rows() < self.y.count {
            return 1;
        }
        let window = self.window(self.y.count).max(1);
        let wanted = (WINDOW / window).max(128 / (self.y.count * self.x.count).max(1));
        wanted.min(4 * WINDOW / window).max(1)
    }

    /// Outputs in a row are too few for a tile, so that patches are worth copying: each is read for many columns.
    pub(crate) fn has_short_rows(&self) -> bool {
        self.x.count < 6 && self.outputs >= 2 * LANES
    }

    /// Patches that are copied at a time.
    pub(crate) fn patches(&self) -> usize {
        (WINDOW / self.terms().max(1) / 8 * 8).max(24)
    }

    /// Elements for the packed weights and a copied window or patches.
    fn scratch(&self) -> usize {
        let patches = if self.has_short_rows() { self.patches() * self.terms() } else { 0 };
        (self.columns() * self.terms()).saturating_add(self.window(self.rows()).max(patches))
    }
}

/// Elements from one copied row of A to the next: whole cache lines, and no power of two.
#[inline(always)]
pub(crate) fn row_step(depth: usize) -> usize {
    depth.next_multiple_of(ALIGN) + ALIGN
}

/// The part of `scratch` from its first element on a cache line.
pub(crate) fn aligned(scratch: &mut [f32]) -> &mut [f32] {
    let offset = scratch.as_ptr().align_offset(64).min(scratch.len()).min(ALIGN - 1);
    &mut scratch[offset..]
}

/// The first part of `len` split evenly into as few parts of at most `most` as possible.
#[inline(always)]
pub(crate) fn share(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images, windows and channels of which some are for matrix units, some for Winograd's filtering, and some for either
    /// by their samples.
    fn geometries() -> impl Iterator<Item = Conv2d> {
        let sides = [4, 6, 8, 10, 15].into_iter();
        let windows = sides.flat_map(|side| [1, 3, 5, 7].map(|taps| (side, taps)));
        let channels = |at: (usize, usize)| {
            let counts = [8, 17, 20, 32, 64, 72, 192, 512];
            counts.into_iter().flat_map(move |inputs| counts.map(|outputs| (at, inputs, outputs)))
        };
        windows
            .flat_map(channels)
            .map(|((side, taps), inputs, outputs)| padded(side, [inputs, outputs], taps))
    }

    /// Square windows with so much padding that the size stays.
    fn padded(side: usize, [inputs, outputs]: [usize; 2], taps: usize) -> Conv2d {
        Conv2d {
            input: [side, side, inputs],
            output: [side, side, outputs],
            kernel: [taps; 2],
            stride: [1, 1],
            padding: [taps / 2; 2],
            dilation: [1, 1],
            groups: 1,
            samples: 1,
        }
    }

    #[test]
    fn scratch_that_no_memory_holds_is_not_taken_for_a_little() {
        for (side, channels, far) in [(1, 64, 1 << 24), (1, 512, 1 << 24), (8, 16, 1 << 32)] {
            let near = padded(side, [channels; 2], 3);
            let conv = Conv2d { padding: [far; 2], dilation: [far; 2], ..near };
            assert!(conv.scratch::<f32>() > 1 << 40 && conv.forward_scratch::<f32>() > 1 << 40, "{conv:?}");
        }
    }

    #[test]
    fn the_phases_are_those_that_a_tap_meets_in_their_order() {
        let stride = |kernel: usize, stride: usize, dilation: usize| Conv2d {
            input: [40, 40, 16],
            output: [4, 4, 16],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [1, 0],
            dilation: [dilation; 2],
            groups: 1,
            samples: 1,
        };
        for conv in [stride(3, 1, 1), stride(3, 2, 1), stride(2, 5, 1), stride(3, 7, 3), stride(1, 9, 1)] {
            let found: Vec<[usize; 2]> =
                conv.phases(Direction::BackwardInput).map(|(phase, _)| phase).collect();
            let met = |axis: usize, phase: usize| {
                let (stride, padding) = (conv.stride[axis], conv.padding[axis]);
                (0..conv.kernel[axis])
                    .any(|tap| (phase + padding) % stride == tap * conv.dilation[axis] % stride)
            };
            let all = (0..conv.stride[0]).flat_map(|y| (0..conv.stride[1]).map(move |x| [y, x]));
            let wanted: Vec<[usize; 2]> = all.filter(|&[y, x]| met(0, y) && met(1, x)).collect();
            assert_eq!(found, wanted, "{conv:?}");
        }
        // As far apart as images are wide: what has to be known is known at once.
        let far = Conv2d {
            input: [1 << 18, 1 << 18, 1],
            output: [1, 1, 16],
            stride: [1 << 18; 2],
            padding: [0; 2],
            ..stride(1, 1, 1)
        };
        assert!(far.scratch::<f32>() > 0);
        assert_eq!(far.phases(Direction::BackwardInput).count(), 1);
    }

    #[test]
    fn scratch_suffices_for_the_method_that_any_number_of_samples_is_given_to() {
        for conv in geometries() {
            let [all, forward] = [conv.scratch::<f32>(), conv.forward_scratch::<f32>()];
            for samples in [1, 2, 3, 5, 16, 128, 100_000] {
                let conv = Conv2d { samples, ..conv };
                assert_eq!([conv.scratch::<f32>(), conv.forward_scratch::<f32>()], [all, forward]);
                for direction in [Direction::Forward, Direction::BackwardInput] {
                    let needed = conv.matrix_scratch(direction);
                    assert!(needed <= all, "{needed} > {all}: {direction:?}, {conv:?}");
                    assert!(direction != Direction::Forward || needed <= forward, "{conv:?}");
                }
                assert!(conv.matrix_weights_scratch() <= all, "to the weights: {conv:?}");
            }
        }
    }
}
