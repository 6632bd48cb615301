//! The three directions of a convolution.

use std::ops::Range;

use super::correlation::{Job, Weights};
use super::finish::Finishing;
use super::window::{Source, Strides};
use super::{Products, Simd, depthwise, narrow, widen};
use crate::axis::Axis;
use crate::blocking::{Correlation, aligned};
use crate::common::normalise;
use crate::scalar::convolution::{check_bias, check_input, check_weights};
use crate::{Conv2d, Direction, Finish, Gemm, Write};

/// See [`crate::Kernels::conv_pack`].
#[inline(always)]
pub(crate) fn pack<U: Products>(
    conv: &Conv2d,
    direction: Direction,
    w: &[f32],
    pieces: Range<usize>,
    packed: &mut [f32],
) {
    check_weights("conv_pack", conv, w.len(), &(0..conv.output[2]));
    let all = conv.packed_pieces::<f32>(direction);
    assert!(pieces.end <= all, "conv_pack: pieces {pieces:?} of {all}");
    if conv.is_depthwise() {
        let wanted = if pieces.is_empty() { 0 } else { conv.packed_len::<f32>(direction) };
        assert_eq!(packed.len(), wanted, "conv_pack: elements of packed weights");
        if wanted > 0 {
            depthwise::pack::<U::Vectors>(w, packed);
        }
        return;
    }
    let mut left = packed;
    for piece in pieces {
        let piece = conv.packed_piece(direction, piece);
        let (to, rest) = left.split_at_mut(piece.range.len());
        left = rest;
        let weights = match direction {
            Direction::Forward => forward_weights(conv, piece.group, w),
            Direction::BackwardInput => backward_weights_of(conv, piece.phase, piece.group, w),
        };
        let (_, shape) =
            conv.phases(direction).find(|(phase, _)| *phase == piece.phase).expect("it has pieces");
        // SAFETY: the slices have the lengths that the geometry asks for; a block is whole vectors of any set.
        unsafe { U::pack(conv, direction, &weights, &shape, piece.column, piece.columns, to.as_mut_ptr()) };
    }
    assert!(left.is_empty(), "conv_pack: {} elements too many", left.len());
}

/// The packed weights of a group from its first correlation on; null where there are none.
fn packed_group(conv: &Conv2d, direction: Direction, group: usize, packed: &[f32]) -> *const f32 {
    if packed.is_empty() {
        return std::ptr::null();
    }
    let start = if group == 0 { 0 } else { group * conv.packed_group(direction, conv.methods(direction)) };
    packed[start..].as_ptr()
}

fn check_packed(kernel: &str, conv: &Conv2d, direction: Direction, len: usize) {
    let wanted = conv.packed_len::<f32>(direction);
    assert!(
        len == 0 || len == wanted,
        "{kernel}: {len} elements of packed weights, not {wanted}, for {conv:?}"
    );
}

/// A group's weights for the forward pass.
fn forward_weights(conv: &Conv2d, group: usize, w: &[f32]) -> Weights {
    let terms = conv.filter_len();
    let at = w.as_ptr().wrapping_add(group * conv.group_outputs() * terms);
    let inputs = conv.group_inputs();
    let run = [(conv.kernel[1] * inputs) as isize, inputs as isize];
    Weights { at, runs: [1, 1], run, depth: terms, strides: [1, terms] }
}

/// A group's weights for the input's gradient at the pixels of one phase of the strides.
fn backward_weights_of(conv: &Conv2d, phase: [usize; 2], group: usize, w: &[f32]) -> Weights {
    let [y, x] = [Axis::backward(conv, 0, phase[0]), Axis::backward(conv, 1, phase[1])];
    let [inputs, outputs, terms] = [conv.group_inputs(), conv.group_outputs(), conv.filter_len()];
    let first_tap = (y.kernel * conv.kernel[1] + x.kernel) * inputs;
    Weights {
        at: w.as_ptr().wrapping_add(group * outputs * terms + first_tap),
        runs: [y.taps, x.taps],
        run: [y.kernel_step * (conv.kernel[1] * inputs) as isize, x.kernel_step * inputs as isize],
        depth: outputs,
        strides: [terms, 1],
    }
}

/// See [`crate::Kernels::conv_forward`].
#[inline(always)]
pub(crate) fn forward<U: Products, const FMA: bool>(
    conv: &Conv2d,
    x: &[f32],
    w: &[f32],
    packed: &[f32],
    bias: &[f32],
    finish: Finish<'_, f32>,
    y: &mut [f32],
    scratch: &mut [f32],
) {
    let samples = check_input("conv_forward", conv, x.len(), y.len());
    check_weights("conv_forward", conv, w.len(), &(0..conv.output[2]));
    check_packed("conv_forward", conv, Direction::Forward, packed.len());
    check_bias("conv_forward", conv, bias.len());
    check_scratch("conv_forward", conv, scratch.len(), conv.forward_scratch::<f32>());
    finish.check("conv_forward", conv.output[2], y.len());
    if samples == 0 {
        return;
    }
    let scratch = aligned(scratch);
    // What cannot be done on the way is done in the end.
    let finishing = Finishing::of(&finish, y).filter(|_| conv.finishes());
    let on_the_way = finishing.unwrap_or(Finishing::NOTHING);
    if conv.is_depthwise() {
        depthwise::forward::<U::Vectors>(conv, x, w, packed, bias, on_the_way, y, scratch);
    } else if conv.is_dense() {
        bias_rows(bias, y);
        let write = if bias.is_empty() { Write::Set } else { Write::Add };
        let gemm = dense(samples, conv.samples, [conv.output[2], conv.filter_len()], write);
        let gemm = Gemm { a: [conv.filter_len(), 1], b: [1, conv.filter_len()], ..gemm };
        // SAFETY: the checks above; a sample's output is its row of C.
        unsafe { U::gemm(&gemm, x.as_ptr(), w.as_ptr(), y.as_mut_ptr(), scratch.as_mut_ptr()) };
    } else {
        for group in 0..conv.groups {
            forward_group::<U>(conv, samples, group, x, w, packed, bias, on_the_way, y, scratch);
        }
    }
    if finishing.is_none() {
        normalise::finish::<f32, FMA>(&finish, y);
    }
}

/// The outputs of one group; the slices have been checked.
#[inline(always)]
fn forward_group<U: Products>(
    conv: &Conv2d,
    samples: usize,
    group: usize,
    x: &[f32],
    w: &[f32],
    packed: &[f32],
    bias: &[f32],
    finish: Finishing,
    y: &mut [f32],
    scratch: &mut [f32],
) {
    let shape = conv.correlation();
    let Correlation { inputs, outputs, .. } = shape;
    let job = Job {
        shape,
        samples,
        source: Source { at: x.as_ptr().wrapping_add(group * inputs), strides: Strides::of(conv.input) },
        weights: forward_weights(conv, group, w),
        packed: packed_group(conv, Direction::Forward, group, packed),
        packed_column: conv.methods(Direction::Forward).packed_column(&shape),
        bias: if bias.is_empty() { std::ptr::null() } else { bias[group * outputs..].as_ptr() },
        out: y.as_mut_ptr().wrapping_add(group * outputs),
        out_strides: Strides::of(conv.output),
        write: Write::Set,
        finish: finish.columns_from(group * outputs),
    };
    let by = conv.widening(U::Vectors::LANES);
    // SAFETY: the caller has checked that the slices hold `samples` images, the weights and the scratch of `conv`.
    unsafe {
        if by > 1 {
            widen::forward::<U::Vectors>(conv, by, &job, scratch.as_mut_ptr());
        } else {
            U::correlate(conv, Direction::Forward, &job, scratch.as_mut_ptr());
        }
    }
}

/// See [`crate::Kernels::conv_backward_input`].
#[inline(always)]
pub(crate) fn backward_input<U: Products>(
    conv: &Conv2d,
    dy: &[f32],
    w: &[f32],
    packed: &[f32],
    dx: &mut [f32],
    write: Write,
    scratch: &mut [f32],
) {
    let samples = check_input("conv_backward_input", conv, dx.len(), dy.len());
    check_weights("conv_backward_input", conv, w.len(), &(0..conv.output[2]));
    check_packed("conv_backward_input", conv, Direction::BackwardInput, packed.len());
    check_scratch("conv_backward_input", conv, scratch.len(), conv.scratch::<f32>());
    if samples == 0 {
        return;
    }
    let scratch = aligned(scratch);
    if conv.is_depthwise() {
        return depthwise::backward_input::<U::Vectors>(conv, dy, w, dx, write, scratch);
    }
    if conv.is_dense() {
        let gemm = dense(samples, conv.samples, [conv.filter_len(), conv.output[2]], write);
        let gemm = Gemm { a: [conv.output[2], 1], b: [conv.filter_len(), 1], ..gemm };
        // SAFETY: the checks above; a sample's input is its row of C.
        return unsafe { U::gemm(&gemm, dy.as_ptr(), w.as_ptr(), dx.as_mut_ptr(), scratch.as_mut_ptr()) };
    }
    if conv.is_narrow() {
        let (dy, w, dx) = (dy.as_ptr(), w.as_ptr(), dx.as_mut_ptr());
        // SAFETY: the checks above: the slices hold `samples` images, the weights and the scratch of `conv`.
        return unsafe { narrow::run::<U::Vectors>(conv, samples, dy, w, dx, write, scratch.as_mut_ptr()) };
    }
    if write == Write::Set && conv.passes_over_pixels() {
        // No correlation writes where no tap ever is.
        dx.fill(0.0);
    }
    let methods = conv.methods(Direction::BackwardInput);
    for group in 0..conv.groups {
        let mut packed = packed_group(conv, Direction::BackwardInput, group, packed);
        let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
        for (phase, shape) in conv.phases(Direction::BackwardInput) {
            let job = Job {
                shape,
                samples,
                source: Source {
                    at: dy.as_ptr().wrapping_add(group * outputs),
                    strides: Strides::of(conv.output),
                },
                weights: backward_weights_of(conv, phase, group, w),
                packed,
                packed_column: methods.packed_column(&shape),
                bias: std::ptr::null(),
                out: dx.as_mut_ptr().wrapping_add(group * inputs),
                out_strides: Strides::of(conv.input),
                write,
                finish: Finishing::NOTHING,
            };
            // SAFETY: the slices have been checked; the axes name pixels and taps of `conv` alone.
            unsafe { U::correlate(conv, Direction::BackwardInput, &job, scratch.as_mut_ptr()) };
            if !packed.is_null() {
                packed = packed.wrapping_add(methods.packed_len_of(&shape));
            }
        }
    }
}

/// See [`crate::Kernels::conv_backward_weights`].
#[inline(always)]
pub(crate) fn backward_weights<U: Products>(
    conv: &Conv2d,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    outputs: Range<usize>,
    write: Write,
    scratch: &mut [f32],
) {
    let samples = check_input("conv_backward_weights", conv, x.len(), dy.len());
    check_weights("conv_backward_weights", conv, dw.len(), &outputs);
    check_scratch("conv_backward_weights", conv, scratch.len(), conv.scratch::<f32>());
    if samples == 0 || outputs.is_empty() {
        if write == Write::Set {
            dw.fill(0.0);
        }
        return;
    }
    let scratch = aligned(scratch);
    if conv.is_depthwise() {
        return depthwise::backward_weights::<U::Vectors>(conv, x, dy, dw, outputs, write, scratch);
    }
    if conv.is_dense() {
        let gemm = dense(outputs.len(), conv.output[2], [conv.filter_len(), samples], write);
        let gemm = Gemm { a: [1, conv.output[2]], b: [conv.filter_len(), 1], ..gemm };
        let dy = dy[outputs.start..].as_ptr();
        // SAFETY: the checks above; an output's weights are its row of C.
        return unsafe { U::gemm(&gemm, dy, x.as_ptr(), dw.as_mut_ptr(), scratch.as_mut_ptr()) };
    }
    // SAFETY: the checks above: the slices hold `samples` images, the rows of `outputs` and the scratch of `conv`.
    unsafe {
        let (x, dy, dw) = (x.as_ptr(), dy.as_ptr(), dw.as_mut_ptr());
        U::weights(conv, samples, x, dy, dw, outputs, write, scratch.as_mut_ptr());
    }
}

/// A product of m rows, like those of `of_rows`, by `[n, k]` with C contiguous; A and B are left to the caller.
fn dense(m: usize, of_rows: usize, [n, k]: [usize; 2], write: Write) -> Gemm {
    Gemm { m, n, k, of: [of_rows, n], a: [0, 0], b: [0, 0], c_row: n, write }
}

#[inline(always)]
fn bias_rows(bias: &[f32], y: &mut [f32]) {
    if !bias.is_empty() {
        y.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
    }
}

fn check_scratch(kernel: &str, conv: &Conv2d, len: usize, wanted: usize) {
    assert!(len >= wanted, "{kernel}: scratch of {len} elements is too short for {conv:?}");
}
