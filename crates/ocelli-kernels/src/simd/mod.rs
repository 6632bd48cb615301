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
mod channels;
pub(crate) mod convolution;
pub(crate) mod correlation;
mod depthwise;
mod depthwise3;
mod depthwise_sums;
mod dots;
pub(crate) mod gemm;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod pool;
mod scatter;
mod tile;
mod unpool;
pub(crate) mod weights;
mod widen;
pub(crate) mod window;
mod winograd;
mod winograd_weights;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
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
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn subtract(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn multiply(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Where a > b; not where one is NaN.
    unsafe fn greater(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// Where a = b; not where one is NaN.
    unsafe fn equal(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// a where the mask holds, b elsewhere.
    unsafe fn select(mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Whether a lane is NaN.
    unsafe fn any_nan(v: Self::Vector) -> bool;
    /// The sum of all lanes.
    unsafe fn sum(v: Self::Vector) -> f32;
    /// Turns rows into columns: out\[i\] lane j = rows\[j\] lane i.
    unsafe fn transpose(rows: &mut Rows<Self::Vector>);
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
        unsafe { gemm::run::<S>(gemm, a, b, c, scratch) }
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
                winograd::pack::<S>(weights, shape, column, columns, to);
            } else {
                weights.pack::<S>(shape, column, columns, to);
            }
        }
    }

    #[inline(always)]
    unsafe fn correlate(conv: &Conv2d, direction: Direction, job: &Job, scratch: *mut f32) {
        unsafe {
            if conv.is_for_winograd(direction) {
                winograd::run::<S>(job, scratch);
            } else {
                job.run::<S>(scratch);
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
                winograd_weights::run::<S>(conv, samples, x, dy, dw, outputs, write, scratch);
            } else {
                weights::run::<S>(conv, samples, x, dy, dw, outputs, write, scratch);
            }
        }
    }
}
