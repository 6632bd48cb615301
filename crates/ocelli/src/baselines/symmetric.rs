//! Symmetric matrices: Cholesky's factors, and the leading eigenvectors by orthogonal iteration.

use ocelli_kernels::random::Key;

/// L with A = L·Lᵀ.
pub(crate) struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// The factor of a symmetric n×n matrix; `None` where it is not positive definite to working precision.
    pub(crate) fn of(n: usize, mut a: Vec<f64>) -> Option<Cholesky> {
        assert_eq!(a.len(), n * n, "a square matrix");
        let largest = (0..n).map(|i| a[i * n + i].abs()).fold(0.0, f64::max);
        for j in 0..n {
            let (above, below) = a.split_at_mut(j * n + n);
            let row_j = &mut above[j * n..];
            let pivot = row_j[j] - row_j[..j].iter().map(|l| l * l).sum::<f64>();
            if pivot.is_nan() || pivot <= 1e-13 * largest {
                return None;
            }
            row_j[j] = pivot.sqrt();
            for row in below.chunks_exact_mut(n) {
                let dot: f64 = row[..j].iter().zip(&row_j[..j]).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - dot) / row_j[j];
            }
        }
        Some(Cholesky { n, lower: a })
    }

    /// x with A·x = b.
    pub(crate) fn solve(&self, mut b: Vec<f64>) -> Vec<f64> {
        let (n, l) = (self.n, &self.lower);
        for i in 0..n {
            let dot: f64 = l[i * n..i * n + i].iter().zip(&b).map(|(l, b)| l * b).sum();
            b[i] = (b[i] - dot) / l[i * n + i];
        }
        for i in (0..n).rev() {
            b[i] /= l[i * n + i];
            let x = b[i];
            b[..i].iter_mut().zip(&l[i * n..i * n + i]).for_each(|(b, l)| *b -= x * l);
        }
        b
    }
}

/// The `count` eigenvectors of a symmetric, positive semidefinite n×n matrix with the largest eigenvalues, one after the
/// other, and these eigenvalues: orthogonal iteration from a fixed random start.
pub(crate) fn leading_eigenvectors(n: usize, a: &[f64], count: usize) -> (Vec<f64>, Vec<f64>) {
    const ROUNDS: usize = 60;
    let mut stream = Key::new(0, &[u64::from_be_bytes(*b"EIGEN   ")]).stream();
    let mut vectors: Vec<f64> = (0..count * n).map(|_| stream.normal()).collect();
    let mut values = vec![0.0; count];
    for _ in 0..ROUNDS {
        orthonormalise(&mut vectors, n);
        let product = vectors.chunks_exact(n).flat_map(|v| a.chunks_exact(n).map(|row| dot(row, v)));
        let product: Vec<f64> = product.collect();
        let quotients = vectors.chunks_exact(n).zip(product.chunks_exact(n)).map(|(v, av)| dot(v, av));
        values = quotients.collect();
        vectors = product;
    }
    orthonormalise(&mut vectors, n);
    (vectors, values)
}

/// Gram and Schmidt, twice for accuracy.
fn orthonormalise(vectors: &mut [f64], n: usize) {
    for i in 0..vectors.len() / n {
        let (before, rest) = vectors.split_at_mut(i * n);
        let v = &mut rest[..n];
        for _ in 0..2 {
            for u in before.chunks_exact(n) {
                let along = dot(u, v);
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let norm = dot(v, v).sqrt().max(f64::MIN_POSITIVE);
        v.iter_mut().for_each(|v| *v /= norm);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums side by side, so that the compiler can use vectors; their order is fixed.
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 8];
    for (a, b) in a8.zip(b8) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BᵀB of a random matrix with more rows than columns.
    fn positive_definite(n: usize, seed: u64) -> Vec<f64> {
        let mut stream = Key::new(seed, &[]).stream();
        let b: Vec<f64> = (0..2 * n * n).map(|_| stream.normal()).collect();
        let element = |i: usize, j: usize| (0..2 * n).map(|k| b[k * n + i] * b[k * n + j]).sum();
        (0..n * n).map(|k| element(k / n, k % n)).collect()
    }

    #[test]
    fn the_factors_solve_the_equations() {
        let (n, seed) = (12, 7);
        let a = positive_definite(n, seed);
        let b: Vec<f64> = (0..n).map(|i| i as f64 - 3.0).collect();
        let x = Cholesky::of(n, a.clone()).unwrap().solve(b.clone());
        for (row, b) in a.chunks(n).zip(b) {
            assert!((dot(row, &x) - b).abs() < 1e-9, "seed {seed}");
        }
        assert!(Cholesky::of(2, vec![1.0, 2.0, 2.0, 1.0]).is_none());
    }

    #[test]
    fn eigenvectors_are_stretched_by_their_values() {
        let n = 20;
        // Eigenvalues 1, ½, ¼, …: a known matrix in a random orthonormal basis.
        let mut basis: Vec<f64> = positive_definite(n, 9);
        orthonormalise(&mut basis, n);
        let mut a = vec![0.0; n * n];
        for (k, v) in basis.chunks(n).enumerate() {
            for i in 0..n * n {
                a[i] += 0.5f64.powi(k as i32) * v[i / n] * v[i % n];
            }
        }
        let (vectors, values) = leading_eigenvectors(n, &a, 3);
        for (k, (v, value)) in vectors.chunks(n).zip(values).enumerate() {
            assert!((value - 0.5f64.powi(k as i32)).abs() < 1e-9, "{k}: {value}");
            assert!((dot(v, &basis[k * n..][..n]).abs() - 1.0).abs() < 1e-9);
        }
    }
}
