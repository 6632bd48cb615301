//! Matrix products and convolutions in vector registers.
//!
//! All work ends in one micro-kernel, the [`Tile`]: a few rows by a few vectors of the result stay in registers
//! while it sums over *runs* of terms, read where they stand. A matrix product is one run. A convolution is one run
//! per kernel row: in N·H·W·C the patch of a pixel is kh contiguous pieces, so no patch matrix is ever built.
//!
//! Everything here is generic over [`Simd`], an instruction set's few vector operations, and is compiled inside
//! functions that enable its features.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod channels;
pub(crate) mod convolution;
mod correlation;
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
mod weights;
mod widen;
mod window;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
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
