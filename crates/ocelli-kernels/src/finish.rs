//! What follows a convolution in the same pass over memory.

use std::ops::Range;

use crate::{Element, Unary};

/// y = f(scale·y + shift + addend) over rows of channels: a batch normalisation, a sum and an activation.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a, T> {
    /// The scales and the shifts of the channels; none where they are 1 and 0.
    pub affine: Option<[&'a [T]; 2]>,
    /// As long as y; empty for none.
    pub addend: &'a [T],
    /// f; the identity if there is none.
    pub unary: Option<Unary<T>>,
}

impl<T: Element> Finish<'_, T> {
    /// Leaves y as it is.
    pub fn nothing() -> Self {
        Finish { affine: None, addend: &[], unary: None }
    }

    /// Whether it leaves y as it is.
    pub fn is_nothing(&self) -> bool {
        self.affine.is_none() && self.addend.is_empty() && self.unary.is_none()
    }

    /// The same for some of its channels in one row, which begins with element `row` of y.
    pub fn of_columns(&self, row: usize, columns: Range<usize>) -> Self {
        let addend = match self.addend.is_empty() {
            true => &[][..],
            false => &self.addend[row + columns.start..row + columns.end],
        };
        let affine = self.affine.map(|both| both.map(|each| &each[columns.clone()]));
        Finish { affine, addend, unary: self.unary }
    }

    /// Panics in the name of a kernel unless the lengths are those of y, `len` elements in rows of so many channels.
    pub(crate) fn check(&self, kernel: &str, channels: usize, len: usize) {
        let affine = self.affine.is_none_or(|both| both.iter().all(|each| each.len() == channels));
        assert!(affine, "{kernel}: scales and shifts of {channels} channels");
        let addend = self.addend.len();
        assert!(addend == 0 || addend == len, "{kernel}: {addend} elements to add to {len}");
    }
}
