//! Windows as the tiles read them where they stand: the image once for each column of taps, shifted by it, without what
//! hangs over left and right. Then the pixels that a tap sees of neighbouring outputs follow each other from row to row of
//! outputs, however long rows are, and a tap is nothing but an offset.
//!
//! Rows are sorted by their remainder by the stride, so that the rows that a tap sees of neighbouring rows of outputs follow
//! each other too.

use super::correlation::{Pass, ROW, zero_row};
use super::grid::Left;
use super::{BLOCK, SIDE, split};
use crate::blocking::matrix::{Terms, Unit, shifts};

/// The most columns of taps.
const MOST: usize = 16;

/// Where the shifted images of some samples lie, in pixels.
pub(super) struct Shifts {
    /// Rows of one remainder.
    rows: usize,
    /// Pixels of a sample's image.
    sample: usize,
    /// Pixels of all samples' images, for one column of taps.
    column: usize,
}

impl Shifts {
    /// Those of a pass, if it is better to read them than to copy what each pixel sees.
    pub(super) fn of(pass: &Pass) -> Option<Shifts> {
        let (shape, Unit { samples, rows }) = (&pass.job.shape, pass.unit);
        let terms = Terms::of(shape);
        let suits = !terms.gathered && terms.taps > 1 && shape.x.taps <= MOST;
        if !suits || !shifts::suit(rows * shape.x.count) {
            return None;
        }
        let rows = shifts::rows(shape, rows);
        let sample = shape.y.step * rows * shape.x.count;
        let column = samples * sample;
        // Offsets are numbers of 32 bits.
        let pixel = shape.inputs.div_ceil(BLOCK).saturating_mul(ROW);
        let bytes = shape.x.taps.saturating_mul(column).saturating_mul(pixel);
        (bytes <= u32::MAX as usize).then_some(Shifts { rows, sample, column })
    }

    /// Splits some channels of what the pass sees; A as it then is, in so many groups of so many rows. Fills in the offsets
    /// of the blocks of terms.
    ///
    /// # Safety
    /// As [`Pass::run`]; `to` has room for the images.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn split<const P: usize>(
        &self,
        pass: &Pass,
        slab: usize,
        channels: usize,
        to: *mut u8,
        offsets: *mut u32,
    ) -> (Left, usize, usize) {
        let (shape, Unit { samples, rows }) = (&pass.job.shape, pass.unit);
        let pixel = channels.div_ceil(BLOCK) * ROW;
        let part = shape.x.taps * self.column * pixel;
        let height = shape.y.reach(rows);
        // SAFETY: the caller's promise: every image has its rows, and every block of terms an offset.
        unsafe {
            for sample in 0..samples {
                for row in 0..shape.y.step * self.rows {
                    let place = row % shape.y.step * self.rows + row / shape.y.step;
                    let to = to.add((sample * self.sample + place * shape.x.count) * pixel);
                    if row < height {
                        self.split_row::<P>(pass, sample, row, slab, channels, to, part);
                    }
                }
            }
            let mut block = offsets;
            for y in 0..shape.y.taps {
                let row = y * shape.y.tap_step;
                let place = (row % shape.y.step * self.rows + row / shape.y.step) * shape.x.count;
                for x in 0..shape.x.taps {
                    for at in (0..pixel).step_by(ROW) {
                        *block = ((x * self.column + place) * pixel + at) as u32;
                        block = block.add(1);
                    }
                }
            }
        }
        let left = Left { at: to, tile: SIDE * pixel, row: pixel, part, offsets, group: self.sample * pixel };
        match rows * shape.x.count {
            // Samples of a tile each are the tiles of one group.
            SIDE => (Left { tile: left.group, ..left }, 1, samples * SIDE),
            pixels => (left, samples, pixels),
        }
    }

    /// One row of the source, for all columns of taps; `to` is where the first one's goes.
    ///
    /// # Safety
    /// As [`Shifts::split`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn split_row<const P: usize>(
        &self,
        pass: &Pass,
        sample: usize,
        row: usize,
        slab: usize,
        channels: usize,
        to: *mut u8,
        part: usize,
    ) {
        let (shape, pixel) = (&pass.job.shape, channels.div_ceil(BLOCK) * ROW);
        let [top, left] = pass.origin(0, 0);
        let y = top + row as isize;
        let place = |tap: usize, x: usize| to.wrapping_add((tap * self.column + x) * pixel);
        // SAFETY: the caller's promise.
        unsafe {
            for tap in 0..shape.x.taps {
                for x in 0..shape.x.count {
                    let column = left + (x * shape.x.step + tap * shape.x.tap_step) as isize;
                    if pass.pixel(sample, [y, column], slab).is_none() {
                        zero_row::<P>(place(tap, x), part, pixel);
                    }
                }
            }
            for column in 0..shape.x.source {
                let Some(from) = pass.pixel(sample, [y, column as isize], slab) else { return };
                let mut places = [std::ptr::null_mut(); MOST];
                let mut count = 0;
                for tap in 0..shape.x.taps {
                    let behind = column as isize - left - (tap * shape.x.tap_step) as isize;
                    if behind < 0 {
                        continue;
                    }
                    let behind = behind as usize;
                    let x = if shape.x.step == 1 { behind } else { behind / shape.x.step };
                    if x < shape.x.count && x * shape.x.step == behind {
                        places[count] = place(tap, x);
                        count += 1;
                    }
                }
                split::spread::<P>(from, channels, &places[..count], part);
            }
        }
    }
}
