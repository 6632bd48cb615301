//! Local response normalisation across channels (Krizhevsky, Sutskever and Hinton 2012, section 3.3).

use std::ops::Range;

use super::write_all;
use crate::{Element, Write};

/// d_c = k + α/n · Σ x_j² over the window of c, y = x·d^−β, for each row of `channels`.
///
/// The window of c is c − size/2 ..= c + (size−1)/2, clipped (PyTorch's).
#[inline(always)]
pub(crate) fn local_response_forward<T: Element>(
    size: usize,
    alpha_over_n: T,
    beta: T,
    k: T,
    channels: usize,
    x: &[T],
    y: &mut [T],
    denominators: &mut [T],
) {
    check("local_response_forward", channels, [x.len(), y.len(), denominators.len()]);
    let rows = x.chunks_exact(channels).zip(y.chunks_exact_mut(channels));
    for ((x, y), d) in rows.zip(denominators.chunks_exact_mut(channels)) {
        d.fill(k);
        for (targets, sources) in shifts(size, channels, false) {
            for (d, &x) in d[targets].iter_mut().zip(&x[sources]) {
                *d += alpha_over_n * (x * x);
            }
        }
        multiply_by_power(x, d, beta, y, Write::Set);
    }
}

/// dx_i = dy_i·d_i^−β − 2·β·α/n · x_i · Σ dy_j·y_j/d_j over the j whose window holds i.
///
/// `scratch` takes one row.
#[inline(always)]
pub(crate) fn local_response_backward<T: Element>(
    size: usize,
    alpha_over_n: T,
    beta: T,
    channels: usize,
    x: &[T],
    y: &[T],
    denominators: &[T],
    dy: &[T],
    dx: &mut [T],
    write: Write,
    scratch: &mut [T],
) {
    check("local_response_backward", channels, [x.len(), y.len(), denominators.len()]);
    check("local_response_backward", channels, [x.len(), dy.len(), dx.len()]);
    assert!(scratch.len() >= channels, "local_response_backward: scratch for a row of {channels}");
    let ratios = &mut scratch[..channels];
    let factor = T::of(-2.0) * beta * alpha_over_n;
    for start in (0..x.len()).step_by(channels.max(1)) {
        let row = start..start + channels;
        let (x, y, d, dy) = (&x[row.clone()], &y[row.clone()], &denominators[row.clone()], &dy[row.clone()]);
        let dx = &mut dx[row];
        multiply_by_power(dy, d, beta, dx, write);
        for (ratio, ((&dy, &y), &d)) in ratios.iter_mut().zip(dy.iter().zip(y).zip(d)) {
            *ratio = factor * (dy * y / d);
        }
        for (targets, sources) in shifts(size, channels, true) {
            for ((dx, &x), &ratio) in dx[targets.clone()].iter_mut().zip(&x[targets]).zip(&ratios[sources]) {
                *dx += x * ratio;
            }
        }
    }
}

/// Pairs of channel ranges, one for each place of the window: its target channels and the sources they read.
#[inline(always)]
fn shifts(
    size: usize,
    channels: usize,
    transposed: bool,
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let before = if transposed { size.saturating_sub(1) / 2 } else { size / 2 };
    (0..size).map(move |place| {
        let back = before.saturating_sub(place).min(channels);
        let ahead = place.saturating_sub(before).min(channels);
        (back..channels - ahead, ahead..channels - back)
    })
}

/// out = x·d^−β, or added.
#[inline(always)]
fn multiply_by_power<T: Element>(x: &[T], d: &[T], beta: T, out: &mut [T], write: Write) {
    let pairs = x.iter().zip(d);
    // The usual exponents need roots alone, which are vector instructions.
    if beta == T::of(0.75) {
        write_all(out, write, pairs.map(|(&x, &d)| x / (d.sqrt() * d.sqrt().sqrt())));
    } else if beta == T::of(0.5) {
        write_all(out, write, pairs.map(|(&x, &d)| x / d.sqrt()));
    } else {
        write_all(out, write, pairs.map(|(&x, &d)| x * d.powf(-beta)));
    }
}

#[inline(always)]
fn check(kernel: &str, channels: usize, lens: [usize; 3]) {
    assert!(lens[0] == lens[1] && lens[0] == lens[2], "{kernel}: slices of lengths {lens:?}");
    assert!(channels > 0 && lens[0].is_multiple_of(channels), "{kernel}: rows of {channels} channels");
}
