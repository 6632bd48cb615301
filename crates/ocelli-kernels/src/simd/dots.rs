//! Inner products: rows of A with columns of B that both run contiguously along the sum.
//!
//! Where A has few rows, this beats the tile, which would have to transpose all of B first.

use super::Simd;

/// c\[r, j\] = (added ? c\[r, j\] : 0) + Σ over p < terms of a\[r·a_row + p\] · b\[j·b_column + p\] for R rows r and N columns j.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dots {
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) b: *const f32,
    pub(crate) b_column: usize,
    pub(crate) terms: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    pub(crate) added: bool,
}

/// The most rows at a time.
const ROWS: usize = 3;

/// Columns at a time for a number of rows, as the table [`Simd::DOTS`] has them.
fn columns(rows: usize) -> usize {
    if rows == 1 { 8 } else { 4 }
}

/// # Safety
/// The CPU has the instruction set, and every element that [`Dots`] names is valid.
#[inline(always)]
pub(crate) unsafe fn run<S: Simd, const R: usize, const N: usize>(dots: &Dots) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[S::zero(); N]; R];
        let mut at = 0;
        while at < dots.terms {
            let lanes = S::LANES.min(dots.terms - at);
            let load = |from: *const f32| {
                if lanes == S::LANES { S::load(from) } else { S::load_first(from, lanes) }
            };
            let mut a = [S::zero(); R];
            for r in 0..R {
                a[r] = load(dots.a.add(r * dots.a_row + at));
            }
            for j in 0..N {
                let b = load(dots.b.add(j * dots.b_column + at));
                for r in 0..R {
                    sums[r][j] = S::multiply_add(a[r], b, sums[r][j]);
                }
            }
            at += lanes;
        }
        for r in 0..R {
            for j in 0..N {
                let c = dots.c.add(r * dots.c_row + j);
                let sum = S::sum(sums[r][j]);
                *c = if dots.added { *c + sum } else { sum };
            }
        }
    }
}

/// All `m` rows by `n` columns; `dots` describes the first.
///
/// # Safety
/// As [`run`], for all of them.
#[inline(always)]
pub(crate) unsafe fn run_all<S: Simd>(dots: &Dots, m: usize, n: usize) {
    let mut i = 0;
    while i < m {
        let rows = crate::blocking::share(m - i, ROWS);
        let [one, many] = S::DOTS[rows - 1];
        let mut j = 0;
        while j < n {
            let whole = n - j >= columns(rows);
            let part = Dots {
                a: dots.a.wrapping_add(i * dots.a_row),
                b: dots.b.wrapping_add(j * dots.b_column),
                c: dots.c.wrapping_add(i * dots.c_row + j),
                ..*dots
            };
            // SAFETY: the caller's promise; the part lies within.
            unsafe { if whole { many(&part) } else { one(&part) } };
            j += if whole { columns(rows) } else { 1 };
        }
        i += rows;
    }
}
