//! Depthwise convolutions with 3×3 kernels and stride 1 or 2, as networks have them.
//!
//! A tile of a few outputs is computed channels by channels: its pixels are pieces of a few rows, read from the first
//! channel to the last, so memory is read in order, and each loaded vector serves all taps and outputs that meet there.
//! At the border, pixels outside the image are read from a row of zeros.

use std::ops::Range;

use super::Simd;
use super::depthwise_sums::{Outputs, Sums, TAPS, Work, load, load_taps, store};
use super::finish::Finishing;
use crate::{Conv2d, Write};

/// The most columns that a tile reads: 4 outputs with stride 2.
pub(super) const COLUMNS: usize = 9;
/// The most rows that a tile reads: 2 outputs with stride 1.
const ROWS: usize = 4;

/// The weights as [`forward`] reads them. Lanes without a channel are 0.
#[inline(always)]
pub(super) fn pack<S: Simd>(w: &[f32], packed: &mut [f32]) {
    packed.fill(0.0);
    turn::<S>(w, |tap| tap, packed);
}

/// y = bias + x ∗ w, finished. The slices have been checked. The weights may be packed.
#[inline(always)]
pub(super) fn forward<S: Simd>(
    conv: &Conv2d,
    x: &[f32],
    w: &[f32],
    packed: &[f32],
    bias: &[f32],
    finish: Finishing,
    y: &mut [f32],
    scratch: &mut [f32],
) {
    let (weights, zeros) = match packed.is_empty() {
        true => by_tap::<S>(w, conv.input[2], |tap| tap, scratch),
        false => {
            let zeros = &mut scratch[..conv.input[2]];
            zeros.fill(0.0);
            (packed.as_ptr(), zeros.as_ptr())
        }
    };
    let sweep = Sweep {
        x: Images::of(x.as_ptr(), conv.input),
        padding: conv.padding,
        y: Images::of(y.as_mut_ptr(), conv.output),
        samples: x.len() / conv.input_len().max(1),
        channels: 0..conv.input[2],
        zeros,
    };
    let start = if bias.is_empty() { zeros } else { bias.as_ptr() };
    let outputs = Outputs::<false> { weights, start, finish };
    // SAFETY: the slices hold so many samples of `conv`; zeros stand in the scratch, and weights there or in `packed`.
    unsafe {
        match conv.stride[0] {
            1 => sweep.run::<S, _, 1>(outputs),
            _ => sweep.run::<S, _, 2>(outputs),
        }
    }
}

/// dx = the adjoint of the convolution, applied to dy. The slices have been checked.
#[inline(always)]
pub(super) fn backward_input<S: Simd>(
    conv: &Conv2d,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    write: Write,
    scratch: &mut [f32],
) {
    let samples = dx.len() / conv.input_len().max(1);
    let (dy, dx) = (Images::of(dy.as_ptr(), conv.output), Images::of(dx.as_mut_ptr(), conv.input));
    if conv.stride[0] == 2 {
        let (weights, zeros) = by_tap::<S>(w, conv.input[2], |tap| tap, scratch);
        let spread = Spread { dy, padding: conv.padding, dx, weights, zeros };
        // SAFETY: the slices hold so many samples of `conv`; weights and zeros stand in the scratch.
        return unsafe {
            match write {
                Write::Set => spread.run::<S, 2, false>(samples),
                Write::Add => spread.run::<S, 2, true>(samples),
            }
        };
    }
    // The adjoint of a convolution with stride 1 is one, with the taps from the last to the first.
    let (weights, start) = by_tap::<S>(w, conv.input[2], |tap| TAPS - 1 - tap, scratch);
    let padding = conv.padding.map(|padding| 2 - padding);
    let finish = Finishing::NOTHING;
    let sweep = Sweep { x: dy, padding, y: dx, samples, channels: 0..conv.input[2], zeros: start };
    // SAFETY: as above.
    unsafe {
        match write {
            Write::Set => sweep.run::<S, _, 1>(Outputs::<false> { weights, start, finish }),
            Write::Add => sweep.run::<S, _, 1>(Outputs::<true> { weights, start, finish }),
        }
    }
}

/// The rows `outputs` of dw = Σ dy·x. The slices have been checked.
#[inline(always)]
pub(super) fn backward_weights<S: Simd>(
    conv: &Conv2d,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    outputs: Range<usize>,
    write: Write,
    scratch: &mut [f32],
) {
    let len = TAPS * outputs.len().next_multiple_of(S::LANES);
    let (partial, rest) = scratch.split_at_mut(len);
    let (total, rest) = rest.split_at_mut(len);
    let zeros = &mut rest[..conv.input[2]];
    [&mut *partial, &mut *total, &mut *zeros].into_iter().for_each(|each| each.fill(0.0));
    let sweep = Sweep {
        x: Images::of(x.as_ptr(), conv.input),
        padding: conv.padding,
        y: Images::of(dy.as_ptr().cast_mut(), conv.output),
        samples: x.len() / conv.input_len().max(1),
        channels: outputs.clone(),
        zeros: zeros.as_ptr(),
    };
    let (partial, sums) = (partial.as_mut_ptr(), total.as_mut_ptr());
    let sums = Sums { partial, total: sums, len, first: outputs.start };
    // SAFETY: the slices hold so many samples of `conv`, which are read alone; sums and zeros stand in the scratch.
    unsafe {
        match conv.stride[0] {
            1 => sweep.run::<S, _, 1>(sums),
            _ => sweep.run::<S, _, 2>(sums),
        }
    }
    for (c, row) in dw.chunks_exact_mut(TAPS).enumerate() {
        let total = &total[c / S::LANES * TAPS * S::LANES + c % S::LANES..];
        for (tap, dw) in row.iter_mut().enumerate() {
            let sum = total[tap * S::LANES];
            *dw = if write == Write::Set { sum } else { *dw + sum };
        }
    }
}

/// The weights, tap `t` from place `of(t)`, for one vector of channels after the other: taps × lanes. And as many
/// zeros as channels.
#[inline(always)]
fn by_tap<S: Simd>(
    w: &[f32],
    channels: usize,
    of: impl Fn(usize) -> usize,
    scratch: &mut [f32],
) -> (*const f32, *const f32) {
    let (weights, rest) = scratch.split_at_mut(TAPS * channels.next_multiple_of(S::LANES));
    turn::<S>(w, of, weights);
    rest[..channels].fill(0.0);
    (weights.as_ptr(), rest.as_ptr())
}

/// The weights by vectors of channels. Lanes without a channel are computed with as they stand, and never stored.
#[inline(always)]
fn turn<S: Simd>(w: &[f32], of: impl Fn(usize) -> usize, weights: &mut [f32]) {
    for (c, row) in w.chunks_exact(TAPS).enumerate() {
        let to = &mut weights[c / S::LANES * TAPS * S::LANES + c % S::LANES..];
        for tap in 0..TAPS {
            to[tap * S::LANES] = row[of(tap)];
        }
    }
}

/// Images in N·H·W·C order.
#[derive(Clone, Copy)]
struct Images<P> {
    at: P,
    rows: usize,
    columns: usize,
    channels: usize,
}

impl<P> Images<P> {
    fn of(at: P, [rows, columns, channels]: [usize; 3]) -> Images<P> {
        Images { at, rows, columns, channels }
    }

    /// Elements from the first pixel to this one.
    #[inline(always)]
    fn place(&self, sample: usize, row: usize, column: usize) -> usize {
        ((sample * self.rows + row) * self.columns + column) * self.channels
    }
}

/// The pixels that a tile reads: its rows, or where an edge is near, each one's place.
pub(super) struct Pixels {
    pub(super) rows: [*const f32; ROWS],
    pub(super) each: [[*const f32; COLUMNS]; ROWS],
}

/// R×P neighbouring outputs.
pub(super) struct Tile {
    pub(super) x: Pixels,
    /// Its rows of outputs.
    pub(super) y: [*mut f32; 2],
    /// Channels: the step from one pixel to the next, in both images.
    pub(super) channels: usize,
    /// Rows and columns of outputs that are there; fewer than R and P at an edge.
    pub(super) there: [usize; 2],
}

/// A walk over all outputs with the pixels that they read.
struct Sweep {
    x: Images<*const f32>,
    /// Rows above and columns left of the image.
    padding: [usize; 2],
    y: Images<*mut f32>,
    samples: usize,
    channels: Range<usize>,
    zeros: *const f32,
}

impl Sweep {
    /// # Safety
    /// The CPU has the instruction set; both images are valid, `zeros` for as many as their channels, and what the work
    /// reads and writes.
    #[inline(always)]
    unsafe fn run<S: Simd, W: Work<S>, const STEP: usize>(&self, work: W) {
        // SAFETY: the caller's promise.
        unsafe {
            // Two rows of outputs read each row of pixels half as often, but take more than 16 registers.
            if STEP == 1 && S::ROWS[0] > 12 {
                self.tiles::<S, W, STEP, 2, 4>(work);
            } else {
                self.tiles::<S, W, STEP, 1, 4>(work);
            }
        }
    }

    /// # Safety
    /// As [`Sweep::run`].
    #[inline(always)]
    unsafe fn tiles<S: Simd, W: Work<S>, const STEP: usize, const R: usize, const P: usize>(&self, work: W) {
        for sample in 0..self.samples {
            for oy in (0..self.y.rows).step_by(R) {
                for ox in (0..self.y.columns).step_by(P) {
                    // SAFETY: the caller's promise.
                    unsafe { self.tile::<S, W, STEP, R, P>([sample, oy, ox], work) };
                }
                // SAFETY: the caller's promise.
                unsafe { work.end_of_rows() };
            }
        }
    }

    /// # Safety
    /// As [`Sweep::run`].
    #[inline(always)]
    unsafe fn tile<S: Simd, W: Work<S>, const STEP: usize, const R: usize, const P: usize>(
        &self,
        [sample, oy, ox]: [usize; 3],
        work: W,
    ) {
        let Sweep { x, y, padding, zeros, .. } = *self;
        let there = [R.min(y.rows - oy), P.min(y.columns - ox)];
        let first = y.at.wrapping_add(y.place(sample, oy, ox));
        let mut tile = Tile {
            x: Pixels { rows: [zeros; ROWS], each: [[zeros; COLUMNS]; ROWS] },
            y: [first, first.wrapping_add(y.columns * y.channels)],
            channels: x.channels,
            there,
        };
        // The rows and columns of pixels, counted in the image with its padding.
        let rows = oy * STEP..(oy + R - 1) * STEP + 3;
        let columns = ox * STEP..(ox + P - 1) * STEP + 3;
        let is_inside = |range: &Range<usize>, padding: usize, size: usize| {
            range.start >= padding && range.end <= size + padding
        };
        if there == [R, P]
            && is_inside(&rows, padding[0], x.rows)
            && is_inside(&columns, padding[1], x.columns)
        {
            for (r, row) in rows.enumerate() {
                let place = x.place(sample, row - padding[0], columns.start - padding[1]);
                tile.x.rows[r] = x.at.wrapping_add(place);
            }
            // SAFETY: the caller's promise; all pixels lie inside the image.
            return unsafe { self.all_channels::<S, W, STEP, R, P, false>(&tile, work) };
        }
        for (r, row) in rows.enumerate() {
            let Some(iy) = row.checked_sub(padding[0]).filter(|&iy| iy < x.rows) else { continue };
            for (c, column) in columns.clone().enumerate() {
                let Some(ix) = column.checked_sub(padding[1]).filter(|&ix| ix < x.columns) else { continue };
                tile.x.each[r][c] = x.at.wrapping_add(x.place(sample, iy, ix));
            }
        }
        // SAFETY: the caller's promise; pixels outside the image are zeros.
        unsafe { self.all_channels::<S, W, STEP, R, P, true>(&tile, work) };
    }

    /// # Safety
    /// As [`Work::channels`], for all channels.
    #[inline(always)]
    unsafe fn all_channels<
        S: Simd,
        W: Work<S>,
        const STEP: usize,
        const R: usize,
        const P: usize,
        const EDGE: bool,
    >(
        &self,
        tile: &Tile,
        work: W,
    ) {
        let (mut c, end) = (self.channels.start, self.channels.end);
        // SAFETY: the caller's promise.
        unsafe {
            while c + S::LANES <= end {
                work.channels::<STEP, R, P, EDGE, true>(tile, c, S::LANES);
                c += S::LANES;
            }
            if c < end {
                work.channels::<STEP, R, P, EDGE, false>(tile, c, end - c);
            }
        }
    }
}

/// The adjoint with stride 2. With rows u of the image with its padding, dx(2a) = dy(a)·w(0) + dy(a − 1)·w(2) and
/// dx(2a + 1) = dy(a)·w(1), and so along columns.
struct Spread {
    dy: Images<*const f32>,
    padding: [usize; 2],
    dx: Images<*mut f32>,
    /// See [`by_tap`].
    weights: *const f32,
    zeros: *const f32,
}

impl Spread {
    /// With P columns of dy at a time; added to what stands in dx where `ADD`.
    ///
    /// # Safety
    /// The CPU has the instruction set; both images, the weights and zeros are valid for the samples.
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const ADD: bool>(&self, samples: usize) {
        let [rows, columns] = [self.dx.rows + self.padding[0], self.dx.columns + self.padding[1]];
        for sample in 0..samples {
            for a in 0..rows.div_ceil(2) {
                for b in (0..columns.div_ceil(2)).step_by(P) {
                    // SAFETY: the caller's promise.
                    unsafe { self.tile::<S, P, ADD>([sample, a, b]) };
                }
            }
        }
    }

    /// The two rows of 2·P pixels that belong to the columns of dy from `b` on.
    ///
    /// # Safety
    /// As [`Spread::run`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const ADD: bool>(&self, [sample, a, b]: [usize; 3]) {
        let (dy, dx) = (self.dy, self.dx);
        // dy(a − 1, b − 1) comes first.
        let mut from = [[self.zeros; COLUMNS]; 2];
        for i in 0..2 {
            let Some(oy) = (a + i).checked_sub(1).filter(|&oy| oy < dy.rows) else { continue };
            for j in 0..P + 1 {
                let Some(ox) = (b + j).checked_sub(1).filter(|&ox| ox < dy.columns) else { continue };
                from[i][j] = dy.at.wrapping_add(dy.place(sample, oy, ox));
            }
        }
        let mut to = [[std::ptr::null_mut(); COLUMNS]; 2];
        for i in 0..2 {
            let Some(iy) = (2 * a + i).checked_sub(self.padding[0]).filter(|&iy| iy < dx.rows) else {
                continue;
            };
            for j in 0..2 * P {
                let ix = (2 * b + j).checked_sub(self.padding[1]).filter(|&ix| ix < dx.columns);
                to[i][j] = ix.map_or(to[i][j], |ix| dx.at.wrapping_add(dx.place(sample, iy, ix)));
            }
        }
        let (mut c, channels) = (0, dx.channels);
        // SAFETY: the caller's promise; places that are not there are null.
        unsafe {
            while c + S::LANES <= channels {
                self.channels::<S, P, ADD, true>(&from, &to, c, S::LANES);
                c += S::LANES;
            }
            if c < channels {
                self.channels::<S, P, ADD, false>(&from, &to, c, channels - c);
            }
        }
    }

    /// # Safety
    /// As [`Spread::run`]; `from` is valid for the channels from `c` on, and so is `to` where it is not null.
    #[inline(always)]
    unsafe fn channels<S: Simd, const P: usize, const ADD: bool, const WHOLE: bool>(
        &self,
        from: &[[*const f32; COLUMNS]; 2],
        to: &[[*mut f32; COLUMNS]; 2],
        c: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let weights = load_taps::<S>(self.weights, c);
            let mut dy = [[S::zero(); COLUMNS]; 2];
            for i in 0..2 {
                for j in 0..P + 1 {
                    dy[i][j] = load::<S, WHOLE>(from[i][j].wrapping_add(c), lanes);
                }
            }
            for p in 0..P {
                let [[both, above], [left, here]] = [[dy[0][p], dy[0][p + 1]], [dy[1][p], dy[1][p + 1]]];
                for (i, j, terms) in [
                    (0, 0, &[(here, 0), (left, 2), (above, 6), (both, 8)][..]),
                    (0, 1, &[(here, 1), (above, 7)]),
                    (1, 0, &[(here, 3), (left, 5)]),
                    (1, 1, &[(here, 4)]),
                ] {
                    let to = to[i][2 * p + j];
                    if to.is_null() {
                        continue;
                    }
                    let mut sum = if ADD { load::<S, WHOLE>(to.add(c), lanes) } else { S::zero() };
                    for &(dy, tap) in terms {
                        sum = S::multiply_add(dy, weights[tap], sum);
                    }
                    store::<S, WHOLE>(to.add(c), sum, lanes);
                }
            }
        }
    }
}
