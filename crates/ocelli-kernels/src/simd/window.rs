//! Images as the kernels read them: where they stand, or copied with their padding.

use super::pack::copy;
use super::{Simd, words};
use crate::blocking::Correlation;

/// Images in N·H·W·C order, at the first channel of a group: strides in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    pub(crate) sample: usize,
    pub(crate) row: usize,
    pub(crate) pixel: usize,
}

impl Strides {
    /// Of whole images of that height, width and channels.
    pub(crate) fn of([height, width, channels]: [usize; 3]) -> Strides {
        Strides { sample: height * width * channels, row: width * channels, pixel: channels }
    }
}

/// Images, from the first pixel on that a kernel reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) at: *const f32,
    pub(crate) strides: Strides,
}

impl Source {
    /// What the windows of rows `row..row + rows` of outputs reach in some samples, of which `self` is the first
    /// pixel of the first: as it stands, or copied to `window` if windows hang over the border or words hold several terms.
    ///
    /// # Safety
    /// `self` is valid for the samples' images, `window` for as many times `shape.window(rows)`.
    #[inline(always)]
    pub(crate) unsafe fn rows<S: Simd>(
        &self,
        shape: &Correlation,
        samples: usize,
        row: usize,
        rows: usize,
        window: *mut f32,
    ) -> Source {
        let Correlation { y, x, inputs, .. } = *shape;
        let Source { at, strides } = *self;
        if S::TERMS == 1 && y.inside(row, rows) && x.inside(0, x.count) {
            let offset = y.origin(row) as usize * strides.row + x.origin(0) as usize * strides.pixel;
            return Source { at: at.wrapping_add(offset), strides };
        }
        let inputs = words::<S>(inputs);
        let len = y.reach(rows) * x.reach(x.count) * inputs;
        for sample in 0..samples {
            let from = Source { at: at.wrapping_add(sample * strides.sample), strides };
            // SAFETY: the caller's promise; each sample's window follows the last one's.
            unsafe { from.copy_window::<S>(shape, row, rows, window.wrapping_add(sample * len)) };
        }
        Source { at: window, strides: Strides { sample: len, row: x.reach(x.count) * inputs, pixel: inputs } }
    }

    /// Copies what the windows of rows `row..row + rows` reach in one sample, with zeros where they hang over the
    /// border: an image of reach × reach pixels of the words of the group's channels.
    ///
    /// # Safety
    /// `self` is valid for the sample's image, `to` for `shape.window(rows)`.
    #[inline(always)]
    unsafe fn copy_window<S: Simd>(&self, shape: &Correlation, row: usize, rows: usize, to: *mut f32) {
        let Correlation { y, x, inputs, .. } = *shape;
        let (width, channels) = (x.reach(x.count), words::<S>(inputs));
        // Columns of the window: zeros, then the image from column `skipped` on, then zeros.
        let left = ((-x.start).max(0) as usize).min(width);
        let skipped = x.start.max(0) as usize;
        let inside = x.source.saturating_sub(skipped).min(width - left);
        for i in 0..y.reach(rows) {
            let line = y.origin(row) + i as isize;
            let to = to.wrapping_add(i * width * channels);
            // SAFETY: the caller's promise: `line` and the columns lie in the image, `left + inside` in the window.
            unsafe {
                if line < 0 || line as usize >= y.source {
                    to.write_bytes(0, width * channels);
                    continue;
                }
                let offset = line as usize * self.strides.row + skipped * self.strides.pixel;
                to.write_bytes(0, left * channels);
                self.copy_pixels::<S>(offset, inside, inputs, to.add(left * channels));
                to.add((left + inside) * channels).write_bytes(0, (width - left - inside) * channels);
            }
        }
    }

    /// # Safety
    /// `self` is valid for the pixels of a row from `offset` on, `to` for their `inputs` channels.
    #[inline(always)]
    unsafe fn copy_pixels<S: Simd>(&self, offset: usize, pixels: usize, inputs: usize, to: *mut f32) {
        let from = self.at.wrapping_add(offset);
        // SAFETY: the caller's promise.
        unsafe {
            if self.strides.pixel == inputs && inputs.is_multiple_of(S::TERMS) {
                copy::<S>(from, pixels * inputs, to);
                return;
            }
            for pixel in 0..pixels {
                let from = from.add(pixel * self.strides.pixel);
                copy::<S>(from, inputs, to.add(pixel * words::<S>(inputs)));
            }
        }
    }

    /// Copies the window of one output of one sample tap by tap, with zeros where it hangs over the border.
    ///
    /// # Safety
    /// `self` is valid for the sample's image, `to` for the terms of a sum.
    #[inline(always)]
    pub(crate) unsafe fn copy_patch<S: Simd>(&self, shape: &Correlation, oy: usize, ox: usize, to: *mut f32) {
        let Correlation { y, x, inputs, .. } = *shape;
        let channels = words::<S>(inputs);
        for (ty, tx) in (0..y.taps).flat_map(|ty| (0..x.taps).map(move |tx| (ty, tx))) {
            let to = to.wrapping_add((ty * x.taps + tx) * channels);
            let row = y.origin(oy) + (ty * y.tap_step) as isize;
            let column = x.origin(ox) + (tx * x.tap_step) as isize;
            let inside = row >= 0 && column >= 0 && (row as usize) < y.source && (column as usize) < x.source;
            // SAFETY: the caller's promise; the tap is read only where it lies in the image.
            unsafe {
                if inside {
                    let at = row as usize * self.strides.row + column as usize * self.strides.pixel;
                    copy::<S>(self.at.add(at), inputs, to);
                } else {
                    to.write_bytes(0, channels);
                }
            }
        }
    }
}

/// Pixels of images whose words are copied: word i of a line holds pixels i·every, i·every + step, …, 0 beyond the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    pub(crate) samples: usize,
    pub(crate) lines: usize,
    /// Of a line.
    pub(crate) pixels: usize,
    pub(crate) channels: usize,
    /// Of a line.
    pub(crate) words: usize,
    pub(crate) every: usize,
    pub(crate) step: usize,
}

impl Pixels {
    /// Elements that the words take.
    pub(crate) fn len(&self) -> usize {
        self.samples * self.lines * self.words * self.channels
    }
}

impl Source {
    /// Copies some of the images, from the first pixel on, in words of pixels; where the copy stands.
    ///
    /// # Safety
    /// `self` is valid for the pixels, `to` for as many elements as their words take.
    #[inline(always)]
    pub(crate) unsafe fn copy_words<S: Simd>(&self, pixels: &Pixels, to: *mut f32) -> Source {
        let Pixels { samples, lines, words, channels, every, step, .. } = *pixels;
        let strides = Strides { sample: lines * words * channels, row: words * channels, pixel: channels };
        for (sample, line) in (0..samples).flat_map(|sample| (0..lines).map(move |line| (sample, line))) {
            let from = self.at.wrapping_add(sample * self.strides.sample + line * self.strides.row);
            let to = to.wrapping_add(sample * strides.sample + line * strides.row);
            for word in 0..words {
                let first = word * every;
                let terms = S::TERMS.min((pixels.pixels - first).div_ceil(step));
                let (from, to) =
                    (from.wrapping_add(first * self.strides.pixel), to.wrapping_add(word * channels));
                for channel in (0..channels).step_by(S::LANES) {
                    let lanes = S::LANES.min(channels - channel);
                    // SAFETY: the caller's promise; only pixels of the line are read.
                    unsafe {
                        let vector = S::across(from.add(channel), step * self.strides.pixel, terms, lanes);
                        S::store_first(to.add(channel), vector, lanes);
                    }
                }
            }
        }
        Source { at: to, strides }
    }
}

/// Runs of elements that the taps of a window read, and their length: one for each tap, whose `inputs` elements follow each
/// other, or fewer where taps read neighbouring elements. `steps` are from one tap's elements to the next's, along rows and
/// columns.
#[inline(always)]
pub(crate) fn runs(shape: &Correlation, inputs: usize, steps: [usize; 2]) -> ([usize; 2], usize) {
    let (mut runs, mut len) = ([shape.y.taps, shape.x.taps], inputs);
    if runs[1] == 1 || steps[1] == len {
        (runs, len) = ([runs[0], 1], len * runs[1]);
        if runs[0] == 1 || steps[0] == len {
            (runs, len) = ([1, 1], len * runs[0]);
        }
    }
    (runs, len)
}
