//! The kernels that are written once and compiled for every instruction set.
//!
//! Each is plain Rust in loops over contiguous elements, `#[inline(always)]`, so that the function of the table
//! that encloses it decides which vector instructions the compiler may use. `FMA` says whether those include a
//! fused multiply-add; without one in hardware, `mul_add` would be a slow call.

pub(crate) mod columns;
pub(crate) mod elementwise;
pub(crate) mod math;
pub(crate) mod moments;
pub(crate) mod normalise;
pub(crate) mod optimise;
pub(crate) mod response;

use std::ops::Range;

use crate::{Element, Write};

/// a·b + c, fused where that is an instruction.
#[inline(always)]
pub(crate) fn multiply_add<T: Element, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Writes each of `values` to `out`.
#[inline(always)]
pub(crate) fn write_all<T: Element>(out: &mut [T], write: Write, values: impl Iterator<Item = T>) {
    match write {
        Write::Set => out.iter_mut().zip(values).for_each(|(out, value)| *out = value),
        Write::Add => out.iter_mut().zip(values).for_each(|(out, value)| *out += value),
    }
}

/// Most channels of a block.
pub(crate) const BLOCK: usize = 32;

/// Splits channels into blocks whose lengths are powers of 2, so that they fit registers: (first, length).
#[inline(always)]
pub(crate) fn blocks(channels: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let mut next = channels.start;
    std::iter::from_fn(move || {
        let left = channels.end - next;
        let len = [BLOCK, 16, 8, 4, 2, 1].into_iter().find(|&len| len <= left)?;
        next += len;
        Some((next - len, len))
    })
}

/// Calls the version of a function for the length of one of the [`blocks`]; its last parameter is the length.
macro_rules! by_length {
    ($len:expr, $function:ident $(::<$generic:ty>)? ($($arg:expr),* $(,)?)) => {
        match $len {
            $crate::common::BLOCK => $function::<$($generic,)? { $crate::common::BLOCK }>($($arg),*),
            16 => $function::<$($generic,)? 16>($($arg),*),
            8 => $function::<$($generic,)? 8>($($arg),*),
            4 => $function::<$($generic,)? 4>($($arg),*),
            2 => $function::<$($generic,)? 2>($($arg),*),
            _ => $function::<$($generic,)? 1>($($arg),*),
        }
    };
}
pub(crate) use by_length;
