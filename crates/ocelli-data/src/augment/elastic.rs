//! Elastic distortion: pixels move by a smooth random field.

use ocelli_kernels::random::Stream;
use ocelli_kernels::{Vectorised, vectorised};
use serde::{Deserialize, Serialize};

use crate::DataError;

/// Elastic distortion of Simard, Steinkraus and Platt, "Best practices for convolutional neural
/// networks applied to visual document analysis" (ICDAR 2003), section 2.
///
/// Displacements along x and y are uniform from −1 to 1 for each pixel, 0 outside the image, smoothed by
/// a Gaussian whose weights add up to 1, and multiplied by `alpha`. For MNIST the paper finds
/// `sigma` = 4 and `alpha` = 34 best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Strength, in pixels before smoothing.
    pub alpha: f32,
    /// Standard deviation of the Gaussian, in pixels: larger is smoother.
    pub sigma: f32,
}

/// The largest `sigma`; the cost grows with it.
const MOST_SIGMA: f32 = 100.0;

impl Elastic {
    /// Whether the strengths make sense.
    pub(super) fn check(&self) -> Result<(), DataError> {
        if !(0.0..=1e6).contains(&self.alpha) {
            return Err(DataError::setting("augment.elastic.alpha", self.alpha, "it goes from 0 to 1000000"));
        }
        if !(0.1..=MOST_SIGMA).contains(&self.sigma) {
            let rule = format!("it goes from 0.1 to {MOST_SIGMA} pixels");
            return Err(DataError::setting("augment.elastic.sigma", self.sigma, rule));
        }
        Ok(())
    }
}

/// Displacements of an image's pixels, and the memory to make them in.
#[derive(Clone, Debug)]
pub(super) struct Field {
    alpha: f32,
    /// The Gaussian from its centre outwards: `kernel[k]` weighs what is k pixels away.
    kernel: Vec<f32>,
    dx: Vec<f32>,
    dy: Vec<f32>,
    noise: Vec<f32>,
    row: Vec<f32>,
}

impl Field {
    pub(super) fn new(elastic: &Elastic) -> Field {
        Field {
            alpha: elastic.alpha,
            kernel: gaussian(f64::from(elastic.sigma)),
            dx: Vec::new(),
            dy: Vec::new(),
            noise: Vec::new(),
            row: Vec::new(),
        }
    }

    /// Makes new displacements for `height`×`width` pixels.
    pub(super) fn draw(&mut self, height: usize, width: usize, stream: &mut Stream) {
        for out in [&mut self.dx, &mut self.dy] {
            self.noise.clear();
            self.noise.resize(height * width, 0.0);
            for pair in self.noise.chunks_mut(2) {
                let word = stream.next_u32();
                let halves = [word as u16, (word >> 16) as u16];
                for (value, half) in pair.iter_mut().zip(halves) {
                    *value = self.alpha * ((f32::from(half) + 0.5) / 32768.0 - 1.0);
                }
            }
            vectorised(Smooth {
                image: &mut self.noise,
                width,
                kernel: &self.kernel,
                row: &mut self.row,
                out,
            });
        }
    }

    /// The displacements of row `y`, which is `width` wide, along x and along y.
    pub(super) fn row(&self, y: usize, width: usize) -> (&[f32], &[f32]) {
        (&self.dx[y * width..][..width], &self.dy[y * width..][..width])
    }
}

/// Half of a Gaussian, cut off at three standard deviations; both halves add up to 1.
fn gaussian(sigma: f64) -> Vec<f32> {
    let half: Vec<f64> = (0..=(3.0 * sigma).ceil() as usize)
        .map(|k| (-(k as f64).powi(2) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.iter().map(|v| (v / sum) as f32).collect()
}

/// Smoothing an image along rows, in place, and then along columns.
struct Smooth<'a> {
    image: &'a mut [f32],
    width: usize,
    kernel: &'a [f32],
    row: &'a mut Vec<f32>,
    out: &'a mut Vec<f32>,
}

impl Vectorised for Smooth<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Smooth { image, width, kernel, row, out } = self;
        smooth_rows(image, width, kernel, row);
        smooth_columns(image, width, kernel, out);
    }
}

#[inline(always)]
fn smooth_rows(image: &mut [f32], width: usize, kernel: &[f32], framed: &mut Vec<f32>) {
    let radius = kernel.len() - 1;
    framed.clear();
    framed.resize(width + 2 * radius, 0.0);
    for row in image.chunks_exact_mut(width) {
        framed[radius..radius + width].copy_from_slice(row);
        for value in row.iter_mut() {
            *value *= kernel[0];
        }
        for (k, &weight) in kernel.iter().enumerate().skip(1) {
            let (left, right) = (&framed[radius - k..][..width], &framed[radius + k..][..width]);
            for ((value, l), r) in row.iter_mut().zip(left).zip(right) {
                *value += weight * (l + r);
            }
        }
    }
}

#[inline(always)]
fn smooth_columns(image: &[f32], width: usize, kernel: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.resize(image.len(), 0.0);
    let height = image.len() / width;
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let first = (y + 1).saturating_sub(kernel.len());
        for v in first..height.min(y + kernel.len()) {
            let weight = kernel[v.abs_diff(y)];
            for (out, value) in out.iter_mut().zip(&image[v * width..][..width]) {
                *out += weight * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn smoothing_is_a_gaussian_that_sees_zeros_outside() {
        let (height, width, sigma) = (9, 13, 1.5);
        let image: Vec<f32> = (0..height * width).map(|i| ((i * 37) % 23) as f32 - 11.0).collect();
        let (mut rows, mut out) = (image.clone(), Vec::new());
        smooth_rows(&mut rows, width, &gaussian(sigma), &mut Vec::new());
        smooth_columns(&rows, width, &gaussian(sigma), &mut out);
        let weight = |d: i64| if d.abs() > 5 { 0.0 } else { (-(d * d) as f64 / (2.0 * sigma * sigma)).exp() };
        let norm: f64 = (-5..=5).map(weight).sum();
        for y in 0..height as i64 {
            for x in 0..width as i64 {
                let mut want = 0.0;
                for v in 0..height as i64 {
                    for u in 0..width as i64 {
                        want +=
                            weight(v - y) * weight(u - x) * f64::from(image[v as usize * width + u as usize]);
                    }
                }
                let got = f64::from(out[y as usize * width + x as usize]);
                assert!((got - want / norm / norm).abs() < 1e-4, "at {y}, {x}");
            }
        }
    }

    #[test]
    fn displacements_are_smooth_and_bounded_by_alpha() {
        let mut field = Field::new(&Elastic { alpha: 34.0, sigma: 4.0 });
        field.draw(28, 28, &mut Key::new(1, &[]).stream());
        for d in [&field.dx, &field.dy] {
            let largest = d.iter().fold(0f32, |m, v| m.max(v.abs()));
            assert!((0.5..34.0).contains(&largest), "{largest}");
            assert!(d.chunks(28).all(|row| row.windows(2).all(|w| (w[0] - w[1]).abs() < 1.0)));
        }
        assert_ne!(field.dx, field.dy);
    }
}
