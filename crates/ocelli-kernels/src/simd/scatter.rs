//! The gradient of a convolution's input where the input has few channels: too few to fill a vector as columns.
//!
//! Each output pixel's dy·w, over all taps and channels at once, is a row of a matrix product with wide rows. Their
//! pieces are then added to the pixels that the taps read.

use super::Simd;
use crate::blocking::scatter_pixels;
use crate::{Conv2d, Gemm, Write};

/// Adds the gradient to `dx`, whose other terms stand there.
///
/// # Safety
/// The CPU has the instruction set; dy and dx hold `samples` images of `conv`, w its weights, and scratch is as
/// long as it asks for.
#[inline(always)]
pub(crate) unsafe fn run<S: Simd>(
    conv: &Conv2d,
    samples: usize,
    dy: *const f32,
    w: *const f32,
    dx: *mut f32,
    scratch: *mut f32,
) {
    let (terms, outputs, channels) = (conv.filter_len(), conv.group_outputs(), conv.output[2]);
    let (pixels, block) = (samples * conv.output[0] * conv.output[1], scatter_pixels(conv));
    let (rows, scratch) = (scratch, scratch.wrapping_add(block * terms));
    for group in 0..conv.groups {
        let dy = dy.wrapping_add(group * outputs);
        let w = w.wrapping_add(group * outputs * terms);
        let dx = dx.wrapping_add(group * conv.group_inputs());
        for first in (0..pixels).step_by(block) {
            let m = block.min(pixels - first);
            let (a, b) = ([channels, 1], [terms, 1]);
            let gemm = Gemm { m, n: terms, k: outputs, of_rows: m, a, b, c_row: terms, write: Write::Set };
            // SAFETY: these are pixels of dy, all of the group's weights, and rows that the scratch has room for.
            unsafe { (S::PRODUCT)(&gemm, dy.wrapping_add(first * channels), w, rows, scratch) };
            for pixel in 0..m {
                // SAFETY: the pixel's row has just been written; dx holds all samples.
                unsafe { add_pixel::<S>(conv, first + pixel, rows.wrapping_add(pixel * terms), dx) };
            }
        }
    }
}

/// Adds the pieces of one output pixel's row.
///
/// # Safety
/// `row` holds the filter's length, `dx` all samples up to the pixel's.
#[inline(always)]
unsafe fn add_pixel<S: Simd>(conv: &Conv2d, pixel: usize, row: *const f32, dx: *mut f32) {
    let ([height, width, channels], inputs) = (conv.input, conv.group_inputs());
    let (line, ox) = (pixel / conv.output[1], pixel % conv.output[1]);
    let (n, oy) = (line / conv.output[0], line % conv.output[0]);
    let contiguous = conv.dilation[1] == 1 && conv.groups == 1;
    // Columns are image columns + the padding until the subtraction, so that nothing is negative.
    let (start, end) = (ox * conv.stride[1], width + conv.padding[1]);
    for ky in 0..conv.kernel[0] {
        let Some(iy) = conv.source(0, oy, ky) else { continue };
        let row = row.wrapping_add(ky * conv.kernel[1] * inputs);
        let dx = dx.wrapping_add((n * height + iy) * width * channels);
        if contiguous {
            let first = conv.padding[1].saturating_sub(start);
            let last = conv.kernel[1].min(end.saturating_sub(start));
            if first < last {
                let to = dx.wrapping_add((start + first - conv.padding[1]) * inputs);
                // SAFETY: taps `first..last` lie in the image's row.
                unsafe { add::<S>(row.wrapping_add(first * inputs), to, (last - first) * inputs) };
            }
            continue;
        }
        for kx in 0..conv.kernel[1] {
            let Some(ix) = conv.source(1, ox, kx) else { continue };
            // SAFETY: this tap lies in the image's row.
            unsafe { add::<S>(row.wrapping_add(kx * inputs), dx.wrapping_add(ix * channels), inputs) };
        }
    }
}

/// to += from.
///
/// # Safety
/// Both are valid for `len`.
#[inline(always)]
unsafe fn add<S: Simd>(from: *const f32, to: *mut f32, len: usize) {
    let mut at = 0;
    while at < len {
        let lanes = S::LANES.min(len - at);
        // SAFETY: the caller's promise.
        unsafe {
            let sum = S::add(S::load_first(to.add(at), lanes), S::load_first(from.add(at), lanes));
            S::store_first(to.add(at), sum, lanes);
        }
        at += lanes;
    }
}
