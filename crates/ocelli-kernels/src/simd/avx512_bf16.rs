//! AVX-512 BF16: 32 registers of 16 pairs of bf16, whose products an instruction adds to 16 numbers of `f32`.
//!
//! It takes as long as a multiply-add and does twice the work. A pair is two neighbouring terms of a sum, and takes the room of
//! one number, so that all that is made of tiles works on pairs as it does on numbers, once they are packed.

use std::arch::x86_64::*;
use std::mem::transmute;
use std::ops::Range;

use super::correlation::{Job, Weights};
use super::dots::Dots;
use super::tile::{self, Tile};
use super::{Avx512, Products, Rows, Simd, large};
use crate::blocking::{Correlation, pairs};
use crate::{Conv2d, Direction, Gemm, Isa, Write};

/// Products of pairs; all else is that of [`Avx512`].
#[derive(Clone, Copy)]
pub(crate) struct Pairs;

#[target_feature(enable = "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run<const R: usize, const V: usize>(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe { tile::run::<Pairs, R, V>(tile) }
}

/// Whether this CPU has the instructions.
pub(crate) fn available() -> bool {
    Isa::Avx512.available() && is_x86_feature_detected!("avx512bf16")
}

/// Where the halves of the words (row 0's number j, row 1's number j) are in 16 rounded numbers of row 0 and then of row 1.
static INTERLEAVED: [u16; 32] = {
    let mut from = [0; 32];
    let mut j = 0;
    while j < 16 {
        (from[2 * j], from[2 * j + 1]) = (j as u16, 16 + j as u16);
        j += 1;
    }
    from
};

// SAFETY (all of them): the trait's promise that the CPU has the instructions and the pointers are valid.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Pairs {
    type Vector = __m512;
    type Mask = __mmask16;
    const LANES: usize = 16;
    const TERMS: usize = 2;
    const CHEAP_MASKS: bool = true;
    const VECTORS: usize = Avx512::VECTORS;
    const ROWS: &'static [usize] = Avx512::ROWS;
    const TILES: &'static [&'static [unsafe fn(&Tile)]] = &[
        tile::rows!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        tile::rows!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        tile::rows!(3: 1 2 3 4 5 6 7 8),
        tile::rows!(4: 1 2 3),
        tile::rows!(5: 1 2 3),
        tile::rows!(6: 1 2 3),
    ];
    const DOTS: &'static [[unsafe fn(&Dots); 2]] = &[];

    large!(Avx512, Pairs, "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");

    #[inline(always)]
    unsafe fn along(from: *const f32, terms: usize) -> __m512 {
        unsafe {
            let low = Avx512::load_first(from, terms.min(16));
            let high = if terms > 16 { Avx512::load_first(from.add(16), terms - 16) } else { Avx512::zero() };
            transmute(_mm512_cvtne2ps_pbh(high, low))
        }
    }

    #[inline(always)]
    unsafe fn across(from: *const f32, step: usize, terms: usize, lanes: usize) -> __m512 {
        unsafe {
            let first = Avx512::load_first(from, lanes);
            let second = if terms > 1 { Avx512::load_first(from.add(step), lanes) } else { Avx512::zero() };
            Pairs::words_of([first, second])
        }
    }

    #[inline(always)]
    unsafe fn words_of([first, second]: [__m512; 2]) -> __m512 {
        unsafe {
            let both: __m512i = transmute(_mm512_cvtne2ps_pbh(second, first));
            let from = _mm512_loadu_si512(INTERLEAVED.as_ptr().cast());
            transmute(_mm512_permutexvar_epi16(from, both))
        }
    }

    #[inline(always)]
    unsafe fn store_along(to: *mut f32, terms: __m512) {
        unsafe { _mm256_storeu_si256(to.cast(), transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(terms))) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_dpbf16_ps(c, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b)) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { Avx512::zero() }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> __m512 {
        unsafe { Avx512::splat(from) }
    }

    #[inline(always)]
    unsafe fn fill(number: f32) -> __m512 {
        unsafe { Avx512::fill(number) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { Avx512::load(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> __m512 {
        unsafe { Avx512::load_first(from, lanes) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        unsafe { Avx512::store(to, v) }
    }

    #[inline(always)]
    unsafe fn store_first(to: *mut f32, v: __m512, lanes: usize) {
        unsafe { Avx512::store_first(to, v, lanes) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { Avx512::add(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
        unsafe { Avx512::subtract(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: __m512, b: __m512) -> __m512 {
        unsafe { Avx512::multiply(a, b) }
    }

    #[inline(always)]
    unsafe fn fused(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { Avx512::fused(a, b, c) }
    }

    #[inline(always)]
    unsafe fn at_most(a: __m512, b: __m512) -> __mmask16 {
        unsafe { Avx512::at_most(a, b) }
    }

    #[inline(always)]
    unsafe fn greater(a: __m512, b: __m512) -> __mmask16 {
        unsafe { Avx512::greater(a, b) }
    }

    #[inline(always)]
    unsafe fn equal(a: __m512, b: __m512) -> __mmask16 {
        unsafe { Avx512::equal(a, b) }
    }

    #[inline(always)]
    unsafe fn select(mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        unsafe { Avx512::select(mask, a, b) }
    }

    #[inline(always)]
    unsafe fn any_nan(v: __m512) -> bool {
        unsafe { Avx512::any_nan(v) }
    }

    #[inline(always)]
    fn fetch(line: *const f32) {
        // SAFETY: a hint that reads nothing; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }

    #[inline(always)]
    unsafe fn sum(v: __m512) -> f32 {
        unsafe { Avx512::sum(v) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: &mut Rows<__m512>) {
        unsafe { Avx512::transpose(rows) }
    }
}

/// Products of numbers rounded to bf16, where they are worth it (`blocking/pairs.rs`); the others are those of [`Avx512`]. Winograd's
/// filtering rounds what it makes of the operands.
pub(crate) struct Bf16;

// SAFETY (all of them): the caller's promise.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Products for Bf16 {
    type Vectors = Avx512;

    #[inline(always)]
    unsafe fn gemm(gemm: &Gemm, a: *const f32, b: *const f32, c: *mut f32, scratch: *mut f32) {
        unsafe {
            if pairs::is_worth_it(gemm) {
                (Pairs::PRODUCT)(gemm, a, b, c, scratch);
            } else {
                (Avx512::PRODUCT)(gemm, a, b, c, scratch);
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
            if conv.is_for_pairs(direction) {
                Pairs::pack(conv, direction, weights, shape, column, columns, to);
            } else {
                Avx512::pack(conv, direction, weights, shape, column, columns, to);
            }
        }
    }

    #[inline(always)]
    unsafe fn correlate(conv: &Conv2d, direction: Direction, job: &Job, scratch: *mut f32) {
        unsafe {
            if conv.is_for_pairs(direction) {
                Pairs::correlate(conv, direction, job, scratch);
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
            if conv.is_for_pairs_weights() {
                <Pairs as Products>::weights(conv, samples, x, dy, dw, outputs, write, scratch);
            } else {
                <Avx512 as Products>::weights(conv, samples, x, dy, dw, outputs, write, scratch);
            }
        }
    }
}
