//! Max and average pooling. Channels are contiguous and treated alike, so that they fill vectors.

use crate::common::{blocks, by_length};
use crate::{Element, Pool2d, Write};

/// A window of one output pixel.
struct Window {
    /// Where the output pixel starts.
    out: usize,
    oy: usize,
    ox: usize,
    /// Where the sample's input starts.
    input: usize,
}

/// Every window of the batch, in the order of the output.
#[inline(always)]
fn windows(pool: &Pool2d, samples: usize) -> impl Iterator<Item = Window> + use<> {
    let Pool2d { input, output: [height, width, channels], .. } = *pool;
    let sample_len: usize = input.iter().product();
    (0..samples).flat_map(move |n| {
        (0..height).flat_map(move |oy| {
            (0..width).map(move |ox| Window {
                out: ((n * height + oy) * width + ox) * channels,
                oy,
                ox,
                input: n * sample_len,
            })
        })
    })
}

impl Window {
    /// The taps in the image: each one's offset ky·kw + kx in the window and where its pixel starts.
    #[inline(always)]
    fn taps(&self, pool: &Pool2d) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (pool, oy, ox, input) = (*pool, self.oy, self.ox, self.input);
        pool.taps(0, oy).flat_map(move |ky| {
            let row = input + pool.source(0, oy, ky) * pool.input[1] * pool.input[2];
            pool.taps(1, ox)
                .map(move |kx| (ky * pool.kernel[1] + kx, row + pool.source(1, ox, kx) * pool.input[2]))
        })
    }
}

/// y = the window's maximum; `argmax` = the offset ky·kw + kx of its first occurrence. NaN counts as the
/// greatest value. `argmax` may be empty.
#[inline(always)]
pub(crate) fn max_pool_forward<T: Element>(pool: &Pool2d, x: &[T], y: &mut [T], argmax: &mut [T]) {
    let samples = pool.check("max_pool_forward", x.len(), y.len());
    assert!(argmax.is_empty() || argmax.len() == y.len(), "max_pool_forward: argmax is as long as y");
    for window in windows(pool, samples) {
        for (c, len) in blocks(0..pool.input[2]) {
            by_length!(len, max_of_window::<T>(pool, &window, c, x, y, argmax));
        }
    }
}

#[inline(always)]
fn max_of_window<T: Element, const W: usize>(
    pool: &Pool2d,
    window: &Window,
    c: usize,
    x: &[T],
    y: &mut [T],
    argmax: &mut [T],
) {
    let mut best = [T::NEG_INFINITY; W];
    let mut place = [T::NEG_INFINITY; W];
    for (tap, pixel) in window.taps(pool) {
        let tap = T::of(tap as f64);
        let values = &x[pixel + c..][..W];
        for i in 0..W {
            let value = values[i];
            // The first tap always wins, later ones if they are greater or the first NaN.
            let nan = value.is_nan() & !best[i].is_nan();
            let wins = (value > best[i]) | nan | (place[i] < T::ZERO);
            best[i] = if wins { value } else { best[i] };
            place[i] = if wins { tap } else { place[i] };
        }
    }
    y[window.out + c..][..W].copy_from_slice(&best);
    if !argmax.is_empty() {
        argmax[window.out + c..][..W].copy_from_slice(&place);
    }
}

/// dx at each window's maximum += dy.
#[inline(always)]
pub(crate) fn max_pool_backward<T: Element>(
    pool: &Pool2d,
    argmax: &[T],
    dy: &[T],
    dx: &mut [T],
    write: Write,
) {
    let samples = pool.check("max_pool_backward", dx.len(), dy.len());
    assert_eq!(argmax.len(), dy.len(), "max_pool_backward: argmax is as long as dy");
    clear_if_set(dx, write);
    let channels = pool.input[2];
    for window in windows(pool, samples) {
        let dy = &dy[window.out..][..channels];
        let argmax = &argmax[window.out..][..channels];
        for (tap, pixel) in window.taps(pool) {
            let tap = T::of(tap as f64);
            for ((dx, &dy), &argmax) in dx[pixel..][..channels].iter_mut().zip(dy).zip(argmax) {
                *dx += if argmax == tap { dy } else { T::ZERO };
            }
        }
    }
}

/// y = the window's sum / [`Pool2d::divisor`].
#[inline(always)]
pub(crate) fn average_pool_forward<T: Element>(pool: &Pool2d, x: &[T], y: &mut [T]) {
    let samples = pool.check("average_pool_forward", x.len(), y.len());
    for window in windows(pool, samples) {
        for (c, len) in blocks(0..pool.input[2]) {
            by_length!(len, average_of_window::<T>(pool, &window, c, x, y));
        }
    }
}

#[inline(always)]
fn average_of_window<T: Element, const W: usize>(
    pool: &Pool2d,
    window: &Window,
    c: usize,
    x: &[T],
    y: &mut [T],
) {
    let mut sums = [T::ZERO; W];
    for (_, pixel) in window.taps(pool) {
        let values = &x[pixel + c..][..W];
        for i in 0..W {
            sums[i] += values[i];
        }
    }
    let share = T::ONE / T::of(pool.divisor(window.oy, window.ox) as f64);
    let y = &mut y[window.out + c..][..W];
    for i in 0..W {
        y[i] = sums[i] * share;
    }
}

/// dx of each of the window's pixels += dy / [`Pool2d::divisor`].
#[inline(always)]
pub(crate) fn average_pool_backward<T: Element>(pool: &Pool2d, dy: &[T], dx: &mut [T], write: Write) {
    let samples = pool.check("average_pool_backward", dx.len(), dy.len());
    clear_if_set(dx, write);
    let channels = pool.input[2];
    for window in windows(pool, samples) {
        let dy = &dy[window.out..][..channels];
        let share = T::ONE / T::of(pool.divisor(window.oy, window.ox) as f64);
        for (_, pixel) in window.taps(pool) {
            let dx = &mut dx[pixel..][..channels];
            dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy * share);
        }
    }
}

#[inline(always)]
fn clear_if_set<T: Element>(dx: &mut [T], write: Write) {
    if write == Write::Set {
        dx.fill(T::ZERO);
    }
}
