//! AVX2 with FMA: 16 registers of 8 numbers.

use std::arch::x86_64::*;

use super::dots::{self, Dots};
use super::tile::{self, Tile};
use super::{Rows, Simd, large};

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

#[target_feature(enable = "avx2,fma")]
unsafe fn run<const R: usize, const V: usize>(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe { tile::run::<Avx2, R, V>(tile) }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn dot<const R: usize, const N: usize>(dots: &Dots) {
    // SAFETY: the caller's promise.
    unsafe { dots::run::<Avx2, R, N>(dots) }
}

/// Set bits in the first lanes, found by reading from the right place.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// # Safety
/// Needs AVX2.
#[inline(always)]
unsafe fn first(lanes: usize) -> __m256i {
    // SAFETY: eight numbers from 8 − lanes on lie in the table.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - lanes).cast()) }
}

// SAFETY (all of them): the trait's promise that the CPU has the instructions and the pointers are valid.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx2 {
    type Vector = __m256;
    type Mask = __m256;
    const LANES: usize = 8;
    const TERMS: usize = 1;
    const CHEAP_MASKS: bool = false;
    const VECTORS: usize = 2;
    const ROWS: &'static [usize] = &[12, 6, 4, 2];
    const TILES: &'static [&'static [unsafe fn(&Tile)]] = &[
        tile::rows!(1: 1 2 3 4 5 6 7 8 9 10 11 12),
        tile::rows!(2: 1 2 3 4 5 6),
        tile::rows!(3: 1 2 3 4),
        tile::rows!(4: 1 2),
    ];
    const DOTS: &'static [[unsafe fn(&Dots); 2]] =
        &[[dot::<1, 1>, dot::<1, 8>], [dot::<2, 1>, dot::<2, 4>], [dot::<3, 1>, dot::<3, 4>]];

    large!(Avx2, Avx2, "avx2,fma");

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> __m256 {
        unsafe { _mm256_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn fill(number: f32) -> __m256 {
        unsafe { _mm256_set1_ps(number) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> __m256 {
        // Masked loads are slow on AMD's first Zen.
        unsafe { if lanes == 8 { _mm256_loadu_ps(from) } else { _mm256_maskload_ps(from, first(lanes)) } }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn store_first(to: *mut f32, v: __m256, lanes: usize) {
        // Not a masked store: AMD's CPUs take a dozen cycles and more for one.
        unsafe {
            let (mut to, mut rest) = (to, _mm256_castps256_ps128(v));
            if lanes & 8 != 0 {
                return _mm256_storeu_ps(to, v);
            }
            if lanes & 4 != 0 {
                _mm_storeu_ps(to, rest);
                (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(v));
            }
            if lanes & 2 != 0 {
                _mm_store_sd(to.cast(), _mm_castps_pd(rest));
                (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
            }
            if lanes & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
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
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fused(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn at_most(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
    }

    #[inline(always)]
    unsafe fn greater(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(a, b) }
    }

    #[inline(always)]
    unsafe fn equal(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }

    #[inline(always)]
    unsafe fn select(mask: __m256, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(b, a, mask) }
    }

    #[inline(always)]
    unsafe fn any_nan(v: __m256) -> bool {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v)) != 0 }
    }

    #[inline(always)]
    fn fetch(line: *const f32) {
        // SAFETY: a hint that reads nothing; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }

    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        unsafe {
            let halves = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
            _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)))
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: &mut Rows<__m256>) {
        unsafe {
            let mut t = *rows;
            for i in (0..8).step_by(2) {
                t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
                t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
            }
            for i in (0..8).step_by(4) {
                rows[i] = _mm256_shuffle_ps::<0x44>(t[i], t[i + 2]);
                rows[i + 1] = _mm256_shuffle_ps::<0xee>(t[i], t[i + 2]);
                rows[i + 2] = _mm256_shuffle_ps::<0x44>(t[i + 1], t[i + 3]);
                rows[i + 3] = _mm256_shuffle_ps::<0xee>(t[i + 1], t[i + 3]);
            }
            // rows[4g + j] holds columns j and 4+j of the rows 4g..4g+4.
            for j in 0..4 {
                t[j] = _mm256_permute2f128_ps::<0x20>(rows[j], rows[4 + j]);
                t[4 + j] = _mm256_permute2f128_ps::<0x31>(rows[j], rows[4 + j]);
            }
            *rows = t;
        }
    }
}
