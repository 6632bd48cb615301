//! Principal components, and the quadratic classifier on them: every product of two components is a feature of a linear one.

use super::least_squares::{LinearClassifier, Moments};
use super::symmetric::leading_eigenvectors;
use crate::{Engine, Error};

/// The directions in which samples vary most, from their mean.
#[derive(Clone, Debug)]
pub struct Components {
    width: usize,
    mean: Vec<f32>,
    /// Components × width, orthonormal, by falling variance.
    directions: Vec<f32>,
}

impl Components {
    /// The `count` leading components of samples (M×width).
    ///
    /// # Panics
    /// If there are no samples, or more components are asked for than a sample has numbers.
    pub fn of(engine: &Engine, samples: &[f32], width: usize, count: usize) -> Components {
        assert!(samples.len() >= width && count <= width, "{count} components of samples of {width} numbers");
        let m = samples.len() / width;
        let mut mean = vec![0.0; width];
        for x in samples.chunks_exact(width) {
            mean.iter_mut().zip(x).for_each(|(sum, &x)| *sum += f64::from(x) / m as f64);
        }
        let mean: Vec<f32> = mean.iter().map(|&x: &f64| x as f32).collect();
        let centred: Vec<f32> =
            samples.chunks_exact(width).flat_map(|x| x.iter().zip(&mean).map(|(x, m)| x - m)).collect();
        let mut moments = Moments::new(width, 1);
        moments.add(engine, &centred, &vec![0; m]);
        let covariance: Vec<f64> = moments
            .gram()
            .chunks_exact(width + 1)
            .take(width)
            .flat_map(|row| row[..width].to_vec())
            .collect();
        let (directions, _) = leading_eigenvectors(width, &covariance, count);
        Components { width, mean, directions: directions.iter().map(|&x| x as f32).collect() }
    }

    /// The components of one sample.
    pub fn project<'a>(&'a self, x: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let along = move |d: &[f32]| d.iter().zip(x).zip(&self.mean).map(|((d, x), m)| d * (x - m)).sum();
        self.directions.chunks_exact(self.width).map(along)
    }
}

/// A linear classifier on all products of two of the leading components, the components and 1: with 40 of them, 861
/// features (LeCun et al. 1998, section III.C, has 821 without the components themselves).
pub struct Quadratic {
    components: Components,
    linear: LinearClassifier,
}

/// Samples whose features are computed at a time.
const CHUNK: usize = 4096;

impl Quadratic {
    /// Fits `count` components and the classifier on samples (M×width).
    ///
    /// # Errors
    /// Equations without a unique solution.
    pub fn fit(
        engine: &Engine,
        samples: &[f32],
        width: usize,
        labels: &[u32],
        classes: usize,
        count: usize,
    ) -> Result<Quadratic, Error> {
        let components = Components::of(engine, samples, width, count);
        let mut moments = Moments::new(count * (count + 3) / 2, classes);
        for (samples, labels) in samples.chunks(CHUNK * width).zip(labels.chunks(CHUNK)) {
            let features: Vec<f32> =
                samples.chunks_exact(width).flat_map(|x| products(&components, x)).collect();
            moments.add(engine, &features, labels);
        }
        Ok(Quadratic { components, linear: moments.solve(1e-7)? })
    }

    /// The class of one sample.
    pub fn classify(&self, x: &[f32]) -> u32 {
        self.linear.classify(&products(&self.components, x))
    }
}

/// The components and all their products.
fn products(components: &Components, x: &[f32]) -> Vec<f32> {
    let mut features: Vec<f32> = components.project(x).collect();
    let count = features.len();
    for i in 0..count {
        for j in i..count {
            features.push(features[i] * features[j]);
        }
    }
    features
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::Isa;
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn a_quadratic_classifier_tells_a_ball_from_what_surrounds_it() {
        let seed = 11;
        let mut stream = Key::new(seed, &[]).stream();
        let samples: Vec<f32> = (0..3 * 1000).map(|_| stream.normal() as f32).collect();
        let inside = |x: &[f32]| u32::from(x.iter().map(|x| x * x).sum::<f32>() < 2.4);
        let labels: Vec<u32> = samples.chunks(3).map(inside).collect();
        let engine = Engine::new(1, Isa::detect()).unwrap();
        let quadratic = Quadratic::fit(&engine, &samples, 3, &labels, 2, 3).unwrap();
        let right = samples.chunks(3).zip(&labels).filter(|(x, l)| quadratic.classify(x) == **l).count();
        let mut moments = Moments::new(3, 2);
        moments.add(&engine, &samples, &labels);
        let linear = moments.solve(1e-9).unwrap();
        let linearly = samples.chunks(3).zip(&labels).filter(|(x, l)| linear.classify(x) == **l).count();
        assert!(right > 880 && linearly < 700, "seed {seed}: {right} and {linearly} of 1000");
    }

    #[test]
    fn the_first_component_is_the_direction_of_most_variance() {
        let mut stream = Key::new(2, &[]).stream();
        let samples: Vec<f32> = (0..500)
            .flat_map(|_| {
                let (along, across) = (10.0 * stream.normal(), stream.normal());
                [5.0 + 0.6 * along - 0.8 * across, 0.8 * along + 0.6 * across]
            })
            .map(|x| x as f32)
            .collect();
        let engine = Engine::new(1, Isa::detect()).unwrap();
        let components = Components::of(&engine, &samples, 2, 1);
        let direction = &components.directions;
        assert!((direction[0] * 0.6 + direction[1] * 0.8).abs() > 0.999, "{direction:?}");
    }
}
