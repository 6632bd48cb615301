//! Numbers of `f32` as sums of bf16, in the order in which tiles take them.
//!
//! A block of 32 terms t is stored as the pairs (i, i + 16): 16 words of 32 bits. Sums do not care about the order of
//! their terms if both operands have the same, and this one takes no shuffle: the upper halves of two vectors.

use std::arch::x86_64::*;

use super::{BLOCK, SIDE, TILE};

/// The upper half of a 32-bit word, which is a number of bf16 if the word is one of `f32`.
const UPPER: i32 = 0xffff_0000_u32 as i32;

/// The pairs of two vectors of numbers, in P parts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn words<const P: usize>(first: __m512, second: __m512) -> [__m512i; P] {
    if P == 1 {
        return [rounded(first, second); P];
    }
    let (first, second) = (split::<P>(first), split::<P>(second));
    let mut words = [_mm512_setzero_si512(); P];
    for p in 0..P {
        words[p] = pair(first[p], second[p]);
    }
    words
}

/// The pairs of two vectors of numbers rounded to the nearest of bf16, ties to even; NaN stays NaN.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn rounded(first: __m512, second: __m512) -> __m512i {
    const PAIRS: [u16; 2 * SIDE] = {
        let mut pairs = [0; 2 * SIDE];
        let mut i = 0;
        while i < 2 * SIDE {
            pairs[i] = (i / 2 + i % 2 * SIDE) as u16;
            i += 1;
        }
        pairs
    };
    let halves: __m512i;
    // SAFETY: the instruction touches nothing but its registers, and whatever has tiles has it (`unit::available`). It is
    // not an intrinsic here because every function that this is inlined into would have to name its feature.
    unsafe {
        std::arch::asm!(
            "vcvtne2ps2bf16 {}, {}, {}", out(zmm_reg) halves, in(zmm_reg) second, in(zmm_reg) first,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // SAFETY: the array is a vector long.
    _mm512_permutexvar_epi16(unsafe { _mm512_loadu_si512(PAIRS.as_ptr().cast()) }, halves)
}

/// P numbers of bf16, in the upper halves, whose sum is the number: each is what is left rounded to the nearest, ties
/// away from 0. The third is what then is left as it stands: it has 8 significant bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn split<const P: usize>(number: __m512) -> [__m512i; P] {
    let mut parts = [_mm512_setzero_si512(); P];
    let mut left = number;
    for (p, part) in parts.iter_mut().enumerate() {
        let bits = _mm512_castps_si512(left);
        // A NaN may be rounded to 0; the last part keeps it.
        *part = match p {
            2 => bits,
            _ => {
                let up = _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000));
                _mm512_and_si512(up, _mm512_set1_epi32(UPPER))
            }
        };
        left = _mm512_sub_ps(left, _mm512_castsi512_ps(*part));
    }
    parts
}

/// Words of the upper halves of two vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pair(first: __m512i, second: __m512i) -> __m512i {
    // a | (b & c)
    _mm512_ternarylogic_epi32::<0xf8>(_mm512_srli_epi32::<16>(first), second, _mm512_set1_epi32(UPPER))
}

/// Which lanes of a vector so many numbers fill.
#[inline]
pub(super) fn lanes(count: usize) -> __mmask16 {
    if count >= SIDE { !0 } else { (1 << count) - 1 }
}

/// Splits a row of `terms` numbers into blocks: part p goes to `to` + p·`part` bytes, blocks of 64 bytes one after the
/// other, or `block` bytes apart. Terms beyond the last one are 0.
///
/// # Safety
/// The CPU has AVX-512; `from` is valid for `terms` numbers, `to` for the blocks of all parts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn row<const P: usize>(
    from: *const f32,
    terms: usize,
    to: *mut u8,
    part: usize,
    block: usize,
) {
    let mut to = to;
    let mut done = 0;
    // SAFETY: the caller's promise; no lane beyond the terms is read.
    unsafe {
        while done < terms {
            let from = from.add(done);
            let (first, second) = if terms - done >= BLOCK {
                (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(SIDE)))
            } else {
                let left = terms - done;
                let second = from.wrapping_add(SIDE);
                (
                    _mm512_maskz_loadu_ps(lanes(left), from),
                    _mm512_maskz_loadu_ps(lanes(left.saturating_sub(SIDE)), second),
                )
            };
            let words = words::<P>(first, second);
            for p in 0..P {
                _mm512_storeu_si512(to.add(p * part).cast(), words[p]);
            }
            to = to.add(block);
            done += BLOCK;
        }
    }
}

/// Splits a row of `terms` numbers like [`row`], to each of several places.
///
/// # Safety
/// As [`row`], for each place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn spread<const P: usize>(from: *const f32, terms: usize, places: &[*mut u8], part: usize) {
    for first in (0..terms).step_by(BLOCK) {
        let left = terms - first;
        let from = from.wrapping_add(first);
        // SAFETY: the caller's promise; no lane beyond the terms is read.
        unsafe {
            let second = _mm512_maskz_loadu_ps(lanes(left.saturating_sub(SIDE)), from.wrapping_add(SIDE));
            let first_half = _mm512_maskz_loadu_ps(lanes(left), from);
            let words = words::<P>(first_half, second);
            for p in 0..P {
                for to in places {
                    _mm512_storeu_si512(to.add(p * part + first * 2).cast(), words[p]);
                }
            }
        }
    }
}

/// Copies runs of `len` numbers, from each of `runs` places `step` apart, one after the other. Writes whole vectors: up to 15
/// numbers beyond the last.
///
/// # Safety
/// The CPU has AVX-512; the runs are valid, and `to` for so many numbers and those beyond.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn copy_runs(from: *const f32, runs: usize, step: usize, len: usize, to: *mut f32) {
    for run in 0..runs {
        let (from, to) = (from.wrapping_add(run * step), to.wrapping_add(run * len));
        let mut done = 0;
        // SAFETY: the caller's promise.
        unsafe {
            while len - done > SIDE {
                _mm512_storeu_ps(to.add(done), _mm512_loadu_ps(from.add(done)));
                done += SIDE;
            }
            let last = _mm512_maskz_loadu_ps(lanes(len - done), from.add(done));
            _mm512_storeu_ps(to.add(done), last);
        }
    }
}

/// Numbers of a row from the `first` on; 0 where there is no row. Closures that pass through the standard library, which
/// is compiled without these features, would not be inlined.
///
/// # Safety
/// The CPU has AVX-512; the row, if it is not null, is valid for the numbers of the mask.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn first_lanes(row: *const f32, first: usize, mask: __mmask16) -> __m512 {
    // SAFETY: the caller's promise.
    if row.is_null() { _mm512_setzero_ps() } else { unsafe { _mm512_maskz_loadu_ps(mask, row.add(first)) } }
}

/// Fills tiles from rows of terms: word j of a tile's row i is the pair of rows i and i + 16 at column j: what B is where its
/// rows stand as rows. `row(t)` is where term t's columns start; there are `terms` rows, of a block, and 0 for the others.
/// 16 columns fill P tiles, one after the other; the next 16 columns' are `tile` bytes on. Columns beyond the last are 0.
///
/// # Safety
/// The CPU has AVX-512; the rows are valid for the columns, `to` for the tiles.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn pairs<const P: usize>(
    row: impl Fn(usize) -> *const f32,
    terms: usize,
    columns: usize,
    to: *mut u8,
    tile: usize,
) {
    for i in 0..SIDE {
        let first = if i < terms { row(i) } else { std::ptr::null() };
        let second = if i + SIDE < terms { row(i + SIDE) } else { std::ptr::null() };
        let to = to.wrapping_add(i * 64);
        for j in (0..columns).step_by(SIDE) {
            let mask = lanes(columns - j);
            let to = to.wrapping_add(j / SIDE * tile);
            // SAFETY: the caller's promise; nothing is read where there is no row or column.
            unsafe {
                let words = words::<P>(first_lanes(first, j, mask), first_lanes(second, j, mask));
                for p in 0..P {
                    _mm512_storeu_si512(to.add(p * TILE).cast(), words[p]);
                }
            }
        }
    }
}

/// Fills tiles from rows whose terms stand next to each other, `stride` numbers apart: row i of a tile has the pairs of
/// row i: what A is where its rows stand as rows. Each block of terms fills P tiles, one after the other; terms beyond the
/// last are 0, and rows beyond the last are left.
///
/// # Safety
/// The CPU has AVX-512; `from` is valid for the rows' terms, `to` for the tiles.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn rows<const P: usize>(
    from: *const f32,
    stride: usize,
    rows: usize,
    terms: usize,
    to: *mut u8,
) {
    for i in 0..rows {
        // SAFETY: the caller's promise.
        unsafe { row::<P>(from.add(i * stride), terms, to.add(i * 64), TILE, P * TILE) };
    }
}

/// Turns the 16 × 16 words of each of `count` tiles: rows as A takes them become columns as B takes them, and back.
///
/// # Safety
/// The CPU has AVX-512; `tiles` is valid for so many tiles.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn turn(tiles: *mut u8, count: usize) {
    use crate::simd::{Avx512, Simd};
    for tile in 0..count {
        let at: *mut f32 = tiles.wrapping_add(tile * TILE).cast();
        // SAFETY: the caller's promise. The words are moved as they stand, whatever numbers they would be.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); SIDE];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(at.add(i * SIDE));
            }
            Avx512::transpose(&mut rows);
            for (i, row) in rows.iter().enumerate() {
                _mm512_storeu_ps(at.add(i * SIDE), *row);
            }
        }
    }
}
