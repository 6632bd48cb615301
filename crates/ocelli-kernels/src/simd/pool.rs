//! Max and average pooling. Channels fill the vectors, and a window's values are read where they stand.

use std::ops::Range;

use super::Simd;
use super::channels::{Block, blocks, by_block, load, store};
pub(crate) use super::unpool::{average_pool_backward, max_pool_backward};
use crate::Pool2d;

/// See [`crate::Kernels::max_pool_forward`].
#[inline(always)]
pub(crate) fn max_pool_forward<S: Simd>(pool: &Pool2d, x: &[f32], y: &mut [f32], argmax: &mut [f32]) {
    let samples = pool.check("max_pool_forward", x.len(), y.len());
    assert!(argmax.is_empty() || argmax.len() == y.len(), "max_pool_forward: argmax is as long as y");
    let (x, y) = (x.as_ptr(), y.as_mut_ptr());
    // SAFETY: the slices have the lengths that the geometry asks for, by the checks above.
    unsafe {
        if argmax.is_empty() {
            forward::<S, _>(pool, samples, x, Max::<false> { y, argmax: std::ptr::null_mut() });
        } else {
            forward::<S, _>(pool, samples, x, Max::<true> { y, argmax: argmax.as_mut_ptr() });
        }
    }
}

/// See [`crate::Kernels::average_pool_forward`].
#[inline(always)]
pub(crate) fn average_pool_forward<S: Simd>(pool: &Pool2d, x: &[f32], y: &mut [f32]) {
    let samples = pool.check("average_pool_forward", x.len(), y.len());
    // SAFETY: the slices have the lengths that the geometry asks for, by the check above.
    unsafe { forward::<S, _>(pool, samples, x.as_ptr(), Average { y: y.as_mut_ptr() }) };
}

/// The outputs along an axis whose windows lie inside the image.
#[inline(always)]
pub(super) fn inside(pool: &Pool2d, axis: usize) -> Range<usize> {
    let (padding, stride) = (pool.padding[axis], pool.stride[axis]);
    let end = match (pool.input[axis] + padding).checked_sub(pool.kernel[axis]) {
        Some(last) => (last / stride + 1).min(pool.output[axis]),
        None => 0,
    };
    padding.div_ceil(stride).min(end)..end
}

/// 1 / [`Pool2d::divisor`].
#[inline(always)]
pub(super) fn share(pool: &Pool2d, oy: usize, ox: usize) -> f32 {
    1.0 / pool.divisor(oy, ox) as f32
}

/// The taps of a window that lie in the image.
#[derive(Clone)]
struct Taps {
    rows: Range<usize>,
    columns: Range<usize>,
    /// Columns of the window.
    width: usize,
    /// Elements from one row of the image to the next, and from one pixel to the next.
    steps: [usize; 2],
    /// What an average multiplies the sum by.
    share: f32,
}

impl Taps {
    /// Where a tap's values stand, from the first place of the window on.
    #[inline(always)]
    fn at(&self, ky: usize, kx: usize) -> usize {
        ky * self.steps[0] + kx * self.steps[1]
    }

    /// A tap's offset in the window.
    #[inline(always)]
    fn offset(&self, ky: usize, kx: usize) -> f32 {
        (ky * self.width + kx) as f32
    }
}

/// How a window's values become one.
trait Reduce<S: Simd>: Copy {
    /// Writes the outputs of V vectors at `out`, from the values at `from` and further taps.
    ///
    /// # Safety
    /// The CPU has the instruction set; what the taps name from `from` on is valid to read, the outputs to write.
    unsafe fn window<const V: usize, const WHOLE: bool>(
        self,
        taps: &Taps,
        from: *const f32,
        out: usize,
        lanes: usize,
    );
}

/// # Safety
/// The CPU has the instruction set; x and the outputs are valid for `samples` images of a pooling that was checked.
#[inline(always)]
unsafe fn forward<S: Simd, R: Reduce<S>>(pool: &Pool2d, samples: usize, x: *const f32, reduce: R) {
    let [height, width, channels] = pool.output;
    for (line, oy) in (0..samples * height).map(|line| (line, line % height)) {
        let sample = x.wrapping_add(line / height * pool.input_len());
        let row = Row { pool, oy, x: sample, out: line * width * channels };
        for block in blocks::<S>(channels) {
            // SAFETY: the caller's promise; the row is one of the outputs', the block one of its channels'.
            unsafe { by_block!(block, row_of_windows::<S, R>(&row, block, reduce)) };
        }
    }
}

/// A row of outputs.
struct Row<'a> {
    pool: &'a Pool2d,
    oy: usize,
    /// The sample.
    x: *const f32,
    /// The first output.
    out: usize,
}

/// # Safety
/// As [`forward`].
#[inline(always)]
unsafe fn row_of_windows<S: Simd, R: Reduce<S>, const V: usize, const WHOLE: bool>(
    row: &Row,
    block: Block,
    reduce: R,
) {
    let Pool2d { output: [_, width, _], kernel, .. } = *row.pool;
    let inside = inside(row.pool, 1);
    let whole = row.pool.taps(0, row.oy).len() == kernel[0];
    // SAFETY: the caller's promise, for all windows of the row.
    unsafe {
        for ox in (0..inside.start).chain(inside.end..width) {
            span::<S, R, V, WHOLE, 0>(row, block, ox..ox + 1, reduce);
        }
        match kernel {
            [2, 2] if whole => span::<S, R, V, WHOLE, 2>(row, block, inside, reduce),
            [3, 3] if whole => span::<S, R, V, WHOLE, 3>(row, block, inside, reduce),
            _ => span::<S, R, V, WHOLE, 0>(row, block, inside, reduce),
        }
    }
}

/// Windows that have the same taps: K×K, or any where K is 0.
///
/// # Safety
/// As [`forward`].
#[inline(always)]
unsafe fn span<S: Simd, R: Reduce<S>, const V: usize, const WHOLE: bool, const K: usize>(
    row: &Row,
    block: Block,
    windows: Range<usize>,
    reduce: R,
) {
    let Some(first) = windows.clone().next() else { return };
    let Row { pool, oy, x, out } = *row;
    let [_, image_width, channels] = pool.input;
    let steps = [image_width * channels, channels];
    let (rows, columns) = if K > 0 { (0..K, 0..K) } else { (pool.taps(0, oy), pool.taps(1, first)) };
    let width = if K > 0 { K } else { pool.kernel[1] };
    let taps = Taps { rows, columns, width, steps, share: share(pool, oy, first) };
    // The window's first place may lie in the padding, and is then not read.
    let place = |axis: usize, out: usize| (out * pool.stride[axis]).wrapping_sub(pool.padding[axis]);
    let at = place(0, oy).wrapping_mul(steps[0]).wrapping_add(place(1, first).wrapping_mul(channels));
    let mut from = x.wrapping_add(at.wrapping_add(block.first));
    for ox in windows {
        // SAFETY: the caller's promise.
        unsafe { reduce.window::<V, WHOLE>(&taps, from, out + ox * channels + block.first, block.lanes) };
        from = from.wrapping_add(pool.stride[1] * channels);
    }
}

#[derive(Clone, Copy)]
struct Average {
    y: *mut f32,
}

impl<S: Simd> Reduce<S> for Average {
    #[inline(always)]
    unsafe fn window<const V: usize, const WHOLE: bool>(
        self,
        taps: &Taps,
        from: *const f32,
        out: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [S::zero(); V];
            for ky in taps.rows.clone() {
                for kx in taps.columns.clone() {
                    let values = load::<S, V, WHOLE>(from.wrapping_add(taps.at(ky, kx)), lanes);
                    for v in 0..V {
                        sums[v] = S::add(sums[v], values[v]);
                    }
                }
            }
            let share = S::fill(taps.share);
            for sum in &mut sums {
                *sum = S::multiply(*sum, share);
            }
            store::<S, V, WHOLE>(self.y.add(out), sums, lanes);
        }
    }
}

/// `PLACES` says whether the places of the maxima are wanted.
#[derive(Clone, Copy)]
struct Max<const PLACES: bool> {
    y: *mut f32,
    argmax: *mut f32,
}

impl<S: Simd, const PLACES: bool> Reduce<S> for Max<PLACES> {
    #[inline(always)]
    unsafe fn window<const V: usize, const WHOLE: bool>(
        self,
        taps: &Taps,
        from: *const f32,
        out: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let [mut best, mut place, mut sums] = [[S::zero(); V]; 3];
            let mut first = true;
            for ky in taps.rows.clone() {
                for kx in taps.columns.clone() {
                    let values = load::<S, V, WHOLE>(from.wrapping_add(taps.at(ky, kx)), lanes);
                    let tap = S::fill(taps.offset(ky, kx));
                    if first {
                        (best, place, sums, first) = (values, [tap; V], values, false);
                        continue;
                    }
                    for v in 0..V {
                        let wins = S::greater(values[v], best[v]);
                        best[v] = S::select(wins, values[v], best[v]);
                        place[v] = S::select(wins, tap, place[v]);
                        sums[v] = S::add(sums[v], values[v]);
                    }
                }
            }
            // A NaN among the values makes their sum NaN, which costs less than to compare each with itself.
            for v in 1..V {
                sums[0] = S::add(sums[0], sums[v]);
            }
            if S::any_nan(sums[0]) {
                let channels = if WHOLE { V * S::LANES } else { lanes };
                return self.with_nan(taps, from, out, channels);
            }
            store::<S, V, WHOLE>(self.y.add(out), best, lanes);
            if PLACES {
                store::<S, V, WHOLE>(self.argmax.add(out), place, lanes);
            }
        }
    }
}

impl<const PLACES: bool> Max<PLACES> {
    /// One channel after the other, with the rule that NaN counts as the greatest value.
    ///
    /// # Safety
    /// As [`Reduce::window`], for `channels`.
    #[cold]
    unsafe fn with_nan(self, taps: &Taps, from: *const f32, out: usize, channels: usize) {
        for c in 0..channels {
            let (mut best, mut place) = (f32::NEG_INFINITY, -1.0);
            for (ky, kx) in taps.rows.clone().flat_map(|ky| taps.columns.clone().map(move |kx| (ky, kx))) {
                // SAFETY: the caller's promise.
                let value = unsafe { *from.wrapping_add(taps.at(ky, kx) + c) };
                if place < 0.0 || value > best || (value.is_nan() && !best.is_nan()) {
                    (best, place) = (value, taps.offset(ky, kx));
                }
            }
            // SAFETY: the caller's promise.
            unsafe {
                *self.y.add(out + c) = best;
                if PLACES {
                    *self.argmax.add(out + c) = place;
                }
            }
        }
    }
}
