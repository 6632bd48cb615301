//! The steerable pyramid (Simoncelli and Freeman 1995), built in the frequency domain.

use std::f64::consts::{PI, TAU};

use super::Plane;
use super::fourier::{Complex, fourier, inverse_fourier};

/// A steerable pyramid: oriented bands at each level, what is finer than all of them, and what is coarser.
///
/// The masks are a raised cosine in the logarithm of the radius, and cosᵏ⁻¹ of the angle for K orientations. Their squares
/// add up to 1 everywhere, so that the same masks turn the pyramid back into the plane, exactly but for rounding. Planes of
/// any size; each level has half the rows and columns, rounded up.
#[derive(Clone, Debug)]
pub struct Steerable {
    /// What is finer than all bands, of the plane's size.
    pub high: Plane,
    /// For each level, the finest first, a band for each orientation: the k-th responds most to edges whose normal is at an
    /// angle of πk/K, from the horizontal axis downwards.
    pub bands: Vec<Vec<Plane>>,
    /// What is coarser than all bands.
    pub rest: Plane,
}

impl Steerable {
    /// The pyramid of `plane` with so many levels and orientations.
    ///
    /// # Panics
    /// Without an orientation, or where a level would have less than two rows or columns.
    pub fn new(plane: &Plane, levels: usize, orientations: usize) -> Steerable {
        assert!(orientations > 0, "a steerable pyramid has an orientation");
        let mut size = plane.size();
        let spectrum = fourier(plane);
        let high = inverse_fourier(masked(&spectrum, size, |r, _| real(above(r, PI))), size);
        let mut low = masked(&spectrum, size, |r, _| real(below(r, PI)));
        let mut bands = Vec::new();
        for _ in 0..levels {
            let angles = (0..orientations).map(|k| PI * k as f64 / orientations as f64);
            bands.push(angles.map(|angle| band(&low, size, orientations, angle)).collect());
            let coarse = masked(&low, size, |r, _| real(below(r, PI / 2.0)));
            let half = size.map(|n| n.div_ceil(2));
            assert!(half.iter().all(|&n| n > 1), "a plane of {size:?} has no further level");
            low = cropped(&coarse, size, half);
            size = half;
        }
        Steerable { high, bands, rest: inverse_fourier(low, size) }
    }

    /// The plane again.
    pub fn collapse(&self) -> Plane {
        let mut low = fourier(&self.rest);
        let mut from = self.rest.size();
        for bands in self.bands.iter().rev() {
            let size = bands[0].size();
            low = masked(&enlarged(&low, from, size), size, |r, _| real(below(r, PI / 2.0)));
            for (k, band) in bands.iter().enumerate() {
                let angle = PI * k as f64 / bands.len() as f64;
                let mask = |r: f64, theta: f64| {
                    let Complex { re, im } = oriented(r, theta, bands.len(), angle);
                    Complex::new(re, -im)
                };
                add(&mut low, &masked(&fourier(band), size, mask));
            }
            from = size;
        }
        let size = self.high.size();
        low = masked(&low, size, |r, _| real(below(r, PI)));
        add(&mut low, &masked(&fourier(&self.high), size, |r, _| real(above(r, PI))));
        inverse_fourier(low, size)
    }

    /// The band of a level at any angle: the weighted sum of the level's bands.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn steered(&self, level: usize, angle: f64) -> Plane {
        let bands = &self.bands[level];
        let weights = steering_weights(bands.len(), angle);
        let [height, width] = bands[0].size();
        let start = Plane::zeros(height, width);
        bands.iter().zip(weights).fold(start, |sum, (band, weight)| sum.zip(band, |s, b| s + weight * b))
    }

    /// The finest level's band of `plane` at any angle, computed directly.
    pub fn finest_band(plane: &Plane, orientations: usize, angle: f64) -> Plane {
        let size = plane.size();
        let low = masked(&fourier(plane), size, |r, _| real(below(r, PI)));
        band(&low, size, orientations, angle)
    }
}

/// What cosᴷ⁻¹(θ − angle) is as a sum of cosᴷ⁻¹(θ − πk/K): the weights of K basis bands. Both sides have the K harmonics
/// −(K − 1), −(K − 3), …, K − 1, and the basis angles are evenly spread.
pub fn steering_weights(orientations: usize, angle: f64) -> Vec<f64> {
    let n = orientations as i32 - 1;
    let weight = |k: usize| {
        let apart = PI * k as f64 / orientations as f64 - angle;
        let harmonics = (0..=n).map(|i| f64::from(2 * i - n));
        harmonics.map(|m| (m * apart).cos()).sum::<f64>() / orientations as f64
    };
    (0..orientations).map(weight).collect()
}

/// The band of one level at an angle.
fn band(low: &[Complex], size: [usize; 2], orientations: usize, angle: f64) -> Plane {
    inverse_fourier(masked(low, size, |r, theta| oriented(r, theta, orientations, angle)), size)
}

/// High-pass at half the band, times a lobe of the angle. Odd powers of the cosine are odd functions, whose band is real when
/// they are multiplied by −i.
fn oriented(r: f64, theta: f64, orientations: usize, angle: f64) -> Complex {
    let n = orientations as i32 - 1;
    let amount = above(r, PI / 2.0) * lobe_scale(orientations) * (theta - angle).cos().powi(n);
    match n % 4 {
        0 => Complex::new(amount, 0.0),
        1 => Complex::new(0.0, -amount),
        2 => Complex::new(-amount, 0.0),
        _ => Complex::new(0.0, amount),
    }
}

/// What makes the squares of all lobes add up to 1: 2ⁿ·n!/√(K·(2n)!) with n = K − 1.
fn lobe_scale(orientations: usize) -> f64 {
    // 4ⁿ·(n!)²/(2n)! = Π 2j/(2j − 1)
    let product: f64 = (1..orientations).map(|j| 2.0 * j as f64 / (2.0 * j as f64 - 1.0)).product();
    (product / orientations as f64).sqrt()
}

/// A raised cosine in the logarithm of the radius: 0 up to half the `edge`, 1 from it on.
fn above(r: f64, edge: f64) -> f64 {
    if r <= edge / 2.0 {
        0.0
    } else if r >= edge {
        1.0
    } else {
        (PI / 2.0 * (r / edge).log2()).cos()
    }
}

/// The complement of [`above`]: the squares add up to 1. From the edge on it is 0, not merely small.
fn below(r: f64, edge: f64) -> f64 {
    if r <= edge / 2.0 {
        1.0
    } else if r >= edge {
        0.0
    } else {
        -(PI / 2.0 * (r / edge).log2()).sin()
    }
}

fn real(x: f64) -> Complex {
    Complex::new(x, 0.0)
}

/// The frequency of position k of n, from −n/2 to below n/2.
fn frequency(k: usize, n: usize) -> f64 {
    if 2 * k < n { k as f64 } else { k as f64 - n as f64 }
}

/// The spectrum times a mask of radius (π at the highest frequency of an axis) and angle.
fn masked(
    spectrum: &[Complex],
    [height, width]: [usize; 2],
    mask: impl Fn(f64, f64) -> Complex,
) -> Vec<Complex> {
    let value = |i: usize| {
        let y = TAU * frequency(i / width, height) / height as f64;
        let x = TAU * frequency(i % width, width) / width as f64;
        spectrum[i] * mask(x.hypot(y), y.atan2(x))
    };
    (0..spectrum.len()).map(value).collect()
}

/// The lower frequencies alone, as the spectrum of a smaller plane with the same mean.
fn cropped(spectrum: &[Complex], from: [usize; 2], to: [usize; 2]) -> Vec<Complex> {
    let scale = (to[0] * to[1]) as f64 / (from[0] * from[1]) as f64;
    (0..to[0] * to[1]).map(|i| spectrum[place(i, to, from)].scaled(scale)).collect()
}

/// The inverse of [`cropped`] where the frequencies that it left out are 0.
fn enlarged(spectrum: &[Complex], from: [usize; 2], to: [usize; 2]) -> Vec<Complex> {
    let scale = (to[0] * to[1]) as f64 / (from[0] * from[1]) as f64;
    let mut large = vec![Complex::default(); to[0] * to[1]];
    for (i, value) in spectrum.iter().enumerate() {
        large[place(i, from, to)] = value.scaled(scale);
    }
    large
}

/// Where the frequency at position `i` of a smaller spectrum stands in a larger one.
fn place(i: usize, small: [usize; 2], large: [usize; 2]) -> usize {
    let along = |k: usize, n: usize, m: usize| if 2 * k < n { k } else { k + m - n };
    along(i / small[1], small[0], large[0]) * large[1] + along(i % small[1], small[1], large[1])
}

fn add(to: &mut [Complex], from: &[Complex]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_of_the_masks_add_up_to_1() {
        for orientations in 1..=6 {
            for theta in [0.0, 0.3, 1.0, 2.5, -3.0] {
                let angles = (0..orientations).map(|k| PI * k as f64 / orientations as f64);
                let lobes = angles.map(|angle| {
                    (lobe_scale(orientations) * (theta - angle).cos().powi(orientations as i32 - 1)).powi(2)
                });
                let sum: f64 = lobes.sum();
                assert!((sum - 1.0).abs() < 1e-12, "{orientations} at {theta}: {sum}");
            }
        }
        for r in [0.1, 0.9, 1.6, 2.0, 3.0, 3.2] {
            assert!((above(r, PI).powi(2) + below(r, PI).powi(2) - 1.0).abs() < 1e-12, "{r}");
        }
    }
}
