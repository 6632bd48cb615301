//! The matrix product, after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008),
//! with the packing left out wherever the operands can be read as they stand.

use std::ops::Range;

use super::dots::{self, Dots};
use super::pack::{copy_rows, pack_panels, pack_rows};
use super::tile::{self, Start, Tile, panels, widest};
use super::{Products, Simd, turned, words};
use crate::blocking::{DEPTH, HEIGHT, LANES, WIDTH, aligned, row_step, share};
use crate::scalar::gemm::check;
use crate::{Gemm, Write};

/// Up to so many rows of A, inner products beat transposing A or B.
const DOT_ROWS: usize = 12;
/// Sums of more terms, whose B lies in memory, only if there are so few rows that it is read but once.
const DOT_TERMS: usize = 2048;
const DOT_ROWS_OF_MANY: usize = 3;
/// As few columns of C do not fill a vector: inner products again, where A's rows are contiguous.
const DOT_COLUMNS: usize = 3;
/// From so many rows of A on, B is worth copying into panels, if its rows are longer than a panel is wide.
const PACK_ROWS: usize = 48;
/// The same for rows of B that are so far apart that each lies on a page of its own.
const PACK_FAR_ROWS: usize = 4;
const PACK_FAR: usize = 1024;
/// Terms of A further apart than this are worth copying for several panels.
const PACK_STEP: usize = 64;
/// Rows of A further apart than this lie on pages of their own, so that they are worth fetching ahead.
const FAR_ROW: usize = 512;
/// So many of them, often in one place of the level-1 cache, stay there; of more each is copied first.
const WAYS: usize = 8;

/// See [`Gemm`].
#[inline(always)]
pub(crate) fn gemm<U: Products>(gemm: &Gemm, a: &[f32], b: &[f32], c: &mut [f32], scratch: &mut [f32]) {
    check(gemm, a, b, c);
    assert!(
        scratch.len() >= gemm.scratch::<f32>(),
        "gemm: scratch of {} elements is too short for {gemm:?}",
        scratch.len()
    );
    if gemm.m == 0 || gemm.n == 0 {
        return;
    }
    // SAFETY: the check above found every element that the geometry reaches inside the slices, and the scratch
    // long enough; `U` is available because its table was handed out.
    unsafe { U::gemm(gemm, a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), aligned(scratch).as_mut_ptr()) }
}

/// The product on pointers, for kernels that are made of products.
///
/// # Safety
/// The CPU has the instruction set; a, b and c are valid for what [`Gemm`] reaches, and scratch for
/// [`Gemm::scratch`] less the alignment.
#[inline(always)]
pub(crate) unsafe fn run<S: Simd>(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32) {
    let mut gemm = *gemm;
    // Strides along an axis of one element do not matter: take those that allow most.
    if gemm.n == 1 && gemm.b[0] != 1 {
        gemm.b[1] = 1;
    }
    if gemm.k == 1 {
        (gemm.a[1], gemm.b[0]) = (1, if gemm.b[1] == 1 { gemm.n } else { 1 });
    }
    let along_terms = gemm.a[1] == 1 && gemm.b[0] == 1;
    let transposed = gemm.b[1] != 1;
    let dot_rows = if gemm.k > DOT_TERMS { DOT_ROWS_OF_MANY } else { DOT_ROWS };
    let [rows, columns] = gemm.of;
    let dots = S::TERMS == 1 && (columns <= DOT_COLUMNS || transposed && 2 * rows <= dot_rows);
    if along_terms && gemm.k > 1 && dots {
        let added = gemm.write == Write::Add;
        let (a_row, b_column, c_row) = (gemm.a[0], gemm.b[1], gemm.c_row);
        let dots = Dots { a, a_row, b, b_column, terms: gemm.k, c, c_row, added };
        // SAFETY: the caller's promise: these are the product's own rows and columns.
        return unsafe { dots::run_all::<S>(&dots, gemm.m, gemm.n) };
    }
    let turned = along_terms && transposed && turned::suits(&gemm);
    let at_a_time = if turned { turned::columns(&gemm) } else { gemm.n };
    for column in (0..gemm.n).step_by(at_a_time.max(1)) {
        let part = Gemm { n: at_a_time.min(gemm.n - column), ..gemm };
        let (b, c) = (b.wrapping_add(column * gemm.b[1]), c.wrapping_add(column));
        let (product, operands, to, rest) = match turned {
            true => (turned::product(&part), [b, a], scratch, scratch.wrapping_add(turned::len(&part))),
            false => (part, [a, b], c, scratch),
        };
        // SAFETY: the caller's promise, for some columns of C; the scratch holds them turned, and then the blocks.
        unsafe {
            if turned && gemm.write == Write::Add {
                turned::transpose::<S>(c, gemm.c_row, [part.m, part.n], to, product.c_row);
            }
            blocks::<S>(&product, operands[0], operands[1], to, rest);
            if turned {
                turned::transpose::<S>(to, product.c_row, [part.n, part.m], c, gemm.c_row);
            }
        }
    }
}

/// The product block by block: sums by [`DEPTH`], columns by [`WIDTH`].
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn blocks<S: Simd>(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32) {
    let widest = widest::<S>(gemm.m);
    let pack_b = S::TERMS > 1
        || gemm.b[1] != 1
        || gemm.m >= PACK_ROWS && gemm.b[0] > S::VECTORS * S::LANES
        || gemm.m >= PACK_FAR_ROWS && gemm.b[0] >= PACK_FAR && gemm.n > widest * S::LANES;
    let mut depth_done = 0;
    loop {
        let left = gemm.k - depth_done;
        let depth = if left == 0 { 0 } else { share(left, DEPTH * S::TERMS) };
        let start =
            if depth_done == 0 && gemm.write == Write::Set { Start::Zero } else { Start::Destination };
        let mut column = 0;
        while column < gemm.n {
            let left = gemm.n - column;
            let width = share(left, WIDTH).next_multiple_of(widest * S::LANES).min(WIDTH).min(left);
            let block = Block {
                a: a.wrapping_add(depth_done * gemm.a[1]),
                b: b.wrapping_add(depth_done * gemm.b[0] + column * gemm.b[1]),
                c: c.wrapping_add(column),
                depth,
                width,
                widest,
                pack_b,
                start,
            };
            // SAFETY: the caller's promise; the block lies within the product, and its sizes within the scratch.
            unsafe { block.run::<S>(gemm, scratch) };
            column += width;
        }
        depth_done += depth;
        if depth_done == gemm.k {
            return;
        }
    }
}

/// All rows of C by some columns and some terms of the sums.
struct Block {
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    depth: usize,
    width: usize,
    widest: usize,
    pack_b: bool,
    start: Start,
}

impl Block {
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, gemm: &Gemm, scratch: *mut f32) {
        // B's panels first: whole vectors that stay aligned.
        let packed_b = scratch;
        let depth = words::<S>(self.depth);
        let packed_a = scratch.wrapping_add(depth * self.width.next_multiple_of(S::LANES));
        if self.pack_b {
            // SAFETY: the columns lie in B, and in the scratch, whose width is whole vectors.
            unsafe {
                pack_panels::<S>(self.b, gemm.b, self.depth, self.width, self.widest, packed_b);
            }
        }
        let vectors = self.widest.min(self.width.div_ceil(S::LANES));
        // Terms of A that are far apart are copied side by side if several panels will read them.
        let panels = self.width.div_ceil(vectors * S::LANES);
        let rounds = S::TERMS > 1;
        let pack_a = gemm.a[1] != 1 && (rounds || gemm.a[1] > PACK_STEP && panels > 2);
        let far = gemm.a[1] == 1 && gemm.a[0] > FAR_ROW;
        // Of a single panel each row is read but once, as it stands.
        let most = S::ROWS[vectors - 1].min(if far && panels == 1 { WAYS } else { usize::MAX });
        let copy_a = gemm.a[1] == 1 && rounds || far && most > WAYS;
        for top in (0..gemm.m).step_by(HEIGHT) {
            let height = HEIGHT.min(gemm.m - top);
            if pack_a {
                let from = self.a.wrapping_add(top * gemm.a[0]);
                // SAFETY: the rows lie in A, and the scratch ends with room for them.
                unsafe { pack_rows::<S>(from, gemm.a, height, most, self.depth, packed_a) };
            }
            let mut row = 0;
            while row < height {
                let rows = share(height - row, most);
                let mut tile = self.tile::<S>(gemm, top + row);
                let next = top + row + rows;
                let ahead = if far { rows.min(gemm.m - next) } else { 0 };
                let ahead = Ahead { at: tile.a.wrapping_add(rows * gemm.a[0]), row: gemm.a[0], rows: ahead };
                if pack_a {
                    (tile.a, tile.a_row, tile.a_step) = (packed_a.wrapping_add(row * depth), 1, rows);
                } else if copy_a {
                    let step = row_step(depth);
                    // SAFETY: the rows lie in A, and the scratch ends with room for a tile's.
                    unsafe { copy_rows::<S>(tile.a, gemm.a[0], rows, self.depth, packed_a, step) };
                    (tile.a, tile.a_row) = (packed_a, step);
                }
                // SAFETY: the caller's promise; these are rows of the product.
                unsafe { self.run_panels::<S>(gemm, &tile, rows, &ahead, packed_b) };
                row += rows;
            }
        }
    }

    /// All the block's columns of some rows; `tile` describes the first panel without packing.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn run_panels<S: Simd>(
        &self,
        gemm: &Gemm,
        tile: &Tile,
        rows: usize,
        ahead: &Ahead,
        packed_b: *const f32,
    ) {
        for panel in panels::<S>(self.width, self.widest) {
            let (b, b_step, b_tail) = if self.pack_b {
                (
                    packed_b.wrapping_add(panel.column * words::<S>(self.depth)),
                    panel.vectors * S::LANES,
                    S::LANES,
                )
            } else {
                (self.b.wrapping_add(panel.column), gemm.b[0], panel.tail)
            };
            let c = tile.c.wrapping_add(panel.column);
            let tile = Tile { b, b_step, c, tail: panel.tail, b_tail, ..*tile };
            ahead.fetch::<S>(self.share(panel.column)..self.share(panel.column + panel.vectors * S::LANES));
            // SAFETY: rows and panel lie within the product.
            unsafe { tile::run_rows::<S>(&tile, rows, panel.vectors) };
        }
    }

    /// The share of the terms that the columns up to one are of all.
    fn share(&self, column: usize) -> usize {
        self.depth * column.min(self.width) / self.width / LANES * LANES
    }

    /// The tile of the first panel, unpacked, from a row on.
    fn tile<S: Simd>(&self, gemm: &Gemm, row: usize) -> Tile {
        Tile {
            a: self.a.wrapping_add(row * gemm.a[0]),
            a_row: gemm.a[0],
            a_step: gemm.a[1],
            a_run: [0, 0],
            b: self.b,
            b_step: gemm.b[0],
            b_run: [0, 0],
            runs: [1, 1],
            terms: words::<S>(self.depth),
            c: self.c.wrapping_add(row * gemm.c_row),
            c_row: gemm.c_row,
            tail: 0,
            b_tail: 0,
            start: self.start,
            far: !self.pack_b,
        }
    }
}

/// Rows of A that the next tile takes.
struct Ahead {
    at: *const f32,
    row: usize,
    rows: usize,
}

impl Ahead {
    /// Has some of their terms fetched while a panel is computed.
    #[inline(always)]
    fn fetch<S: Simd>(&self, terms: Range<usize>) {
        for row in 0..self.rows {
            for term in terms.clone().step_by(LANES) {
                S::fetch(self.at.wrapping_add(row * self.row + term));
            }
        }
    }
}
