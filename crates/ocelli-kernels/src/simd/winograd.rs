//! Windows of 3×3 by Winograd's minimal filtering F(2×2, 3×3) (Winograd, "Arithmetic complexity of computations", 1980;
//! Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016): four outputs of a channel take 16 products
//! where the definition takes 36.
//!
//! A tile d of 4×4 inputs gives 2×2 outputs Aᵀ\[(G g Gᵀ) ⊙ (Bᵀ d B)\]A for a filter g. The products of all channels are 16
//! matrix products, one for each *point*, of tiles × channels. The sums run over channels alone and not over taps too, which makes
//! up for what the transforms round (`tests/kernels/winograd.rs`).
//!
//! Tiles stand at even rows and columns of outputs: rows of an image have the same bits by themselves where they begin
//! at an even row.

use std::ops::Range;

use super::Simd;
use super::correlation::{Job, Weights};
use super::pack;
use super::tile::{self, Panel, Start, Tile, panels};
use super::window::Source;
use crate::Write;
use crate::blocking::winograd::{POINTS, Tiles};
use crate::blocking::{Correlation, LANES};

/// Outputs of a tile along each axis, and inputs.
pub(crate) const OUT: usize = 2;
pub(crate) const IN: usize = 4;

/// Taps of a window along each axis.
pub(crate) const TAPS: usize = 3;

/// Copies the transformed weights of some columns, which start a block, into panels: for each panel point after point.
///
/// # Safety
/// As [`Weights::pack`], with room for 16 points instead of 9 taps.
#[inline(always)]
pub(crate) unsafe fn pack<S: Simd>(
    weights: &Weights,
    shape: &Correlation,
    column: usize,
    columns: usize,
    to: *mut f32,
) {
    let (Weights { at, run, strides, .. }, depth) = (*weights, shape.inputs);
    for panel in panels::<S>(columns, S::VECTORS) {
        let plane = depth * panel.vectors * S::LANES;
        let to = to.wrapping_add(panel.column * POINTS * shape.inputs);
        // The taps as they are into the last nine planes: an element's taps are read before its points are written.
        for tap in 0..TAPS * TAPS {
            let from = at
                .wrapping_offset((tap / TAPS) as isize * run[0] + (tap % TAPS) as isize * run[1])
                .wrapping_add((column + panel.column) * strides[1]);
            // SAFETY: the tap's terms of the panel's outputs; there is room for whole vectors.
            unsafe {
                pack::pack::<S>(from, strides, depth, &panel, to.add((POINTS - TAPS * TAPS + tap) * plane));
            }
        }
        for at in (0..plane).step_by(S::LANES) {
            // SAFETY: so many vectors have just been written.
            unsafe {
                let taps = load::<S, TAPS>(to.add((POINTS - TAPS * TAPS) * plane + at), plane);
                store::<S, IN>(both_sides::<S, OfFilter, TAPS, IN>(taps), to.add(at), plane);
            }
        }
    }
}

/// A matrix M that takes I vectors to O, such as G, Bᵀ and Aᵀ.
pub(crate) trait Transform<const I: usize, const O: usize> {
    /// M v.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn apply<S: Simd>(v: [S::Vector; I]) -> [S::Vector; O];
}

/// M d Mᵀ.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(crate) unsafe fn both_sides<S: Simd, M: Transform<I, O>, const I: usize, const O: usize>(
    d: [[S::Vector; I]; I],
) -> [[S::Vector; O]; O] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut rows = [[S::zero(); I]; O];
        for j in 0..I {
            let mut column = [S::zero(); I];
            for i in 0..I {
                column[i] = d[i][j];
            }
            let column = M::apply::<S>(column);
            for i in 0..O {
                rows[i][j] = column[i];
            }
        }
        let mut all = [[S::zero(); O]; O];
        for i in 0..O {
            all[i] = M::apply::<S>(rows[i]);
        }
        all
    }
}

/// Vectors that are `plane` apart, row after row.
///
/// # Safety
/// The CPU has the instruction set; `from` is valid for N·N vectors.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, const N: usize>(from: *const f32, plane: usize) -> [[S::Vector; N]; N] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut all = [[S::zero(); N]; N];
        for i in 0..N {
            for j in 0..N {
                all[i][j] = S::load(from.add((i * N + j) * plane));
            }
        }
        all
    }
}

/// Writes vectors so that they are `plane` apart, row after row.
///
/// # Safety
/// The CPU has the instruction set; `to` is valid for N·N vectors.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, const N: usize>(all: [[S::Vector; N]; N], to: *mut f32, plane: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        for i in 0..N {
            for j in 0..N {
                S::store(to.add((i * N + j) * plane), all[i][j]);
            }
        }
    }
}

/// G, with rows (1, 0, 0), (½, ½, ½), (½, −½, ½), (0, 0, 1).
struct OfFilter;

impl Transform<TAPS, IN> for OfFilter {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [S::Vector; TAPS]) -> [S::Vector; IN] {
        // SAFETY: the caller's promise.
        unsafe {
            let half = S::fill(0.5);
            let (outer, inner) = (S::multiply(half, S::add(g[0], g[2])), S::multiply(half, g[1]));
            [g[0], S::add(outer, inner), S::subtract(outer, inner), g[2]]
        }
    }
}

/// Bᵀ, with rows (1, 0, −1, 0), (0, 1, 1, 0), (0, −1, 1, 0), (0, 1, 0, −1).
struct OfInputs;

impl Transform<IN, IN> for OfInputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; IN]) -> [S::Vector; IN] {
        // SAFETY: the caller's promise.
        unsafe {
            [S::subtract(d[0], d[2]), S::add(d[1], d[2]), S::subtract(d[2], d[1]), S::subtract(d[1], d[3])]
        }
    }
}

/// Aᵀ, with rows (1, 1, 1, 0), (0, 1, −1, −1).
struct OfProducts;

impl Transform<IN, OUT> for OfProducts {
    #[inline(always)]
    unsafe fn apply<S: Simd>(m: [S::Vector; IN]) -> [S::Vector; OUT] {
        // SAFETY: the caller's promise.
        unsafe {
            let [sum, difference] = [S::add(m[1], m[2]), S::subtract(m[1], m[2])];
            [S::add(m[0], sum), S::subtract(difference, m[3])]
        }
    }
}

/// [`Job::run`] for a shape of 3×3 windows.
///
/// # Safety
/// As [`Job::run`].
#[inline(always)]
pub(crate) unsafe fn run<S: Simd>(job: &Job, scratch: *mut f32) {
    let (shape, at) = (&job.shape, job.shape.winograd());
    let block = shape.columns();
    // No closures around vectors: they would be compiled without the instruction set.
    // SAFETY: the caller's promise; the scratch holds a block of packed weights, and then what tiles take.
    unsafe {
        let zeros = scratch.add(block * POINTS * shape.inputs);
        zeros.write_bytes(0, at.zeros());
        let pass = Pass { job, grid: Grid::of(shape), at, zeros, inputs: zeros.add(at.zeros()) };
        if !job.packed.is_null() {
            return pass.run::<S>(0..shape.outputs, job.packed);
        }
        for column in (0..shape.outputs).step_by(block) {
            let columns = column..shape.outputs.min(column + block);
            pack::<S>(&job.weights, shape, column, columns.len(), scratch);
            pass.run::<S>(columns, scratch);
        }
    }
}

/// Tiles over images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    pub(crate) fn of(shape: &Correlation) -> Grid {
        Grid { rows: shape.y.count.div_ceil(OUT), columns: shape.x.count.div_ceil(OUT) }
    }

    /// Tiles of so many images.
    pub(crate) fn tiles(&self, samples: usize) -> usize {
        samples * self.rows * self.columns
    }

    /// Sample, and first row and column of outputs, of a tile.
    pub(crate) fn place(&self, tile: usize) -> [usize; 3] {
        let (line, column) = (tile / self.columns, tile % self.columns);
        [line / self.rows, line % self.rows * OUT, column * OUT]
    }
}

/// The inputs of a tile: where each pixel's channels stand, which is at `zeros` outside of the image.
///
/// # Safety
/// `source` is valid for the sample's image.
#[inline(always)]
pub(crate) unsafe fn pixels(
    shape: &Correlation,
    source: &Source,
    [sample, row, column]: [usize; 3],
    zeros: *const f32,
) -> [*const f32; IN * IN] {
    let (y, x) = (shape.y.origin(row), shape.x.origin(column));
    let at = source.at.wrapping_add(sample * source.strides.sample);
    std::array::from_fn(|pixel| {
        let (y, x) = (y + (pixel / IN) as isize, x + (pixel % IN) as isize);
        let inside = y >= 0 && x >= 0 && (y as usize) < shape.y.source && (x as usize) < shape.x.source;
        if inside {
            at.wrapping_add(y as usize * source.strides.row + x as usize * source.strides.pixel)
        } else {
            zeros
        }
    })
}

/// Bᵀ d B for some channels of a tile; points are `plane` apart.
///
/// # Safety
/// The CPU has the instruction set; the pixels are valid for the channels, `to` for whole vectors of them at each point.
#[inline(always)]
pub(crate) unsafe fn transform_inputs<S: Simd>(
    pixels: &[*const f32; IN * IN],
    channels: usize,
    to: *mut f32,
    plane: usize,
) {
    for at in (0..channels).step_by(S::LANES) {
        let lanes = S::LANES.min(channels - at);
        // SAFETY: the caller's promise.
        unsafe {
            let mut d = [[S::zero(); IN]; IN];
            for i in 0..IN {
                for j in 0..IN {
                    d[i][j] = S::load_first(pixels[i * IN + j].add(at), lanes);
                }
            }
            store::<S, IN>(both_sides::<S, OfInputs, IN, IN>(d), to.add(at), plane);
        }
    }
}

/// A pass over images whose tiles are treated some at a time.
struct Pass<'a> {
    job: &'a Job,
    grid: Grid,
    at: Tiles,
    zeros: *const f32,
    /// The transformed inputs of a unit; its products follow.
    inputs: *mut f32,
}

impl Pass<'_> {
    /// The outputs `columns`, whose packed weights begin with those of the first.
    ///
    /// # Safety
    /// As [`Job::run`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, columns: Range<usize>, packed: *const f32) {
        let (tiles, block) = (self.grid.tiles(self.job.samples), self.job.shape.columns());
        for first in (0..tiles).step_by(self.at.tiles) {
            let count = self.at.tiles.min(tiles - first);
            // SAFETY: the caller's promise.
            unsafe {
                self.transform::<S>(first, count);
                for column in columns.clone().step_by(block) {
                    let packed = packed.add((column - columns.start) / LANES * self.job.packed_column);
                    self.multiply::<S>(first, count, column, block.min(columns.end - column), packed);
                }
            }
        }
    }

    /// # Safety
    /// As [`Job::run`].
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, first: usize, count: usize) {
        let shape = &self.job.shape;
        for tile in 0..count {
            // SAFETY: the caller's promise; the scratch holds a unit's tiles.
            unsafe {
                let pixels = pixels(shape, &self.job.source, self.grid.place(first + tile), self.zeros);
                let to = self.inputs.add(tile * self.at.row);
                transform_inputs::<S>(&pixels, shape.inputs, to, self.at.plane);
            }
        }
    }

    /// The outputs of a unit's tiles for the columns that are packed.
    ///
    /// # Safety
    /// As [`Job::run`]; the unit has been transformed.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        first: usize,
        count: usize,
        column: usize,
        columns: usize,
        packed: *const f32,
    ) {
        let (inputs, at) = (self.job.shape.inputs, &self.at);
        let products = self.inputs.wrapping_add(POINTS * at.plane);
        for panel in panels::<S>(columns, S::VECTORS) {
            let width = panel.vectors * S::LANES;
            let packed = packed.wrapping_add(panel.column * POINTS * inputs);
            for point in 0..POINTS {
                let tile = Tile {
                    a: self.inputs.wrapping_add(point * at.plane),
                    a_row: at.row,
                    a_step: 1,
                    a_run: [0, 0],
                    b: packed.wrapping_add(point * inputs * width),
                    b_step: width,
                    b_run: [0, 0],
                    runs: [1, 1],
                    terms: inputs,
                    c: products.wrapping_add(point * at.products(width)),
                    c_row: width,
                    tail: S::LANES,
                    b_tail: S::LANES,
                    start: Start::Zero,
                };
                // SAFETY: the caller's promise; the scratch holds the products of a panel.
                unsafe { tile::run_rows::<S>(&tile, count, panel.vectors) };
            }
            for tile in 0..count {
                let place = self.grid.place(first + tile);
                // SAFETY: the caller's promise; these products have just been computed.
                unsafe {
                    self.finish::<S>(products.add(tile * width), at.products(width), place, column, &panel);
                }
            }
        }
    }

    /// Writes the outputs of a tile for a panel's columns.
    ///
    /// # Safety
    /// As [`Job::run`]; `products` hold the tile's, points `plane` apart.
    #[inline(always)]
    unsafe fn finish<S: Simd>(
        &self,
        products: *const f32,
        plane: usize,
        [sample, row, column]: [usize; 3],
        first: usize,
        panel: &Panel,
    ) {
        let Job { shape: Correlation { y, x, .. }, out_strides: to, .. } = self.job;
        let out = sample * to.sample
            + (y.first + row * y.every) * to.row
            + (x.first + column * x.every) * to.pixel
            + first
            + panel.column;
        for v in 0..panel.vectors {
            let lanes = if v + 1 == panel.vectors { panel.tail } else { S::LANES };
            let channel = first + panel.column + v * S::LANES;
            // SAFETY: the caller's promise; pixels beyond the image are left out.
            unsafe {
                let m = load::<S, IN>(products.add(v * S::LANES), plane);
                let outputs = both_sides::<S, OfProducts, IN, OUT>(m);
                let finish = self.job.finish.lanes::<S>(channel, lanes);
                for i in 0..OUT.min(y.count - row) {
                    for j in 0..OUT.min(x.count - column) {
                        let at = out + i * y.every * to.row + j * x.every * to.pixel + v * S::LANES;
                        let at = self.job.out.add(at);
                        let sum = self.started::<S>(outputs[i][j], at, channel, lanes);
                        S::store_first(at, finish.apply(sum, at), lanes);
                    }
                }
            }
        }
    }

    /// A sum with what it starts from.
    ///
    /// # Safety
    /// As [`Job::run`].
    #[inline(always)]
    unsafe fn started<S: Simd>(
        &self,
        sum: S::Vector,
        at: *const f32,
        column: usize,
        lanes: usize,
    ) -> S::Vector {
        let start = match self.job.write {
            Write::Add => at,
            Write::Set if self.job.bias.is_null() => return sum,
            Write::Set => self.job.bias.wrapping_add(column),
        };
        // SAFETY: the caller's promise.
        unsafe { S::add(S::load_first(start, lanes), sum) }
    }
}
