//! The gradients of pooling. Each pixel of the image gathers what the windows over it give, in their order, so that it is
//! written once; where windows lie side by side, each hands its own out instead.

use std::ops::Range;

use super::Simd;
use super::channels::{Block, blocks, by_block, load, store};
use super::pool::{inside, share};
use crate::{Pool2d, Write};

/// See [`crate::Kernels::max_pool_backward`].
#[inline(always)]
pub(crate) fn max_pool_backward<S: Simd>(
    pool: &Pool2d,
    argmax: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    write: Write,
) {
    let samples = pool.check("max_pool_backward", dx.len(), dy.len());
    assert_eq!(argmax.len(), dy.len(), "max_pool_backward: argmax is as long as dy");
    let spread = Max { argmax: argmax.as_ptr(), dy: dy.as_ptr() };
    // SAFETY: the slices have the lengths that the geometry asks for, by the checks above.
    unsafe { backward::<S, _>(pool, samples, dx.as_mut_ptr(), write, spread) };
}

/// See [`crate::Kernels::average_pool_backward`].
#[inline(always)]
pub(crate) fn average_pool_backward<S: Simd>(pool: &Pool2d, dy: &[f32], dx: &mut [f32], write: Write) {
    let samples = pool.check("average_pool_backward", dx.len(), dy.len());
    // SAFETY: the slices have the lengths that the geometry asks for, by the check above.
    unsafe { backward::<S, _>(pool, samples, dx.as_mut_ptr(), write, Average { dy: dy.as_ptr() }) };
}

/// What a window gives to the pixels under it.
trait Spread<S: Simd>: Copy {
    /// What it gives.
    type Window<const V: usize>: Copy;

    /// Of the window whose outputs start at `out`; an average gives each pixel this share.
    ///
    /// # Safety
    /// The CPU has the instruction set; the outputs are valid to read.
    unsafe fn window<const V: usize, const WHOLE: bool>(
        self,
        out: usize,
        share: f32,
        lanes: usize,
    ) -> Self::Window<V>;

    /// `sums` and what the window gives to the pixel under the tap of this offset.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn add<const V: usize>(
        window: Self::Window<V>,
        tap: usize,
        sums: [S::Vector; V],
    ) -> [S::Vector; V];
}

#[derive(Clone, Copy)]
struct Max {
    argmax: *const f32,
    dy: *const f32,
}

impl<S: Simd> Spread<S> for Max {
    /// The places of the maxima, and the gradients.
    type Window<const V: usize> = [[S::Vector; V]; 2];

    #[inline(always)]
    unsafe fn window<const V: usize, const WHOLE: bool>(
        self,
        out: usize,
        _: f32,
        lanes: usize,
    ) -> [[S::Vector; V]; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let (argmax, dy) = (self.argmax.wrapping_add(out), self.dy.wrapping_add(out));
            [load::<S, V, WHOLE>(argmax, lanes), load::<S, V, WHOLE>(dy, lanes)]
        }
    }

    #[inline(always)]
    unsafe fn add<const V: usize>(
        [argmax, dy]: [[S::Vector; V]; 2],
        tap: usize,
        mut sums: [S::Vector; V],
    ) -> [S::Vector; V] {
        // SAFETY: the caller's promise.
        unsafe {
            let tap = S::fill(tap as f32);
            for v in 0..V {
                sums[v] = S::select(S::equal(argmax[v], tap), S::add(sums[v], dy[v]), sums[v]);
            }
        }
        sums
    }
}

#[derive(Clone, Copy)]
struct Average {
    dy: *const f32,
}

impl<S: Simd> Spread<S> for Average {
    /// The gradients' shares.
    type Window<const V: usize> = [S::Vector; V];

    #[inline(always)]
    unsafe fn window<const V: usize, const WHOLE: bool>(
        self,
        out: usize,
        share: f32,
        lanes: usize,
    ) -> [S::Vector; V] {
        // SAFETY: the caller's promise.
        unsafe {
            let share = S::fill(share);
            let mut shares = load::<S, V, WHOLE>(self.dy.wrapping_add(out), lanes);
            for dy in &mut shares {
                *dy = S::multiply(*dy, share);
            }
            shares
        }
    }

    #[inline(always)]
    unsafe fn add<const V: usize>(
        window: [S::Vector; V],
        _: usize,
        mut sums: [S::Vector; V],
    ) -> [S::Vector; V] {
        for v in 0..V {
            // SAFETY: the caller's promise.
            sums[v] = unsafe { S::add(sums[v], window[v]) };
        }
        sums
    }
}

/// # Safety
/// The CPU has the instruction set; dx and the outputs are valid for `samples` images of a pooling that was checked.
#[inline(always)]
unsafe fn backward<S: Simd, P: Spread<S>>(
    pool: &Pool2d,
    samples: usize,
    dx: *mut f32,
    write: Write,
    spread: P,
) {
    let apart = pool.kernel == pool.stride;
    for n in 0..samples {
        let image =
            Image { pool, dx: dx.wrapping_add(n * pool.input_len()), write, out: n * pool.output_len() };
        // SAFETY: the caller's promise, for this sample.
        unsafe {
            if apart {
                image.scatter::<S, P>(spread);
            } else {
                image.gather::<S, P>(spread);
            }
        }
    }
}

/// One sample's gradient.
struct Image<'a> {
    pool: &'a Pool2d,
    dx: *mut f32,
    write: Write,
    /// The sample's first output.
    out: usize,
}

impl Image<'_> {
    /// Every pixel's sum over the windows that hold it.
    ///
    /// # Safety
    /// As [`backward`].
    #[inline(always)]
    unsafe fn gather<S: Simd, P: Spread<S>>(&self, spread: P) {
        for iy in 0..self.pool.input[0] {
            for block in blocks::<S>(self.pool.input[2]) {
                // SAFETY: the caller's promise; the row and the channels are the image's.
                unsafe { by_block!(block, gather_row::<S, P>(self, iy, block, spread)) };
            }
        }
    }

    /// Every window's shares, and zeros where no window is: windows lie side by side.
    ///
    /// # Safety
    /// As [`backward`].
    #[inline(always)]
    unsafe fn scatter<S: Simd, P: Spread<S>>(&self, spread: P) {
        let Pool2d { input: [height, width, channels], output: [rows, columns, _], stride, padding, .. } =
            *self.pool;
        // The first row and column behind all windows.
        let below = (rows * stride[0]).saturating_sub(padding[0]).min(height);
        let right = (columns * stride[1]).saturating_sub(padding[1]).min(width);
        // SAFETY: the caller's promise; the pixels are the image's.
        unsafe {
            for oy in 0..rows {
                for block in blocks::<S>(channels) {
                    by_block!(block, scatter_row::<S, P>(self, oy, block, spread));
                }
            }
            if self.write == Write::Set {
                for iy in 0..below {
                    let from = (iy * width + right) * channels;
                    self.dx.add(from).write_bytes(0, (width - right) * channels);
                }
                let rest = below * width * channels;
                self.dx.add(rest).write_bytes(0, (height - below) * width * channels);
            }
        }
    }
}

/// # Safety
/// As [`backward`]; the image has row `iy`.
#[inline(always)]
unsafe fn gather_row<S: Simd, P: Spread<S>, const V: usize, const WHOLE: bool>(
    image: &Image,
    iy: usize,
    block: Block,
    spread: P,
) {
    let pool = image.pool;
    let ([_, width, channels], [kernel_rows, kernel], [row_stride, stride]) =
        (pool.input, pool.kernel, pool.stride);
    let place = iy + pool.padding[0];
    let first_row = (place + 1).saturating_sub(kernel_rows).div_ceil(row_stride);
    let rows = first_row..(place / row_stride + 1).min(pool.output[0]);
    let whole = [inside(pool, 0), inside(pool, 1)];
    let whole_share = 1.0 / (kernel_rows * kernel) as f32;
    // The windows over a pixel of the row, kept up to date from pixel to pixel.
    let (mut first, mut end) = (0, 0);
    let mut dx = image.dx.wrapping_add(iy * width * channels + block.first);
    for ix in pool.padding[1]..pool.padding[1] + width {
        while first * stride + kernel <= ix {
            first += 1;
        }
        while end < pool.output[1] && end * stride <= ix {
            end += 1;
        }
        // SAFETY: the caller's promise: these windows hold the pixel.
        unsafe {
            let mut sums = match image.write {
                Write::Set => [S::zero(); V],
                Write::Add => load::<S, V, WHOLE>(dx, block.lanes),
            };
            for oy in rows.clone() {
                let line = image.out + oy * pool.output[1] * channels + block.first;
                let tap_row = (place - oy * row_stride) * kernel;
                for ox in first..end {
                    let whole = whole[0].contains(&oy) && whole[1].contains(&ox);
                    let share = if whole { whole_share } else { share(pool, oy, ox) };
                    let window = spread.window::<V, WHOLE>(line + ox * channels, share, block.lanes);
                    sums = P::add(window, tap_row + ix - ox * stride, sums);
                }
            }
            store::<S, V, WHOLE>(dx, sums, block.lanes);
        }
        dx = dx.wrapping_add(channels);
    }
}

/// # Safety
/// As [`backward`]; the output has row `oy`, and no two windows share a pixel.
#[inline(always)]
unsafe fn scatter_row<S: Simd, P: Spread<S>, const V: usize, const WHOLE: bool>(
    image: &Image,
    oy: usize,
    block: Block,
    spread: P,
) {
    let pool = image.pool;
    let inside = inside(pool, 1);
    let whole = pool.taps(0, oy).len() == pool.kernel[0];
    // SAFETY: the caller's promise.
    unsafe {
        for ox in (0..inside.start).chain(inside.end..pool.output[1]) {
            scatter_span::<S, P, V, WHOLE, 0>(image, oy, ox..ox + 1, block, spread);
        }
        if whole && pool.kernel == [2, 2] {
            scatter_span::<S, P, V, WHOLE, 2>(image, oy, inside, block, spread);
        } else {
            scatter_span::<S, P, V, WHOLE, 0>(image, oy, inside, block, spread);
        }
    }
}

/// Windows that have the same taps: K×K, or any where K is 0.
///
/// # Safety
/// As [`scatter_row`].
#[inline(always)]
unsafe fn scatter_span<S: Simd, P: Spread<S>, const V: usize, const WHOLE: bool, const K: usize>(
    image: &Image,
    oy: usize,
    windows: Range<usize>,
    block: Block,
    spread: P,
) {
    let Some(first) = windows.clone().next() else { return };
    let Image { pool, write, .. } = *image;
    let [_, width, channels] = pool.input;
    let (rows, columns) = if K > 0 { (0..K, 0..K) } else { (pool.taps(0, oy), pool.taps(1, first)) };
    let kernel = if K > 0 { K } else { pool.kernel[1] };
    let share = share(pool, oy, first);
    // The window's first place may lie in the padding, and is then not touched.
    let place = |axis: usize, out: usize| (out * pool.stride[axis]).wrapping_sub(pool.padding[axis]);
    let at = place(0, oy).wrapping_mul(width).wrapping_add(place(1, first)).wrapping_mul(channels);
    let mut window_at = image.dx.wrapping_add(at.wrapping_add(block.first));
    let mut out = image.out + (oy * pool.output[1] + first) * channels + block.first;
    for _ in windows {
        // SAFETY: the caller's promise: these taps lie in the image.
        unsafe {
            let window = spread.window::<V, WHOLE>(out, share, block.lanes);
            for ky in rows.clone() {
                for kx in columns.clone() {
                    let to = window_at.wrapping_add((ky * width + kx) * channels);
                    let before = match write {
                        Write::Set => [S::zero(); V],
                        Write::Add => load::<S, V, WHOLE>(to, block.lanes),
                    };
                    let sums = P::add(window, ky * kernel + kx, before);
                    store::<S, V, WHOLE>(to, sums, block.lanes);
                }
            }
        }
        window_at = window_at.wrapping_add(pool.stride[1] * channels);
        out += channels;
    }
}
