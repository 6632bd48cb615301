//! The kernels that are written once and compiled for every instruction set.
//!
//! Each is plain Rust in loops over contiguous elements, `#[inline(always)]`, so that the function of the table
//! that encloses it decides which vector instructions the compiler may use. `FMA` says whether those include a
//! fused multiply-add; without one in hardware, `mul_add` would be a slow call.

pub(crate) mod columns;
pub(crate) mod elementwise;
pub(crate) mod math;
pub(crate) mod optimise;
pub(crate) mod pool;
pub(crate) mod response;

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
