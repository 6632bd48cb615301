//! GentleBoost on decision stumps (Friedman, Hastie and Tibshirani 2000): F(x) = Σ f_m(x), f_m(x) = a·\[x_k > θ\] + b.
//!
//! Each round fits one stump to the labels y = ±1 by weighted least squares, and multiplies the weight of each sample by
//! e^(−y·f(x)). That is Newton's method on the exponential loss Σ e^(−y·F(x)), which gets smaller in each round.

use serde::Serialize;

/// a·\[x_k > θ\] + b.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stump {
    /// k, the feature that it looks at.
    pub feature: usize,
    /// θ.
    pub threshold: f64,
    /// a.
    pub step: f64,
    /// b.
    pub base: f64,
}

impl Stump {
    /// Its value for a sample.
    pub fn value(&self, x: &[f64]) -> f64 {
        self.base + if x[self.feature] > self.threshold { self.step } else { 0.0 }
    }
}

/// A sum of stumps; the sign of [`Boosted::score`] is its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boosted {
    /// Numbers of a sample.
    pub width: usize,
    /// In the order in which they were found.
    pub stumps: Vec<Stump>,
}

impl Boosted {
    /// F(x).
    pub fn score(&self, x: &[f64]) -> f64 {
        self.stumps.iter().map(|stump| stump.value(x)).sum()
    }
}

/// Learns round by round, so that each can be measured.
pub struct Booster<'a> {
    samples: &'a [f64],
    width: usize,
    labels: &'a [f64],
    /// For each feature, the samples by rising value.
    orders: Vec<Vec<u32>>,
    /// e^(−y·F(x)) of each sample.
    weights: Vec<f64>,
    found: Boosted,
}

impl<'a> Booster<'a> {
    /// For samples (M×width) with labels of ±1.
    ///
    /// # Panics
    /// If there is not one label per sample.
    pub fn new(samples: &'a [f64], width: usize, labels: &'a [f64]) -> Booster<'a> {
        assert_eq!(samples.len(), labels.len() * width, "one label per sample");
        let order = |k: usize| {
            let value = |&i: &u32| samples[i as usize * width + k];
            let mut order: Vec<u32> = (0..labels.len() as u32).collect();
            order.sort_by(|a, b| value(a).total_cmp(&value(b)));
            order
        };
        Booster {
            samples,
            width,
            labels,
            orders: (0..width).map(order).collect(),
            weights: vec![1.0; labels.len()],
            found: Boosted { width, stumps: Vec::new() },
        }
    }

    /// Adds the best stump. Returns the mean exponential loss after it.
    pub fn round(&mut self) -> f64 {
        let total: f64 = self.weights.iter().sum();
        let signed: f64 = self.weights.iter().zip(self.labels).map(|(w, y)| w * y).sum();
        let candidates = (0..self.width).filter_map(|k| self.best_of(k, total, signed));
        let best = candidates.max_by(|a, b| a.0.total_cmp(&b.0));
        // Where no feature varies, the mean is all there is to say.
        let constant = Stump { feature: 0, threshold: f64::INFINITY, step: 0.0, base: signed / total };
        let stump = best.map_or(constant, |(_, stump)| stump);
        for ((w, y), x) in self.weights.iter_mut().zip(self.labels).zip(self.samples.chunks_exact(self.width))
        {
            *w *= (-y * stump.value(x)).exp();
        }
        self.found.stumps.push(stump);
        self.weights.iter().sum::<f64>() / self.labels.len().max(1) as f64
    }

    /// What has been learned so far.
    pub fn found(&self) -> &Boosted {
        &self.found
    }

    /// The best stump on feature k, and by how much it lowers the weighted squared error below that of b = 0.
    fn best_of(&self, k: usize, total: f64, signed: f64) -> Option<(f64, Stump)> {
        let value = |i: u32| self.samples[i as usize * self.width + k];
        let (mut below, mut signed_below) = (0.0, 0.0);
        let mut best: Option<(f64, Stump)> = None;
        for pair in self.orders[k].windows(2) {
            let i = pair[0] as usize;
            below += self.weights[i];
            signed_below += self.weights[i] * self.labels[i];
            let (low, high) = (value(pair[0]), value(pair[1]));
            let (above, signed_above) = (total - below, signed - signed_below);
            if high <= low || below <= 0.0 || above <= 0.0 {
                continue;
            }
            let gain = signed_below * signed_below / below + signed_above * signed_above / above;
            if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                let base = signed_below / below;
                let step = signed_above / above - base;
                best = Some((gain, Stump { feature: k, threshold: f64::midpoint(low, high), step, base }));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn one_threshold_is_found_at_once_and_xor_of_intervals_in_many_rounds() {
        let samples: Vec<f64> = (0..20).flat_map(|i| [f64::from(i % 3), f64::from(i)]).collect();
        let labels: Vec<f64> = (0..20).map(|i| if i > 12 { 1.0 } else { -1.0 }).collect();
        let mut booster = Booster::new(&samples, 2, &labels);
        booster.round();
        assert_eq!(booster.found().stumps, [Stump { feature: 1, threshold: 12.5, step: 2.0, base: -1.0 }]);

        let labels: Vec<f64> = (0..20).map(|i| if (5..12).contains(&i) { 1.0 } else { -1.0 }).collect();
        let mut booster = Booster::new(&samples, 2, &labels);
        (0..20).for_each(|_| _ = booster.round());
        let wrong = samples.chunks(2).zip(&labels).filter(|(x, y)| booster.found().score(x) * **y <= 0.0);
        assert_eq!(wrong.count(), 0);
    }

    #[test]
    fn the_exponential_loss_never_rises_and_is_that_of_the_scores() {
        let (seed, n, width) = (4, 300, 6);
        let mut stream = Key::new(seed, &[]).stream();
        let samples: Vec<f64> = (0..n * width).map(|_| stream.normal()).collect();
        let noisy = |x: &[f64]| if x[0] + x[1] * x[2] > 0.3 { 1.0 } else { -1.0 };
        let labels: Vec<f64> = samples.chunks(width).map(noisy).collect();
        let mut booster = Booster::new(&samples, width, &labels);
        let mut before = 1.0;
        for round in 0..50 {
            let loss = booster.round();
            assert!(loss <= before, "seed {seed}, round {round}: {before} to {loss}");
            before = loss;
        }
        let score = |x: &[f64]| booster.found().score(x);
        let direct: f64 = samples.chunks(width).zip(&labels).map(|(x, y)| (-y * score(x)).exp()).sum();
        assert!((direct / n as f64 - before).abs() < 1e-9 * before);
        assert!(before < 0.7, "it learns: {before}");
    }
}
