//! The convolution's forward direction and its gradient to the input: windows over a source times packed weights.
//!
//! Each tile takes neighbouring outputs of a row as its rows and output channels as its columns. It reads the
//! source where it stands; only windows that hang over the border are first copied with their zeros, some rows at
//! a time.

use super::finish::Finishing;
use super::pack::pack;
use super::tile::{self, Panel, Start, Tile, panels};
use super::window::{self, Source, Strides};
use super::{Simd, words};
use crate::Write;
use crate::blocking::{Correlation, LANES};

/// Where the weights of a tap's inputs stand. The matrix of terms × outputs consists of runs of `depth` terms, tap
/// after tap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    pub(crate) at: *const f32,
    /// Runs along rows and columns of taps: one each where the terms of all taps follow each other.
    pub(crate) runs: [usize; 2],
    /// From one tap's weights to the next's.
    pub(crate) run: [isize; 2],
    /// Terms of a run.
    pub(crate) depth: usize,
    /// From one term to the next, and from one output to the next.
    pub(crate) strides: [usize; 2],
}

impl Weights {
    /// Copies the weights of some columns, which start a block, into panels.
    ///
    /// # Safety
    /// The CPU has the instruction set; the weights are valid for what the shape reaches, `to` for whole vectors of
    /// the columns.
    #[inline(always)]
    pub(crate) unsafe fn pack<S: Simd>(
        &self,
        shape: &Correlation,
        column: usize,
        columns: usize,
        to: *mut f32,
    ) {
        let Weights { at, runs, run, depth, strides } = *self;
        for panel in panels::<S>(columns, S::VECTORS) {
            let mut to = to.wrapping_add(panel.column * terms::<S>(shape));
            for i in 0..runs[0] {
                for j in 0..runs[1] {
                    let from = at
                        .wrapping_offset(i as isize * run[0] + j as isize * run[1])
                        .wrapping_add((column + panel.column) * strides[1]);
                    // SAFETY: the run's terms of the panel's outputs; there is room for whole vectors.
                    unsafe { pack::<S>(from, strides, depth, &panel, to) };
                    to = to.wrapping_add(words::<S>(depth) * panel.vectors * S::LANES);
                }
            }
        }
    }
}

/// So few pixels meet weights before others come, and so these come from far.
const FEW: usize = 64;

/// Tiles that are finished at a time, which the level-1 cache holds.
const FINISHED: usize = 4;

/// Words of each sum.
#[inline(always)]
fn terms<S: Simd>(shape: &Correlation) -> usize {
    shape.y.taps * shape.x.taps * words::<S>(shape.inputs)
}

/// A correlation with its operands, for one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) shape: Correlation,
    pub(crate) samples: usize,
    pub(crate) source: Source,
    pub(crate) weights: Weights,
    /// The weights as [`Weights::pack`] leaves them, block after block; null to pack them on the way.
    pub(crate) packed: *const f32,
    /// From 16 columns of them to the next.
    pub(crate) packed_column: usize,
    /// Null for none.
    pub(crate) bias: *const f32,
    /// The whole images; the axes say which pixels are written.
    pub(crate) out: *mut f32,
    pub(crate) out_strides: Strides,
    pub(crate) write: Write,
    /// What is done to the sums; the first output's channel is its first one.
    pub(crate) finish: Finishing,
}

impl Job {
    /// # Safety
    /// The CPU has the instruction set; source, weights, bias and out are valid for what the shape and strides
    /// reach; packed weights for those of the shape, `scratch` for what the shape asks for.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd>(&self, scratch: *mut f32) {
        let (shape, block) = (&self.shape, self.shape.columns());
        let window = scratch.wrapping_add(block * terms::<S>(shape));
        for column in (0..shape.outputs).step_by(block) {
            let columns = block.min(shape.outputs - column);
            // SAFETY: the caller's promise; the scratch holds the columns' weights and then a window.
            unsafe {
                let packed = if self.packed.is_null() {
                    self.weights.pack::<S>(shape, column, columns, scratch);
                    scratch.cast_const()
                } else {
                    self.packed.add(column / LANES * self.packed_column)
                };
                if shape.has_short_rows() && self.covers_images() {
                    self.run_patches::<S>(column, columns, packed, window);
                    continue;
                }
                for sample in 0..self.samples {
                    for row in (0..shape.y.count).step_by(shape.rows()) {
                        let rows = shape.rows().min(shape.y.count - row);
                        let source = self.sample(sample).rows::<S>(shape, 1, row, rows, window);
                        self.run_rows::<S>(sample, row, rows, column, columns, packed, &source);
                    }
                }
            }
        }
    }

    /// The source from a sample on.
    pub(crate) fn sample(&self, sample: usize) -> Source {
        let Source { at, strides } = self.source;
        Source { at: at.wrapping_add(sample * strides.sample), strides }
    }

    /// Whether the outputs are all of the images' pixels, in their order.
    pub(crate) fn covers_images(&self) -> bool {
        let Correlation { y, x, .. } = self.shape;
        let row = x.count * self.out_strides.pixel;
        [y.every, x.every] == [1, 1]
            && self.out_strides.row == row
            && self.out_strides.sample == y.count * row
    }

    /// All outputs for the columns that are packed, over patches that are copied side by side, so that tiles need
    /// not end with a row.
    ///
    /// # Safety
    /// As [`Job::run`].
    #[inline(always)]
    unsafe fn run_patches<S: Simd>(
        &self,
        column: usize,
        columns: usize,
        packed: *const f32,
        patches: *mut f32,
    ) {
        let (shape, terms) = (&self.shape, terms::<S>(&self.shape));
        let (per_sample, at_a_time) = (shape.y.count * shape.x.count, shape.patches());
        let pixels = self.samples * per_sample;
        for first in (0..pixels).step_by(at_a_time) {
            let count = at_a_time.min(pixels - first);
            for i in 0..count {
                let (sample, pixel) = ((first + i) / per_sample, (first + i) % per_sample);
                let (oy, ox) = (pixel / shape.x.count, pixel % shape.x.count);
                let to = patches.wrapping_add(i * terms);
                // SAFETY: the caller's promise; the scratch holds so many patches.
                unsafe { self.sample(sample).copy_patch::<S>(shape, oy, ox, to) };
            }
            let strides = Strides { sample: 0, row: 0, pixel: terms };
            let source = Source { at: patches, strides };
            let out = first * self.out_strides.pixel + column;
            let tile = Tile {
                a_row: terms,
                runs: [1, 1],
                terms,
                c: self.out.wrapping_add(out),
                far: count <= FEW,
                ..self.tile::<S>(&source)
            };
            for panel in panels::<S>(columns, S::VECTORS) {
                let part = self.with_panel::<S>(&tile, column, &panel, packed, panel.vectors * S::LANES);
                // SAFETY: these pixels lie in `out`, as far apart as the last axis says.
                unsafe { self.run_tiles::<S>(&part, count, column, &panel) };
            }
        }
    }

    /// A tile with its weights and columns set.
    fn with_panel<S: Simd>(
        &self,
        tile: &Tile,
        column: usize,
        panel: &Panel,
        packed: *const f32,
        width: usize,
    ) -> Tile {
        Tile {
            b: packed.wrapping_add(panel.column * terms::<S>(&self.shape)),
            b_step: width,
            b_run: [tile.terms * tile.runs[1] * width, tile.terms * width],
            tail: panel.tail,
            b_tail: S::LANES,
            c: tile.c.wrapping_add(panel.column),
            start: self.start(column + panel.column),
            ..*tile
        }
    }

    /// Some rows of outputs of a sample, for the columns that are packed.
    ///
    /// # Safety
    /// As [`Job::run`].
    #[inline(always)]
    unsafe fn run_rows<S: Simd>(
        &self,
        sample: usize,
        row: usize,
        rows: usize,
        column: usize,
        columns: usize,
        packed: *const f32,
        source: &Source,
    ) {
        let Correlation { y, x, .. } = self.shape;
        let out_row = y.every * self.out_strides.row;
        let out = sample * self.out_strides.sample
            + (y.first + row * y.every) * self.out_strides.row
            + x.first * self.out_strides.pixel
            + column;
        let mut tile = self.tile::<S>(source);
        tile.c = self.out.wrapping_add(out);
        // Rows that follow each other like the pixels within them are one long row.
        let (mut rows, mut pixels, source_row) = (rows, x.count, y.step * source.strides.row);
        if source_row == pixels * tile.a_row && out_row == pixels * tile.c_row {
            (rows, pixels) = (1, rows * pixels);
        }
        tile.far = rows * pixels <= FEW;
        for panel in panels::<S>(columns, S::VECTORS) {
            let mut part = self.with_panel::<S>(&tile, column, &panel, packed, panel.vectors * S::LANES);
            for _ in 0..rows {
                // SAFETY: these outputs lie in `out` and their windows in the source.
                unsafe { self.run_tiles::<S>(&part, pixels, column, &panel) };
                part.a = part.a.wrapping_add(source_row);
                part.c = part.c.wrapping_add(out_row);
            }
        }
    }

    /// The tiles of so many pixels of a panel, whose block begins with `column`, each finished while it is near.
    ///
    /// # Safety
    /// As [`tile::run`], for all the pixels.
    #[inline(always)]
    unsafe fn run_tiles<S: Simd>(&self, tile: &Tile, pixels: usize, column: usize, panel: &Panel) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.finish.is_nothing() {
                return tile::run_rows::<S>(tile, pixels, panel.vectors);
            }
            let at_a_time = FINISHED * S::ROWS[panel.vectors - 1];
            let columns = (panel.vectors - 1) * S::LANES + panel.tail;
            for first in (0..pixels).step_by(at_a_time) {
                let count = at_a_time.min(pixels - first);
                let (a, c) =
                    (tile.a.wrapping_add(first * tile.a_row), tile.c.wrapping_add(first * tile.c_row));
                tile::run_rows::<S>(&Tile { a, c, ..*tile }, count, panel.vectors);
                self.finish.rows::<S>(c, count, tile.c_row, column + panel.column, columns);
            }
        }
    }

    /// What all tiles over a source share, with as few runs as its layout allows.
    fn tile<S: Simd>(&self, source: &Source) -> Tile {
        let Correlation { y, x, .. } = self.shape;
        let run = [y.tap_step * source.strides.row, x.tap_step * source.strides.pixel];
        let (runs, terms) = window::runs(&self.shape, words::<S>(self.shape.inputs), run);
        Tile {
            a: source.at,
            a_row: x.step * source.strides.pixel,
            a_step: 1,
            a_run: run,
            b: std::ptr::null(),
            b_step: 0,
            b_run: [0, 0],
            runs,
            terms,
            c: self.out,
            c_row: x.every * self.out_strides.pixel,
            tail: 0,
            b_tail: 0,
            start: Start::Zero,
            far: false,
        }
    }

    fn start(&self, column: usize) -> Start {
        match self.write {
            Write::Add => Start::Destination,
            Write::Set if self.bias.is_null() => Start::Zero,
            Write::Set => Start::Row(self.bias.wrapping_add(column)),
        }
    }
}
