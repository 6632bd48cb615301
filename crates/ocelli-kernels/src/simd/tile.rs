//! The micro-kernel: a block of a matrix product that stays in registers.

use std::ptr;

use super::Simd;
use crate::blocking::share;

/// What one call of a micro-kernel computes. For its R rows and its columns j,
///
/// c\[r, j\] = start\[r, j\] + Σ over runs (i, i′) and terms p of
/// a\[r·a_row + i·a_run₀ + i′·a_run₁ + p·a_step\] · b\[i·b_run₀ + i′·b_run₁ + p·b_step + j\]
///
/// The columns are V vectors, of which the last has `tail` numbers in c and at least `b_tail` in b, whose others
/// count for nothing. All strides are in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) a_step: usize,
    pub(crate) a_run: [usize; 2],
    pub(crate) b: *const f32,
    pub(crate) b_step: usize,
    pub(crate) b_run: [usize; 2],
    /// Runs, outer and inner.
    pub(crate) runs: [usize; 2],
    /// Terms of a run.
    pub(crate) terms: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    pub(crate) tail: usize,
    /// `tail`, or all lanes where b is packed: reading whole vectors is faster on most CPUs.
    pub(crate) b_tail: usize,
    pub(crate) start: Start,
    /// Whether b comes from memory or a far cache, and is used too seldom to stay near: it is fetched ahead then.
    pub(crate) far: bool,
}

/// Terms between the one that is added and the one that is fetched, where it is: neither too few for what memory takes, nor
/// more than a near cache holds. CPUs fetch on their own too, but not beyond a page, which is 20 to 60 terms.
const AHEAD: usize = 48;

/// What the sums of a tile start from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// 0.
    Zero,
    /// What stands in c.
    Destination,
    /// One row of the tile's columns, the same for all rows: a bias.
    Row(*const f32),
}

/// # Safety
/// The CPU has the instruction set, and every element that [`Tile`] names is valid to read (a, b, the start) or
/// write (c).
#[inline(always)]
pub(crate) unsafe fn run<S: Simd, const R: usize, const V: usize>(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[S::zero(); V]; R];
        for outer in 0..tile.runs[0] {
            for inner in 0..tile.runs[1] {
                let a = tile.a.add(outer * tile.a_run[0] + inner * tile.a_run[1]);
                let b = tile.b.add(outer * tile.b_run[0] + inner * tile.b_run[1]);
                let whole = !S::CHEAP_MASKS && tile.b_tail == S::LANES;
                match (whole, tile.far) {
                    (false, false) => add_run::<S, R, V, false, false>(tile, a, b, &mut sums),
                    (false, true) => add_run::<S, R, V, false, true>(tile, a, b, &mut sums),
                    (true, false) => add_run::<S, R, V, true, false>(tile, a, b, &mut sums),
                    (true, true) => add_run::<S, R, V, true, true>(tile, a, b, &mut sums),
                }
            }
        }
        finish::<S, R, V>(tile, &mut sums);
    }
}

/// # Safety
/// As [`run`]; `a` and `b` are where a run starts. `WHOLE` says that b's last vector can be read whole, `FAR` is [`Tile::far`].
#[inline(always)]
unsafe fn add_run<S: Simd, const R: usize, const V: usize, const WHOLE: bool, const FAR: bool>(
    tile: &Tile,
    a: *const f32,
    mut b: *const f32,
    sums: &mut [[S::Vector; V]; R],
) {
    // SAFETY: the caller's promise. Pointers of rows that the tile lacks are computed by wrapping and never read.
    unsafe {
        // One pointer for every four rows: the others are one addressing mode away, so that all fit in registers.
        let mut quads: [*const f32; 4] = std::array::from_fn(|quad| a.wrapping_add(4 * quad * tile.a_row));
        for _ in 0..tile.terms {
            let mut columns = [S::zero(); V];
            for v in 0..V - 1 {
                columns[v] = S::load(b.add(v * S::LANES));
            }
            if FAR {
                for v in 0..V {
                    S::fetch(b.wrapping_add(AHEAD * tile.b_step + v * S::LANES));
                }
            }
            let last = b.add((V - 1) * S::LANES);
            columns[V - 1] = if WHOLE { S::load(last) } else { S::load_first(last, tile.b_tail) };
            for r in 0..R {
                let a = S::splat(quads[r / 4].add(r % 4 * tile.a_row));
                for v in 0..V {
                    sums[r][v] = S::multiply_add(a, columns[v], sums[r][v]);
                }
            }
            for quad in &mut quads {
                *quad = quad.wrapping_add(tile.a_step);
            }
            b = b.wrapping_add(tile.b_step);
        }
    }
}

/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn finish<S: Simd, const R: usize, const V: usize>(tile: &Tile, sums: &mut [[S::Vector; V]; R]) {
    let (start, start_row) = match tile.start {
        Start::Zero => (ptr::null(), 0),
        Start::Destination => (tile.c.cast_const(), tile.c_row),
        Start::Row(row) => (row, 0),
    };
    // SAFETY: the caller's promise.
    unsafe {
        for r in 0..R {
            let c = tile.c.add(r * tile.c_row);
            for v in 0..V {
                let lanes = if v == V - 1 { tile.tail } else { S::LANES };
                let whole = !S::CHEAP_MASKS && lanes == S::LANES;
                if !start.is_null() {
                    let from = start.add(r * start_row + v * S::LANES);
                    let before = if whole { S::load(from) } else { S::load_first(from, lanes) };
                    sums[r][v] = S::add(before, sums[r][v]);
                }
                if v < V - 1 || whole {
                    S::store(c.add(v * S::LANES), sums[r][v]);
                } else {
                    S::store_first(c.add(v * S::LANES), sums[r][v], lanes);
                }
            }
        }
    }
}

/// Computes `rows` rows by `columns` columns of any number, tile by tile; `tile` describes the first.
///
/// # Safety
/// As [`run`], for all the rows and columns.
#[inline(always)]
pub(crate) unsafe fn run_rows<S: Simd>(tile: &Tile, rows: usize, vectors: usize) {
    let kernels = S::TILES[vectors - 1];
    let mut tile = *tile;
    let mut left = rows;
    while left > 0 {
        let height = share(left, S::ROWS[vectors - 1]);
        // SAFETY: the caller's promise; the pointers move on by the rows that are done.
        unsafe { kernels[height - 1](&tile) };
        left -= height;
        tile.a = tile.a.wrapping_add(height * tile.a_row);
        tile.c = tile.c.wrapping_add(height * tile.c_row);
    }
}

/// Vectors of the widest tile for a number of rows: few rows leave registers for more.
#[inline(always)]
pub(crate) fn widest<S: Simd>(rows: usize) -> usize {
    let fitting = S::ROWS.iter().rposition(|&most| most >= rows);
    fitting.map_or(S::VECTORS, |at| S::VECTORS.max(at + 1))
}

/// A panel: columns that one tile takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    /// The first column.
    pub(crate) column: usize,
    pub(crate) vectors: usize,
    /// Columns in the last vector.
    pub(crate) tail: usize,
}

/// Splits `columns` into panels of at most `widest` vectors.
#[inline(always)]
pub(crate) fn panels<S: Simd>(columns: usize, widest: usize) -> impl Iterator<Item = Panel> {
    let mut column = 0;
    std::iter::from_fn(move || {
        let left = columns - column;
        if left == 0 {
            return None;
        }
        let vectors = share(left.div_ceil(S::LANES), widest);
        let width = left.min(vectors * S::LANES);
        let panel = Panel { column, vectors, tail: width - (vectors - 1) * S::LANES };
        column += width;
        Some(panel)
    })
}

/// The micro-kernels `run::<R, V>` for a number of vectors and a list of rows.
macro_rules! rows {
    ($vectors:literal: $($rows:literal)*) => { &[$(run::<$rows, $vectors>),*] };
}
pub(crate) use rows;
