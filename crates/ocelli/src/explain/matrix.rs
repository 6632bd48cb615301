//! A small matrix of f64, for equations that are to be looked at: products check their dimensions.

use std::fmt;

use serde::Serialize;

use crate::Error;

/// An m×n matrix, row after row. A gradient is a matrix of one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    /// m.
    pub rows: usize,
    /// n.
    pub columns: usize,
    /// m·n elements.
    pub data: Vec<f64>,
}

impl Matrix {
    /// A matrix of these elements.
    ///
    /// # Panics
    /// If there are not rows·columns of them.
    pub fn new(rows: usize, columns: usize, data: Vec<f64>) -> Matrix {
        assert_eq!(rows * columns, data.len(), "a {rows}×{columns} matrix has {} elements", rows * columns);
        Matrix { rows, columns, data }
    }

    /// The 1×n matrix of a gradient.
    pub fn row(data: &[f64]) -> Matrix {
        Matrix::new(1, data.len(), data.to_vec())
    }

    /// The n×1 matrix of a vector.
    pub fn column(data: &[f64]) -> Matrix {
        Matrix::new(data.len(), 1, data.to_vec())
    }

    /// The element in row `i` and column `j`.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.columns + j]
    }

    /// The transpose, n×m.
    pub fn transposed(&self) -> Matrix {
        let element = |k: usize| self.at(k % self.rows, k / self.rows);
        Matrix::new(self.columns, self.rows, (0..self.data.len()).map(element).collect())
    }

    /// self·other: m×k times k×n is m×n.
    ///
    /// # Errors
    /// [`Error::Usage`] with both dimensions, where the columns of one are not the rows of the other.
    pub fn times(&self, other: &Matrix) -> Result<Matrix, Error> {
        if self.columns != other.rows {
            return Err(Error::Usage(format!(
                "{self} cannot be multiplied by {other}: {} columns meet {} rows",
                self.columns, other.rows
            )));
        }
        let element = |i: usize, j: usize| (0..self.columns).map(|k| self.at(i, k) * other.at(k, j)).sum();
        let data = (0..self.rows).flat_map(|i| (0..other.columns).map(move |j| (i, j)));
        Ok(Matrix::new(self.rows, other.columns, data.map(|(i, j)| element(i, j)).collect()))
    }

    /// The largest difference between elements of two matrices of one size.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn largest_difference(&self, other: &Matrix) -> f64 {
        assert_eq!((self.rows, self.columns), (other.rows, other.columns), "matrices of one size");
        self.data.iter().zip(&other.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

/// Its dimensions: "a 2×3 matrix".
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}×{} matrix", self.rows, self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_transposes_are_those_of_the_book() {
        let a = Matrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = Matrix::column(&[1.0, 0.0, -1.0]);
        assert_eq!(a.times(&b).unwrap(), Matrix::column(&[-2.0, -2.0]));
        assert_eq!(a.transposed(), Matrix::new(3, 2, vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }

    #[test]
    fn dimensions_that_do_not_meet_are_named() {
        let error = Matrix::row(&[1.0, 2.0]).times(&Matrix::new(3, 1, vec![0.0; 3])).unwrap_err().to_string();
        assert_eq!(error, "a 1×2 matrix cannot be multiplied by a 3×1 matrix: 2 columns meet 3 rows");
    }
}
