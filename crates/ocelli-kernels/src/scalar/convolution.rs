//! The reference convolutions: the three directions as loops over pixels, taps and channels.

use std::ops::Range;

use crate::common::math::Math;
use crate::common::normalise;
use crate::{Conv2d, Direction, Element, Finish, Write};

/// The reference reads weights as they stand.
#[inline(always)]
pub(crate) fn pack<T: Element>(
    conv: &Conv2d,
    _direction: Direction,
    w: &[T],
    _pieces: Range<usize>,
    _packed: &mut [T],
) {
    check_weights("conv_pack", conv, w.len(), &(0..conv.output[2]));
}

/// y = bias + x ∗ w, finished. An empty bias is none. See [`Conv2d`].
#[inline(always)]
pub(crate) fn forward<T: Math, const FMA: bool>(
    conv: &Conv2d,
    x: &[T],
    w: &[T],
    _packed: &[T],
    bias: &[T],
    finish: Finish<'_, T>,
    y: &mut [T],
    _scratch: &mut [T],
) {
    let samples = check_input("conv_forward", conv, x.len(), y.len());
    check_weights("conv_forward", conv, w.len(), &(0..conv.output[2]));
    check_bias("conv_forward", conv, bias.len());
    finish.check("conv_forward", conv.output[2], y.len());
    for pixel in y.chunks_exact_mut(conv.output[2].max(1)) {
        if bias.is_empty() { pixel.fill(T::ZERO) } else { pixel.copy_from_slice(bias) }
    }
    for tap in taps(conv, samples, 0..conv.output[2]) {
        let terms = x[tap.input.clone()].iter().zip(&w[tap.weights.clone()]);
        y[tap.output] += terms.map(|(&x, &w)| x * w).sum();
    }
    normalise::finish::<T, FMA>(&finish, y);
}

/// dx = the adjoint of the convolution, applied to dy.
#[inline(always)]
pub(crate) fn backward_input<T: Element>(
    conv: &Conv2d,
    dy: &[T],
    w: &[T],
    _packed: &[T],
    dx: &mut [T],
    write: Write,
    _scratch: &mut [T],
) {
    let samples = check_input("conv_backward_input", conv, dx.len(), dy.len());
    check_weights("conv_backward_input", conv, w.len(), &(0..conv.output[2]));
    if write == Write::Set {
        dx.fill(T::ZERO);
    }
    for tap in taps(conv, samples, 0..conv.output[2]) {
        let dy = dy[tap.output];
        let targets = dx[tap.input.clone()].iter_mut();
        targets.zip(&w[tap.weights.clone()]).for_each(|(dx, &w)| *dx += dy * w);
    }
}

/// The rows `outputs` of dw = Σ over samples and pixels of dy·x. `dw` holds those rows alone.
#[inline(always)]
pub(crate) fn backward_weights<T: Element>(
    conv: &Conv2d,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    outputs: Range<usize>,
    write: Write,
    _scratch: &mut [T],
) {
    let samples = check_input("conv_backward_weights", conv, x.len(), dy.len());
    check_weights("conv_backward_weights", conv, dw.len(), &outputs);
    if write == Write::Set {
        dw.fill(T::ZERO);
    }
    let start = outputs.start * conv.filter_len();
    for tap in taps(conv, samples, outputs) {
        let dy = dy[tap.output];
        let weights = tap.weights.start - start..tap.weights.end - start;
        dw[weights].iter_mut().zip(&x[tap.input.clone()]).for_each(|(dw, &x)| *dw += dy * x);
    }
}

/// One output element and one of its taps: the products over a group's channels, which are contiguous.
struct Tap {
    output: usize,
    input: Range<usize>,
    weights: Range<usize>,
}

/// Every tap that lies in the image, of every output element in the channels `outputs`.
#[inline(always)]
fn taps(conv: &Conv2d, samples: usize, outputs: Range<usize>) -> impl Iterator<Item = Tap> + use<> {
    let conv = *conv;
    let [height, width, channels] = conv.output;
    let depth = conv.group_inputs();
    let pixels =
        (0..samples * height * width).map(move |at| (at / (height * width), at / width % height, at % width));
    pixels.flat_map(move |(n, oy, ox)| {
        outputs.clone().flat_map(move |o| {
            let output = ((n * height + oy) * width + ox) * channels + o;
            let group = o / conv.group_outputs() * depth;
            (0..conv.kernel[0] * conv.kernel[1]).filter_map(move |tap| {
                let iy = conv.source(0, oy, tap / conv.kernel[1])?;
                let ix = conv.source(1, ox, tap % conv.kernel[1])?;
                let input = ((n * conv.input[0] + iy) * conv.input[1] + ix) * conv.input[2] + group;
                let weights = o * conv.filter_len() + tap * depth;
                Some(Tap { output, input: input..input + depth, weights: weights..weights + depth })
            })
        })
    })
}

/// Samples of the batch.
#[inline(always)]
pub(crate) fn check_input(kernel: &str, conv: &Conv2d, input_len: usize, output_len: usize) -> usize {
    assert!(
        conv.groups > 0
            && conv.input[2].is_multiple_of(conv.groups)
            && conv.output[2].is_multiple_of(conv.groups),
        "{kernel}: the groups divide the channels of {conv:?}"
    );
    assert!(conv.samples > 0, "{kernel}: the choice of method goes by a number of samples: {conv:?}");
    let samples = input_len / conv.input_len().max(1);
    assert_eq!(input_len, samples * conv.input_len(), "{kernel}: whole inputs of {conv:?}");
    assert_eq!(
        output_len,
        samples * conv.output_len(),
        "{kernel}: outputs for {samples} samples of {conv:?}"
    );
    samples
}

#[inline(always)]
pub(crate) fn check_weights(kernel: &str, conv: &Conv2d, len: usize, outputs: &Range<usize>) {
    assert!(outputs.end <= conv.output[2], "{kernel}: outputs {outputs:?} of {conv:?}");
    assert_eq!(
        len,
        outputs.len().saturating_mul(conv.filter_len()),
        "{kernel}: weights of outputs {outputs:?} of {conv:?}"
    );
}

#[inline(always)]
pub(crate) fn check_bias(kernel: &str, conv: &Conv2d, len: usize) {
    assert!(len == 0 || len == conv.output[2], "{kernel}: {len} biases for {conv:?}");
}
