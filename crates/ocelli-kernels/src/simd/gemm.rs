//! The matrix product, after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008),
//! with the packing left out wherever the operands can be read as they stand.

use super::dots::{self, Dots};
use super::tile::{self, Panel, Start, Tile, panels, widest};
use super::{Products, Rows, Simd};
use crate::blocking::{DEPTH, HEIGHT, WIDTH, aligned, share};
use crate::scalar::gemm::check;
use crate::{Gemm, Write};

/// Up to so many rows of A, inner products beat transposing B.
const DOT_ROWS: usize = 12;
/// As few columns of C do not fill a vector: inner products again, where A's rows are contiguous.
const DOT_COLUMNS: usize = 3;
/// From so many rows of A on, B is worth copying into panels, if its rows are longer than a panel is wide.
const PACK_ROWS: usize = 48;
/// Terms of A further apart than this are worth copying for several panels.
const PACK_STEP: usize = 64;
/// Terms that are copied at a time.
const PACK_TERMS: usize = 16;

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
    if along_terms && gemm.k > 1 && (gemm.n <= DOT_COLUMNS || transposed && gemm.of_rows <= DOT_ROWS) {
        let added = gemm.write == Write::Add;
        let (a_row, b_column, c_row) = (gemm.a[0], gemm.b[1], gemm.c_row);
        let dots = Dots { a, a_row, b, b_column, terms: gemm.k, c, c_row, added };
        // SAFETY: the caller's promise: these are the product's own rows and columns.
        return unsafe { dots::run_all::<S>(&dots, gemm.m, gemm.n) };
    }
    // SAFETY: the caller's promise.
    unsafe { blocks::<S>(&gemm, a, b, c, scratch) }
}

/// The product block by block: sums by [`DEPTH`], columns by [`WIDTH`].
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn blocks<S: Simd>(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32) {
    let widest = widest::<S>(gemm.m);
    let pack_b = gemm.b[1] != 1 || gemm.m >= PACK_ROWS && gemm.b[0] > S::VECTORS * S::LANES;
    let mut depth_done = 0;
    loop {
        let left = gemm.k - depth_done;
        let depth = if left == 0 { 0 } else { share(left, DEPTH) };
        let start =
            if depth_done == 0 && gemm.write == Write::Set { Start::Zero } else { Start::Destination };
        let mut column = 0;
        while column < gemm.n {
            let width = (gemm.n - column).min(WIDTH);
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
        let packed_a = scratch.wrapping_add(self.depth * self.width.next_multiple_of(S::LANES));
        if self.pack_b {
            for panel in panels::<S>(self.width, self.widest) {
                let to = packed_b.wrapping_add(panel.column * self.depth);
                let from = self.b.wrapping_add(panel.column * gemm.b[1]);
                // SAFETY: the panel's columns lie in B, and in the scratch, whose width is whole vectors.
                unsafe { pack::<S>(from, gemm.b, self.depth, &panel, to) };
            }
        }
        let vectors = self.widest.min(self.width.div_ceil(S::LANES));
        let most = S::ROWS[vectors - 1];
        // Terms of A that are far apart are copied side by side if several panels will read them.
        let pack_a = gemm.a[1] > PACK_STEP && self.width > 2 * vectors * S::LANES;
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
                let mut tile = self.tile(gemm, top + row);
                if pack_a {
                    (tile.a, tile.a_row, tile.a_step) = (packed_a.wrapping_add(row * self.depth), 1, rows);
                }
                // SAFETY: the caller's promise; these are rows of the product.
                unsafe { self.run_panels::<S>(gemm, &tile, rows, packed_b) };
                row += rows;
            }
        }
    }

    /// All the block's columns of some rows; `tile` describes the first panel without packing.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(always)]
    unsafe fn run_panels<S: Simd>(&self, gemm: &Gemm, tile: &Tile, rows: usize, packed_b: *const f32) {
        for panel in panels::<S>(self.width, self.widest) {
            let (b, b_step, b_tail) = if self.pack_b {
                (packed_b.wrapping_add(panel.column * self.depth), panel.vectors * S::LANES, S::LANES)
            } else {
                (self.b.wrapping_add(panel.column), gemm.b[0], panel.tail)
            };
            let c = tile.c.wrapping_add(panel.column);
            let tile = Tile { b, b_step, c, tail: panel.tail, b_tail, ..*tile };
            // SAFETY: rows and panel lie within the product.
            unsafe { tile::run_rows::<S>(&tile, rows, panel.vectors) };
        }
    }

    /// The tile of the first panel, unpacked, from a row on.
    fn tile(&self, gemm: &Gemm, row: usize) -> Tile {
        Tile {
            a: self.a.wrapping_add(row * gemm.a[0]),
            a_row: gemm.a[0],
            a_step: gemm.a[1],
            a_run: [0, 0],
            b: self.b,
            b_step: gemm.b[0],
            b_run: [0, 0],
            runs: [1, 1],
            terms: self.depth,
            c: self.c.wrapping_add(row * gemm.c_row),
            c_row: gemm.c_row,
            tail: 0,
            b_tail: 0,
            start: self.start,
        }
    }
}

/// Copies rows of A tile by tile, side by side: for a tile of R rows from row r0 on,
/// to\[r0·depth + p·R + r\] = a\[r0 + r, p\]. Tiles have at most `most` rows.
///
/// # Safety
/// `from` is valid for `height` by `depth` elements with those strides, `to` for height·depth.
#[inline(always)]
unsafe fn pack_rows<S: Simd>(
    from: *const f32,
    strides: [usize; 2],
    height: usize,
    most: usize,
    depth: usize,
    to: *mut f32,
) {
    // Some terms of all tiles at a time: rows that follow each other in memory share cache lines.
    for first in (0..depth).step_by(PACK_TERMS) {
        let mut row = 0;
        while row < height {
            let rows = share(height - row, most);
            for p in first..depth.min(first + PACK_TERMS) {
                let from = from.wrapping_add(p * strides[1] + row * strides[0]);
                let to = to.wrapping_add(row * depth + p * rows);
                // SAFETY: the caller's promise, for the term's elements of the tile's rows.
                unsafe {
                    if strides[0] == 1 {
                        for r in (0..rows).step_by(S::LANES) {
                            let lanes = S::LANES.min(rows - r);
                            S::store_first(to.add(r), S::load_first(from.add(r), lanes), lanes);
                        }
                    } else {
                        for r in 0..rows {
                            *to.add(r) = *from.add(r * strides[0]);
                        }
                    }
                }
            }
            row += rows;
        }
    }
}

/// Copies a panel of B into whole vectors: to\[p·width + j\] = b\[p, j\], 0 beyond the panel's columns.
///
/// # Safety
/// `from` is valid for `depth` rows of the panel's columns with those strides, `to` for depth whole vectors.
#[inline(always)]
pub(crate) unsafe fn pack<S: Simd>(
    from: *const f32,
    strides: [usize; 2],
    depth: usize,
    panel: &Panel,
    to: *mut f32,
) {
    let width = panel.vectors * S::LANES;
    for v in 0..panel.vectors {
        let lanes = if v + 1 == panel.vectors { panel.tail } else { S::LANES };
        let from = from.wrapping_add(v * S::LANES * strides[1]);
        let to = to.wrapping_add(v * S::LANES);
        // SAFETY: the caller's promise, for the vector's columns.
        unsafe {
            match strides {
                [step, 1] => pack_contiguous::<S>(from, step, depth, lanes, to, width),
                [1, column] => pack_transposed::<S>(from, column, depth, lanes, to, width),
                _ => pack_strided::<S>(from, strides, depth, lanes, to, width),
            }
        }
    }
}

/// # Safety
/// As [`pack`], for one vector.
#[inline(always)]
unsafe fn pack_contiguous<S: Simd>(
    from: *const f32,
    step: usize,
    depth: usize,
    lanes: usize,
    to: *mut f32,
    width: usize,
) {
    for p in 0..depth {
        // SAFETY: the caller's promise.
        unsafe { S::store(to.add(p * width), S::load_first(from.add(p * step), lanes)) };
    }
}

/// # Safety
/// As [`pack`], for one vector.
#[inline(always)]
unsafe fn pack_transposed<S: Simd>(
    from: *const f32,
    column: usize,
    depth: usize,
    lanes: usize,
    to: *mut f32,
    width: usize,
) {
    let mut p = 0;
    while p < depth {
        let count = S::LANES.min(depth - p);
        // SAFETY: the caller's promise; no more than `count` terms of `lanes` columns are read, and `count` written.
        unsafe {
            let mut rows: Rows<S::Vector> = [S::zero(); 16];
            for (j, row) in rows.iter_mut().enumerate().take(lanes) {
                *row = S::load_first(from.add(j * column + p), count);
            }
            S::transpose(&mut rows);
            for (i, row) in rows.iter().enumerate().take(count) {
                S::store(to.add((p + i) * width), *row);
            }
        }
        p += count;
    }
}

/// # Safety
/// As [`pack`], for one vector.
#[inline(always)]
unsafe fn pack_strided<S: Simd>(
    from: *const f32,
    strides: [usize; 2],
    depth: usize,
    lanes: usize,
    to: *mut f32,
    width: usize,
) {
    for p in 0..depth {
        for j in 0..S::LANES {
            // SAFETY: the caller's promise.
            unsafe {
                let value = if j < lanes { *from.add(p * strides[0] + j * strides[1]) } else { 0.0 };
                *to.add(p * width + j) = value;
            }
        }
    }
}
