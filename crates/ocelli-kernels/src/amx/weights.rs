//! The gradient of a convolution's weights in matrix units: the output's gradient, transposed, times what each tap sees of
//! the image. The sums run over pixels, some at a time.

use std::ops::Range;

use super::gather::{BEYOND, Gather};
use super::grid::{self, From, Grid, Left, Right, To};
use super::unit::Tiles;
use super::{BLOCK, SIDE, TILE, split};
use crate::blocking::Correlation;
use crate::blocking::matrix::{Terms, Unit, WEIGHT_COLUMNS, WEIGHT_ROWS};
use crate::simd::Avx512;
use crate::simd::finish::Finishing;
use crate::simd::window::{Source, Strides};
use crate::{Conv2d, Write};

/// # Safety
/// There is a matrix unit; x and dy hold `samples` images of `conv`, dw the rows of `outputs`, and scratch is as long as
/// `conv` asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn run<const P: usize>(
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
    let unit = shape.matrix_weights_unit(samples, P);
    // SAFETY: the caller's promise, for each group's channels.
    unsafe {
        let _tiles = Tiles::new();
        for group in outputs.start / per_group..outputs.end.div_ceil(per_group) {
            let last = outputs.end.min((group + 1) * per_group);
            for first in (outputs.start.max(group * per_group)..last).step_by(WEIGHT_ROWS) {
                let rows = Rows {
                    conv,
                    shape,
                    x: Source { at: x.wrapping_add(group * inputs), strides: Strides::of(conv.input) },
                    dy: dy.wrapping_add(first),
                    dw: dw.wrapping_add((first - outputs.start) * conv.filter_len()),
                    outputs: WEIGHT_ROWS.min(last - first),
                };
                let mut from = if write == Write::Set { From::Zero } else { From::Destination };
                for sample in (0..samples).step_by(unit.samples) {
                    for row in (0..shape.y.count).step_by(unit.rows) {
                        let unit = Unit {
                            samples: unit.samples.min(samples - sample),
                            rows: unit.rows.min(shape.y.count - row),
                        };
                        rows.add::<P>(sample, row, unit, from, scratch);
                        from = From::Destination;
                    }
                }
            }
        }
    }
}

/// The weights of some output channels of one group.
struct Rows<'a> {
    conv: &'a Conv2d,
    shape: Correlation,
    x: Source,
    dy: *const f32,
    dw: *mut f32,
    outputs: usize,
}

/// What the sums over some pixels share.
struct Sums {
    left: Left,
    right: *mut u8,
    /// Pixels.
    terms: usize,
    from: From,
    aside: *mut f32,
}

impl Rows<'_> {
    /// Adds the sums over some pixels.
    ///
    /// # Safety
    /// As [`run`]; the tiles are configured.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn add<const P: usize>(
        &self,
        sample: usize,
        row: usize,
        unit: Unit,
        from: From,
        scratch: *mut f32,
    ) {
        let (shape, conv) = (&self.shape, self.conv);
        let pixels = unit.samples * unit.rows * shape.x.count;
        let blocks = pixels.div_ceil(BLOCK);
        let tile = blocks * P * TILE;
        let aside = scratch;
        let zeros = aside.wrapping_add(grid::SCRATCH.next_multiple_of(SIDE));
        let offsets: *mut u32 = zeros.wrapping_add(WEIGHT_COLUMNS).cast();
        let places: *mut *const f32 = offsets.wrapping_add(blocks.next_multiple_of(SIDE)).cast();
        let left: *mut u8 = places.wrapping_add((blocks * BLOCK).next_multiple_of(SIDE)).cast();
        let right = left.wrapping_add(self.outputs.div_ceil(SIDE) * tile);
        let rest: *mut f32 = right.wrapping_add(WEIGHT_COLUMNS / SIDE * tile).cast();
        // SAFETY: the caller's promise; the scratch holds all of that.
        unsafe {
            zeros.write_bytes(0, WEIGHT_COLUMNS);
            for block in 0..blocks {
                *offsets.add(block) = (block * P * TILE) as u32;
            }
            let dy = self.dy.add(sample * conv.output_len() + row * shape.x.count * conv.output[2]);
            self.pack_left::<P>(dy, pixels, left, tile);
            let left = Left { at: left, tile, row: 64, part: TILE, offsets, group: 0 };
            let sums = Sums { left, right, terms: pixels, from, aside };
            if Terms::of(shape).gathered {
                self.gather(sample, row, unit, places, rest);
                sums.run::<P>(places, zeros, shape.terms(), self.outputs, self.dw, conv.filter_len());
                return;
            }
            for tap in 0..shape.y.taps * shape.x.taps {
                let at = [tap / shape.x.taps, tap % shape.x.taps];
                self.place(sample, row, unit, at, places, zeros);
                let dw = self.dw.add(tap * shape.inputs);
                sums.run::<P>(places, zeros, shape.inputs, self.outputs, dw, conv.filter_len());
            }
        }
    }

    /// The output's gradient, transposed: a row of terms for each channel.
    ///
    /// # Safety
    /// As [`run`]; `to` has room for the tiles.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn pack_left<const P: usize>(&self, dy: *const f32, pixels: usize, to: *mut u8, tile: usize) {
        let pixel = self.conv.output[2];
        for t in (0..pixels).step_by(BLOCK) {
            let (from, to) = (dy.wrapping_add(t * pixel), to.wrapping_add(t / BLOCK * P * TILE));
            let terms = BLOCK.min(pixels - t);
            // SAFETY: the caller's promise.
            unsafe {
                split::pairs::<P>(|t| from.wrapping_add(t * pixel), terms, self.outputs, to, tile);
                for i in 0..self.outputs.div_ceil(SIDE) {
                    split::turn(to.add(i * tile), P);
                }
            }
        }
    }

    /// Where each pixel's tap sees the image; `zeros` where it sees nothing of it.
    ///
    /// # Safety
    /// `places` has room for the pixels.
    unsafe fn place(
        &self,
        sample: usize,
        row: usize,
        unit: Unit,
        tap: [usize; 2],
        places: *mut *const f32,
        zeros: *const f32,
    ) {
        let (Correlation { y, x, .. }, Source { at, strides }) = (self.shape, self.x);
        let mut to = places;
        for sample in sample..sample + unit.samples {
            for row in row..row + unit.rows {
                let line = y.origin(row) + (tap[0] * y.tap_step) as isize;
                let inside = line >= 0 && (line as usize) < y.source;
                let line = at.wrapping_add(sample * strides.sample + line.max(0) as usize * strides.row);
                let first = x.start + (tap[1] * x.tap_step) as isize;
                for i in 0..x.count {
                    let column = first + (i * x.step) as isize;
                    let sees = inside && column >= 0 && (column as usize) < x.source;
                    let place = if sees { line.wrapping_add(column as usize * strides.pixel) } else { zeros };
                    // SAFETY: the caller's promise.
                    unsafe { *to = place };
                    to = to.wrapping_add(1);
                }
            }
        }
    }

    /// Rows of what all taps of a pixel see.
    ///
    /// # Safety
    /// As [`run`]; `scratch` has room for what the windows reach and the rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn gather(
        &self,
        sample: usize,
        row: usize,
        unit: Unit,
        places: *mut *const f32,
        scratch: *mut f32,
    ) {
        let shape = &self.shape;
        let stride = shape.terms().next_multiple_of(SIDE);
        let mut to = scratch;
        let window = scratch.wrapping_add(unit.samples * unit.rows * shape.x.count * stride + BEYOND);
        let mut place = places;
        // SAFETY: the caller's promise.
        unsafe {
            let first = Source { at: self.x.at.wrapping_add(sample * self.x.strides.sample), ..self.x };
            let source = first.rows::<Avx512>(shape, unit.samples, row, unit.rows, window);
            let windows = Gather::new(shape, source);
            for sample in 0..unit.samples {
                for row in 0..unit.rows {
                    for x in 0..shape.x.count {
                        windows.row([sample, row, x], to);
                        *place = to;
                        (to, place) = (to.add(stride), place.add(1));
                    }
                }
            }
        }
    }
}

impl Sums {
    /// Adds to `columns` weights of each output, from `dw` on, what the pixels have at their places. Places that are `zeros`
    /// have zeros for [`WEIGHT_COLUMNS`] alone.
    ///
    /// # Safety
    /// As [`run`]; the places are valid for the columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn run<const P: usize>(
        &self,
        places: *const *const f32,
        zeros: *const f32,
        columns: usize,
        outputs: usize,
        dw: *mut f32,
        filter: usize,
    ) {
        let tile = self.left.tile;
        for first in (0..columns).step_by(WEIGHT_COLUMNS) {
            let width = WEIGHT_COLUMNS.min(columns - first);
            // SAFETY: the caller's promise.
            unsafe {
                for t in (0..self.terms).step_by(BLOCK) {
                    let terms = BLOCK.min(self.terms - t);
                    let row = |i: usize| {
                        let place = *places.add(t + i);
                        if place == zeros { place } else { place.wrapping_add(first) }
                    };
                    split::pairs::<P>(row, terms, width, self.right.add(t / BLOCK * P * TILE), tile);
                }
                let grid = Grid {
                    left: self.left,
                    right: Right { at: self.right, tile },
                    blocks: self.terms.div_ceil(BLOCK),
                    groups: 1,
                    m: outputs,
                    n: width,
                    from: self.from,
                    to: To::Rows(dw.add(first), filter),
                    finish: Finishing::NOTHING,
                    scratch: self.aside,
                };
                grid.run::<P>();
            }
        }
    }
}
