//! Copies of a product's operands, laid out as tiles read them: in words of [`Simd::TERMS`] terms.

use super::tile::{Panel, panels};
use super::{Rows, Simd, words};
use crate::blocking::{LANES, share};

/// Words of A that are put side by side at a time.
const TERMS: usize = 16;
/// Rows of B that are copied at a time: each is read in one go, as memory likes it.
const ROWS: usize = 4;

/// Copies rows of A tile by tile, side by side: for a tile of R rows from row r0 on,
/// to\[r0·words + p·R + r\] = word p of row r0 + r. Tiles have at most `most` rows.
///
/// # Safety
/// `from` is valid for `height` by `depth` elements with those strides, `to` for height rows of words.
#[inline(always)]
pub(crate) unsafe fn pack_rows<S: Simd>(
    from: *const f32,
    strides: [usize; 2],
    height: usize,
    most: usize,
    depth: usize,
    to: *mut f32,
) {
    let all = words::<S>(depth);
    // Some words of all tiles at a time: rows that follow each other in memory share cache lines.
    for first in (0..all).step_by(TERMS) {
        let mut row = 0;
        while row < height {
            let rows = share(height - row, most);
            for p in first..all.min(first + TERMS) {
                let terms = S::TERMS.min(depth - p * S::TERMS);
                let from = from.wrapping_add(p * S::TERMS * strides[1] + row * strides[0]);
                let to = to.wrapping_add(row * all + p * rows);
                // SAFETY: the caller's promise, for the word's elements of the tile's rows.
                unsafe {
                    for r in (0..rows).step_by(S::LANES) {
                        let (from, lanes) = (from.wrapping_add(r * strides[0]), S::LANES.min(rows - r));
                        let word = across::<S>(from, [strides[1], strides[0]], terms, lanes);
                        S::store_first(to.add(r), word, lanes);
                    }
                }
            }
            row += rows;
        }
    }
}

/// [`Simd::across`] of numbers that need not follow each other: `strides` are from one term and one number to the next.
///
/// # Safety
/// As [`Simd::across`].
#[inline(always)]
unsafe fn across<S: Simd>(from: *const f32, strides: [usize; 2], terms: usize, lanes: usize) -> S::Vector {
    let [step, apart] = strides;
    // SAFETY: the caller's promise.
    unsafe {
        if apart == 1 {
            return S::across(from, step, terms, lanes);
        }
        let mut gathered = [0.0; 2 * LANES];
        for term in 0..terms {
            for lane in 0..lanes {
                gathered[term * LANES + lane] = *from.add(term * step + lane * apart);
            }
        }
        S::across(gathered.as_ptr(), LANES, terms, lanes)
    }
}

/// Copies terms that follow each other, as words.
///
/// # Safety
/// `from` is valid for the terms, `to` for their words.
#[inline(always)]
pub(crate) unsafe fn copy<S: Simd>(from: *const f32, terms: usize, to: *mut f32) {
    let at_a_time = S::LANES * S::TERMS;
    let whole = terms / at_a_time * at_a_time;
    // SAFETY: the caller's promise.
    unsafe {
        for p in (0..whole).step_by(at_a_time) {
            S::store(to.add(p / S::TERMS), S::along(from.add(p), at_a_time));
        }
        if whole < terms {
            let left = terms - whole;
            let rest = S::along(from.add(whole), left);
            S::store_first(to.add(whole / S::TERMS), rest, words::<S>(left));
        }
    }
}

/// Copies rows of A, `step` words apart.
///
/// # Safety
/// `from` is valid for `rows` rows of `depth` elements that are `row` apart, `to` for their words.
#[inline(always)]
pub(crate) unsafe fn copy_rows<S: Simd>(
    from: *const f32,
    row: usize,
    rows: usize,
    depth: usize,
    to: *mut f32,
    step: usize,
) {
    for r in 0..rows {
        // SAFETY: the caller's promise.
        unsafe { copy::<S>(from.wrapping_add(r * row), depth, to.wrapping_add(r * step)) };
    }
}

/// Copies all panels of some columns of B: that of column c from to\[c·words\] on, as [`pack`] does.
///
/// # Safety
/// `from` is valid for `depth` rows of the columns with those strides, `to` for whole vectors of their words.
#[inline(always)]
pub(crate) unsafe fn pack_panels<S: Simd>(
    from: *const f32,
    strides: [usize; 2],
    depth: usize,
    columns: usize,
    widest: usize,
    to: *mut f32,
) {
    // Rows that run along the columns are taken a few at a time; where columns run along the terms, each is read in one go.
    let rows = if strides[1] == 1 { ROWS } else { depth.max(1) };
    for first in (0..depth).step_by(rows) {
        let rows = rows.min(depth - first);
        for panel in panels::<S>(columns, widest) {
            let from = from.wrapping_add(first * strides[0] + panel.column * strides[1]);
            let done = words::<S>(first) * panel.vectors * S::LANES;
            let to = to.wrapping_add(panel.column * words::<S>(depth) + done);
            // SAFETY: the caller's promise, for some rows of the panel's columns.
            unsafe { pack::<S>(from, strides, rows, &panel, to) };
        }
    }
}

/// Copies a panel of B into whole vectors: to\[p·width + j\] = word p of column j, 0 beyond the panel's columns.
///
/// # Safety
/// `from` is valid for `depth` rows of the panel's columns with those strides, `to` for whole vectors of their words.
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
                [1, column] if column != 1 => pack_transposed::<S>(from, column, depth, lanes, to, width),
                _ => pack_across::<S>(from, strides, depth, lanes, to, width),
            }
        }
    }
}

/// # Safety
/// As [`pack`], for one vector.
#[inline(always)]
unsafe fn pack_across<S: Simd>(
    from: *const f32,
    strides: [usize; 2],
    depth: usize,
    lanes: usize,
    to: *mut f32,
    width: usize,
) {
    for p in (0..depth).step_by(S::TERMS) {
        let terms = S::TERMS.min(depth - p);
        // SAFETY: the caller's promise.
        unsafe {
            let word = across::<S>(from.wrapping_add(p * strides[0]), strides, terms, lanes);
            S::store(to.add(p / S::TERMS * width), word);
        }
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
    let at_a_time = S::LANES * S::TERMS;
    for p in (0..depth).step_by(at_a_time) {
        let terms = at_a_time.min(depth - p);
        // SAFETY: the caller's promise; no more than these terms of `lanes` columns are read, and their words written.
        unsafe {
            let mut rows: Rows<S::Vector> = [S::zero(); 16];
            for (j, row) in rows.iter_mut().enumerate().take(lanes) {
                *row = S::along(from.add(j * column + p), terms);
            }
            S::transpose(&mut rows);
            for (i, row) in rows.iter().enumerate().take(words::<S>(terms)) {
                S::store(to.add((p / S::TERMS + i) * width), *row);
            }
        }
    }
}
