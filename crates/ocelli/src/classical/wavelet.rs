//! Orthogonal wavelets and quadrature mirror filters: four bands per level, a quarter of the pixels each.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::Plane;

/// A low-pass filter h with Σh² = 1; the high-pass filter is its mirror image, every second sign turned.
#[derive(Clone, Debug, PartialEq)]
pub struct Wavelet {
    /// What it is called.
    pub name: &'static str,
    taps: Vec<f64>,
}

/// The bands of every level and the rest, as [`Wavelet::analyse`] leaves them.
#[derive(Clone, Debug)]
pub struct Subbands {
    /// For each level, the finest first: high along rows and low along columns, low and high, high and high.
    pub details: Vec<[Plane; 3]>,
    /// Low along both, after the last level.
    pub rest: Plane,
}

impl Wavelet {
    /// Haar 1910: exact.
    pub fn haar() -> Wavelet {
        Wavelet { name: "Haar", taps: vec![FRAC_1_SQRT_2; 2] }
    }

    /// Daubechies 1988 with 2 to 4 vanishing moments, to the twelve digits that are usually printed.
    ///
    /// # Panics
    /// For other numbers of moments.
    pub fn daubechies(moments: usize) -> Wavelet {
        let (name, taps): (_, &[f64]) = match moments {
            2 => ("Daubechies 2", &[0.482962913145, 0.836516303738, 0.224143868042, -0.129409522551]),
            3 => (
                "Daubechies 3",
                &[
                    0.332670552950,
                    0.806891509311,
                    0.459877502118,
                    -0.135011020010,
                    -0.085441273882,
                    0.035226291882,
                ],
            ),
            4 => (
                "Daubechies 4",
                &[
                    0.230377813309,
                    0.714846570553,
                    0.630880767930,
                    -0.027983769417,
                    -0.187034811719,
                    0.030841381836,
                    0.032883011667,
                    -0.010597401785,
                ],
            ),
            _ => panic!("2 to 4 moments, not {moments}"),
        };
        Wavelet { name, taps: taps.to_vec() }
    }

    /// Symmetric quadrature mirror filters, which reconstruct almost: of even length by Johnston 1980 (8, 12, 16), of odd
    /// length by Simoncelli and Adelson 1990 (5, 9, 13).
    ///
    /// # Panics
    /// For other lengths.
    pub fn qmf(length: usize) -> Wavelet {
        let (name, half): (_, &[f64]) = match length {
            5 => ("QMF 5", &[-0.076103, 0.3535534, 0.8593118]),
            9 => ("QMF 9", &[0.02807382, -0.060944743, -0.073386624, 0.41472545, 0.7973934]),
            13 => (
                "QMF 13",
                &[-0.014556438, 0.021651438, 0.039045125, -0.09800052, -0.057827797, 0.42995453, 0.7737113],
            ),
            8 => ("QMF 8", &[0.00938715, -0.07065183, 0.06942827, 0.4899808]),
            12 => ("QMF 12", &[-0.003809699, 0.01885659, -0.002710326, -0.08469594, 0.08846992, 0.4843894]),
            16 => (
                "QMF 16",
                &[
                    0.001050167,
                    -0.005054526,
                    -0.002589756,
                    0.0276414,
                    -0.009666376,
                    -0.09039223,
                    0.09779817,
                    0.4810284,
                ],
            ),
            _ => panic!("5, 8, 9, 12, 13 or 16 taps, not {length}"),
        };
        let mirrored = half.iter().chain(half.iter().rev().skip(length % 2));
        // Johnston's filters add up to 1, the others to √2.
        let scale = if length.is_multiple_of(2) { SQRT_2 } else { 1.0 };
        Wavelet { name, taps: mirrored.map(|tap| scale * tap).collect() }
    }

    /// The low-pass filter.
    pub fn taps(&self) -> &[f64] {
        &self.taps
    }

    /// The high-pass filter.
    pub fn high_pass(&self) -> Vec<f64> {
        let sign = |k: usize| if (k + self.taps.len().div_ceil(2)) % 2 == 1 { 1.0 } else { -1.0 };
        self.taps.iter().rev().enumerate().map(|(k, tap)| sign(k) * tap).collect()
    }

    /// The tap at which a filter is centred, and where the high band's samples lie: filters of odd length are symmetric about
    /// a sample, so low and high ones take turns.
    fn places(&self) -> (usize, usize) {
        let n = self.taps.len();
        if n % 2 == 1 { ((n - 1) / 2, 1) } else { (n / 2, 0) }
    }

    /// Takes the plane apart into `levels` levels of bands. The plane is taken to go on circularly.
    ///
    /// # Panics
    /// Where a side cannot be halved so often without remainder.
    pub fn analyse(&self, plane: &Plane, levels: usize) -> Subbands {
        let mut subbands = Subbands { details: Vec::new(), rest: plane.clone() };
        for _ in 0..levels {
            let [low, high] =
                self.split(&subbands.rest).map(|half| self.split(&half.transposed()).map(|p| p.transposed()));
            let ([rest, a], [b, c]) = (low, high);
            subbands.rest = rest;
            subbands.details.push([a, b, c]);
        }
        subbands
    }

    /// Puts the plane together again.
    pub fn synthesise(&self, subbands: &Subbands) -> Plane {
        subbands.details.iter().rev().fold(subbands.rest.clone(), |rest, [a, b, c]| {
            let along =
                |low: &Plane, high: &Plane| self.join(&low.transposed(), &high.transposed()).transposed();
            self.join(&along(&rest, a), &along(b, c))
        })
    }

    /// Low and high band along each column.
    fn split(&self, plane: &Plane) -> [Plane; 2] {
        let [height, width] = plane.size();
        assert!(height % 2 == 0, "{height} rows or columns cannot be halved");
        let (centre, odd) = self.places();
        [(&self.taps, 0), (&self.high_pass(), odd)].map(|(taps, phase)| {
            let mut band = Plane::zeros(height / 2, width);
            for (y, row) in band.values_mut().chunks_exact_mut(width).enumerate() {
                for (k, tap) in taps.iter().enumerate() {
                    let from = wrapped(2 * y + phase, k, centre, height);
                    let source = &plane.values()[from * width..][..width];
                    row.iter_mut().zip(source).for_each(|(out, v)| *out += tap * v);
                }
            }
            band
        })
    }

    /// The transpose of [`Wavelet::split`], which is its inverse where the filters are orthogonal.
    fn join(&self, low: &Plane, high: &Plane) -> Plane {
        let [half, width] = low.size();
        let (centre, odd) = self.places();
        let mut plane = Plane::zeros(2 * half, width);
        for (band, taps, phase) in [(low, &self.taps, 0), (high, &self.high_pass(), odd)] {
            for (y, row) in band.values().chunks_exact(width).enumerate() {
                for (k, tap) in taps.iter().enumerate() {
                    let to = wrapped(2 * y + phase, k, centre, 2 * half);
                    let target = &mut plane.values_mut()[to * width..][..width];
                    target.iter_mut().zip(row).for_each(|(out, v)| *out += tap * v);
                }
            }
        }
        plane
    }
}

/// Where tap k of a filter with that centre stands when it is laid over position `at` of a circle of n.
fn wrapped(at: usize, k: usize, centre: usize, n: usize) -> usize {
    (at as isize + k as isize - centre as isize).rem_euclid(n as isize) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_pass_filters_have_unit_energy_and_are_orthogonal_to_the_high_pass() {
        let all = [Wavelet::haar(), Wavelet::daubechies(2), Wavelet::daubechies(3), Wavelet::daubechies(4)];
        for wavelet in all.into_iter().chain([5, 8, 9, 12, 13, 16].map(Wavelet::qmf)) {
            let (h, g) = (wavelet.taps(), wavelet.high_pass());
            let energy: f64 = h.iter().map(|tap| tap * tap).sum();
            assert!((energy - 1.0).abs() < 2e-2, "{}: {energy}", wavelet.name);
            let sum: f64 = g.iter().sum();
            assert!(sum.abs() < 2e-2, "{}: {sum}", wavelet.name);
            // Laid over each other at any two places that analysis has for them, around a circle that holds both.
            let ((centre, odd), n) = (wavelet.places(), 2 * h.len());
            for shift in (0..n).step_by(2) {
                let mut circle = vec![0.0; n];
                h.iter().enumerate().for_each(|(k, tap)| circle[wrapped(shift, k, centre, n)] += tap);
                let terms = g.iter().enumerate().map(|(k, tap)| tap * circle[wrapped(odd, k, centre, n)]);
                let product: f64 = terms.sum();
                assert!(product.abs() < 2e-2, "{}, {shift}: {product}", wavelet.name);
            }
        }
    }
}
