//! Products with few rows whose B stands transposed, like the weights of a linear layer: Cᵀ = Bᵀ·Aᵀ.
//!
//! A, which is small, is turned instead of B, which is then read as it stands. The terms of each sum are the same in the
//! same order, so that the bits are those of the plain product.

use super::{Rows, Simd};
use crate::Gemm;
use crate::blocking::{LANES, TURNED, TURNED_ROWS};

/// Whether a product is better computed so. Both operands run along the terms.
#[inline(always)]
pub(crate) fn suits(gemm: &Gemm) -> bool {
    gemm.m > 0 && gemm.m <= TURNED_ROWS && gemm.n > gemm.m
}

/// Columns of C that are computed at a time, of a product that [`suits`].
#[inline(always)]
pub(crate) fn columns(gemm: &Gemm) -> usize {
    TURNED / gemm.m.next_multiple_of(LANES)
}

/// Elements of C, turned.
#[inline(always)]
pub(crate) fn len(gemm: &Gemm) -> usize {
    gemm.n * gemm.m.next_multiple_of(LANES)
}

/// The product that gives C turned, of B and A.
#[inline(always)]
pub(crate) fn product(gemm: &Gemm) -> Gemm {
    Gemm {
        m: gemm.n,
        n: gemm.m,
        a: [gemm.b[1], gemm.b[0]],
        b: [gemm.a[1], gemm.a[0]],
        c_row: gemm.m.next_multiple_of(LANES),
        ..*gemm
    }
}

/// to\[j, i\] = from\[i, j\] for a matrix of `rows` by `columns`, whose rows and whose columns are so far apart.
///
/// # Safety
/// The CPU has the instruction set; both are valid for the matrix, and lie apart.
#[inline(always)]
pub(crate) unsafe fn transpose<S: Simd>(
    from: *const f32,
    from_row: usize,
    [rows, columns]: [usize; 2],
    to: *mut f32,
    to_row: usize,
) {
    for row in (0..rows).step_by(S::LANES) {
        for column in (0..columns).step_by(S::LANES) {
            let (height, width) = (S::LANES.min(rows - row), S::LANES.min(columns - column));
            // SAFETY: the caller's promise: only these rows and columns are read and written.
            unsafe {
                let mut block: Rows<S::Vector> = [S::zero(); 16];
                for (i, line) in block.iter_mut().enumerate().take(height) {
                    *line = S::load_first(from.add((row + i) * from_row + column), width);
                }
                S::transpose(&mut block);
                for (j, line) in block.iter().enumerate().take(width) {
                    S::store_first(to.add((column + j) * to_row + row), *line, height);
                }
            }
        }
    }
}
