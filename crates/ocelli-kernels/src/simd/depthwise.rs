//! Depthwise convolution: every channel with its own kernel. Nothing to sum over channels, so channels fill the
//! vectors and the weights are turned to kh·kw·C first.

use std::ops::Range;

use super::finish::Finishing;
use super::{Simd, depthwise3};
use crate::common::{blocks, by_length, multiply_add, write_all};
use crate::{Conv2d, Write};

/// Weights of windows that tiles are made for.
#[inline(always)]
pub(crate) fn pack<S: Simd>(w: &[f32], packed: &mut [f32]) {
    depthwise3::pack::<S>(w, packed);
}

#[inline(always)]
pub(crate) fn forward<S: Simd>(
    conv: &Conv2d,
    x: &[f32],
    w: &[f32],
    packed: &[f32],
    bias: &[f32],
    finish: Finishing,
    y: &mut [f32],
    scratch: &mut [f32],
) {
    if conv.has_depthwise_tiles() {
        return depthwise3::forward::<S>(conv, x, w, packed, bias, finish, y, scratch);
    }
    debug_assert!(finish.is_nothing(), "windows of other sizes are not finished on the way");
    let channels = conv.input[2];
    let weights = by_tap(conv, w, scratch);
    for (at, pixel) in y.chunks_exact_mut(channels.max(1)).enumerate() {
        let (row, ox) = (at / conv.output[1], at % conv.output[1]);
        let (n, oy) = (row / conv.output[0], row % conv.output[0]);
        for (c, len) in blocks(0..channels) {
            by_length!(len, sum_taps(conv, [n, oy, ox], c, x, weights, bias, pixel));
        }
    }
}

/// One pixel's outputs of N channels.
#[inline(always)]
fn sum_taps<const N: usize>(
    conv: &Conv2d,
    [n, oy, ox]: [usize; 3],
    c: usize,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    out: &mut [f32],
) {
    let [height, width, channels] = conv.input;
    let mut sums = [0.0; N];
    if !bias.is_empty() {
        sums.copy_from_slice(&bias[c..][..N]);
    }
    for ky in 0..conv.kernel[0] {
        let Some(iy) = conv.source(0, oy, ky) else { continue };
        for kx in 0..conv.kernel[1] {
            let Some(ix) = conv.source(1, ox, kx) else { continue };
            let x = &x[((n * height + iy) * width + ix) * channels + c..][..N];
            let w = &weights[(ky * conv.kernel[1] + kx) * channels + c..][..N];
            for i in 0..N {
                sums[i] = multiply_add::<f32, true>(x[i], w[i], sums[i]);
            }
        }
    }
    out[c..][..N].copy_from_slice(&sums);
}

#[inline(always)]
pub(crate) fn backward_input<S: Simd>(
    conv: &Conv2d,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    write: Write,
    scratch: &mut [f32],
) {
    if conv.has_depthwise_tiles() {
        return depthwise3::backward_input::<S>(conv, dy, w, dx, write, scratch);
    }
    let [height, width, channels] = conv.input;
    let weights = by_tap(conv, w, scratch);
    for (at, pixel) in dx.chunks_exact_mut(channels.max(1)).enumerate() {
        let (row, ix) = (at / width, at % width);
        let (n, iy) = (row / height, row % height);
        for (c, len) in blocks(0..channels) {
            by_length!(len, sum_outputs(conv, [n, iy, ix], c, dy, weights, pixel, write));
        }
    }
}

/// One pixel's input gradients of N channels.
#[inline(always)]
fn sum_outputs<const N: usize>(
    conv: &Conv2d,
    [n, iy, ix]: [usize; 3],
    c: usize,
    dy: &[f32],
    weights: &[f32],
    dx: &mut [f32],
    write: Write,
) {
    let [height, width, channels] = conv.output;
    let mut sums = [0.0; N];
    if write == Write::Add {
        sums.copy_from_slice(&dx[c..][..N]);
    }
    for ky in 0..conv.kernel[0] {
        let Some(oy) = output_at(conv, 0, iy, ky) else { continue };
        for kx in 0..conv.kernel[1] {
            let Some(ox) = output_at(conv, 1, ix, kx) else { continue };
            let dy = &dy[((n * height + oy) * width + ox) * channels + c..][..N];
            let w = &weights[(ky * conv.kernel[1] + kx) * channels + c..][..N];
            for i in 0..N {
                sums[i] = multiply_add::<f32, true>(dy[i], w[i], sums[i]);
            }
        }
    }
    dx[c..][..N].copy_from_slice(&sums);
}

/// The output row or column that reads input `at` with tap `tap`.
#[inline(always)]
fn output_at(conv: &Conv2d, axis: usize, at: usize, tap: usize) -> Option<usize> {
    let from_start = (at + conv.padding[axis]).checked_sub(tap * conv.dilation[axis])?;
    let out = from_start / conv.stride[axis];
    (from_start % conv.stride[axis] == 0 && out < conv.output[axis]).then_some(out)
}

#[inline(always)]
pub(crate) fn backward_weights<S: Simd>(
    conv: &Conv2d,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    outputs: Range<usize>,
    write: Write,
    scratch: &mut [f32],
) {
    if conv.has_depthwise_tiles() {
        return depthwise3::backward_weights::<S>(conv, x, dy, dw, outputs, write, scratch);
    }
    let (taps, channels) = (conv.filter_len(), conv.input[2]);
    let sums = &mut scratch[..taps * channels];
    sums.fill(0.0);
    let rows = dy.chunks_exact((conv.output[1] * channels).max(1));
    for (at, dy) in rows.enumerate() {
        let (n, oy) = (at / conv.output[0], at % conv.output[0]);
        for ky in 0..conv.kernel[0] {
            let Some(iy) = conv.source(0, oy, ky) else { continue };
            let x = &x[(n * conv.input[0] + iy) * conv.input[1] * channels..][..conv.input[1] * channels];
            for kx in 0..conv.kernel[1] {
                let sums = &mut sums[(ky * conv.kernel[1] + kx) * channels..][..channels];
                for (c, len) in blocks(outputs.clone()) {
                    by_length!(len, add_row(conv, kx, c, x, dy, sums));
                }
            }
        }
    }
    for (row, o) in dw.chunks_exact_mut(taps.max(1)).zip(outputs) {
        write_all(row, write, (0..taps).map(|tap| sums[tap * channels + o]));
    }
}

/// Adds one row's products for one tap and N channels.
#[inline(always)]
fn add_row<const N: usize>(conv: &Conv2d, kx: usize, c: usize, x: &[f32], dy: &[f32], total: &mut [f32]) {
    let channels = conv.input[2];
    let mut sums = [0.0; N];
    for ox in 0..conv.output[1] {
        let Some(ix) = conv.source(1, ox, kx) else { continue };
        let x = &x[ix * channels + c..][..N];
        let dy = &dy[ox * channels + c..][..N];
        for i in 0..N {
            sums[i] = multiply_add::<f32, true>(x[i], dy[i], sums[i]);
        }
    }
    total[c..][..N].iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
}

/// The weights as taps × channels.
#[inline(always)]
fn by_tap<'a>(conv: &Conv2d, w: &[f32], scratch: &'a mut [f32]) -> &'a [f32] {
    let (taps, channels) = (conv.filter_len(), conv.output[2]);
    let out = &mut scratch[..taps * channels];
    for tap in 0..taps {
        for c in 0..channels {
            out[tap * channels + c] = w[c * taps + tap];
        }
    }
    out
}
