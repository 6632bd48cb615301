//! Few output channels do not fill a vector; several neighbouring pixels' together do.
//!
//! `by` neighbouring outputs of a row are contiguous in N·H·W·C, and read windows that overlap. Seen as one output
//! of by·O channels whose kernel is the windows' union, with zeros where a tap is not the pixel's own, they make a
//! convolution that costs more multiply-adds but fewer vector instructions. A number that is not finite thereby
//! reaches a few more neighbours, as NaN: 0·∞.

use super::Simd;
use super::correlation::{Job, Weights};
use super::window::Strides;
use crate::Conv2d;

/// The forward direction over groups of `by` outputs; `job` is the plain one.
///
/// # Safety
/// As [`Job::run`], and scratch is as long as `conv` asks for.
#[inline(always)]
pub(crate) unsafe fn forward<S: Simd>(conv: &Conv2d, by: usize, job: &Job, scratch: *mut f32) {
    debug_assert!(job.finish.is_nothing(), "wide outputs are not finished on the way");
    let shape = job.shape.widened(by);
    let (terms, outputs) = (shape.terms(), shape.outputs);
    let (weights, bias) = (scratch, scratch.wrapping_add(terms * outputs));
    // SAFETY: the caller's promise; the scratch has room for the wide weights and bias before the job's own.
    unsafe {
        weights.write_bytes(0, terms * outputs);
        each_place(conv, conv.output[2], by, |wide, plain| *weights.add(wide) = *job.weights.at.add(plain));
        if !job.bias.is_null() {
            for i in 0..outputs {
                *bias.add(i) = *job.bias.add(i % conv.output[2]);
            }
        }
        let wide = Job {
            shape,
            weights: Weights { at: weights, runs: [1, 1], run: [0, 0], depth: terms, strides: [outputs, 1] },
            packed: std::ptr::null(),
            bias: if job.bias.is_null() { job.bias } else { bias },
            out_strides: Strides { pixel: outputs, ..job.out_strides },
            ..*job
        };
        (S::DIRECT.correlate)(&wide, bias.wrapping_add(outputs.next_multiple_of(16)));
    }
}

/// Where each weight of the plain kernel with `outputs` outputs stands in the wide one, terms × outputs, once for
/// each of the `by` pixels: calls `place(wide, plain)`.
#[inline(always)]
pub(crate) fn each_place(conv: &Conv2d, outputs: usize, by: usize, mut place: impl FnMut(usize, usize)) {
    let [rows, columns] = conv.kernel;
    let (inputs, step) = (conv.group_inputs(), conv.stride[1]);
    let wide_columns = columns + (by - 1) * step;
    let mut plain = 0;
    for o in 0..outputs {
        for ky in 0..rows {
            for along in 0..columns * inputs {
                let term = ky * wide_columns * inputs + along;
                for pixel in 0..by {
                    let wide_term = term + pixel * step * inputs;
                    place((wide_term * by + pixel) * outputs + o, plain);
                }
                plain += 1;
            }
        }
    }
}
