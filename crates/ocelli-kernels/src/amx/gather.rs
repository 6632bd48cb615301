//! Windows of few channels: the terms of all taps side by side, a row for each pixel.

use super::{SIDE, split};
use crate::blocking::Correlation;
use crate::simd::window::{self, Source};

/// Numbers beyond a row that [`Gather::row`] writes.
pub(super) const BEYOND: usize = SIDE;

/// The windows of a correlation over a source.
pub(super) struct Gather {
    source: Source,
    /// From one pixel's window to the next, along samples, rows and columns.
    steps: [usize; 3],
    /// Runs of numbers that stand next to each other, along rows and columns of taps, how far apart they are, and how long.
    runs: [usize; 2],
    run: [usize; 2],
    len: usize,
}

impl Gather {
    /// Of what [`Source::rows`] gave.
    pub(super) fn new(shape: &Correlation, source: Source) -> Gather {
        let strides = source.strides;
        let run = [shape.y.tap_step * strides.row, shape.x.tap_step * strides.pixel];
        let (runs, len) = window::runs(shape, shape.inputs, run);
        let steps = [strides.sample, shape.y.step * strides.row, shape.x.step * strides.pixel];
        Gather { source, steps, runs, run, len }
    }

    /// Copies the terms of a pixel, and zeros or others of the source behind them.
    ///
    /// # Safety
    /// The CPU has AVX-512; the source has the pixel's window, and `to` room for the terms and [`BEYOND`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn row(&self, [sample, row, column]: [usize; 3], to: *mut f32) {
        let at = sample * self.steps[0] + row * self.steps[1] + column * self.steps[2];
        let from = self.source.at.wrapping_add(at);
        // SAFETY: the caller's promise.
        unsafe {
            if self.runs[1] == 1 {
                return split::copy_runs(from, self.runs[0], self.run[0], self.len, to);
            }
            for i in 0..self.runs[0] {
                let (from, to) = (from.add(i * self.run[0]), to.add(i * self.runs[1] * self.len));
                split::copy_runs(from, self.runs[1], self.run[1], self.len, to);
            }
        }
    }
}
