//! What is said of lists of numbers: how large they are, how far apart, and along which line.

/// Mean of some numbers.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The middle one of some numbers, the lower of two.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Intercept and slope of the line through points that is best in the sense of least squares.
pub(super) fn line_through(points: &[[f64; 2]]) -> [f64; 2] {
    let n = points.len() as f64;
    let [x, y] = [0, 1].map(|axis| points.iter().map(|p| p[axis]).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|p| (p[0] - x) * (p[1] - y)).sum();
    let variance: f64 = points.iter().map(|p| (p[0] - x).powi(2)).sum();
    let slope = covariance / variance;
    [y - slope * x, slope]
}

/// The largest difference between the numbers of two lists, place by place.
///
/// # Panics
/// For lists of different lengths.
pub(super) fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lists of one length");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
