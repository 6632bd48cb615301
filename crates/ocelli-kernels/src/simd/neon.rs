//! NEON (64-bit Arm): 32 registers of 4 numbers.

use std::arch::aarch64::*;

use super::dots::{self, Dots};
use super::tile::{self, Tile};
use super::{Rows, Simd, large};

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

#[target_feature(enable = "neon")]
unsafe fn run<const R: usize, const V: usize>(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe { tile::run::<Neon, R, V>(tile) }
}

#[target_feature(enable = "neon")]
unsafe fn dot<const R: usize, const N: usize>(dots: &Dots) {
    // SAFETY: the caller's promise.
    unsafe { dots::run::<Neon, R, N>(dots) }
}

// SAFETY (all of them): the trait's promise that the CPU has the instructions and the pointers are valid.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Neon {
    type Vector = float32x4_t;
    type Mask = uint32x4_t;
    const LANES: usize = 4;
    const TERMS: usize = 1;
    const CHEAP_MASKS: bool = false;
    // Of the tiles of 24 sums, that of 4 vectors loads least: 4 vectors and 6 numbers for each term.
    const VECTORS: usize = 4;
    const ROWS: &'static [usize] = &[16, 12, 8, 6, 4, 4, 3, 2];
    const TILES: &'static [&'static [unsafe fn(&Tile)]] = &[
        tile::rows!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16),
        tile::rows!(2: 1 2 3 4 5 6 7 8 9 10 11 12),
        tile::rows!(3: 1 2 3 4 5 6 7 8),
        tile::rows!(4: 1 2 3 4 5 6),
        tile::rows!(5: 1 2 3 4),
        tile::rows!(6: 1 2 3 4),
        tile::rows!(7: 1 2 3),
        tile::rows!(8: 1 2),
    ];
    const DOTS: &'static [[unsafe fn(&Dots); 2]] =
        &[[dot::<1, 1>, dot::<1, 8>], [dot::<2, 1>, dot::<2, 4>], [dot::<3, 1>, dot::<3, 4>]];

    large!(Neon, Neon, "neon");

    #[inline(always)]
    unsafe fn zero() -> float32x4_t {
        unsafe { vdupq_n_f32(0.0) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> float32x4_t {
        // A product can take its factor from one lane. Left to itself the compiler prefers a load that fills all
        // lanes, which on most cores takes a slot that a product could have had.
        unsafe {
            let number: float32x4_t;
            std::arch::asm!(
                "ldr {:s}, [{}]", out(vreg) number, in(reg) from,
                options(pure, readonly, nostack, preserves_flags),
            );
            vdupq_laneq_f32::<0>(number)
        }
    }

    #[inline(always)]
    unsafe fn fill(number: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(number) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    // There are no masks: parts of a vector are loaded and stored in halves and single lanes.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> float32x4_t {
        unsafe {
            let zero = vdup_n_f32(0.0);
            match lanes {
                0 => vcombine_f32(zero, zero),
                1 => vcombine_f32(vld1_lane_f32::<0>(from, zero), zero),
                2 => vcombine_f32(vld1_f32(from), zero),
                3 => vld1q_lane_f32::<2>(from.add(2), vcombine_f32(vld1_f32(from), zero)),
                _ => vld1q_f32(from),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(to, v) }
    }

    #[inline(always)]
    unsafe fn store_first(to: *mut f32, v: float32x4_t, lanes: usize) {
        unsafe {
            match lanes {
                0 => {}
                1 => vst1q_lane_f32::<0>(to, v),
                2 => vst1_f32(to, vget_low_f32(v)),
                3 => {
                    vst1_f32(to, vget_low_f32(v));
                    vst1q_lane_f32::<2>(to.add(2), v);
                }
                _ => vst1q_f32(to, v),
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
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn fused(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn at_most(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcleq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn greater(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcgtq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn equal(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vceqq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn select(mask: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(mask, a, b) }
    }

    #[inline(always)]
    unsafe fn any_nan(v: float32x4_t) -> bool {
        unsafe { vminvq_u32(vceqq_f32(v, v)) == 0 }
    }

    #[inline(always)]
    fn fetch(line: *const f32) {
        // SAFETY: a hint that reads nothing.
        unsafe {
            std::arch::asm!("prfm pldl2keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
        }
    }

    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(v) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: &mut Rows<float32x4_t>) {
        unsafe {
            // Pairs of numbers, then of pairs: `even` and `odd` hold columns 0, 2 and 1, 3 of two rows each.
            let even = [vtrn1q_f32(rows[0], rows[1]), vtrn1q_f32(rows[2], rows[3])];
            let odd = [vtrn2q_f32(rows[0], rows[1]), vtrn2q_f32(rows[2], rows[3])];
            for (i, [top, bottom]) in [even, odd].into_iter().enumerate() {
                let (top, bottom) = (vreinterpretq_f64_f32(top), vreinterpretq_f64_f32(bottom));
                rows[i] = vreinterpretq_f32_f64(vtrn1q_f64(top, bottom));
                rows[i + 2] = vreinterpretq_f32_f64(vtrn2q_f64(top, bottom));
            }
        }
    }
}
