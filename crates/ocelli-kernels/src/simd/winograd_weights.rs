//! The gradient of the weights by Winograd's minimal filtering: the adjoint of `winograd.rs`.
//!
//! For a filter g, ∂C/∂g = Gᵀ\[Σ (A δ Aᵀ) ⊙ (Bᵀ d B)\]G over the tiles d of inputs and δ of 2×2 outputs' gradients: at each
//! point a matrix product over tiles, of output channels × input channels, in words of neighbouring tiles. Pieces of the taps
//! have gradients of their own, and one after the other is computed.

use std::ops::Range;

use super::tile::{self, Start, Tile, panels, widest};
use super::window::{Source, Strides};
use super::winograd_transforms::{
    Grid, OUT, OfGradients, OfInputs, OfSums, Transform, both_sides, load, pixels, transform_across,
};
use super::{Simd, words};
use crate::blocking::winograd::{Piece, SIDE, Sums, pieces};
use crate::blocking::{Correlation, LANES};
use crate::{Conv2d, Write};

/// Tiles between the first of the word that is transformed and the first whose pixels are fetched: blocks of channels are too
/// short for a CPU to notice that it reads on and on.
const AHEAD: usize = 3;

/// # Safety
/// As [`super::weights::run`], of a convolution that is for Winograd.
#[inline(always)]
pub(crate) unsafe fn run<S: Simd>(
    conv: &Conv2d,
    samples: usize,
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
    outputs: Range<usize>,
    write: Write,
    scratch: *mut f32,
) {
    let shape = conv.correlation();
    let [inputs, per_group] = [shape.inputs, shape.outputs];
    let at = shape.winograd_sums();
    // SAFETY: the scratch holds zeros for a pixel, and then what tiles take.
    unsafe { scratch.write_bytes(0, at.inputs.max(at.outputs)) };
    for group in outputs.start / per_group..outputs.end.div_ceil(per_group) {
        let last = outputs.end.min((group + 1) * per_group);
        for output in (outputs.start.max(group * per_group)..last).step_by(at.outputs) {
            for input in (0..inputs).step_by(at.inputs) {
                let block = Block {
                    shape,
                    grid: Grid::of(&shape),
                    at,
                    x: Source {
                        at: x.wrapping_add(group * inputs + input),
                        strides: Strides::of(conv.input),
                    },
                    inputs: at.inputs.min(inputs - input),
                    dy: Source { at: dy.wrapping_add(output), strides: Strides::of(conv.output) },
                    outputs: at.outputs.min(last - output),
                    zeros: scratch,
                };
                let dw = dw.wrapping_add((output - outputs.start) * conv.filter_len() + input);
                for y in pieces(shape.y.taps) {
                    for x in pieces(shape.x.taps) {
                        // SAFETY: the caller's promise, for these channels and taps.
                        unsafe {
                            match [y.taps, x.taps] {
                                [3, 3] => block.run::<S, 3, 4, 3, 4>([y, x], samples, dw, write),
                                [3, _] => block.run::<S, 3, 4, 2, 3>([y, x], samples, dw, write),
                                [_, 3] => block.run::<S, 2, 3, 3, 4>([y, x], samples, dw, write),
                                _ => block.run::<S, 2, 3, 2, 3>([y, x], samples, dw, write),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Some output channels by some input channels.
struct Block {
    shape: Correlation,
    grid: Grid,
    at: Sums,
    x: Source,
    inputs: usize,
    dy: Source,
    outputs: usize,
    /// Zeros; transformed inputs, transformed gradients and sums follow.
    zeros: *mut f32,
}

impl Block {
    /// The gradients of a piece of the taps along each axis.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn run<S: Simd, const Y: usize, const Y1: usize, const X: usize, const X1: usize>(
        &self,
        taps: [Piece; 2],
        samples: usize,
        dw: *mut f32,
        write: Write,
    ) where
        OfInputs: Transform<Y1, Y1> + Transform<X1, X1>,
        OfGradients: Transform<OUT, Y1> + Transform<OUT, X1>,
        OfSums: Transform<Y1, Y> + Transform<X1, X>,
    {
        let (tiles, at_a_time) = (self.grid.tiles(samples), self.at.words * S::TERMS);
        let mut start = Start::Zero;
        for first in (0..tiles).step_by(at_a_time) {
            let count = at_a_time.min(tiles - first);
            // SAFETY: the caller's promise; the scratch holds so many tiles.
            unsafe {
                for word in 0..words::<S>(count) {
                    let ahead = first + word * S::TERMS + AHEAD;
                    for tile in ahead..tiles.min(ahead + S::TERMS) {
                        self.fetch::<S>(taps, self.grid.place(tile));
                    }
                    self.transform::<S, Y1, X1>(taps, [first + word * S::TERMS, first + count], word);
                }
                self.multiply::<S>(Y1 * X1, count, start);
            }
            start = Start::Destination;
        }
        // SAFETY: the caller's promise; the sums are complete.
        unsafe { self.finish::<S, Y, Y1, X, X1>(taps, dw, write) };
    }

    /// Has the pixels of a tile fetched that its left neighbour has not read.
    #[inline(always)]
    fn fetch<S: Simd>(&self, [y, x]: [Piece; 2], [sample, row, column]: [usize; 3]) {
        let Correlation { y: rows, x: columns, .. } = self.shape;
        let origin =
            [rows.origin(row) + y.tap as isize, columns.origin(column) + (x.tap + x.taps - 1) as isize];
        let from_x = (&self.x, self.inputs, origin, y.taps + 1);
        let from_dy = (&self.dy, self.outputs, [row as isize, column as isize], OUT);
        for (Source { at, strides }, channels, [row, column], height) in [from_x, from_dy] {
            let corner = at
                .wrapping_add(sample * strides.sample)
                .wrapping_offset(row * strides.row as isize + column * strides.pixel as isize);
            for i in 0..height {
                for j in 0..OUT {
                    let pixel = corner.wrapping_add(i * strides.row + j * strides.pixel);
                    (0..channels).step_by(LANES).for_each(|at| S::fetch(pixel.wrapping_add(at)));
                }
            }
        }
    }

    fn transformed_inputs(&self) -> *mut f32 {
        self.zeros.wrapping_add(self.at.inputs.max(self.at.outputs))
    }

    fn transformed_gradients(&self) -> *mut f32 {
        self.transformed_inputs().wrapping_add(SIDE * SIDE * self.at.plane(self.at.inputs))
    }

    fn sums(&self) -> *mut f32 {
        self.transformed_gradients().wrapping_add(SIDE * SIDE * self.at.plane(self.at.outputs))
    }

    /// A word of the tiles from `tile` on, of which those from `end` on are zeros.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn transform<S: Simd, const Y1: usize, const X1: usize>(
        &self,
        [y, x]: [Piece; 2],
        [tile, end]: [usize; 2],
        to: usize,
    ) where
        OfInputs: Transform<Y1, Y1> + Transform<X1, X1>,
        OfGradients: Transform<OUT, Y1> + Transform<OUT, X1>,
    {
        let at = &self.at;
        let inputs = self.transformed_inputs().wrapping_add(to * Sums::row(at.inputs));
        let gradients = self.transformed_gradients().wrapping_add(to * Sums::row(at.outputs));
        let zeros = self.zeros.cast_const();
        let (mut from_x, mut from_dy) = ([[[zeros; X1]; Y1]; 2], [[[zeros; OUT]; OUT]; 2]);
        // SAFETY: the caller's promise.
        unsafe {
            for term in 0..S::TERMS.min(end - tile) {
                let place = self.grid.place(tile + term);
                from_x[term] = pixels::<Y1, X1>(&self.shape, &self.x, place, [y.tap, x.tap], zeros);
                from_dy[term] = self.gradients(place);
            }
            let [plane, of_gradients] = [at.plane(at.inputs), at.plane(at.outputs)];
            let apart = [X1 * plane, plane];
            transform_across::<S, OfInputs, Y1, Y1, X1, X1>(&from_x, self.inputs, inputs, apart);
            let apart = [X1 * of_gradients, of_gradients];
            transform_across::<S, OfGradients, OUT, Y1, OUT, X1>(&from_dy, self.outputs, gradients, apart);
        }
    }

    /// Where the gradients of a tile's outputs stand.
    #[inline(always)]
    fn gradients(&self, [sample, row, column]: [usize; 3]) -> [[*const f32; OUT]; OUT] {
        let Correlation { y, x, .. } = self.shape;
        let Source { at: dy, strides } = self.dy;
        let dy = dy.wrapping_add(sample * strides.sample + row * strides.row + column * strides.pixel);
        let [below, right] = [row + 1 < y.count, column + 1 < x.count];
        let or_zeros = |inside: bool, at: *const f32| if inside { at } else { self.zeros };
        let next = dy.wrapping_add(strides.row);
        [
            [dy, or_zeros(right, dy.wrapping_add(strides.pixel))],
            [or_zeros(below, next), or_zeros(below && right, next.wrapping_add(strides.pixel))],
        ]
    }

    /// Adds the products of a unit's tiles at all points.
    ///
    /// # Safety
    /// As [`run`]; the unit has been transformed.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, points: usize, count: usize, start: Start) {
        let at = &self.at;
        for point in 0..points {
            let sums = self.sums().wrapping_add(point * at.sums());
            let inputs = self.transformed_inputs().wrapping_add(point * at.plane(at.inputs));
            for panel in panels::<S>(self.inputs.next_multiple_of(S::LANES), widest::<S>(self.outputs)) {
                let tile = Tile {
                    a: self.transformed_gradients().wrapping_add(point * at.plane(at.outputs)),
                    a_row: 1,
                    a_step: Sums::row(at.outputs),
                    a_run: [0, 0],
                    b: inputs.wrapping_add(panel.column),
                    b_step: Sums::row(at.inputs),
                    b_run: [0, 0],
                    runs: [1, 1],
                    terms: words::<S>(count),
                    c: sums.wrapping_add(panel.column),
                    c_row: at.inputs,
                    tail: S::LANES,
                    b_tail: S::LANES,
                    start,
                    far: false,
                };
                // SAFETY: the caller's promise; rows are output channels, columns whole vectors of input channels.
                unsafe { tile::run_rows::<S>(&tile, self.outputs, panel.vectors) };
            }
        }
    }

    /// Writes the gradients of a piece of the taps.
    ///
    /// # Safety
    /// As [`run`]; the sums are complete.
    #[inline(always)]
    unsafe fn finish<S: Simd, const Y: usize, const Y1: usize, const X: usize, const X1: usize>(
        &self,
        [y, x]: [Piece; 2],
        dw: *mut f32,
        write: Write,
    ) where
        OfSums: Transform<Y1, Y> + Transform<X1, X>,
    {
        let (filter, tap, row) =
            (self.shape.terms(), self.shape.inputs, self.shape.x.taps * self.shape.inputs);
        let dw = dw.wrapping_add(y.tap * row + x.tap * tap);
        let apart = [X1 * self.at.sums(), self.at.sums()];
        for output in 0..self.outputs {
            for input in (0..self.inputs).step_by(S::LANES) {
                let lanes = S::LANES.min(self.inputs - input);
                // SAFETY: the caller's promise.
                unsafe {
                    let sums = self.sums().add(output * self.at.inputs + input);
                    let taps = both_sides::<S, OfSums, Y1, Y, X1, X>(load::<S, Y1, X1>(sums, apart));
                    for i in 0..Y {
                        for j in 0..X {
                            let to = dw.add(output * filter + i * row + j * tap + input);
                            let value = match write {
                                Write::Set => taps[i][j],
                                Write::Add => S::add(S::load_first(to, lanes), taps[i][j]),
                            };
                            S::store_first(to, value, lanes);
                        }
                    }
                }
            }
        }
    }
}
