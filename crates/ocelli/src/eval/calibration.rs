//! Whether probabilities mean what they say.

use serde::{Deserialize, Serialize};

/// How many bins there are, all equally wide.
pub const BINS: usize = 15;

/// First guesses by their probability, in [`BINS`] bins: bin b holds those from above b/15 to (b + 1)/15.
///
/// A network is calibrated if, of the guesses to which it gives probability p, a share of p is right. The expected
/// calibration error is Σ (n_b/n)·|accuracy_b − confidence_b| over the bins (Naeini, Cooper and Hauskrecht 2015; Guo, Pleiss,
/// Sun and Weinberger 2017).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    /// The bins, lowest probabilities first; empty where nothing was measured.
    pub bins: Vec<Bin>,
}

/// The guesses of about the same probability.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// How many there are.
    pub images: usize,
    /// Their mean probability; `None` without images.
    pub confidence: Option<f64>,
    /// The share that is right; `None` without images.
    pub accuracy: Option<f64>,
}

impl Calibration {
    /// The expected calibration error, a fraction of 1; 0 where nothing was measured.
    pub fn error(&self) -> f64 {
        let images: usize = self.bins.iter().map(|bin| bin.images).sum();
        let gap = |bin: &Bin| Some(bin.images as f64 * (bin.accuracy? - bin.confidence?).abs());
        self.bins.iter().filter_map(gap).sum::<f64>() / images.max(1) as f64
    }
}

/// Counts, from which a [`Calibration`] is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    bins: [Count; BINS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    images: usize,
    right: usize,
    confidence: f64,
}

impl Counts {
    /// A first guess with its probability, and whether it is right. What is no number counts as probability 0.
    pub(super) fn add(&mut self, probability: f32, right: bool) {
        let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
        // In f32, where 0.2 is the end of a bin; what f64 makes of it is a hair beyond.
        let place = (probability * BINS as f32).ceil() as usize;
        let bin = &mut self.bins[place.clamp(1, BINS) - 1];
        bin.images += 1;
        bin.right += usize::from(right);
        bin.confidence += f64::from(probability);
    }

    pub(super) fn finish(&self) -> Calibration {
        let bin = |count: &Count| {
            let mean = |sum: f64| (count.images > 0).then(|| sum / count.images as f64);
            Bin {
                images: count.images,
                confidence: mean(count.confidence),
                accuracy: mean(count.right as f64),
            }
        };
        Calibration { bins: self.bins.iter().map(bin).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(guesses: &[(f32, bool)]) -> Calibration {
        let mut counts = Counts::default();
        guesses.iter().for_each(|&(probability, right)| counts.add(probability, right));
        counts.finish()
    }

    #[test]
    fn bins_end_with_their_upper_end() {
        let filled =
            |probability: f32| of(&[(probability, true)]).bins.iter().position(|bin| bin.images == 1);
        let places = [0.0, 0.01, 0.2, 0.200_001, 0.999, 1.0, f32::NAN].map(filled);
        assert_eq!(places, [0, 0, 2, 3, 14, 14, 0].map(Some));
    }

    #[test]
    fn the_error_is_the_mean_gap_between_confidence_and_accuracy() {
        // Four at 0.9, of which three are right; one at 0.3, which is wrong.
        let error = of(&[(0.9, true), (0.9, true), (0.9, false), (0.9, true), (0.3, false)]).error();
        assert!((error - (4.0 * 0.15 + 0.3) / 5.0).abs() < 1e-7, "{error}");
        // Gaps in a bin cancel, gaps between bins do not.
        assert!(of(&[(0.5, true), (0.5, false)]).error() < 1e-7);
        assert!((of(&[(0.3, true), (0.7, false)]).error() - 0.7).abs() < 1e-7);
        assert_eq!((of(&[]).error(), Calibration::default().error()), (0.0, 0.0));
    }
}
