//! The gradient of the weights of 3×3 windows by Winograd's minimal filtering: the adjoint of `winograd.rs`.
//!
//! For a filter g, ∂C/∂g = Gᵀ\[Σ (A δ Aᵀ) ⊙ (Bᵀ d B)\]G over the tiles d of 4×4 inputs and δ of 2×2 outputs' gradients: at each of 16
//! points a matrix product over tiles, of output channels × input channels.

use std::ops::Range;

use super::Simd;
use super::tile::{self, Start, Tile, panels, widest};
use super::window::{Source, Strides};
use super::winograd::{Grid, IN, OUT, TAPS, Transform, both_sides, load, pixels, store, transform_inputs};
use crate::blocking::Correlation;
use crate::blocking::winograd::{POINTS, Sums};
use crate::{Conv2d, Write};

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
                // SAFETY: the caller's promise, for these channels.
                unsafe { block.run::<S>(samples, dw, write) };
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
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, samples: usize, dw: *mut f32, write: Write) {
        let (tiles, at) = (self.grid.tiles(samples), &self.at);
        let mut start = Start::Zero;
        for first in (0..tiles).step_by(at.tiles) {
            let count = at.tiles.min(tiles - first);
            // SAFETY: the caller's promise; the scratch holds so many tiles.
            unsafe {
                for tile in 0..count {
                    self.transform::<S>(first + tile, tile);
                }
                self.multiply::<S>(count, start);
            }
            start = Start::Destination;
        }
        // SAFETY: the caller's promise; the sums are complete.
        unsafe { self.finish::<S>(dw, write) };
    }

    fn transformed_inputs(&self) -> *mut f32 {
        self.zeros.wrapping_add(self.at.inputs.max(self.at.outputs))
    }

    fn transformed_gradients(&self) -> *mut f32 {
        self.transformed_inputs().wrapping_add(POINTS * self.at.plane(self.at.inputs))
    }

    fn sums(&self) -> *mut f32 {
        self.transformed_gradients().wrapping_add(POINTS * self.at.plane(self.at.outputs))
    }

    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, tile: usize, to: usize) {
        let (place, at) = (self.grid.place(tile), &self.at);
        let inputs = self.transformed_inputs().wrapping_add(to * Sums::row(at.inputs));
        let gradients = self.transformed_gradients().wrapping_add(to * Sums::row(at.outputs));
        let [sample, row, column] = place;
        let Correlation { y, x, .. } = self.shape;
        // SAFETY: the caller's promise.
        unsafe {
            let pixels = pixels(&self.shape, &self.x, place, self.zeros);
            transform_inputs::<S>(&pixels, self.inputs, inputs, at.plane(at.inputs));
            let Source { at: dy, strides } = self.dy;
            let dy = dy.wrapping_add(sample * strides.sample + row * strides.row + column * strides.pixel);
            let [below, right] = [row + 1 < y.count, column + 1 < x.count];
            let pixels = [
                dy,
                if right { dy.wrapping_add(strides.pixel) } else { self.zeros },
                if below { dy.wrapping_add(strides.row) } else { self.zeros },
                if below && right { dy.wrapping_add(strides.row + strides.pixel) } else { self.zeros },
            ];
            transform_gradients::<S>(&pixels, self.outputs, gradients, at.plane(at.outputs));
        }
    }

    /// Adds the products of a unit's tiles at all points.
    ///
    /// # Safety
    /// As [`run`]; the unit has been transformed.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, count: usize, start: Start) {
        let at = &self.at;
        for point in 0..POINTS {
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
                    terms: count,
                    c: sums.wrapping_add(panel.column),
                    c_row: at.inputs,
                    tail: S::LANES,
                    b_tail: S::LANES,
                    start,
                };
                // SAFETY: the caller's promise; rows are output channels, columns whole vectors of input channels.
                unsafe { tile::run_rows::<S>(&tile, self.outputs, panel.vectors) };
            }
        }
    }

    /// Writes the weights' gradients.
    ///
    /// # Safety
    /// As [`run`]; the sums are complete.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, dw: *mut f32, write: Write) {
        let (filter, tap) = (TAPS * TAPS * self.shape.inputs, self.shape.inputs);
        for output in 0..self.outputs {
            for input in (0..self.inputs).step_by(S::LANES) {
                let lanes = S::LANES.min(self.inputs - input);
                // SAFETY: the caller's promise.
                unsafe {
                    let sums = self.sums().add(output * self.at.inputs + input);
                    let taps = both_sides::<S, OfSums, IN, TAPS>(load::<S, IN>(sums, self.at.sums()));
                    for (i, value) in taps.iter().flatten().enumerate() {
                        let to = dw.add(output * filter + i * tap + input);
                        let value = match write {
                            Write::Set => *value,
                            Write::Add => S::add(S::load_first(to, lanes), *value),
                        };
                        S::store_first(to, value, lanes);
                    }
                }
            }
        }
    }
}

/// A δ Aᵀ for some channels of a tile; points are `plane` apart.
///
/// # Safety
/// The CPU has the instruction set; the pixels are valid for the channels, `to` for whole vectors of them at each point.
#[inline(always)]
unsafe fn transform_gradients<S: Simd>(
    pixels: &[*const f32; 4],
    channels: usize,
    to: *mut f32,
    plane: usize,
) {
    for at in (0..channels).step_by(S::LANES) {
        let lanes = S::LANES.min(channels - at);
        // SAFETY: the caller's promise.
        unsafe {
            let mut d = [[S::zero(); OUT]; OUT];
            for i in 0..OUT {
                for j in 0..OUT {
                    d[i][j] = S::load_first(pixels[i * OUT + j].add(at), lanes);
                }
            }
            store::<S, IN>(both_sides::<S, OfGradients, OUT, IN>(d), to.add(at), plane);
        }
    }
}

/// A, with rows (1, 0), (1, 1), (1, −1), (0, −1).
struct OfGradients;

impl Transform<OUT, IN> for OfGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; OUT]) -> [S::Vector; IN] {
        // SAFETY: the caller's promise.
        unsafe { [d[0], S::add(d[0], d[1]), S::subtract(d[0], d[1]), S::subtract(S::zero(), d[1])] }
    }
}

/// Gᵀ, with rows (1, ½, ½, 0), (0, ½, −½, 0), (0, ½, ½, 1).
struct OfSums;

impl Transform<IN, TAPS> for OfSums {
    #[inline(always)]
    unsafe fn apply<S: Simd>(s: [S::Vector; IN]) -> [S::Vector; TAPS] {
        // SAFETY: the caller's promise.
        unsafe {
            let half = S::fill(0.5);
            let both = S::multiply(half, S::add(s[1], s[2]));
            let difference = S::multiply(half, S::subtract(s[1], s[2]));
            [S::add(s[0], both), difference, S::add(both, s[3])]
        }
    }
}
