//! Eigenvalues and eigenvectors of small symmetric matrices.

/// The eigenvalues of a symmetric matrix of n rows, descending, and for each its eigenvector of length 1, whose largest number is
/// positive; the vectors lie one after another. To the last digits: rotations that clear its elements one by one (Jacobi 1846).
pub(crate) fn eigenpairs(mut m: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    assert_eq!(m.len(), n * n, "a square matrix");
    let mut vectors: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
    for _ in 0..SWEEPS {
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut m, &mut vectors, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| m[b * n + b].total_cmp(&m[a * n + a]));
    let values = order.iter().map(|&i| m[i * n + i]).collect();
    let upright = |i: &usize| {
        let vector = &vectors[i * n..(i + 1) * n];
        let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
        vector.iter().map(move |x| if largest < 0.0 { -x } else { *x })
    };
    (values, order.iter().flat_map(upright).collect())
}

/// Each sweep squares what is left: ten or so reach the last digits, also of hundreds of rows.
const SWEEPS: usize = 16;

/// Makes m\[p\]\[q\] 0 by turning the plane of p and q; rows of `vectors` turn along.
fn rotate(m: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    if m[p * n + q] == 0.0 {
        return;
    }
    let theta = (m[q * n + q] - m[p * n + p]) / (2.0 * m[p * n + q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in m.chunks_exact_mut(n) {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    let turn = |rows: &mut [f64]| {
        for k in 0..n {
            let (a, b) = (rows[p * n + k], rows[q * n + k]);
            (rows[p * n + k], rows[q * n + k]) = (c * a - s * b, s * a + c * b);
        }
    };
    turn(m);
    turn(vectors);
    (m[p * n + q], m[q * n + p]) = (0.0, 0.0);
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    /// Σ λ·v·vᵀ.
    fn product(values: &[f64], vectors: &[f64], n: usize) -> Vec<f64> {
        let element = |i: usize, j: usize| {
            (0..n).map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j]).sum::<f64>()
        };
        (0..n * n).map(|at| element(at / n, at % n)).collect()
    }

    #[test]
    fn matrices_are_made_of_their_eigenpairs() {
        for n in [1, 2, 3, 12, 48] {
            let mut stream = Key::new(1, &[n as u64]).stream();
            let rows: Vec<f64> = (0..n * n).map(|_| stream.normal()).collect();
            let dot = |i: usize, j: usize| (0..n).map(|k| rows[i * n + k] * rows[j * n + k]).sum::<f64>();
            let m: Vec<f64> = (0..n * n).map(|at| dot(at / n, at % n)).collect();
            let (values, vectors) = eigenpairs(m.clone(), n);
            assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
            for (got, want) in product(&values, &vectors, n).iter().zip(&m) {
                assert!((got - want).abs() < 1e-12 * values[0], "{got}, not {want}, of {n} rows");
            }
            for (got, at) in product(&vec![1.0; n], &vectors, n).iter().zip(0..) {
                assert!((got - f64::from(u8::from(at / n == at % n))).abs() < 1e-13, "they are orthonormal");
            }
        }
    }
}
