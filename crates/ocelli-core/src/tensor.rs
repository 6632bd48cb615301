//! An owned array with a shape: how values come in and go out by hand.

use ocelli_kernels::Element;

use crate::Shape;

/// Elements with a shape, in the field's order (row-major C×H×W, O×I×kh×kw). The engine itself works on
/// arenas; this is for parameters on their way to and from files, and for tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    shape: Shape,
    data: Vec<T>,
}

impl<T: Element> Tensor<T> {
    /// A tensor of these elements.
    ///
    /// # Panics
    /// If there are not `shape.len()` of them.
    pub fn new(shape: impl Into<Shape>, data: Vec<T>) -> Tensor<T> {
        let shape = shape.into();
        assert_eq!(shape.len(), data.len(), "a tensor of shape {shape} has {} elements", shape.len());
        Tensor { shape, data }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its elements, row-major.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// Its elements, row-major, by value.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }
}

/// Copies `count` blocks of channels×inner elements from channels first to channels last
/// (C·H·W to H·W·C, or O·I·kh·kw to O·kh·kw·I with O blocks).
pub fn to_channels_last<T: Copy>(count: usize, channels: usize, inner: usize, from: &[T], to: &mut [T]) {
    transpose_blocks(count, channels, inner, from, to);
}

/// The inverse of [`to_channels_last`].
pub fn to_channels_first<T: Copy>(count: usize, channels: usize, inner: usize, from: &[T], to: &mut [T]) {
    transpose_blocks(count, inner, channels, from, to);
}

fn transpose_blocks<T: Copy>(count: usize, rows: usize, columns: usize, from: &[T], to: &mut [T]) {
    let block = rows * columns;
    assert!(from.len() == count * block && to.len() == count * block, "blocks of {rows}×{columns}");
    for (from, to) in from.chunks_exact(block.max(1)).zip(to.chunks_exact_mut(block.max(1))) {
        for r in 0..rows {
            for c in 0..columns {
                to[c * rows + r] = from[r * columns + c];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_last_and_back_is_the_identity() {
        let from: Vec<f32> = (0..2 * 3 * 4).map(|i| i as f32).collect();
        let (mut last, mut back) = (vec![0.0; 24], vec![0.0; 24]);
        to_channels_last(2, 3, 4, &from, &mut last);
        assert_eq!(&last[..4], &[0.0, 4.0, 8.0, 1.0]);
        to_channels_first(2, 3, 4, &last, &mut back);
        assert_eq!(back, from);
    }
}
