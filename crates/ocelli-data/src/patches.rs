//! The directions in which patches of the training images vary.

use crate::eigen::eigenpairs;
use crate::{DataError, Dataset, Picture, Preprocess, Preprocessor};

/// Principal components of patches of images, as a network's first layer sees them.
#[derive(Clone, Debug, PartialEq)]
pub struct Patches {
    /// Mean squares along the directions, descending.
    values: Vec<f64>,
    /// For each a vector of length 1 in the order C×h×w.
    vectors: Vec<f64>,
}

/// The most images that patches are taken from, at even distances.
const MOST_IMAGES: usize = 2048;

/// The most patches of an image that are taken, at even distances.
const MOST_PATCHES: usize = 1024;

/// Added to mean squares before anything is divided by their roots, so that directions in which patches hardly vary are not blown
/// up: that much of the variance of a normalised pixel (Jordan 2024).
const FLOOR: f64 = 5e-4;

impl Patches {
    /// The most numbers of a patch.
    pub const MOST: usize = 512;

    /// Of patches of h×w pixels of `dataset`'s images, preprocessed and not varied: of up to 2048 images and 1024 places in each, at
    /// even distances, where there are more. The mean squares are about 0, which is where normalised pixels have their mean.
    ///
    /// # Errors
    /// Those of reading an image, and [`DataError::Setting`] for patches that are larger than the images or have more than
    /// [`Patches::MOST`] numbers.
    pub fn of(
        dataset: &dyn Dataset,
        preprocess: &Preprocess,
        [height, width]: [usize; 2],
    ) -> Result<Patches, DataError> {
        let mut preprocessor = Preprocessor::new(preprocess)?;
        let [channels, rows, columns] = preprocess.input_shape();
        let numbers = channels.saturating_mul(height).saturating_mul(width);
        if height == 0 || width == 0 || height > rows || width > columns || numbers > Patches::MOST {
            let rule = format!(
                "patches lie within images of {rows}×{columns} and have at most {} numbers",
                Patches::MOST
            );
            return Err(DataError::setting("patches".to_string(), format!("{height}×{width}"), &rule));
        }
        let mut moments = vec![0.0; numbers * numbers];
        let (mut picture, mut input) = (Picture::default(), vec![0.0f32; channels * rows * columns]);
        let (mut patch, mut count) = (vec![0.0f64; numbers], 0u64);
        let places = (rows - height + 1) * (columns - width + 1);
        for i in (0..dataset.len()).step_by(dataset.len().div_ceil(MOST_IMAGES).max(1)) {
            dataset.read(i, &mut picture)?;
            preprocessor.apply(&picture, &mut input);
            for place in (0..places).step_by(places.div_ceil(MOST_PATCHES)) {
                let (top, left) = (place / (columns - width + 1), place % (columns - width + 1));
                let mut at = 0;
                for c in 0..channels {
                    for y in top..top + height {
                        for x in left..left + width {
                            patch[at] = f64::from(input[(y * columns + x) * channels + c]);
                            at += 1;
                        }
                    }
                }
                add_products(&patch, &mut moments);
                count += 1;
            }
        }
        let mean = |i: usize, j: usize| moments[i.min(j) * numbers + i.max(j)] / count.max(1) as f64;
        let symmetric = (0..numbers * numbers).map(|at| mean(at / numbers, at % numbers)).collect();
        let (values, vectors) = eigenpairs(symmetric, numbers);
        Ok(Patches { values, vectors })
    }

    /// Writes whitening filters, C×h×w each: the directions, the widest first, scaled so that patches have a mean square of 1 along
    /// them, and after each its negative, whose rectified output has what the other one's loses. Up to twice as many as a patch has
    /// numbers are written, and how many is returned; `out` keeps what lies behind them (first layers of Coates and Ng 2012; in
    /// this form Jordan 2024).
    ///
    /// # Panics
    /// If `out` does not divide into filters.
    pub fn filters(&self, out: &mut [f32]) -> usize {
        let numbers = self.values.len();
        assert!(out.len().is_multiple_of(numbers), "whole filters");
        let mut written = 0;
        for (i, filter) in out.chunks_exact_mut(numbers).take(2 * numbers).enumerate() {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let scale = sign / (self.values[i / 2].max(0.0) + FLOOR).sqrt();
            let vector = &self.vectors[i / 2 * numbers..(i / 2 + 1) * numbers];
            filter.iter_mut().zip(vector).for_each(|(w, v)| *w = (scale * v) as f32);
            written += 1;
        }
        written
    }
}

/// Adds the products of any two numbers of a patch, the upper half of their matrix.
fn add_products(patch: &[f64], moments: &mut [f64]) {
    for (i, (a, row)) in patch.iter().zip(moments.chunks_exact_mut(patch.len())).enumerate() {
        row[i..].iter_mut().zip(&patch[i..]).for_each(|(sum, b)| *sum += a * b);
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;
    use crate::MemoryDataset;

    /// Noise that is smooth along rows, in three correlated colours.
    fn set(images: usize, [height, width]: [usize; 2]) -> MemoryDataset {
        let mut stream = Key::new(5, &[]).stream();
        let mut pixels = Vec::new();
        for _ in 0..images * height {
            let mut grey = 128.0;
            for _ in 0..width {
                grey = 0.7 * grey + 0.3 * stream.range(0.0, 255.0);
                pixels.extend([1.0, 0.8, 0.5].map(|share| (share * grey + stream.range(0.0, 40.0)) as u8));
            }
        }
        let shape = [3, height, width];
        MemoryDataset::new("set", shape, pixels, vec![0; images], vec!["a".into()]).unwrap()
    }

    fn rms_along(filter: &[f32], set: &MemoryDataset, preprocess: &Preprocess) -> f64 {
        let mut preprocessor = Preprocessor::new(preprocess).unwrap();
        let [channels, rows, columns] = preprocess.input_shape();
        let (mut picture, mut input) = (Picture::default(), vec![0.0; channels * rows * columns]);
        let (mut squares, mut count) = (0.0, 0.0);
        for i in 0..set.len() {
            set.read(i, &mut picture).unwrap();
            preprocessor.apply(&picture, &mut input);
            for (y, x) in (0..rows - 1).flat_map(|y| (0..columns - 1).map(move |x| (y, x))) {
                let tap = |c: usize, t: usize| input[((y + t / 2) * columns + x + t % 2) * channels + c];
                let out: f32 = (0..12).map(|k| filter[k] * tap(k / 4, k % 4)).sum();
                squares += f64::from(out * out);
                count += 1.0;
            }
        }
        f64::sqrt(squares / count)
    }

    #[test]
    fn filters_see_patches_with_a_mean_square_of_1_and_come_in_pairs() {
        let set = set(40, [6, 9]);
        let preprocess = Preprocess::fit(&set).unwrap();
        let patches = Patches::of(&set, &preprocess, [2, 2]).unwrap();
        let mut filters = vec![7.0f32; 30 * 12];
        assert_eq!(patches.filters(&mut filters), 24);
        assert!(filters[24 * 12..].iter().all(|&w| w == 7.0), "what lies behind them stays");
        for pair in filters[..24 * 12].chunks_exact(24) {
            assert!(pair[..12].iter().zip(&pair[12..]).all(|(a, b)| *a == -b));
            let rms = rms_along(&pair[..12], &set, &preprocess);
            assert!((rms - 1.0).abs() < 0.01, "{rms}");
        }
        let mut few = vec![0.0f32; 5 * 12];
        assert_eq!(patches.filters(&mut few), 5);
        assert_eq!(few, filters[..5 * 12]);
    }

    #[test]
    fn patches_that_do_not_fit_are_refused_and_images_that_do_not_vary_are_not_blown_up() {
        let small = set(3, [4, 4]);
        let preprocess = Preprocess::fit(&small).unwrap();
        for size in [[5, 1], [1, 5], [0, 1]] {
            assert!(Patches::of(&small, &preprocess, size).is_err_and(|e| e.to_string().contains("4×4")));
        }
        let large = set(1, [20, 20]);
        let error = Patches::of(&large, &Preprocess::fit(&large).unwrap(), [20, 20]).unwrap_err();
        assert!(error.to_string().contains("512"), "{error}");
        let flat = MemoryDataset::new("set", [1, 3, 3], vec![9; 9], vec![0], vec!["a".into()]).unwrap();
        let mut filters = vec![0.0f32; 8 * 4];
        Patches::of(&flat, &Preprocess::fit(&flat).unwrap(), [2, 2]).unwrap().filters(&mut filters);
        assert!(filters.iter().all(|w| w.abs() <= 1.0 / (FLOOR as f32).sqrt() && w.is_finite()));
    }
}
