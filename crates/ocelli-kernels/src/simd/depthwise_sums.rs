//! The sums of a tile of a 3×3 depthwise convolution, in registers.

use super::Simd;
use super::depthwise3::{COLUMNS, Pixels, Tile};
use super::finish::Finishing;

/// Taps of the kernel.
pub(super) const TAPS: usize = 9;

/// What is done with the pixels of a tile and its outputs.
pub(super) trait Work<S: Simd>: Copy {
    /// Treats the `lanes` channels from `c` on. The outputs are R×P, `STEP` pixels apart; pixels are where
    /// [`Pixels::each`] says if this is at an `EDGE`.
    ///
    /// # Safety
    /// The CPU has the instruction set; the tile's pixels and outputs are valid for these channels, all of a vector's
    /// lanes if it is `WHOLE`.
    unsafe fn channels<
        const STEP: usize,
        const R: usize,
        const P: usize,
        const EDGE: bool,
        const WHOLE: bool,
    >(
        self,
        tile: &Tile,
        c: usize,
        lanes: usize,
    );

    /// Called after each row of tiles.
    ///
    /// # Safety
    /// What it works on is valid.
    unsafe fn end_of_rows(self);
}

/// # Safety
/// The CPU has the instruction set; `from` is valid for the lanes.
#[inline(always)]
pub(super) unsafe fn load<S: Simd, const WHOLE: bool>(from: *const f32, lanes: usize) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { S::load(from) } else { S::load_first(from, lanes) } }
}

/// # Safety
/// The CPU has the instruction set; `to` is valid for the lanes.
#[inline(always)]
pub(super) unsafe fn store<S: Simd, const WHOLE: bool>(to: *mut f32, v: S::Vector, lanes: usize) {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { S::store(to, v) } else { S::store_first(to, v, lanes) } }
}

/// The vectors of the taps at the channels from `c` on.
///
/// # Safety
/// The CPU has the instruction set; `from` is valid for taps × lanes of each vector of channels.
#[inline(always)]
pub(super) unsafe fn load_taps<S: Simd>(from: *const f32, c: usize) -> [S::Vector; TAPS] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); TAPS];
        for tap in 0..TAPS {
            out[tap] = S::load(from.add(c * TAPS + tap * S::LANES));
        }
        out
    }
}

/// Where the channels from `c` on stand in neighbouring pixels, from the first pixel on.
#[inline(always)]
fn columns(channels: usize, c: usize) -> [usize; COLUMNS] {
    let mut out = [c; COLUMNS];
    for column in 1..COLUMNS {
        out[column] = c + column * channels;
    }
    out
}

/// The first `columns` of one row of pixels.
///
/// # Safety
/// As [`Work::channels`].
#[inline(always)]
unsafe fn pixels<S: Simd, const EDGE: bool, const WHOLE: bool>(
    x: &Pixels,
    row: usize,
    at: &[usize; COLUMNS],
    columns: usize,
    lanes: usize,
) -> [S::Vector; COLUMNS] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); COLUMNS];
        for column in 0..columns {
            let from = if EDGE {
                x.each[row][column].wrapping_add(at[0])
            } else {
                x.rows[row].wrapping_add(at[column])
            };
            out[column] = load::<S, WHOLE>(from, lanes);
        }
        out
    }
}

/// Sums over the taps, written to the outputs, or added where `ADD`.
#[derive(Clone, Copy)]
pub(super) struct Outputs<const ADD: bool> {
    /// For each vector of channels, taps × lanes.
    pub(super) weights: *const f32,
    /// What the sums start from, for each channel: a bias, or zeros.
    pub(super) start: *const f32,
    /// What is done to them.
    pub(super) finish: Finishing,
}

impl<S: Simd, const ADD: bool> Work<S> for Outputs<ADD> {
    #[inline(always)]
    unsafe fn channels<
        const STEP: usize,
        const R: usize,
        const P: usize,
        const EDGE: bool,
        const WHOLE: bool,
    >(
        self,
        tile: &Tile,
        c: usize,
        lanes: usize,
    ) {
        let is_there = |r: usize, p: usize| !EDGE || r < tile.there[0] && p < tile.there[1];
        let at = columns(tile.channels, c);
        // SAFETY: the caller's promise; outputs that are not there are not touched.
        unsafe {
            let weights = load_taps::<S>(self.weights, c);
            let mut sums = [[load::<S, WHOLE>(self.start.add(c), lanes); P]; R];
            for r in 0..R {
                for p in 0..P {
                    if ADD && is_there(r, p) {
                        let before = load::<S, WHOLE>(tile.y[r].wrapping_add(at[p]), lanes);
                        sums[r][p] = S::add(sums[r][p], before);
                    }
                }
            }
            for row in 0..(R - 1) * STEP + 3 {
                let x = pixels::<S, EDGE, WHOLE>(&tile.x, row, &at, (P - 1) * STEP + 3, lanes);
                for r in 0..R {
                    if row < r * STEP || row >= r * STEP + 3 {
                        continue;
                    }
                    let weights = &weights[(row - r * STEP) * 3..];
                    for kx in 0..3 {
                        for p in 0..P {
                            sums[r][p] = S::multiply_add(x[p * STEP + kx], weights[kx], sums[r][p]);
                        }
                    }
                }
            }
            let finish = self.finish.lanes::<S>(c, lanes);
            for r in 0..R {
                for p in 0..P {
                    if is_there(r, p) {
                        let y = tile.y[r].wrapping_add(at[p]);
                        store::<S, WHOLE>(y, finish.apply(sums[r][p], y), lanes);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn end_of_rows(self) {}
}

/// Sums over the pixels, for each tap, in memory: for each vector of channels, taps × lanes. Those of a row of tiles join
/// the total at its end, which keeps rounding errors small.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) partial: *mut f32,
    pub(super) total: *mut f32,
    /// Numbers in each.
    pub(super) len: usize,
    /// The first channel.
    pub(super) first: usize,
}

impl<S: Simd> Work<S> for Sums {
    #[inline(always)]
    unsafe fn channels<
        const STEP: usize,
        const R: usize,
        const P: usize,
        const EDGE: bool,
        const WHOLE: bool,
    >(
        self,
        tile: &Tile,
        c: usize,
        lanes: usize,
    ) {
        let at = columns(tile.channels, c);
        let own = (c - self.first) * TAPS;
        // SAFETY: the caller's promise; the gradients of outputs that are not there count as zeros.
        unsafe {
            let mut dy = [[S::zero(); P]; R];
            for r in 0..R {
                for p in 0..P {
                    if !EDGE || r < tile.there[0] && p < tile.there[1] {
                        dy[r][p] = load::<S, WHOLE>(tile.y[r].wrapping_add(at[p]), lanes);
                    }
                }
            }
            let mut sums = load_taps::<S>(self.partial.add(own), 0);
            for row in 0..(R - 1) * STEP + 3 {
                let x = pixels::<S, EDGE, WHOLE>(&tile.x, row, &at, (P - 1) * STEP + 3, lanes);
                for r in 0..R {
                    if row < r * STEP || row >= r * STEP + 3 {
                        continue;
                    }
                    let sums = &mut sums[(row - r * STEP) * 3..];
                    for p in 0..P {
                        for kx in 0..3 {
                            sums[kx] = S::multiply_add(x[p * STEP + kx], dy[r][p], sums[kx]);
                        }
                    }
                }
            }
            for tap in 0..TAPS {
                S::store(self.partial.add(own + tap * S::LANES), sums[tap]);
            }
        }
    }

    #[inline(always)]
    unsafe fn end_of_rows(self) {
        for i in 0..self.len {
            // SAFETY: both hold so many numbers.
            unsafe {
                *self.total.add(i) += *self.partial.add(i);
                *self.partial.add(i) = 0.0;
            }
        }
    }
}
