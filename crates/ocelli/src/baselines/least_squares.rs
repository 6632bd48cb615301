//! Linear classifiers by least squares: the weights W that make Σ‖W·[x; 1] − t‖² + λ‖W‖² least, in closed form.

use ocelli_kernels::{Element, Gemm, Write};

use super::symmetric::Cholesky;
use crate::{Engine, Error};

/// Samples whose products are added in f32 before they are added to the sum in f64.
const CHUNK: usize = 1024;

/// Sums of products over samples of `width` numbers with a 1 behind them: (XᵀX, XᵀT) where T is one-hot ±1. Samples come
/// in any number of pieces.
#[derive(Clone, Debug)]
pub struct Moments {
    width: usize,
    classes: usize,
    /// (width + 1)².
    gram: Vec<f64>,
    /// (width + 1)·classes.
    towards: Vec<f64>,
}

impl Moments {
    /// No samples yet.
    pub fn new(width: usize, classes: usize) -> Moments {
        let n = width + 1;
        Moments { width, classes, gram: vec![0.0; n * n], towards: vec![0.0; n * classes] }
    }

    /// Adds samples (M×width) of these classes.
    ///
    /// # Panics
    /// If there is not one label per sample.
    pub fn add(&mut self, engine: &Engine, samples: &[f32], labels: &[u32]) {
        assert_eq!(samples.len(), labels.len() * self.width, "one label per sample");
        let (n, kernels) = (self.width + 1, f32::kernels(engine.isa()));
        let mut product = vec![0.0; n * n.max(self.classes)];
        let chunks = samples.chunks(CHUNK * self.width).zip(labels.chunks(CHUNK));
        for (samples, labels) in chunks {
            let with_1: Vec<f32> =
                samples.chunks_exact(self.width).flat_map(|x| x.iter().copied().chain([1.0])).collect();
            let targets: Vec<f32> = labels.iter().flat_map(|&l| signs(l, self.classes)).collect();
            for (right, columns, sum) in
                [(&with_1, n, &mut self.gram), (&targets, self.classes, &mut self.towards)]
            {
                let gemm = Gemm {
                    m: n,
                    n: columns,
                    k: labels.len(),
                    of: [n, columns],
                    a: [1, n],
                    b: [columns, 1],
                    c_row: columns,
                    write: Write::Set,
                };
                let mut scratch = vec![0.0; gemm.scratch::<f32>()];
                (kernels.gemm)(&gemm, &with_1, right, &mut product[..n * columns], &mut scratch);
                sum.iter_mut().zip(&product).for_each(|(sum, &p)| *sum += f64::from(p));
            }
        }
    }

    /// XᵀX, (width + 1)², the ones last.
    pub fn gram(&self) -> &[f64] {
        &self.gram
    }

    /// The classifier, with λ = `ridge` times the mean of the diagonal of XᵀX.
    ///
    /// # Errors
    /// [`Error::Limit`] where the equations have no unique solution: give a larger ridge.
    pub fn solve(&self, ridge: f64) -> Result<LinearClassifier, Error> {
        let n = self.width + 1;
        let mean = (0..n).map(|i| self.gram[i * n + i]).sum::<f64>() / n as f64;
        let mut gram = self.gram.clone();
        (0..n).for_each(|i| gram[i * n + i] += ridge * mean);
        let factor = Cholesky::of(n, gram).ok_or_else(|| {
            Error::Limit("least squares has no unique solution here: give a larger ridge".to_string())
        })?;
        let weights = (0..self.classes).flat_map(|class| {
            let column = (0..n).map(|i| self.towards[i * self.classes + class]).collect();
            factor.solve(column)
        });
        Ok(LinearClassifier { width: self.width, weights: weights.collect() })
    }
}

/// 1 at the class, −1 elsewhere.
fn signs(label: u32, classes: usize) -> impl Iterator<Item = f32> {
    (0..classes).map(move |class| if class == label as usize { 1.0 } else { -1.0 })
}

/// Weights and a bias per class; the class with the largest sum is the answer.
#[derive(Clone, Debug)]
pub struct LinearClassifier {
    width: usize,
    /// classes × (width + 1), the bias last.
    weights: Vec<f64>,
}

impl LinearClassifier {
    /// The class of one sample.
    pub fn classify(&self, x: &[f32]) -> u32 {
        let sum =
            |row: &[f64]| row[self.width] + row.iter().zip(x).map(|(w, &x)| w * f64::from(x)).sum::<f64>();
        let sums: Vec<f64> = self.weights.chunks_exact(self.width + 1).map(sum).collect();
        (0..sums.len()).fold(0, |best, class| if sums[class] > sums[best] { class } else { best }) as u32
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::Isa;
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn the_gradient_of_what_is_minimised_is_zero_at_the_solution() {
        let (seed, n, width, classes) = (5, 400, 9, 3);
        let mut stream = Key::new(seed, &[]).stream();
        let samples: Vec<f32> = (0..n * width).map(|_| stream.normal() as f32).collect();
        let labels: Vec<u32> = (0..n).map(|_| stream.below(classes as u64) as u32).collect();
        let engine = Engine::new(1, Isa::detect()).unwrap();
        let mut moments = Moments::new(width, classes);
        moments.add(&engine, &samples[..100 * width], &labels[..100]);
        moments.add(&engine, &samples[100 * width..], &labels[100..]);
        let linear = moments.solve(0.0).unwrap();
        for class in 0..classes {
            let w = &linear.weights[class * (width + 1)..][..=width];
            let mut gradient = vec![0.0; width + 1];
            for (x, &label) in samples.chunks(width).zip(&labels) {
                let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).chain([1.0]).collect();
                let y: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
                let t = if label as usize == class { 1.0 } else { -1.0 };
                gradient.iter_mut().zip(&x).for_each(|(g, x)| *g += (y - t) * x / n as f64);
            }
            assert!(gradient.iter().all(|g| g.abs() < 1e-5), "seed {seed}: {gradient:?}");
        }
    }

    #[test]
    fn equations_without_a_unique_solution_are_refused() {
        let engine = Engine::new(1, Isa::detect()).unwrap();
        let mut moments = Moments::new(2, 2);
        moments.add(&engine, &[1.0, 1.0, 2.0, 2.0, 4.0, 4.0], &[0, 1, 0]);
        assert!(moments.solve(0.0).is_err() && moments.solve(1e-6).is_ok());
    }
}
