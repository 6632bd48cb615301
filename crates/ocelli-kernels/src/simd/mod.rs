//! Matrix products and convolutions in vector registers.
//!
//! All work ends in one micro-kernel, the [`Tile`]: a few rows by a few vectors of the result stay in registers
//! while it sums over *runs* of terms, read where they stand. A matrix product is one run. A convolution is one run
//! per kernel row: in N·H·W·C the patch of a pixel is kh contiguous pieces, so no patch matrix is ever built.
//!
//! Everything here is generic over [`Simd`], an instruction set's few vector operations, and is compiled inside
//! functions that enable its features.

#![allow(unsafe_code)]

use std::ops::Range;

use crate::blocking::Correlation;
use crate::{Conv2d, Direction, Gemm, Write};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
mod channels;
pub(crate) mod convolution;
pub(crate) mod correlation;
mod depthwise;
mod depthwise3;
mod depthwise_sums;
mod dots;
pub(crate) mod finish;
pub(crate) mod gemm;
mod narrow;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
pub(crate) mod pool;
mod tile;
mod turned;
mod unpool;
pub(crate) mod weights;
mod widen;
pub(crate) mod window;
mod winograd;
mod winograd_transforms;
mod winograd_weights;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512_bf16::{Bf16, Pairs, available as bf16_available};
use correlation::{Job, Weights};
use dots::Dots;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
use tile::Tile;

/// The vector operations of an instruction set, on `f32`.
///
/// # Safety
/// Each operation needs a CPU with the instruction set; those that take pointers also need them to be valid for
/// the elements that they name. `lanes` is at most [`Simd::LANES`].
pub(crate) trait Simd: Copy + 'static {
    /// A register of [`Simd::LANES`] numbers.
    type Vector: Copy;
    /// One truth value for each lane.
    type Mask: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Neighbouring terms of a sum that a lane of an operand holds, a *word*: 1, or 2 that are rounded to bf16. Products
    /// add those of all of them.
    const TERMS: usize;
    /// Whether reading or writing some lanes of a vector costs no more than all.
    const CHEAP_MASKS: bool;
    /// Vectors of the widest tile for many rows.
    const VECTORS: usize;
    /// The most rows of a tile of 1, 2, … vectors that the registers hold.
    const ROWS: &'static [usize];
    /// The micro-kernels, by vectors − 1 and rows − 1.
    const TILES: &'static [&'static [unsafe fn(&Tile)]];
    /// Inner products, by rows − 1: one column at a time, and several columns at a time.
    const DOTS: &'static [[unsafe fn(&Dots); 2]];

    /// [`gemm::run`]. Like the other large functions it is compiled but once.
    const PRODUCT: Product;
    /// Convolutions by their definition.
    const DIRECT: Convolving;
    /// Those by Winograd's filtering, where it is worth it.
    const FILTERED: Convolving;

    unsafe fn zero() -> Self::Vector;
    /// One number in all lanes, read where products take it from.
    unsafe fn splat(from: *const f32) -> Self::Vector;
    /// One number in all lanes.
    unsafe fn fill(number: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// The first `lanes` numbers, the others 0; reads no further.
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self::Vector;
    unsafe fn store(to: *mut f32, v: Self::Vector);
    /// Writes the first `lanes` numbers and nothing else.
    unsafe fn store_first(to: *mut f32, v: Self::Vector, lanes: usize);
    /// Words of terms that follow each other: of the first `terms`, at most those of a vector, and 0 for the rest.
    unsafe fn along(from: *const f32, terms: usize) -> Self::Vector;
    /// Words of terms that are `step` apart, of which there are `terms`, for the first `lanes` of numbers that follow each
    /// other; 0 for the rest.
    unsafe fn across(from: *const f32, step: usize, terms: usize, lanes: usize) -> Self::Vector;
    /// Words of two vectors of numbers: of those of both, in this order, or of the first alone where a word holds one term.
    #[inline(always)]
    unsafe fn words_of(rows: [Self::Vector; 2]) -> Self::Vector {
        rows[0]
    }
    /// Writes the words of a vector of terms that follow each other.
    #[inline(always)]
    unsafe fn store_along(to: *mut f32, terms: Self::Vector) {
        // SAFETY: the caller's promise.
        unsafe { Self::store(to, terms) }
    }
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn subtract(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn multiply(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b + c: products of words, where they hold several terms.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// a·b + c of numbers.
    unsafe fn fused(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Where a ≤ b; not where one is NaN.
    unsafe fn at_most(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// Where a > b; not where one is NaN.
    unsafe fn greater(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// Where a = b; not where one is NaN.
    unsafe fn equal(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// a where the mask holds, b elsewhere.
    unsafe fn select(mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Whether a lane is NaN.
    unsafe fn any_nan(v: Self::Vector) -> bool;
    /// Has a cache line fetched to the level-2 cache while other work goes on. Any address may be given.
    fn fetch(line: *const f32);
    /// The sum of all lanes.
    unsafe fn sum(v: Self::Vector) -> f32;
    /// Turns rows into columns: out\[i\] lane j = rows\[j\] lane i.
    unsafe fn transpose(rows: &mut Rows<Self::Vector>);
}

/// [`gemm::run`].
pub(crate) type Product = unsafe fn(&Gemm, *const f32, *const f32, *mut f32, *mut f32);
/// The functions of one way to compute convolutions: [`Weights::pack`], [`Job::run`] and [`weights::run`], or
/// [`winograd::pack`], [`winograd::run`] and [`winograd_weights::run`].
pub(crate) struct Convolving {
    pub(crate) pack: unsafe fn(&Weights, &Correlation, usize, usize, *mut f32),
    pub(crate) correlate: unsafe fn(&Job, *mut f32),
    pub(crate) weights:
        unsafe fn(&Conv2d, usize, *const f32, *const f32, *mut f32, Range<usize>, Write, *mut f32),
}

/// [`Convolving`] of these functions, compiled with an instruction set's features.
macro_rules! convolving {
    ($features:literal, $pack:expr, $correlate:expr, $weights:expr) => {{
        #[target_feature(enable = $features)]
        unsafe fn pack(
            weights: &crate::simd::correlation::Weights,
            shape: &crate::blocking::Correlation,
            column: usize,
            columns: usize,
            to: *mut f32,
        ) {
            // SAFETY: the caller's promise.
            unsafe { $pack(weights, shape, column, columns, to) }
        }

        #[target_feature(enable = $features)]
        unsafe fn correlate(job: &crate::simd::correlation::Job, scratch: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { $correlate(job, scratch) }
        }

        #[target_feature(enable = $features)]
        unsafe fn weights(
            conv: &crate::Conv2d,
            samples: usize,
            x: *const f32,
            dy: *const f32,
            dw: *mut f32,
            outputs: std::ops::Range<usize>,
            write: crate::Write,
            scratch: *mut f32,
        ) {
            // SAFETY: the caller's promise.
            unsafe { $weights(conv, samples, x, dy, dw, outputs, write, scratch) }
        }

        crate::simd::Convolving { pack, correlate, weights }
    }};
}
use convolving;

/// The large functions of an instruction set, compiled with its features: `$unit` for words, `$numbers` for numbers.
macro_rules! large {
    ($numbers:ty, $unit:ty, $features:literal) => {
        const PRODUCT: crate::simd::Product = {
            #[target_feature(enable = $features)]
            unsafe fn product(
                gemm: &crate::Gemm,
                a: *const f32,
                b: *const f32,
                c: *mut f32,
                scratch: *mut f32,
            ) {
                // SAFETY: the caller's promise.
                unsafe { crate::simd::gemm::run::<$unit>(gemm, a, b, c, scratch) }
            }
            product
        };
        const DIRECT: crate::simd::Convolving = crate::simd::convolving!(
            $features,
            crate::simd::correlation::Weights::pack::<$unit>,
            crate::simd::correlation::Job::run::<$unit>,
            crate::simd::weights::run::<$numbers, $unit>
        );
        const FILTERED: crate::simd::Convolving = crate::simd::convolving!(
            $features,
            crate::simd::winograd::pack::<$numbers, $unit>,
            crate::simd::winograd::run::<$numbers, $unit>,
            crate::simd::winograd_weights::run::<$unit>
        );
    };
}
use large;

/// Words of so many terms.
#[inline(always)]
pub(crate) fn words<S: Simd>(terms: usize) -> usize {
    terms.div_ceil(S::TERMS)
}

/// As many vectors as the widest vector has lanes; instruction sets with shorter ones use the first.
pub(crate) type Rows<V> = [V; 16];

/// What matrix products and convolutions are made of, by the unit that multiplies: vectors ([`Simd`]), or others that leave
/// to vectors what they are not good for.
///
/// # Safety
/// The CPU has the unit. Otherwise as the functions of that name for vectors.
pub(crate) trait Products {
    /// The vectors beside the unit.
    type Vectors: Simd;

    /// [`gemm::run`].
    unsafe fn gemm(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32);

    /// [`Weights::pack`], of weights for a pass of `conv`.
    unsafe fn pack(
        conv: &Conv2d,
        direction: Direction,
        weights: &Weights,
        shape: &Correlation,
        column: usize,
        columns: usize,
        to: *mut f32,
    );

    /// [`Job::run`], of a job that is a part of a pass of `conv`.
    unsafe fn correlate(conv: &Conv2d, direction: Direction, job: &Job, scratch: *mut f32);

    /// [`weights::run`].
    unsafe fn weights(
        conv: &Conv2d,
        samples: usize,
        x: *const f32,
        dy: *const f32,
        dw: *mut f32,
        outputs: Range<usize>,
        write: Write,
        scratch: *mut f32,
    );
}

// SAFETY (all of them): the caller's promise.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<S: Simd> Products for S {
    type Vectors = S;

    #[inline(always)]
    unsafe fn gemm(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32) {
        unsafe { (S::PRODUCT)(gemm, a, b, c, scratch) }
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
            if conv.is_for_winograd(direction) {
                (S::FILTERED.pack)(weights, shape, column, columns, to);
            } else {
                (S::DIRECT.pack)(weights, shape, column, columns, to);
            }
        }
    }

    #[inline(always)]
    unsafe fn correlate(conv: &Conv2d, direction: Direction, job: &Job, scratch: *mut f32) {
        unsafe {
            if conv.is_for_winograd(direction) {
                (S::FILTERED.correlate)(job, scratch);
            } else {
                (S::DIRECT.correlate)(job, scratch);
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
            if conv.is_for_winograd_weights() {
                (S::FILTERED.weights)(conv, samples, x, dy, dw, outputs, write, scratch);
            } else {
                (S::DIRECT.weights)(conv, samples, x, dy, dw, outputs, write, scratch);
            }
        }
    }
}
