//! AlexNet's variation of colours: shifts along the principal directions in which the training set's colours vary.

use ocelli_kernels::random::Stream;
use serde::{Deserialize, Serialize};

use super::check_strength;
use crate::eigen::eigenpairs;
use crate::picture::Flat;
use crate::{DataError, Dataset, Picture};

/// Adds Σ α_i·λ_i·p_i to every pixel of an image, with values from 0 to 1; λ_i and p_i are eigenvalues and eigenvectors of the
/// covariance of red, green and blue over the training set's pixels, and α_i is drawn from N(0, `strength`²) for each image
/// (Krizhevsky, Sutskever and Hinton 2012, section 4.1, where the strength is 0.1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColourShift {
    /// The standard deviation of each α.
    pub strength: f32,
    /// Of the training set.
    pub axes: ColourAxes,
}

/// The directions in which colours vary, widest first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColourAxes {
    /// The eigenvalues of the covariance of red, green and blue, from 0 to 1 each; descending.
    pub values: [f64; 3],
    /// For each of them its eigenvector, of length 1; its largest number is positive.
    pub vectors: [[f64; 3]; 3],
}

/// The most pictures whose colours are counted; of larger sets every n-th, so that a run that is repeated takes the same.
const MOST_PICTURES: usize = 2048;

impl ColourShift {
    pub(super) fn check(&self) -> Result<(), DataError> {
        check_strength("colour.strength", self.strength, 100.0)?;
        let numbers = self.axes.vectors.as_flattened().iter().chain(&self.axes.values);
        match numbers.clone().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(DataError::setting(
                "augment.colour.axes",
                format!("{:?}", self.axes),
                "all of its numbers are finite",
            )),
        }
    }

    /// What one image's red, green and blue gain, on values from 0 to 255.
    pub(super) fn draw(&self, stream: &mut Stream) -> [f32; 3] {
        let ColourAxes { values, vectors } = self.axes;
        let amounts = values.map(|value| 255.0 * f64::from(self.strength) * value * stream.normal());
        std::array::from_fn(|c| (0..3).map(|i| amounts[i] * vectors[i][c]).sum::<f64>() as f32)
    }
}

impl ColourAxes {
    /// Of the pixels of `dataset`: all pictures, or of more than 2048 as many, evenly spaced. Pictures in grey count as such.
    ///
    /// # Errors
    /// Those of reading an image.
    pub fn of(dataset: &dyn Dataset) -> Result<ColourAxes, DataError> {
        let mut sums = Sums::default();
        let (mut picture, mut flat) = (Picture::default(), Flat::default());
        let taken = dataset.len().min(MOST_PICTURES);
        for i in 0..taken {
            dataset.read((i as u64 * dataset.len() as u64 / taken as u64) as usize, &mut picture)?;
            sums.add(flat.of(&picture, 3, 0).pixels.as_chunks().0);
        }
        Ok(ColourAxes::of_covariance(sums.covariance()))
    }

    /// The eigenvalues and eigenvectors of a symmetric matrix.
    pub fn of_covariance(m: [[f64; 3]; 3]) -> ColourAxes {
        let (values, vectors) = eigenpairs(m.as_flattened().to_vec(), 3);
        let triple = |i: usize| std::array::from_fn(|k| vectors[3 * i + k]);
        ColourAxes { values: [values[0], values[1], values[2]], vectors: [0, 1, 2].map(triple) }
    }
}

/// Exact sums, so that their order cannot matter.
#[derive(Default)]
struct Sums {
    count: u64,
    sums: [u64; 3],
    products: [[u128; 3]; 3],
}

impl Sums {
    fn add(&mut self, pixels: &[[u8; 3]]) {
        let (mut sums, mut products) = ([0u64; 3], [[0u64; 3]; 3]);
        for pixel in pixels {
            let pixel = pixel.map(u64::from);
            for i in 0..3 {
                sums[i] += pixel[i];
                for j in i..3 {
                    products[i][j] += pixel[i] * pixel[j];
                }
            }
        }
        self.count += pixels.len() as u64;
        for i in 0..3 {
            self.sums[i] += sums[i];
            for j in i..3 {
                self.products[i][j] += u128::from(products[i][j]);
            }
        }
    }

    /// Of values from 0 to 1; zeros where there are no pixels.
    fn covariance(&self) -> [[f64; 3]; 3] {
        let n = u128::from(self.count);
        let scale = 255.0 * 255.0 * (n.max(1) as f64).powi(2);
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let product = u128::from(self.sums[i]) * u128::from(self.sums[j]);
                // Mixed products may be smaller than the means' product.
                let difference = (n * self.products[i.min(j)][i.max(j)]) as i128 - product as i128;
                difference as f64 / scale
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;
    use crate::MemoryDataset;

    fn covariance_by_definition(pixels: &[u8]) -> [[f64; 3]; 3] {
        let pixels: Vec<[f64; 3]> =
            pixels.chunks_exact(3).map(|p| std::array::from_fn(|c| f64::from(p[c]) / 255.0)).collect();
        let n = pixels.len() as f64;
        let mean: [f64; 3] = std::array::from_fn(|c| pixels.iter().map(|p| p[c]).sum::<f64>() / n);
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                pixels.iter().map(|p| (p[i] - mean[i]) * (p[j] - mean[j])).sum::<f64>() / n
            })
        })
    }

    /// Images of correlated colours.
    fn set(images: usize) -> MemoryDataset {
        let mut stream = Key::new(8, &[]).stream();
        let mut pixels = Vec::new();
        for _ in 0..images * 20 {
            let (a, b, c) = (stream.range(0.0, 1.0), stream.range(0.0, 1.0), stream.range(0.0, 1.0));
            let values = [0.8 * a + 0.1 * b, 0.7 * a + 0.2 * c, 0.6 * a + 0.4 * b * c];
            pixels.extend(values.map(|v| (255.0 * v) as u8));
        }
        MemoryDataset::new("set", [3, 4, 5], pixels, vec![0; images], vec!["a".into()]).unwrap()
    }

    #[test]
    fn axes_are_the_eigenpairs_of_the_covariance() {
        let set = set(30);
        let pixels: Vec<u8> = (0..30).flat_map(|i| set.pixels(i).to_vec()).collect();
        let want = covariance_by_definition(&pixels);
        let axes = ColourAxes::of(&set).unwrap();
        assert!(axes.values[0] >= axes.values[1] && axes.values[1] >= axes.values[2]);
        for (value, v) in axes.values.iter().zip(axes.vectors) {
            for i in 0..3 {
                let product: f64 = (0..3).map(|j| want[i][j] * v[j]).sum();
                assert!((product - value * v[i]).abs() < 1e-12, "C·p = λ·p");
            }
        }
        for a in 0..3 {
            for b in 0..3 {
                let dot: f64 = (0..3).map(|i| axes.vectors[a][i] * axes.vectors[b][i]).sum();
                assert!((dot - f64::from(u8::from(a == b))).abs() < 1e-12, "they are orthonormal");
            }
        }
    }

    #[test]
    fn matrices_that_are_awkward_have_eigenpairs_too() {
        for m in [
            [[0.0; 3]; 3],
            [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]],
            [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]],
            [[1e-9, 3e-10, 0.0], [3e-10, 5.0, 1e-8], [0.0, 1e-8, 1e-3]],
        ] {
            let axes = ColourAxes::of_covariance(m);
            for i in 0..3 {
                for j in 0..3 {
                    let again: f64 =
                        (0..3).map(|k| axes.values[k] * axes.vectors[k][i] * axes.vectors[k][j]).sum();
                    assert!((again - m[i][j]).abs() < 1e-14, "{m:?}: {axes:?}");
                }
            }
        }
    }

    #[test]
    fn shifts_have_the_strength_that_the_paper_gives_along_each_direction() {
        let axes = ColourAxes::of(&set(30)).unwrap();
        let shift = ColourShift { strength: 0.1, axes };
        let draws: Vec<[f32; 3]> = (0..20_000).map(|i| shift.draw(&mut Key::new(2, &[i]).stream())).collect();
        for (value, vector) in axes.values.iter().zip(axes.vectors) {
            let along = |d: &[f32; 3]| (0..3).map(|c| f64::from(d[c]) * vector[c]).sum::<f64>();
            let deviation = (draws.iter().map(|d| along(d).powi(2)).sum::<f64>() / 20_000.0).sqrt();
            let want = 255.0 * 0.1 * value;
            assert!((deviation / want - 1.0).abs() < 0.03, "{deviation}, not {want}");
        }
    }

    #[test]
    fn large_sets_are_sampled_evenly() {
        struct Counted(MemoryDataset, std::sync::Mutex<Vec<usize>>);
        impl Dataset for Counted {
            fn len(&self) -> usize {
                5000
            }
            fn classes(&self) -> &[String] {
                self.0.classes()
            }
            fn image_shape(&self) -> [usize; 3] {
                self.0.image_shape()
            }
            fn label(&self, _: usize) -> u32 {
                0
            }
            fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
                self.1.lock().unwrap().push(i);
                self.0.read(i % 30, picture)
            }
            fn name_of(&self, i: usize) -> String {
                i.to_string()
            }
        }
        let counted = Counted(set(30), Default::default());
        ColourAxes::of(&counted).unwrap();
        let read = counted.1.into_inner().unwrap();
        assert_eq!((read.len(), read[0]), (2048, 0));
        assert!(read.windows(2).all(|w| (2..=3).contains(&(w[1] - w[0]))) && read[2047] > 4990);
    }
}
