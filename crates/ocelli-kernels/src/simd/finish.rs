//! A convolution's [`Finish`] in vectors: applied to sums before they are written, or where they have just been.

use super::Simd;
use crate::{Finish, Unary};

/// A [`Finish`] on pointers. `column` is everywhere the number of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finishing {
    /// Of the first channel; null for none.
    scale: *const f32,
    shift: *const f32,
    /// What is added to the first output; null for none.
    addend: *const f32,
    /// The first output.
    outputs: *const f32,
    bend: Bend,
}

/// The activations that take a vector a few operations.
#[derive(Clone, Copy, Debug)]
enum Bend {
    /// None.
    Straight,
    /// 0 below 0, and at most so much.
    Clipped(f32),
    /// So steep below 0.
    Leaky(f32),
}

impl Finishing {
    /// Leaves sums as they are.
    pub(crate) const NOTHING: Finishing = Finishing {
        scale: std::ptr::null(),
        shift: std::ptr::null(),
        addend: std::ptr::null(),
        outputs: std::ptr::null(),
        bend: Bend::Straight,
    };

    /// What is to be done to outputs; `None` where its activation takes more than a few operations.
    pub(crate) fn of(finish: &Finish<'_, f32>, outputs: &[f32]) -> Option<Finishing> {
        let bend = match finish.unary {
            None => Bend::Straight,
            Some(Unary::Relu) => Bend::Clipped(f32::INFINITY),
            Some(Unary::Relu6) => Bend::Clipped(6.0),
            Some(Unary::LeakyRelu(slope)) => Bend::Leaky(slope),
            Some(Unary::Sigmoid | Unary::Tanh | Unary::ScaledTanh) => return None,
        };
        let null = std::ptr::null();
        let [scale, shift] = finish.affine.map_or([null; 2], |both| both.map(<[f32]>::as_ptr));
        let addend = if finish.addend.is_empty() { null } else { finish.addend.as_ptr() };
        Some(Finishing { scale, shift, addend, outputs: outputs.as_ptr(), bend })
    }

    /// Whether sums stay as they are.
    pub(crate) fn is_nothing(&self) -> bool {
        self.scale.is_null() && self.addend.is_null() && matches!(self.bend, Bend::Straight)
    }

    /// The same where channel `column` is called the first one.
    pub(crate) fn columns_from(&self, column: usize) -> Finishing {
        let [scale, shift] = [self.scale, self.shift];
        if scale.is_null() {
            return *self;
        }
        Finishing { scale: scale.wrapping_add(column), shift: shift.wrapping_add(column), ..*self }
    }

    /// What is done to `lanes` channels from `column` on.
    ///
    /// # Safety
    /// The CPU has the instruction set; there are these channels.
    #[inline(always)]
    pub(crate) unsafe fn lanes<S: Simd>(&self, column: usize, lanes: usize) -> Lanes<'_, S> {
        // SAFETY: the caller's promise.
        unsafe {
            let zero = S::zero();
            let mut all = Lanes { finishing: self, scale: zero, shift: zero, bound: zero, lanes };
            if !self.scale.is_null() {
                all.scale = load::<S>(self.scale.add(column), lanes);
                all.shift = load::<S>(self.shift.add(column), lanes);
            }
            if let Bend::Clipped(bound) | Bend::Leaky(bound) = self.bend {
                all.bound = S::fill(bound);
            }
            all
        }
    }

    /// Finishes rows of outputs, `step` elements apart, where they stand: their `columns` channels from `column` on.
    ///
    /// # Safety
    /// The CPU has the instruction set; there are these outputs and channels.
    #[inline(always)]
    pub(crate) unsafe fn rows<S: Simd>(
        &self,
        at: *mut f32,
        rows: usize,
        step: usize,
        column: usize,
        columns: usize,
    ) {
        for first in (0..columns).step_by(S::LANES) {
            let count = S::LANES.min(columns - first);
            // SAFETY: the caller's promise.
            unsafe {
                let lanes = self.lanes::<S>(column + first, count);
                for row in 0..rows {
                    let at = at.add(row * step + first);
                    let y = lanes.apply(load::<S>(at, count), at);
                    if count == S::LANES {
                        S::store(at, y);
                    } else {
                        S::store_first(at, y, count);
                    }
                }
            }
        }
    }
}

/// What is done to some channels, in registers.
pub(crate) struct Lanes<'a, S: Simd> {
    finishing: &'a Finishing,
    scale: S::Vector,
    shift: S::Vector,
    bound: S::Vector,
    lanes: usize,
}

impl<S: Simd> Lanes<'_, S> {
    /// What becomes of the sums of the outputs at `at`.
    ///
    /// # Safety
    /// The CPU has the instruction set; there are these outputs.
    #[inline(always)]
    pub(crate) unsafe fn apply(&self, sums: S::Vector, at: *const f32) -> S::Vector {
        let Finishing { scale, addend, outputs, bend, .. } = *self.finishing;
        // SAFETY: the caller's promise: what is added stands as the outputs do.
        unsafe {
            let mut y = sums;
            if !scale.is_null() {
                y = S::fused(self.scale, y, self.shift);
            }
            if !addend.is_null() {
                y = S::add(y, load::<S>(addend.byte_add(at.addr() - outputs.addr()), self.lanes));
            }
            match bend {
                Bend::Straight => y,
                Bend::Clipped(_) => {
                    let below = S::select(S::at_most(y, S::zero()), S::zero(), y);
                    S::select(S::at_most(self.bound, below), self.bound, below)
                }
                Bend::Leaky(_) => S::select(S::at_most(y, S::zero()), S::multiply(self.bound, y), y),
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set; `from` is valid for the lanes.
#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32, lanes: usize) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe { if lanes == S::LANES { S::load(from) } else { S::load_first(from, lanes) } }
}
