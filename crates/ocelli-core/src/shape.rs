//! The shape of one sample's value, or of one parameter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Up to four sizes, outermost first, in the field's order: C×H×W for an image, n for a vector,
/// O×I×kh×kw for convolution weights. The batch is not part of it: it belongs to the [`Plan`](crate::Plan).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<usize>", into = "Vec<usize>")]
pub struct Shape {
    sizes: [usize; Shape::MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The most sizes that a shape has.
    pub const MAX_RANK: usize = 4;

    /// The largest element count of a shape: what a 40-bit address space could hold, far above any sample.
    const MAX_LEN: usize = 1 << 36;

    /// The shape of these sizes; `None` unless there are one to four of them, all at least 1, with at most
    /// 2³⁶ elements.
    pub fn try_new(sizes: &[usize]) -> Option<Shape> {
        if sizes.is_empty() || sizes.len() > Shape::MAX_RANK || sizes.contains(&0) {
            return None;
        }
        let len = sizes.iter().try_fold(1usize, |len, &size| len.checked_mul(size))?;
        if len > Shape::MAX_LEN {
            return None;
        }
        let mut all = [1; Shape::MAX_RANK];
        all[..sizes.len()].copy_from_slice(sizes);
        Some(Shape { sizes: all, rank: sizes.len() as u8 })
    }

    /// The sizes, outermost first.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes[..self.rank as usize]
    }

    /// How many sizes there are.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// How many elements there are.
    #[allow(clippy::len_without_is_empty)] // a shape is never empty
    pub fn len(&self) -> usize {
        self.sizes().iter().product()
    }

    /// Channels, height and width of an image; `None` for anything else.
    pub fn image(&self) -> Option<[usize; 3]> {
        match *self.sizes() {
            [c, h, w] => Some([c, h, w]),
            _ => None,
        }
    }

    /// The length of a vector; `None` for anything else.
    pub fn vector(&self) -> Option<usize> {
        match *self.sizes() {
            [n] => Some(n),
            _ => None,
        }
    }

    /// Channels: the outermost size. In memory channels are innermost, so every op that works per channel
    /// sees rows of this many.
    pub fn channels(&self) -> usize {
        self.sizes[0]
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    /// # Panics
    /// Where [`Shape::try_new`] gives `None`.
    fn from(sizes: [usize; N]) -> Shape {
        Shape::try_new(&sizes)
            .unwrap_or_else(|| panic!("{sizes:?} is no shape: one to four sizes, each at least 1"))
    }
}

impl TryFrom<Vec<usize>> for Shape {
    type Error = String;
    fn try_from(sizes: Vec<usize>) -> Result<Shape, String> {
        Shape::try_new(&sizes).ok_or_else(|| {
            format!("{sizes:?} is no shape: give one to four sizes, each at least 1, such as [3, 32, 32]")
        })
    }
}

impl From<Shape> for Vec<usize> {
    fn from(shape: Shape) -> Vec<usize> {
        shape.sizes().to_vec()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, size) in self.sizes().iter().enumerate() {
            if i > 0 {
                f.write_str("×")?;
            }
            write!(f, "{size}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_the_field_writes_it() {
        let shape = Shape::from([3, 32, 16]);
        assert_eq!(shape.to_string(), "3×32×16");
        assert_eq!((shape.len(), shape.channels(), shape.image()), (1536, 3, Some([3, 32, 16])));
        assert_eq!(Shape::from([10]).vector(), Some(10));
    }

    #[test]
    fn refuses_nothing_zero_too_many_and_too_large() {
        for sizes in [&[][..], &[0], &[1; 5], &[usize::MAX, 2], &[1 << 20, 1 << 20]] {
            assert_eq!(Shape::try_new(sizes), None, "{sizes:?}");
        }
    }
}
