//! Memory of the engine: aligned allocations, and the one place where parts of them are lent to workers.
//!
//! Architecture invariant: this is the only file of the crate with `unsafe`.
//!
//! A step of a plan is cut into parts that run at the same time, each on one of the team's workers, and `Shared` lends
//! them slices of what the executor owns or was given. No two workers may touch an element at the same time unless both
//! only read it, and no worker may hold an element twice unless it only reads it. What is lent follows from the plan
//! alone (`executor/run.rs`, `executor/forward.rs`, `executor/strips.rs`; `ops/contract.rs` and `ops/by_units.rs`, which cut what these
//! hand on). That it keeps to this rule is for each of the things lent because:
//!
//! - **the arena**: `plan/verify.rs` derives for every plan, when it is made, what each step touches, and panics where two
//!   steps without a barrier between them, or two parts of one step, could meet;
//! - **gradients**: it also checks that passes which write them directly have ranges of their own, and that the pieces
//!   of the update lie apart; the update comes last and behind a barrier;
//! - **parameters** and **the optimiser's slots**: the update writes them, by the same pieces, and passes that move parameters at
//!   once, which it proves to be the last that touch these, behind a barrier, each part its own units; running statistics,
//!   which lie in no piece, are folded by the one worker that has the first piece; between passes of a plan each worker
//!   has pieces of its own, of these and of the gradients and averages (`executor/sweep.rs`);
//! - **the costs**: one step writes them, by samples, and steps that move parameters read them, behind a barrier;
//! - **the norms** of gradients: `Plan::norm_of` gives each part and parameter of each step a place of its own;
//! - **scratch memory**: each worker has its own.
//!
//! Not proved but to be kept by whoever changes these files: that these lend what `plan/verify.rs` says they do. Bounds
//! are checked whenever a slice is lent.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

use ocelli_kernels::Element;

use crate::Error;

/// Bytes to which every allocation and every buffer inside one is aligned: a cache line, and a 512-bit vector.
pub const ALIGNMENT: usize = 64;

/// A fixed-length, zeroed allocation aligned to [`ALIGNMENT`].
#[derive(Debug)]
pub struct AlignedBuffer<T> {
    start: NonNull<T>,
    len: usize,
}

impl<T: Element> AlignedBuffer<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// [`Error::Memory`], which names `what`, where the system has no room for it.
    pub fn zeroed(len: usize, what: &'static str) -> Result<AlignedBuffer<T>, Error> {
        let failed = || Error::Memory { what, bytes: len as u128 * T::BYTES as u128 };
        if len == 0 {
            return Ok(AlignedBuffer { start: NonNull::dangling(), len });
        }
        let layout = Self::layout(len).ok_or_else(failed)?;
        // SAFETY: the layout has a size above 0, as len > 0 and T is not zero-sized.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start.cast::<T>()).ok_or_else(failed)?;
        Ok(AlignedBuffer { start, len })
    }

    fn layout(len: usize) -> Option<Layout> {
        Layout::array::<T>(len).ok()?.align_to(ALIGNMENT).ok()
    }
}

impl<T> Drop for AlignedBuffer<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            let layout = Layout::array::<T>(self.len).and_then(|l| l.align_to(ALIGNMENT));
            let layout = layout.expect("it was valid when this was allocated");
            // SAFETY: `start` came from alloc_zeroed with this very layout. T is a number: nothing to drop.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) }
        }
    }
}

impl<T> Deref for AlignedBuffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `start` is aligned and owns `len` elements, initialised to zero; numbers have no invalid bits.
        // With len 0 it dangles, which an empty slice may.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for AlignedBuffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

// SAFETY: it owns its elements, as a Vec does.
unsafe impl<T: Send> Send for AlignedBuffer<T> {}
// SAFETY: shared access only reads.
unsafe impl<T: Sync> Sync for AlignedBuffer<T> {}

/// A mutable slice that the parts of a step share, each using ranges of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: a Shared hands out slices as `split_at_mut` would; they are disjoint across threads (see the head of this file).
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Shared<'a, T> {
        Shared { start: slice.as_mut_ptr(), len: slice.len(), lifetime: PhantomData }
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The elements of `range`, which no part that may run now writes.
    pub(crate) fn read(&self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} elements", self.len);
        // SAFETY: in bounds of the slice borrowed for 'a. No part that may run at the same time writes these
        // elements: the head of this file says why.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// The elements of `range`, which no other part that may run now reads or writes.
    #[allow(clippy::mut_from_ref)] // that is this type's purpose
    pub(crate) fn write(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} elements", self.len);
        // SAFETY: in bounds of the slice borrowed mutably for 'a. This part alone touches these elements until
        // the step is done: the head of this file says why.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_zeroed_and_aligned() {
        for len in [0, 1, 17, 4096] {
            let buffer = AlignedBuffer::<f32>::zeroed(len, "test").unwrap();
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|&x| x == 0.0));
            assert!(len == 0 || buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
        }
    }

    #[test]
    fn a_buffer_beyond_all_memory_is_an_error_that_says_how_much_it_needs() {
        let error = AlignedBuffer::<f64>::zeroed(usize::MAX / 4, "the test").unwrap_err();
        assert!(error.to_string().contains("the test"), "{error}");
    }
}
