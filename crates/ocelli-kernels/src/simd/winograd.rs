//! Windows of 3, 5 or 7 taps along each axis by Winograd's minimal filtering (Winograd, "Arithmetic complexity of computations", 1980; Lavin and
//! Gray, "Fast algorithms for convolutional neural networks", 2016): four outputs of a channel take 16, 49 or 100 products
//! where the definition takes 36, 100 or 196 (3×3, 5×5, 7×7).
//!
//! Two outputs of three taps g are Aᵀ\[(G g) ⊙ (Bᵀ d)\] for their four inputs d: products at four points instead of
//! six, F(2, 3). Those of two taps take products at three of the same points, F(2, 2). Five taps are three and then two; what
//! is computed at a point is linear in its products, so both pieces' are added before Aᵀ is applied. More outputs at once, or five taps at
//! once, F(2, 5), would take fewer products yet, but of points ±2 or ±½, with errors two to three times as large.
//!
//! A tile of 2×2 outputs takes the transforms along rows and columns. The products of all channels are matrix
//! products, one for each of the 16 points, of tiles × channels and pieces. The sums run over channels and pieces, not over taps,
//! which makes up for what the transforms round (`tests/kernels/winograd.rs`).
//!
//! Tiles stand at even rows and columns of outputs: rows of an image have the same bits by themselves where they begin
//! at an even row.

use std::ops::Range;

use super::correlation::{Job, Weights};
use super::pack;
use super::tile::{self, Panel, Start, Tile, panels};
use super::winograd_transforms::{
    Grid, OUT, OfFilter, OfInputs, OfProducts, Transform, both_sides, load, pixels, store, transform_along,
    words_of,
};
use super::{Simd, words};
use crate::Write;
use crate::blocking::winograd::{NEXT, Piece, SIDE, Tiles, pieces, points};
use crate::blocking::{Correlation, LANES};

/// Copies the transformed weights of some columns, which start a block, into panels: for each panel point after point, in words of
/// neighbouring channels. With `N` for numbers and `S` for words of them, here and in [`run`].
///
/// # Safety
/// As [`Weights::pack`], with room for numbers, not words, at points instead of taps.
#[inline(always)]
pub(crate) unsafe fn pack<N: Simd, S: Simd>(
    weights: &Weights,
    shape: &Correlation,
    column: usize,
    columns: usize,
    to: *mut f32,
) {
    const { assert!(N::LANES == S::LANES && N::TERMS == 1 && S::TERMS <= 2) };
    for panel in panels::<S>(columns, S::VECTORS) {
        let plane = shape.inputs * panel.vectors * S::LANES;
        let to = to.wrapping_add(panel.column * shape.points() * shape.inputs);
        let packing = Packing { weights, depth: shape.inputs, plane, row: points(shape.x.taps) * plane };
        let column = column + panel.column;
        for y in pieces(shape.y.taps) {
            for x in pieces(shape.x.taps) {
                // SAFETY: the caller's promise, for the taps of these pieces.
                unsafe {
                    match [y.taps, x.taps] {
                        [3, 3] => packing.run::<N, S, 3, 4, 3, 4>([y, x], column, &panel, to),
                        [3, _] => packing.run::<N, S, 3, 4, 2, 3>([y, x], column, &panel, to),
                        [_, 3] => packing.run::<N, S, 2, 3, 3, 4>([y, x], column, &panel, to),
                        _ => packing.run::<N, S, 2, 3, 2, 3>([y, x], column, &panel, to),
                    }
                }
            }
        }
    }
}

/// Weights, to be transformed for a panel.
struct Packing<'a> {
    weights: &'a Weights,
    /// Input channels.
    depth: usize,
    /// Elements from one point to the next, and from one row of points to the next.
    plane: usize,
    row: usize,
}

impl Packing<'_> {
    /// A piece of the taps along each axis.
    ///
    /// # Safety
    /// As [`pack()`].
    #[inline(always)]
    unsafe fn run<N: Simd, S: Simd, const Y: usize, const Y1: usize, const X: usize, const X1: usize>(
        &self,
        [y, x]: [Piece; 2],
        column: usize,
        panel: &Panel,
        to: *mut f32,
    ) where
        OfFilter: Transform<Y, Y1> + Transform<X, X1>,
    {
        let Weights { at, run, strides, .. } = *self.weights;
        let to = to.wrapping_add(y.point * self.row + x.point * self.plane);
        // The taps as they are into the first of the piece's points: an element's taps are read before its points are written.
        for i in 0..Y {
            for j in 0..X {
                let from = at
                    .wrapping_offset((y.tap + i) as isize * run[0] + (x.tap + j) as isize * run[1])
                    .wrapping_add(column * strides[1]);
                let to = to.wrapping_add(i * self.row + j * self.plane);
                // SAFETY: the tap's terms of the panel's outputs; there is room for whole vectors.
                unsafe { pack::pack::<N>(from, strides, self.depth, panel, to) };
            }
        }
        let (width, apart) = (panel.vectors * S::LANES, [self.row, self.plane]);
        for word in 0..words::<S>(self.depth) {
            // The channels of a word stand at or behind its place, so those of later words are not overwritten.
            let channel = word * S::TERMS;
            for at in (0..width).step_by(S::LANES) {
                // SAFETY: so many vectors have just been written.
                unsafe {
                    let from = to.add(channel * width + at);
                    let mut all = both_sides::<S, OfFilter, Y, Y1, X, X1>(load::<S, Y, X>(from, apart));
                    if S::TERMS > 1 {
                        let mut taps = [[S::zero(); X]; Y];
                        if channel + 1 < self.depth {
                            taps = load::<S, Y, X>(from.add(width), apart);
                        }
                        all = words_of::<S, Y1, X1>([all, both_sides::<S, OfFilter, Y, Y1, X, X1>(taps)]);
                    }
                    store::<S, Y1, X1>(all, to.add(word * width + at), apart);
                }
            }
        }
    }
}

/// [`Job::run`] for a shape that is for Winograd.
///
/// # Safety
/// As [`Job::run`].
#[inline(always)]
pub(crate) unsafe fn run<N: Simd, S: Simd>(job: &Job, scratch: *mut f32) {
    let (shape, at) = (&job.shape, job.shape.winograd(S::TERMS));
    let block = shape.columns();
    // No closures around vectors: they would be compiled without the instruction set.
    // SAFETY: the caller's promise; the scratch holds a block of packed weights, and then what tiles take.
    unsafe {
        let zeros = scratch.add(block * shape.points() * shape.inputs);
        zeros.write_bytes(0, at.zeros());
        let pass = Pass { job, grid: Grid::of(shape), at, zeros, inputs: zeros.add(at.zeros()) };
        if !job.packed.is_null() {
            return pass.run::<S>(0..shape.outputs, job.packed);
        }
        for column in (0..shape.outputs).step_by(block) {
            let columns = column..shape.outputs.min(column + block);
            pack::<N, S>(&job.weights, shape, column, columns.len(), scratch);
            pass.run::<S>(columns, scratch);
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
        let Correlation { y, x, .. } = self.job.shape;
        for tile in 0..count {
            let place = self.grid.place(first + tile);
            let to = self.inputs.wrapping_add(tile * self.at.row);
            for y in pieces(y.taps) {
                for x in pieces(x.taps) {
                    // SAFETY: the caller's promise; the scratch holds a unit's tiles.
                    unsafe {
                        match [y.taps, x.taps] {
                            [3, 3] => self.transform_piece::<S, 4, 4>([y, x], place, to),
                            [3, _] => self.transform_piece::<S, 4, 3>([y, x], place, to),
                            [_, 3] => self.transform_piece::<S, 3, 4>([y, x], place, to),
                            _ => self.transform_piece::<S, 3, 3>([y, x], place, to),
                        }
                    }
                }
            }
        }
    }

    /// The inputs that a piece of the taps sees, in a tile.
    ///
    /// # Safety
    /// As [`Job::run`].
    #[inline(always)]
    unsafe fn transform_piece<S: Simd, const Y: usize, const X: usize>(
        &self,
        [y, x]: [Piece; 2],
        place: [usize; 3],
        to: *mut f32,
    ) where
        OfInputs: Transform<Y, Y> + Transform<X, X>,
    {
        let shape = &self.job.shape;
        let apart = [points(shape.x.taps) * self.at.plane, self.at.plane];
        let to = to.wrapping_add(y.point * apart[0] + x.point * apart[1]);
        // SAFETY: the caller's promise.
        unsafe {
            let pixels = pixels::<Y, X>(shape, &self.job.source, place, [y.tap, x.tap], self.zeros);
            transform_along::<S, OfInputs, Y, X>(&pixels, shape.inputs, to, apart);
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
        let (shape, at) = (&self.job.shape, &self.at);
        let products = self.inputs.wrapping_add(shape.points() * at.plane);
        let along = points(shape.x.taps);
        for panel in panels::<S>(columns, S::VECTORS) {
            let width = panel.vectors * S::LANES;
            let plane = shape.inputs * width;
            let packed = packed.wrapping_add(panel.column * shape.points() * shape.inputs);
            for point in 0..SIDE * SIDE {
                let [i, j] = [point / SIDE, point % SIDE];
                // All pieces have all points but the first.
                let runs = [(i, shape.y.taps), (j, shape.x.taps)];
                let runs = runs.map(|(point, taps)| if point == 0 { 1 } else { pieces(taps).count() });
                let at_point = i * along + j;
                let tile = Tile {
                    a: self.inputs.wrapping_add(at_point * at.plane),
                    a_row: at.row,
                    a_step: 1,
                    a_run: [NEXT * along * at.plane, NEXT * at.plane],
                    b: packed.wrapping_add(at_point * plane),
                    b_step: width,
                    b_run: [NEXT * along * plane, NEXT * plane],
                    runs,
                    terms: words::<S>(shape.inputs),
                    c: products.wrapping_add(point * at.products(width)),
                    c_row: width,
                    tail: S::LANES,
                    b_tail: S::LANES,
                    start: Start::Zero,
                    far: true,
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
                let m = load::<S, SIDE, SIDE>(products.add(v * S::LANES), [SIDE * plane, plane]);
                let outputs = both_sides::<S, OfProducts, SIDE, OUT, SIDE, OUT>(m);
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
