//! AVX-512 F: 32 registers of 16 numbers.

use std::arch::x86_64::*;

use super::dots::{self, Dots};
use super::tile::{self, Tile};
use super::{Rows, Simd, large};

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run<const R: usize, const V: usize>(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe { tile::run::<Avx512, R, V>(tile) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn dot<const R: usize, const N: usize>(dots: &Dots) {
    // SAFETY: the caller's promise.
    unsafe { dots::run::<Avx512, R, N>(dots) }
}

fn first(lanes: usize) -> __mmask16 {
    ((1u32 << lanes) - 1) as __mmask16
}

// SAFETY (all of them): the trait's promise that the CPU has the instructions and the pointers are valid.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx512 {
    type Vector = __m512;
    type Mask = __mmask16;
    const LANES: usize = 16;
    const TERMS: usize = 1;
    const CHEAP_MASKS: bool = true;
    const VECTORS: usize = 3;
    const ROWS: &'static [usize] = &[14, 14, 8, 3, 3, 3];
    const TILES: &'static [&'static [unsafe fn(&Tile)]] = &[
        tile::rows!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        tile::rows!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        tile::rows!(3: 1 2 3 4 5 6 7 8),
        tile::rows!(4: 1 2 3),
        tile::rows!(5: 1 2 3),
        tile::rows!(6: 1 2 3),
    ];
    const DOTS: &'static [[unsafe fn(&Dots); 2]] =
        &[[dot::<1, 1>, dot::<1, 8>], [dot::<2, 1>, dot::<2, 4>], [dot::<3, 1>, dot::<3, 4>]];

    large!(Avx512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> __m512 {
        unsafe { _mm512_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn fill(number: f32) -> __m512 {
        unsafe { _mm512_set1_ps(number) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(first(lanes), from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn store_first(to: *mut f32, v: __m512, lanes: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(lanes), v) }
    }

    #[inline(always)]
    unsafe fn along(from: *const f32, terms: usize) -> Self::Vector {
        unsafe { Self::load_first(from, terms) }
    }

    #[inline(always)]
    unsafe fn across(from: *const f32, _step: usize, _terms: usize, lanes: usize) -> Self::Vector {
        unsafe { Self::load_first(from, lanes) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fused(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn at_most(a: __m512, b: __m512) -> __mmask16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b) }
    }

    #[inline(always)]
    unsafe fn greater(a: __m512, b: __m512) -> __mmask16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }

    #[inline(always)]
    unsafe fn equal(a: __m512, b: __m512) -> __mmask16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }

    #[inline(always)]
    unsafe fn select(mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mask_blend_ps(mask, b, a) }
    }

    #[inline(always)]
    unsafe fn any_nan(v: __m512) -> bool {
        unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v) != 0 }
    }

    #[inline(always)]
    fn fetch(line: *const f32) {
        // SAFETY: a hint that reads nothing; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }

    #[inline(always)]
    unsafe fn sum(v: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(v) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: &mut Rows<__m512>) {
        unsafe {
            let mut t = *rows;
            // Pairs of numbers, then of pairs: 4×4 transposes within each 128-bit quarter.
            for i in (0..16).step_by(2) {
                t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
                t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
            }
            for i in (0..16).step_by(4) {
                rows[i] = _mm512_shuffle_ps::<0x44>(t[i], t[i + 2]);
                rows[i + 1] = _mm512_shuffle_ps::<0xee>(t[i], t[i + 2]);
                rows[i + 2] = _mm512_shuffle_ps::<0x44>(t[i + 1], t[i + 3]);
                rows[i + 3] = _mm512_shuffle_ps::<0xee>(t[i + 1], t[i + 3]);
            }
            // Then the quarters: rows[4g + j] holds columns j, 4+j, 8+j, 12+j of the rows 4g..4g+4.
            for j in 0..4 {
                let low = _mm512_shuffle_f32x4::<0x44>(rows[j], rows[4 + j]);
                let high = _mm512_shuffle_f32x4::<0xee>(rows[j], rows[4 + j]);
                let low2 = _mm512_shuffle_f32x4::<0x44>(rows[8 + j], rows[12 + j]);
                let high2 = _mm512_shuffle_f32x4::<0xee>(rows[8 + j], rows[12 + j]);
                t[j] = _mm512_shuffle_f32x4::<0x88>(low, low2);
                t[4 + j] = _mm512_shuffle_f32x4::<0xdd>(low, low2);
                t[8 + j] = _mm512_shuffle_f32x4::<0x88>(high, high2);
                t[12 + j] = _mm512_shuffle_f32x4::<0xdd>(high, high2);
            }
            *rows = t;
        }
    }
}
