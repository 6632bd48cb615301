//! The convolution's forward direction and its gradient to the input in matrix units: rows of terms, a pixel each, times
//! packed weights.
//!
//! Some pixels at a time ([`Unit`]) and some channels at a time (a slab of [`Terms`]), so that the rows stay in the level-2
//! cache while all output channels' weights pass by. The channels of the source that their windows reach are split once;
//! rows of terms are then copies of what the taps see.

use super::gather::{BEYOND, Gather};
use super::grid::{From, Grid, Left, Right, To};
use super::shifts::Shifts;
use super::unit::Tiles;
use super::{BLOCK, SIDE, TILE, split};
use crate::Write;
use crate::blocking::matrix::{Terms, Unit};
use crate::simd::Avx512;
use crate::simd::correlation::{Job, Weights};
use crate::simd::finish::Finishing;
use crate::simd::window::Source;

/// Bytes of a block of a row of terms, of one part.
pub(super) const ROW: usize = 64;

/// Packs the weights of some columns, which start a block: 16 columns every `column_bytes` bytes, block after block of
/// terms.
///
/// # Safety
/// The CPU has AVX-512; the weights are valid for the terms, `to` for whole tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn pack<const P: usize>(
    weights: &Weights,
    terms: &Terms,
    column: usize,
    columns: usize,
    to: *mut u8,
    column_bytes: usize,
) {
    for j in (0..columns).step_by(SIDE) {
        let weights = Weights { at: weights.at.wrapping_add((column + j) * weights.strides[1]), ..*weights };
        let columns = SIDE.min(columns - j);
        let mut to = to.wrapping_add(j / SIDE * column_bytes);
        // SAFETY: the caller's promise, for these columns.
        unsafe {
            if terms.gathered {
                let all = terms.taps * terms.inputs;
                for first in (0..all).step_by(BLOCK) {
                    pack_gathered::<P>(&weights, terms, first, BLOCK.min(all - first), columns, to);
                    to = to.add(P * TILE);
                }
                continue;
            }
            for slab in (0..terms.inputs).step_by(terms.slab()) {
                let channels = terms.slab().min(terms.inputs - slab);
                for tap in 0..terms.taps {
                    for c in (0..channels).step_by(BLOCK) {
                        let from = tap_of(&weights, terms, tap).wrapping_add((slab + c) * weights.strides[0]);
                        pack_block::<P>(from, weights.strides, BLOCK.min(channels - c), columns, to);
                        to = to.add(P * TILE);
                    }
                }
            }
        }
    }
}

/// Where the weights of a tap stand.
fn tap_of(weights: &Weights, terms: &Terms, tap: usize) -> *const f32 {
    if weights.depth != terms.inputs {
        return weights.at.wrapping_add(tap * terms.inputs); // one run of all taps
    }
    let (i, j) = (tap / weights.runs[1], tap % weights.runs[1]);
    weights.at.wrapping_offset(i as isize * weights.run[0] + j as isize * weights.run[1])
}

/// # Safety
/// As [`pack`], for a block of terms.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn pack_block<const P: usize>(
    from: *const f32,
    strides: [usize; 2],
    terms: usize,
    columns: usize,
    to: *mut u8,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if strides[0] == 1 {
            split::rows::<P>(from, strides[1], columns, terms, to);
            split::turn(to, P);
        } else {
            split::pairs::<P>(|t| from.wrapping_add(t * strides[0]), terms, columns, to, 0);
        }
    }
}

/// # Safety
/// As [`pack`], for the block of terms from `first` on, where the terms of all taps follow each other.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn pack_gathered<const P: usize>(
    weights: &Weights,
    terms: &Terms,
    first: usize,
    count: usize,
    columns: usize,
    to: *mut u8,
) {
    // SAFETY: the caller's promise. Where a tap's inputs stand next to each other, those of all taps do: a filter.
    unsafe {
        if weights.strides[0] == 1 {
            split::rows::<P>(weights.at.add(first), weights.strides[1], columns, count, to);
            split::turn(to, P);
        } else {
            let row = |t: usize| {
                let (tap, input) = ((first + t) / terms.inputs, (first + t) % terms.inputs);
                tap_of(weights, terms, tap).wrapping_add(input * weights.strides[0])
            };
            split::pairs::<P>(row, count, columns, to, 0);
        }
    }
}

/// Runs a correlation.
///
/// # Safety
/// There is a matrix unit; otherwise as [`Job::run`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn run<const P: usize>(job: &Job, scratch: *mut f32) {
    let (shape, terms) = (&job.shape, Terms::of(&job.shape));
    let column_len = job.packed_column;
    let packs = job.packed.is_null();
    let block = if packs { shape.columns() } else { shape.outputs };
    let rest = if packs { scratch.wrapping_add(block.div_ceil(SIDE) * column_len) } else { scratch };
    let unit = shape.matrix_unit(job.samples, P);
    // SAFETY: the caller's promise; the scratch holds the columns' weights, and then what a unit takes.
    unsafe {
        let _tiles = Tiles::new();
        for column in (0..shape.outputs).step_by(block) {
            let columns = block.min(shape.outputs - column);
            let weights = if packs {
                pack::<P>(&job.weights, &terms, column, columns, scratch.cast(), column_len * 4);
                scratch.cast_const()
            } else {
                job.packed.add(column / SIDE * column_len)
            };
            let right = Right { at: weights.cast(), tile: column_len * 4 };
            for sample in (0..job.samples).step_by(unit.samples) {
                for row in (0..shape.y.count).step_by(unit.rows) {
                    let pass = Pass {
                        job,
                        terms,
                        sample,
                        row,
                        unit: Unit {
                            samples: unit.samples.min(job.samples - sample),
                            rows: unit.rows.min(shape.y.count - row),
                        },
                    };
                    pass.run::<P>(right, column, columns, rest);
                }
            }
        }
    }
}

/// Some pixels of a correlation.
pub(super) struct Pass<'a> {
    pub(super) job: &'a Job,
    terms: Terms,
    sample: usize,
    row: usize,
    pub(super) unit: Unit,
}

/// Scratch, given out piece by piece.
struct Scratch(*mut f32);

impl Scratch {
    /// The next `len` numbers, from a cache line on.
    fn take<T>(&mut self, len: usize) -> *mut T {
        let piece = self.0;
        self.0 = self.0.wrapping_add((len * size_of::<T>()).div_ceil(64) * SIDE);
        piece.cast()
    }
}

impl Pass<'_> {
    fn pixels(&self) -> usize {
        self.unit.samples * self.unit.rows * self.job.shape.x.count
    }

    /// # Safety
    /// As [`run`]; the tiles are configured.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn run<const P: usize>(&self, right: Right, column: usize, columns: usize, scratch: *mut f32) {
        let Pass { job, terms, .. } = *self;
        let mut scratch = Scratch(scratch);
        let most = terms.slab_blocks(terms.slab());
        let aside = scratch.take(super::grid::SCRATCH);
        let offsets: *mut u32 = scratch.take(most);
        let pixels = self.pixels();
        // SAFETY: the caller's promise; the tables, the rows of terms and the window fit in the scratch.
        unsafe {
            for block in 0..most {
                *offsets.add(block) = (block * ROW) as u32;
            }
            let to = self.destination(column, &mut scratch);
            let shifts = Shifts::of(self);
            let row = most * ROW;
            let part = pixels.next_multiple_of(SIDE) * row;
            let rows: *mut u8 = if shifts.is_some() { scratch.take(0) } else { scratch.take(P * part) };
            let mut left = Left { at: rows, tile: SIDE * row, row, part, offsets, group: 0 };
            let (mut groups, mut m) = (1, pixels);
            let mut from = match job.write {
                Write::Add => From::Destination,
                Write::Set if job.bias.is_null() => From::Zero,
                Write::Set => From::Row(job.bias.add(column)),
            };
            let mut done = 0;
            for slab in (0..terms.inputs).step_by(terms.slab()) {
                let channels = terms.slab().min(terms.inputs - slab);
                let blocks = terms.slab_blocks(channels);
                if let Some(shifts) = &shifts {
                    (left, groups, m) = shifts.split::<P>(self, slab, channels, rows, offsets);
                } else if terms.gathered {
                    self.gather::<P>(&left, scratch.0);
                } else if terms.taps == 1 {
                    self.take_pixels::<P>(slab, channels, &left);
                } else {
                    self.take_windows::<P>(slab, channels, &left, scratch.0.cast());
                }
                let right = Right { at: right.at.add(done * P * TILE), ..right };
                let last = slab + channels == terms.inputs;
                let finish = if last { job.finish.columns_from(column) } else { Finishing::NOTHING };
                Grid { left, right, blocks, groups, m, n: columns, from, to, finish, scratch: aside }
                    .run::<P>();
                (done, from) = (done + blocks, From::Destination);
            }
        }
    }

    /// Where the pixels' outputs from a column on go.
    ///
    /// # Safety
    /// The scratch holds a place for each pixel.
    unsafe fn destination(&self, column: usize, scratch: &mut Scratch) -> To {
        let (shape, strides) = (&self.job.shape, self.job.out_strides);
        let first = self.sample * strides.sample
            + (shape.y.first + self.row * shape.y.every) * strides.row
            + shape.x.first * strides.pixel
            + column;
        let out = self.job.out.wrapping_add(first);
        if self.job.covers_images() {
            return To::Rows(out, strides.pixel);
        }
        let places: *mut usize = scratch.take(self.pixels());
        let mut at = places;
        for sample in 0..self.unit.samples {
            for row in 0..self.unit.rows {
                let place = sample * strides.sample + row * shape.y.every * strides.row;
                for x in 0..shape.x.count {
                    // SAFETY: the caller's promise.
                    unsafe { *at = place + x * shape.x.every * strides.pixel };
                    at = at.wrapping_add(1);
                }
            }
        }
        To::Places(out, places)
    }

    /// Where in the source the window of an output starts, along rows and columns.
    pub(super) fn origin(&self, row: usize, x: usize) -> [isize; 2] {
        let shape = &self.job.shape;
        [shape.y.origin(self.row + row), shape.x.origin(x)]
    }

    /// The source's pixel at a place of a sample, from a channel on; `None` outside of the image.
    pub(super) fn pixel(&self, sample: usize, [y, x]: [isize; 2], channel: usize) -> Option<*const f32> {
        let (shape, Source { at, strides }) = (&self.job.shape, self.job.source);
        let inside = y >= 0 && x >= 0 && (y as usize) < shape.y.source && (x as usize) < shape.x.source;
        let offset = |y: usize, x: usize| {
            (self.sample + sample) * strides.sample + y * strides.row + x * strides.pixel + channel
        };
        inside.then(|| at.wrapping_add(offset(y as usize, x as usize)))
    }

    /// Rows of terms of one tap: the pixels themselves.
    ///
    /// # Safety
    /// As [`run`]; `left` has room for the rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn take_pixels<const P: usize>(&self, slab: usize, channels: usize, left: &Left) {
        let mut to = left.at.cast_mut();
        for sample in 0..self.unit.samples {
            for row in 0..self.unit.rows {
                for x in 0..self.job.shape.x.count {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match self.pixel(sample, self.origin(row, x), slab) {
                            Some(from) => split::row::<P>(from, channels, to, left.part, ROW),
                            None => zero_row::<P>(to, left.part, channels.div_ceil(BLOCK) * ROW),
                        }
                    }
                    to = to.wrapping_add(left.row);
                }
            }
        }
    }

    /// Rows of terms of several taps: what the windows reach is split once, and copied for each tap that sees it.
    ///
    /// # Safety
    /// As [`run`]; `left` has room for the rows, `window` for what the windows reach.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn take_windows<const P: usize>(
        &self,
        slab: usize,
        channels: usize,
        left: &Left,
        window: *mut u8,
    ) {
        let shape = &self.job.shape;
        let (height, width) = (shape.y.reach(self.unit.rows), shape.x.reach(shape.x.count));
        let pixel = channels.div_ceil(BLOCK) * ROW;
        let part = self.unit.samples * height * width * pixel;
        let [top, start] = self.origin(0, 0);
        let mut to = window;
        // SAFETY: the caller's promise; the window of each sample follows the last one's.
        unsafe {
            for sample in 0..self.unit.samples {
                for y in 0..height {
                    for x in 0..width {
                        match self.pixel(sample, [top + y as isize, start + x as isize], slab) {
                            Some(from) => split::row::<P>(from, channels, to, part, ROW),
                            None => zero_row::<P>(to, part, pixel),
                        }
                        to = to.add(pixel);
                    }
                }
            }
            let mut to = left.at.cast_mut();
            for sample in 0..self.unit.samples {
                for row in 0..self.unit.rows {
                    let line = (sample * height + row * shape.y.step) * width;
                    for x in 0..shape.x.count {
                        let from = window.add((line + x * shape.x.step) * pixel);
                        for p in 0..P {
                            self.copy_taps(from.add(p * part), width, pixel, to.add(p * left.part));
                        }
                        to = to.add(left.row);
                    }
                }
            }
        }
    }

    /// Copies what the taps of one output see of one part.
    ///
    /// # Safety
    /// As [`Pass::take_windows`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn copy_taps(&self, from: *const u8, width: usize, pixel: usize, to: *mut u8) {
        use std::arch::x86_64::*;
        let shape = &self.job.shape;
        // Taps that are neighbours see neighbours.
        let (taps, len) =
            if shape.x.tap_step == 1 { (1, shape.x.taps * pixel) } else { (shape.x.taps, pixel) };
        let mut to = to;
        for y in 0..shape.y.taps {
            for x in 0..taps {
                let from = from.wrapping_add((y * shape.y.tap_step * width + x * shape.x.tap_step) * pixel);
                for at in (0..len).step_by(ROW) {
                    // SAFETY: the caller's promise.
                    unsafe { _mm512_storeu_si512(to.cast(), _mm512_loadu_si512(from.add(at).cast())) };
                    to = to.wrapping_add(ROW);
                }
            }
        }
    }

    /// Rows of the terms of all taps, one after the other.
    ///
    /// # Safety
    /// As [`run`]; `left` has room for the rows, `window` for 16 rows of numbers and what the windows reach.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn gather<const P: usize>(&self, left: &Left, window: *mut f32) {
        let (shape, Unit { samples, rows }) = (&self.job.shape, self.unit);
        let (numbers, stride) = (window, shape.terms().next_multiple_of(SIDE));
        let window = window.wrapping_add(SIDE * stride + BEYOND);
        // SAFETY: the caller's promise.
        unsafe {
            let windows = Gather::new(
                shape,
                self.job.sample(self.sample).rows::<Avx512>(shape, samples, self.row, rows, window),
            );
            let pixels = self.pixels();
            let (mut sample, mut row, mut x) = (0, 0, 0);
            // Some rows at a time: what was just written cannot be read at once where reads are of more than one write.
            for first in (0..pixels).step_by(SIDE) {
                let count = SIDE.min(pixels - first);
                for i in 0..count {
                    windows.row([sample, row, x], numbers.add(i * stride));
                    x += 1;
                    if x == shape.x.count {
                        (row, x) = (row + 1, 0);
                    }
                    if row == rows {
                        (sample, row) = (sample + 1, 0);
                    }
                }
                for i in 0..count {
                    let to = left.at.cast_mut().add((first + i) * left.row);
                    split::row::<P>(numbers.add(i * stride), shape.terms(), to, left.part, ROW);
                }
            }
        }
    }
}

/// Zeros for `len` bytes of each part of a row.
///
/// # Safety
/// `to` is valid for them.
#[inline]
pub(super) unsafe fn zero_row<const P: usize>(to: *mut u8, part: usize, len: usize) {
    for p in 0..P {
        // SAFETY: the caller's promise.
        unsafe { to.add(p * part).write_bytes(0, len) };
    }
}
