//! The gradient of a convolution's weights: for each kernel row, the product of the output's gradient, transposed,
//! with the image seen from that row. The sums run over pixels, and the image is read where it stands, or both operands are
//! first copied in words of neighbouring pixels.

use std::ops::Range;

use super::tile::{self, Start, Tile, panels, widest};
use super::widen::each_place;
use super::window::{self, Pixels, Source, Strides};
use super::{Simd, words};
use crate::blocking::Correlation;
use crate::{Conv2d, Write};

/// With `V` for numbers and `S` for words of them.
///
/// # Safety
/// The CPU has the instruction sets; x and dy hold `samples` images of `conv`, dw the rows of `outputs`, and
/// scratch is as long as `conv` asks for.
#[inline(always)]
pub(crate) unsafe fn run<V: Simd, S: Simd>(
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
    for group in outputs.start / per_group..outputs.end.div_ceil(per_group) {
        let first = outputs.start.max(group * per_group);
        let last = outputs.end.min((group + 1) * per_group);
        // Neighbouring pixels as one, where the outputs alone do not fill a vector.
        let by = conv.widening(S::LANES);
        let by = if conv.has_short_runs() && last - first == conv.output[2] { by } else { 1 };
        let part = Part {
            conv: *conv,
            by,
            shape: shape.widened(by),
            filter: conv.filter_len(),
            x: Source { at: x.wrapping_add(group * inputs), strides: Strides::of(conv.input) },
            dy: dy.wrapping_add(first),
            dy_strides: Strides { pixel: by * conv.output[2], ..Strides::of(conv.output) },
            dw: dw.wrapping_add((first - outputs.start) * conv.filter_len()),
            outputs: by * (last - first),
            // Words of several terms take the scratch that the sums would.
            shallow: by > 1 || S::TERMS == 1 && conv.is_shallow(),
        };
        // SAFETY: the caller's promise, for this group's channels.
        unsafe { part.run::<V, S>(samples, write, scratch) };
    }
}

/// The outputs of one group.
struct Part {
    conv: Conv2d,
    /// Neighbouring pixels that are treated as one.
    by: usize,
    shape: Correlation,
    /// Weights of an output.
    filter: usize,
    x: Source,
    dy: *const f32,
    dy_strides: Strides,
    dw: *mut f32,
    outputs: usize,
    /// Whether the sums are taken with the outputs as columns, and turned at the end.
    shallow: bool,
}

impl Part {
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn run<V: Simd, S: Simd>(&self, samples: usize, write: Write, scratch: *mut f32) {
        let (count, rows, at_a_time) = (self.shape.y.count, self.shape.rows(), self.shape.samples());
        let transposed = scratch.wrapping_add(self.shape.window(rows) * at_a_time);
        let mut start = if self.shallow || write == Write::Set { Start::Zero } else { Start::Destination };
        for sample in (0..samples).step_by(at_a_time) {
            let samples = at_a_time.min(samples - sample);
            for row in (0..count).step_by(rows) {
                let rows = rows.min(count - row);
                // SAFETY: the caller's promise; so many samples' windows fit in the scratch.
                unsafe {
                    let first = self.x.at.wrapping_add(sample * self.x.strides.sample);
                    let source =
                        Source { at: first, ..self.x }.rows::<V>(&self.shape, samples, row, rows, scratch);
                    let dy = sample * self.dy_strides.sample + row * self.dy_strides.row;
                    let dy = Source { at: self.dy.wrapping_add(dy), strides: self.dy_strides };
                    if S::TERMS == 1 {
                        let tile = self.tile(&source, &dy, [samples, rows, self.shape.x.count], start);
                        self.add_block::<S>(&source, &tile, transposed);
                    } else {
                        self.add_words::<S>(&source, &dy, [samples, rows], start, transposed);
                    }
                }
                start = Start::Destination;
            }
        }
        if self.shallow {
            // SAFETY: the scratch holds the sums, dw the outputs' weights.
            unsafe { self.turn(transposed, write) };
        }
    }

    /// [`Part::add_block`] of words of neighbouring pixels of a row, which are first copied to `to`.
    ///
    /// # Safety
    /// As [`run`]; `to` has room for both operands' words.
    #[inline(always)]
    unsafe fn add_words<S: Simd>(
        &self,
        source: &Source,
        dy: &Source,
        [samples, rows]: [usize; 2],
        start: Start,
        to: *mut f32,
    ) {
        let Correlation { y, x, inputs, .. } = self.shape;
        // A tap may begin a word at any pixel of the image; outputs are summed word after word.
        let (lines, width) = (y.reach(rows), x.reach(x.count));
        let seen =
            Pixels { samples, lines, pixels: width, channels: inputs, words: width, every: 1, step: x.step };
        let pairs = words::<S>(x.count);
        let given = Pixels {
            samples,
            lines: rows,
            pixels: x.count,
            channels: self.outputs,
            words: pairs,
            every: S::TERMS,
            step: 1,
        };
        // SAFETY: the caller's promise.
        unsafe {
            let dy_words = to.wrapping_add(seen.len());
            let (source, dy) = (source.copy_words::<S>(&seen, to), dy.copy_words::<S>(&given, dy_words));
            let mut tile = self.tile(&source, &dy, [samples, rows, pairs], start);
            tile.b_step *= S::TERMS;
            tile.far = false;
            self.add_block::<S>(&source, &tile, to);
        }
    }

    /// Adds up what belongs to each weight of dw from the sums, which are weights × outputs.
    ///
    /// # Safety
    /// As [`run`]; `sums` holds those of the shape.
    #[inline(always)]
    unsafe fn turn(&self, sums: *const f32, write: Write) {
        let outputs = self.outputs / self.by;
        // SAFETY: the caller's promise.
        unsafe {
            if write == Write::Set {
                self.dw.write_bytes(0, outputs * self.filter);
            }
            each_place(&self.conv, outputs, self.by, |wide, plain| *self.dw.add(plain) += *sums.add(wide));
        }
    }

    /// Adds the sums over the pixels of some rows of some samples.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn add_block<S: Simd>(&self, source: &Source, tile: &Tile, transposed: *mut f32) {
        let Correlation { y, x, .. } = self.shape;
        let tap = [y.tap_step * source.strides.row, x.tap_step * source.strides.pixel];
        let tile = &merged(*tile);
        // Weights of neighbouring taps that read neighbouring elements are columns of one product.
        let (runs, columns) = window::runs(&self.shape, self.shape.inputs, tap);
        for i in 0..runs[0] {
            for j in 0..runs[1] {
                let at = source.at.wrapping_add(i * tap[0] + j * tap[1]);
                let weights = (i * runs[1] + j) * columns;
                // SAFETY: the caller's promise, for the weights of these taps.
                unsafe {
                    if self.shallow {
                        self.add_transposed::<S>(tile, at, columns, transposed.add(weights * self.outputs));
                    } else {
                        self.add_taps::<S>(tile, at, columns, self.dw.add(weights));
                    }
                }
            }
        }
    }

    /// Adds to the weights of some taps: outputs are rows, `columns` weights from `to` on are columns.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn add_taps<S: Simd>(&self, tile: &Tile, at: *const f32, columns: usize, to: *mut f32) {
        for panel in panels::<S>(columns, widest::<S>(self.outputs)) {
            let (b, c) = (at.wrapping_add(panel.column), to.wrapping_add(panel.column));
            let tile = Tile { b, c, tail: panel.tail, b_tail: panel.tail, ..*tile };
            // SAFETY: rows are this part's outputs, columns weights of these taps.
            unsafe { tile::run_rows::<S>(&tile, self.outputs, panel.vectors) };
        }
    }

    /// The same with outputs as columns, into sums that are weights × outputs.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn add_transposed<S: Simd>(&self, tile: &Tile, at: *const f32, columns: usize, to: *mut f32) {
        for panel in panels::<S>(self.outputs, widest::<S>(columns)) {
            let tile = Tile {
                a: at,
                a_row: 1,
                a_step: tile.b_step,
                a_run: tile.b_run,
                b: tile.a.wrapping_add(panel.column),
                b_step: tile.a_step,
                b_run: tile.a_run,
                c: to.wrapping_add(panel.column),
                c_row: self.outputs,
                tail: panel.tail,
                b_tail: panel.tail,
                ..*tile
            };
            // SAFETY: rows are weights of these taps, columns this part's outputs.
            unsafe { tile::run_rows::<S>(&tile, columns, panel.vectors) };
        }
    }

    /// What the tiles of a block share: the sums over its samples, rows, and pixels of a row.
    fn tile(&self, source: &Source, dy: &Source, [samples, rows, terms]: [usize; 3], start: Start) -> Tile {
        let Correlation { y, x, .. } = self.shape;
        Tile {
            a: dy.at,
            a_row: 1,
            a_step: dy.strides.pixel,
            a_run: [dy.strides.sample, dy.strides.row],
            b: source.at,
            b_step: x.step * source.strides.pixel,
            b_run: [source.strides.sample, y.step * source.strides.row],
            runs: [samples, rows],
            terms,
            c: self.dw,
            c_row: self.filter,
            tail: 0,
            b_tail: 0,
            start,
            far: true,
        }
    }
}

/// The same tile with rows that follow each other like the pixels within them as one long row.
fn merged(mut tile: Tile) -> Tile {
    if tile.a_run[1] == tile.terms * tile.a_step && tile.b_run[1] == tile.terms * tile.b_step {
        (tile.runs, tile.terms) = ([tile.runs[0], 1], tile.runs[1] * tile.terms);
    }
    tile
}
