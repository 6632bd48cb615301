//! The discrete Fourier transform of planes of any size.

use std::f64::consts::TAU;
use std::ops::{Add, Mul, Sub};

use super::Plane;

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Complex {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Complex {
    /// A complex number.
    pub const fn new(re: f64, im: f64) -> Complex {
        Complex { re, im }
    }

    /// e^{iφ}.
    pub fn turn(angle: f64) -> Complex {
        let (im, re) = angle.sin_cos();
        Complex { re, im }
    }

    /// Times a real number.
    pub fn scaled(self, by: f64) -> Complex {
        Complex { re: self.re * by, im: self.im * by }
    }

    /// The magnitude.
    pub fn magnitude(self) -> f64 {
        self.re.hypot(self.im)
    }
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, other: Complex) -> Complex {
        Complex { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Complex;
    fn sub(self, other: Complex) -> Complex {
        Complex { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, other: Complex) -> Complex {
        Complex { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

/// X\[u, v\] = Σ x\[y, x\]·e^{−2πi(uy/h + vx/w)}, row after row.
pub fn fourier(plane: &Plane) -> Vec<Complex> {
    let x = plane.values().iter().map(|&v| Complex::new(v, 0.0)).collect();
    along_both(x, plane.size(), -1.0)
}

/// The real part of the inverse transform of a spectrum of that size.
///
/// # Panics
/// If there are not height·width values.
pub fn inverse_fourier(spectrum: Vec<Complex>, [height, width]: [usize; 2]) -> Plane {
    assert_eq!(spectrum.len(), height * width, "the values of a spectrum");
    let scale = 1.0 / (height * width) as f64;
    let values = along_both(spectrum, [height, width], 1.0);
    Plane::new(height, width, values.into_iter().map(|v| v.re * scale).collect())
}

/// Along rows, then along columns.
fn along_both(x: Vec<Complex>, [height, width]: [usize; 2], sign: f64) -> Vec<Complex> {
    transpose(&along_rows(transpose(&along_rows(x, width, sign), width), height, sign), height)
}

fn transpose(x: &[Complex], width: usize) -> Vec<Complex> {
    let height = x.len() / width;
    (0..x.len()).map(|i| x[i % height * width + i / height]).collect()
}

fn along_rows(x: Vec<Complex>, n: usize, sign: f64) -> Vec<Complex> {
    let turns: Vec<Complex> = (0..n).map(|k| Complex::turn(sign * TAU * k as f64 / n as f64)).collect();
    let mut out = vec![Complex::default(); x.len()];
    let mut work = vec![Complex::default(); n];
    for (row, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        transform(row, 1, out, &mut work, &turns);
    }
    out
}

/// Cooley and Tukey 1965 for any factors: the transform of every p-th value, p times, joined by a transform of length p.
/// Takes `out.len()` values of `x`, `step` apart. Depth is the number of prime factors, at most 63.
fn transform(x: &[Complex], step: usize, out: &mut [Complex], work: &mut [Complex], turns: &[Complex]) {
    let n = out.len();
    if n == 1 {
        out[0] = x[0];
        return;
    }
    let p = smallest_factor(n);
    let m = n / p;
    for (r, part) in work[..n].chunks_exact_mut(m).enumerate() {
        transform(&x[r * step..], step * p, part, &mut out[..m], turns);
    }
    let stride = turns.len() / n;
    for k in 0..n {
        let mut sum = Complex::default();
        for r in 0..p {
            sum = sum + work[r * m + k % m] * turns[r * k % n * stride];
        }
        out[k] = sum;
    }
}

fn smallest_factor(n: usize) -> usize {
    (2..).take_while(|p| p * p <= n).find(|p| n.is_multiple_of(*p)).unwrap_or(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_sum_that_defines_it_and_its_inverse_leads_back() {
        for [height, width] in [[1, 1], [4, 8], [6, 5], [7, 9], [12, 13]] {
            let plane = Plane::from_fn(height, width, |y, x| ((7 * y + 3 * x * x) % 11) as f64 - 4.0);
            let spectrum = fourier(&plane);
            for u in 0..height {
                for v in 0..width {
                    let mut sum = Complex::default();
                    for y in 0..height {
                        for x in 0..width {
                            let phase = (u * y) as f64 / height as f64 + (v * x) as f64 / width as f64;
                            sum = sum + Complex::turn(-TAU * phase).scaled(plane.at(y, x));
                        }
                    }
                    let error = (sum - spectrum[u * width + v]).magnitude();
                    assert!(error < 1e-10, "{height}×{width}, {u} {v}: {error}");
                }
            }
            let back = inverse_fourier(spectrum, [height, width]);
            assert!(back.largest_difference(&plane) < 1e-12, "{height}×{width}");
        }
    }
}
