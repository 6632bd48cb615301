//! Images as the kernels read them: where they stand, or copied with their padding.

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
    /// pixel of the first: as it stands, or copied to `window` if windows hang over the border.
    ///
    /// # Safety
    /// `self` is valid for the samples' images, `window` for as many times `shape.window(rows)`.
    #[inline(always)]
    pub(crate) unsafe fn rows(
        &self,
        shape: &Correlation,
        samples: usize,
        row: usize,
        rows: usize,
        window: *mut f32,
    ) -> Source {
        let Correlation { y, x, inputs, .. } = *shape;
        let Source { at, strides } = *self;
        if y.inside(row, rows) && x.inside(0, x.count) {
            let offset = y.origin(row) as usize * strides.row + x.origin(0) as usize * strides.pixel;
            return Source { at: at.wrapping_add(offset), strides };
        }
        let len = shape.window(rows);
        for sample in 0..samples {
            let from = Source { at: at.wrapping_add(sample * strides.sample), strides };
            // SAFETY: the caller's promise; each sample's window follows the last one's.
            unsafe { from.copy_window(shape, row, rows, window.wrapping_add(sample * len)) };
        }
        Source { at: window, strides: Strides { sample: len, row: x.reach(x.count) * inputs, pixel: inputs } }
    }

    /// Copies what the windows of rows `row..row + rows` reach in one sample, with zeros where they hang over the
    /// border: an image of reach × reach pixels of the group's channels.
    ///
    /// # Safety
    /// `self` is valid for the sample's image, `to` for `shape.window(rows)`.
    #[inline(always)]
    unsafe fn copy_window(&self, shape: &Correlation, row: usize, rows: usize, to: *mut f32) {
        let Correlation { y, x, inputs, .. } = *shape;
        let width = x.reach(x.count);
        // Columns of the window: zeros, then the image from column `skipped` on, then zeros.
        let left = ((-x.start).max(0) as usize).min(width);
        let skipped = x.start.max(0) as usize;
        let inside = x.source.saturating_sub(skipped).min(width - left);
        for i in 0..y.reach(rows) {
            let line = y.origin(row) + i as isize;
            let to = to.wrapping_add(i * width * inputs);
            // SAFETY: the caller's promise: `line` and the columns lie in the image, `left + inside` in the window.
            unsafe {
                if line < 0 || line as usize >= y.source {
                    to.write_bytes(0, width * inputs);
                    continue;
                }
                let offset = line as usize * self.strides.row + skipped * self.strides.pixel;
                to.write_bytes(0, left * inputs);
                self.copy_pixels(offset, inside, inputs, to.add(left * inputs));
                to.add((left + inside) * inputs).write_bytes(0, (width - left - inside) * inputs);
            }
        }
    }

    /// # Safety
    /// `self` is valid for the pixels of a row from `offset` on, `to` for their `inputs` channels.
    #[inline(always)]
    unsafe fn copy_pixels(&self, offset: usize, pixels: usize, inputs: usize, to: *mut f32) {
        let from = self.at.wrapping_add(offset);
        // SAFETY: the caller's promise.
        unsafe {
            if self.strides.pixel == inputs {
                to.copy_from_nonoverlapping(from, pixels * inputs);
                return;
            }
            for pixel in 0..pixels {
                let from = from.add(pixel * self.strides.pixel);
                to.add(pixel * inputs).copy_from_nonoverlapping(from, inputs);
            }
        }
    }

    /// Copies the window of one output of one sample tap by tap, with zeros where it hangs over the border.
    ///
    /// # Safety
    /// `self` is valid for the sample's image, `to` for the terms of a sum.
    #[inline(always)]
    pub(crate) unsafe fn copy_patch(&self, shape: &Correlation, oy: usize, ox: usize, to: *mut f32) {
        let Correlation { y, x, inputs, .. } = *shape;
        for (ty, tx) in (0..y.taps).flat_map(|ty| (0..x.taps).map(move |tx| (ty, tx))) {
            let to = to.wrapping_add((ty * x.taps + tx) * inputs);
            let row = y.origin(oy) + (ty * y.tap_step) as isize;
            let column = x.origin(ox) + (tx * x.tap_step) as isize;
            let inside = row >= 0 && column >= 0 && (row as usize) < y.source && (column as usize) < x.source;
            // SAFETY: the caller's promise; the tap is read only where it lies in the image.
            unsafe {
                if inside {
                    let at = row as usize * self.strides.row + column as usize * self.strides.pixel;
                    to.copy_from_nonoverlapping(self.at.add(at), inputs);
                } else {
                    to.write_bytes(0, inputs);
                }
            }
        }
    }
}

/// Runs of elements that the taps of a window read, and their length: one for each tap, or fewer where taps read
/// neighbouring elements. `steps` are from one tap's elements to the next's, along rows and columns.
#[inline(always)]
pub(crate) fn runs(shape: &Correlation, steps: [usize; 2]) -> ([usize; 2], usize) {
    let (mut runs, mut len) = ([shape.y.taps, shape.x.taps], shape.inputs);
    if runs[1] == 1 || steps[1] == len {
        (runs, len) = ([runs[0], 1], len * runs[1]);
        if runs[0] == 1 || steps[0] == len {
            (runs, len) = ([1, 1], len * runs[0]);
        }
    }
    (runs, len)
}
