//! Banks of filters: derivatives of Gaussians, Gabor functions, and the bank of Leung and Malik.

use std::f64::consts::{PI, SQRT_2, TAU};
use std::sync::Arc;

use ocelli_core::ops::Conv2d;
use ocelli_core::{Graph, Params, PlanOptions};
use ocelli_kernels::Element;

use super::Plane;
use crate::{Engine, Error};

/// A filter with a name.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What it is.
    pub name: String,
    /// Its kernel; the centre is the pixel in row ⌊h/2⌋, column ⌊w/2⌋.
    pub kernel: Plane,
}

/// Filters of one size.
#[derive(Clone, Debug)]
pub struct FilterBank {
    filters: Vec<Filter>,
}

impl FilterBank {
    /// A bank of these filters.
    ///
    /// # Panics
    /// Without any, or where their sizes differ.
    pub fn new(filters: Vec<Filter>) -> FilterBank {
        let size = filters.first().expect("a bank has a filter").kernel.size();
        assert!(filters.iter().all(|filter| filter.kernel.size() == size), "filters of one size");
        FilterBank { filters }
    }

    /// The filters.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// First and second derivatives of a Gaussian of standard deviation `sigma` (in pixels) across `orientations` directions.
    pub fn gaussian_derivatives(size: usize, sigma: f64, orientations: usize) -> FilterBank {
        let mut filters = Vec::new();
        for order in 1..=2 {
            for k in 0..orientations {
                let angle = PI * k as f64 / orientations as f64;
                let kernel = elongated(size, [sigma, sigma], order, angle);
                filters.push(Filter {
                    name: format!("{}, {:.0}°", DERIVATIVES[order as usize - 1], angle.to_degrees()),
                    kernel,
                });
            }
        }
        FilterBank::new(filters)
    }

    /// Gabor functions: a wave of that length (in pixels) under a Gaussian, even and odd, in `orientations` directions.
    /// The constant part of the even ones is taken away (Daugman 1985; Lee 1996).
    pub fn gabor(size: usize, wavelength: f64, orientations: usize) -> FilterBank {
        // A bandwidth of one octave.
        let sigma = 0.56 * wavelength;
        let mut filters = Vec::new();
        for (phase, kind) in [(0.0, "even"), (-PI / 2.0, "odd")] {
            for k in 0..orientations {
                let angle = PI * k as f64 / orientations as f64;
                let kernel = sampled(size, |x, y| {
                    let (across, along) = rotated(x, y, angle);
                    let envelope = (-(across * across + along * along / 4.0) / (2.0 * sigma * sigma)).exp();
                    envelope * (TAU * across / wavelength + phase).cos()
                });
                filters.push(Filter {
                    name: format!("{kind}, {:.0}°", angle.to_degrees()),
                    kernel: normalised(kernel, true),
                });
            }
        }
        FilterBank::new(filters)
    }

    /// The 48 filters of Leung and Malik 2001: first and second derivatives of Gaussians three times as long as wide, in six
    /// directions and three scales; eight Laplacians of Gaussians; four Gaussians. All derivatives have mean 0, all filters
    /// magnitudes that add up to 1.
    pub fn leung_malik(size: usize) -> FilterBank {
        let scales = [1.0, SQRT_2, 2.0, 2.0 * SQRT_2];
        let mut filters = Vec::new();
        for order in 1..=2 {
            for &scale in &scales[..3] {
                for k in 0..6 {
                    let angle = PI * k as f64 / 6.0;
                    let kernel = elongated(size, [scale, 3.0 * scale], order, angle);
                    filters.push(Filter {
                        name: format!(
                            "{}, σ {scale:.1}, {:.0}°",
                            DERIVATIVES[order as usize - 1],
                            angle.to_degrees()
                        ),
                        kernel,
                    });
                }
            }
        }
        for scale in scales.into_iter().chain(scales.map(|scale| 3.0 * scale)) {
            let kernel = sampled(size, |x, y| {
                let square = (x * x + y * y) / (scale * scale);
                (square - 2.0) * (-square / 2.0).exp()
            });
            filters
                .push(Filter { name: format!("Laplacian, σ {scale:.1}"), kernel: normalised(kernel, true) });
        }
        for scale in scales {
            let kernel = sampled(size, |x, y| (-(x * x + y * y) / (2.0 * scale * scale)).exp());
            filters
                .push(Filter { name: format!("Gaussian, σ {scale:.1}"), kernel: normalised(kernel, false) });
        }
        FilterBank::new(filters)
    }

    /// The bank as a convolution layer: its op, and its weights, filters×1×h×w. Layers correlate, filters convolve, so each
    /// kernel is turned by 180°; zeros stand beyond the border.
    pub fn layer<T: Element>(&self) -> (Conv2d, Vec<T>) {
        let [height, width] = self.filters[0].kernel.size();
        // Turned, the centre of an even side is the other one of the two pixels in the middle; only odd sides stay in place.
        assert!(height % 2 == 1 && width % 2 == 1, "filters with a pixel in the middle");
        let layer =
            Conv2d::new(self.filters.len(), [height, width]).padding([height / 2, width / 2]).without_bias();
        let turned = self.filters.iter().flat_map(|filter| filter.kernel.values().iter().rev());
        (layer, turned.map(|&w| T::of(w)).collect())
    }

    /// What every filter responds to `plane`, computed by the layer. Zeros stand beyond the border.
    ///
    /// # Errors
    /// Too little memory.
    pub fn responses<T: Element>(&self, engine: &Engine, plane: &Plane) -> Result<Vec<Plane>, Error> {
        let [height, width] = plane.size();
        let (layer, weights) = self.layer::<T>();
        let mut graph = Graph::new();
        let input = graph.input("plane", [1, height, width])?;
        graph.add("bank", layer, [input])?;
        let graph = Arc::new(graph);
        let mut params = Params::zeroed(graph.layout())?;
        params.set(&graph.layout().entries()[0], &weights);
        let mut executor = engine.executor::<T>(&graph, PlanOptions::evaluate(1))?;
        let x: Vec<T> = plane.values().iter().map(|&v| T::of(v)).collect();
        let y = executor.forward(&params, &[&x], 1);
        // In memory the channels of a pixel stand together.
        let n = self.filters.len();
        let of = |filter: usize| y.iter().skip(filter).step_by(n).map(|v| v.f64()).collect();
        Ok((0..n).map(|filter| Plane::new(height, width, of(filter))).collect())
    }
}

/// What derivatives of first and second order are called.
const DERIVATIVES: [&str; 2] = ["∂", "∂²"];

/// A function of x (to the right) and y (downwards) on a square grid whose middle pixel is (0, 0).
fn sampled(size: usize, value: impl Fn(f64, f64) -> f64) -> Plane {
    let middle = (size / 2) as f64;
    Plane::from_fn(size, size, |y, x| value(x as f64 - middle, y as f64 - middle))
}

/// Coordinates across and along a direction.
fn rotated(x: f64, y: f64, angle: f64) -> (f64, f64) {
    let (sin, cos) = angle.sin_cos();
    (x * cos + y * sin, y * cos - x * sin)
}

/// The derivative of that order, across, of a Gaussian with these standard deviations across and along.
fn elongated(size: usize, [across, along]: [f64; 2], order: u32, angle: f64) -> Plane {
    let kernel = sampled(size, |x, y| {
        let (u, v) = rotated(x, y, angle);
        let (u, v) = (u / across, v / along);
        let gaussian = (-(u * u + v * v) / 2.0).exp();
        if order == 1 { -u * gaussian } else { (u * u - 1.0) * gaussian }
    });
    normalised(kernel, true)
}

/// With magnitudes that add up to 1, and mean 0 if asked for.
fn normalised(kernel: Plane, balanced: bool) -> Plane {
    let n = kernel.values().len() as f64;
    let mean = if balanced { kernel.values().iter().sum::<f64>() / n } else { 0.0 };
    let kernel = kernel.map(|v| v - mean);
    let total: f64 = kernel.values().iter().map(|v| v.abs()).sum();
    kernel.map(|v| v / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_have_mean_0_and_every_filter_magnitude_1() {
        let bank = FilterBank::leung_malik(49);
        assert_eq!(bank.filters().len(), 48);
        for filter in bank.filters() {
            let values = filter.kernel.values();
            let (sum, total) = (values.iter().sum::<f64>(), values.iter().map(|v| v.abs()).sum::<f64>());
            assert!((total - 1.0).abs() < 1e-12, "{}: {total}", filter.name);
            let expected = if filter.name.starts_with("Gaussian") { 1.0 } else { 0.0 };
            assert!((sum - expected).abs() < 1e-12, "{}: {sum}", filter.name);
        }
    }
}
