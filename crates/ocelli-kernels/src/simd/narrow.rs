//! The gradient of a convolution's input where the input has few channels: too few to fill a vector as columns.
//!
//! All taps of a kernel row and all channels together are columns, and the rows of the kernel are terms: for each row of the
//! input, a product of the rows of dy that meet it with the weights gives every pixel of dy what it adds to the pixels that its
//! taps read. Each pixel of the input then gathers what its neighbours have for it. (Adding each pixel's columns to the input in
//! turn would be as many additions, but each would wait for the one before, which has written a part of what it reads.)

use super::Simd;
use super::tile::{self, Start, Tile, panels};
use crate::axis::Axis;
use crate::blocking::narrow_columns;
use crate::{Conv2d, Write};

/// The pass of one group.
struct Group<'a> {
    conv: &'a Conv2d,
    dy: *const f32,
    w: *const f32,
    dx: *mut f32,
    write: Write,
    /// Columns of the product, whole vectors.
    width: usize,
    /// The weights of a phase: taps, terms and columns.
    packed: *mut f32,
    /// What the pixels of a row of dy have to add.
    shares: *mut f32,
}

/// # Safety
/// The CPU has the instruction set; dy and dx hold `samples` images of `conv`, w its weights, and scratch is as
/// long as it asks for.
#[inline(always)]
pub(crate) unsafe fn run<S: Simd>(
    conv: &Conv2d,
    samples: usize,
    dy: *const f32,
    w: *const f32,
    dx: *mut f32,
    write: Write,
    scratch: *mut f32,
) {
    let (inputs, outputs, width) = (conv.group_inputs(), conv.group_outputs(), narrow_columns(conv));
    for group in 0..conv.groups {
        let group = Group {
            conv,
            dy: dy.wrapping_add(group * outputs),
            w: w.wrapping_add(group * outputs * conv.filter_len()),
            dx: dx.wrapping_add(group * inputs),
            write,
            width,
            packed: scratch,
            shares: scratch.wrapping_add(conv.kernel[0] * outputs * width),
        };
        for phase in 0..conv.stride[0].min(conv.input[0]) {
            let y = Axis::backward(conv, 0, phase);
            // SAFETY: the caller's promise, for the rows of this phase.
            unsafe {
                group.pack(&y);
                for sample in 0..samples {
                    for row in 0..y.count {
                        group.row::<S>(&y, sample, row);
                    }
                }
            }
        }
    }
}

impl Group<'_> {
    /// Copies the weights of the taps of `y`, in its order: terms of a tap are its outputs, columns beyond the last are 0.
    ///
    /// # Safety
    /// As [`run`].
    unsafe fn pack(&self, y: &Axis) {
        let (outputs, filter) = (self.conv.group_outputs(), self.conv.filter_len());
        let columns = self.conv.kernel[1] * self.conv.group_inputs();
        for tap in 0..y.taps {
            let from = self.w.wrapping_add(y.kernel_of(tap) * columns);
            for output in 0..outputs {
                let to = self.packed.wrapping_add((tap * outputs + output) * self.width);
                // SAFETY: a kernel row of an output's weights, and the scratch's row for it.
                unsafe {
                    to.copy_from_nonoverlapping(from.add(output * filter), columns);
                    to.add(columns).write_bytes(0, self.width - columns);
                }
            }
        }
    }

    /// One row of the input's gradient.
    ///
    /// # Safety
    /// As [`run`]; the weights of the phase are packed.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, y: &Axis, sample: usize, row: usize) {
        let ([height, width, channels], [rows, pixels, depth]) = (self.conv.input, self.conv.output);
        let dx = (sample * height + y.first + row * y.every) * width * channels;
        let (taps, terms) = (y.met(row), self.conv.group_outputs());
        // SAFETY: the caller's promise: these rows of dy and dx are there.
        unsafe {
            if !taps.is_empty() {
                let first = (y.origin(row) + (taps.start * y.tap_step) as isize) as usize;
                let tile = Tile {
                    a: self.dy.add((sample * rows + first) * pixels * depth),
                    a_row: depth,
                    a_step: 1,
                    a_run: [y.tap_step * pixels * depth, 0],
                    b: self.packed.add(taps.start * terms * self.width),
                    b_step: self.width,
                    b_run: [terms * self.width, 0],
                    runs: [taps.len(), 1],
                    terms,
                    c: self.shares,
                    c_row: self.width,
                    tail: S::LANES,
                    b_tail: S::LANES,
                    start: Start::Zero,
                    far: false,
                };
                for panel in panels::<S>(self.width, S::VECTORS) {
                    let (b, c) = (tile.b.add(panel.column), tile.c.add(panel.column));
                    tile::run_rows::<S>(&Tile { b, c, ..tile }, pixels, panel.vectors);
                }
            }
            self.gather::<S>(!taps.is_empty(), self.dx.add(dx));
        }
    }

    /// Has every pixel of a row of the input gather what the pixels of dy have for it, if any have.
    ///
    /// # Safety
    /// As [`run`]; the shares are those of the row, which starts at `dx`.
    #[inline(always)]
    unsafe fn gather<S: Simd>(&self, any: bool, dx: *mut f32) {
        let (inputs, channels, stride) = (self.conv.group_inputs(), self.conv.input[2], self.conv.stride[1]);
        for phase in 0..stride.min(self.conv.input[1]) {
            let x = Axis::backward(self.conv, 1, phase);
            // From one tap to the next: another pixel of dy, and another tap's columns.
            let step = (x.tap_step * self.width) as isize + x.kernel_step * inputs as isize;
            for i in 0..x.count {
                let taps = if any { x.met(i) } else { 0..0 };
                let first = x.origin(i) * self.width as isize + (x.kernel * inputs) as isize;
                let shares = self.shares.wrapping_offset(first + taps.start as isize * step);
                let to = dx.wrapping_add((x.first + i * x.every) * channels);
                for channel in (0..inputs).step_by(S::LANES) {
                    let lanes = S::LANES.min(inputs - channel);
                    let (to, mut share) = (to.wrapping_add(channel), shares.wrapping_add(channel));
                    // SAFETY: the pixel lies in dx, and so do the shares of the pixels of dy that meet it in the scratch, which
                    // has room for a vector behind the last; lanes beyond the channels count for nothing.
                    unsafe {
                        let mut sum = match self.write {
                            Write::Set => S::zero(),
                            Write::Add => S::load_first(to, lanes),
                        };
                        for _ in taps.clone() {
                            sum = S::add(sum, S::load(share));
                            share = share.wrapping_offset(step);
                        }
                        S::store_first(to, sum, lanes);
                    }
                }
            }
        }
    }
}
