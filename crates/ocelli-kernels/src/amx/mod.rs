//! Matrix products and convolutions in matrix units: Intel's AMX with bf16 tiles.
//!
//! A tile instruction multiplies 16 × 32 by 32 × 16 numbers of bf16 and adds the products to 16 × 16 numbers of `f32`:
//! sixteen times what fused multiply-adds do in that time. bf16 has 8 significant bits and `f32` has 24, so every
//! `f32` is the sum of three bf16 ([`split`]), and its product with another the sum of nine products, of which the six
//! largest are added: what is left out is below 2⁻²⁴ of the product, the error of one rounding. Six products still take
//! little more than a third of the time that the vector units need (Henry, Tang, Heinecke, "Leveraging the bfloat16
//! artificial intelligence datatype for higher-precision computations", 2019).
//!
//! The number of parts is the const parameter `P` everywhere: 3 for `f32` as such, 1 for products of numbers rounded to
//! bf16: the two tables of kernels that [`Isa::Amx`](crate::Isa::Amx) has, one for each [`Precision`](crate::Precision).
//!
//! Numbers of `f32` that round to infinity as bf16 (above 3.39·10³⁸) and infinities give NaN, and not infinity, where
//! they are split; denormals count as 0.
//!
//! Whether a product is worth it follows from its sizes alone (`blocking/matrix.rs`); all others are left to the vector units.

#![allow(unsafe_code)]

use std::ops::Range;

use crate::blocking::Correlation;
use crate::blocking::matrix::{self, Terms};
use crate::simd::correlation::{Job, Weights};
use crate::simd::{Avx512, Products};
use crate::{Conv2d, Direction, Gemm, Write};

mod correlation;
mod gather;
mod gemm;
mod grid;
mod shifts;
mod split;
mod tile;
mod unit;
mod weights;

pub(crate) use tile::multiply_adds;
pub(crate) use unit::available;

/// Rows of a tile of A and C, columns of one of B and C.
const SIDE: usize = 16;
/// Terms of the sums that a tile of A and one of B hold.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a tile.
const TILE: usize = 1024;

/// The matrix unit, of numbers split into P parts.
pub(crate) struct Matrix<const P: usize>;

// SAFETY (all of them): the caller's promise.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<const P: usize> Products for Matrix<P> {
    type Vectors = Avx512;

    #[inline(always)]
    unsafe fn gemm(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32) {
        unsafe {
            if matrix::is_worth_it(gemm, P) {
                gemm::run::<P>(gemm, a, b, c, scratch);
            } else {
                <Avx512 as Products>::gemm(gemm, a, b, c, scratch);
            }
        }
    }

    #[inline(always)]
    unsafe fn pack(
        conv: &Conv2d,
        direction: Direction,
        weights: &Weights,
        shape: &Correlation,
        column: usize,
        columns: usize,
        to: *mut f32,
    ) {
        unsafe {
            if conv.is_for_matrix(direction, P) {
                let column_bytes = conv.methods(direction).packed_column(shape) * 4;
                correlation::pack::<P>(weights, &Terms::of(shape), column, columns, to.cast(), column_bytes);
            } else {
                Avx512::pack(conv, direction, weights, shape, column, columns, to);
            }
        }
    }

    #[inline(always)]
    unsafe fn correlate(conv: &Conv2d, direction: Direction, job: &Job, scratch: *mut f32) {
        unsafe {
            if conv.is_for_matrix(direction, P) {
                correlation::run::<P>(job, scratch);
            } else {
                Avx512::correlate(conv, direction, job, scratch);
            }
        }
    }

    #[inline(always)]
    unsafe fn weights(
        conv: &Conv2d,
        samples: usize,
        x: *const f32,
        dy: *const f32,
        dw: *mut f32,
        outputs: Range<usize>,
        write: Write,
        scratch: *mut f32,
    ) {
        unsafe {
            if conv.is_for_matrix_weights(P) {
                weights::run::<P>(conv, samples, x, dy, dw, outputs, write, scratch);
            } else {
                <Avx512 as Products>::weights(conv, samples, x, dy, dw, outputs, write, scratch);
            }
        }
    }
}
