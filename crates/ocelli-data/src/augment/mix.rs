//! Mixing the images of a batch with each other: mixup and CutMix.

use ocelli_kernels::random::{Key, Stream};
use serde::{Deserialize, Serialize};

use crate::{DataError, purpose};

/// How images of a batch are mixed, each with the one after it in the batch, and the last with the first. Their targets are
/// then shares of two classes. Where both kinds are on, each batch has one of them, by the toss of a coin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// α of mixup, 0 for none (Zhang, Cissé, Dauphin and Lopez-Paz 2018): images are averaged with weights λ and 1 − λ, and
    /// so are their targets; λ is drawn from Beta(α, α) for each batch.
    pub mixup: f32,
    /// α of CutMix, 0 for none (Yun et al. 2019): a rectangle with a share 1 − λ of the area comes from the other image, and
    /// targets are averaged by area. It is the same place for all images of a batch.
    pub cutmix: f32,
}

/// The largest α: there all λ are ½.
const MOST_ALPHA: f32 = 1e3;

impl Mix {
    /// No mixing at all.
    pub const NONE: Mix = Mix { mixup: 0.0, cutmix: 0.0 };

    /// Whether the strengths make sense.
    ///
    /// # Errors
    /// [`DataError::Setting`] that names the strength.
    pub fn check(&self) -> Result<(), DataError> {
        for (name, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if alpha != 0.0 && !(0.01..=MOST_ALPHA).contains(&alpha) {
                let rule = format!("it is 0 for none, or goes from 0.01 to {MOST_ALPHA}");
                return Err(DataError::setting(format!("mix.{name}"), alpha, rule));
            }
        }
        Ok(())
    }

    /// Whether images are mixed.
    pub fn is_on(&self) -> bool {
        *self != Mix::NONE
    }
}

/// The key of what is drawn for batch `number` in `epoch` of a run with `seed`.
fn key(seed: u64, epoch: u64, number: u64) -> Key {
    Key::new(seed, &[purpose::MIX, epoch, number])
}

/// A batch's images, and what they show.
pub(crate) struct Images<'a> {
    /// N·H·W·C.
    pub(crate) images: &'a mut [f32],
    /// H, W and C.
    pub(crate) shape: [usize; 3],
    /// N classes.
    pub(crate) labels: &'a [u32],
    /// N rows of a share per class, which are written.
    pub(crate) targets: &'a mut [f32],
}

/// Carries out a [`Mix`] with memory that is kept from batch to batch. One for each thread.
#[derive(Clone, Debug)]
pub(crate) struct Mixer {
    mix: Mix,
    /// The batch's first image as it was, for the last one.
    first: Vec<f32>,
}

/// What one batch gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Drawn {
    /// Weight λ for the image itself.
    Average { lambda: f32 },
    /// Rows and columns that come from the other one.
    Cut { rows: [usize; 2], columns: [usize; 2] },
}

impl Mixer {
    pub(crate) fn new(mix: Mix) -> Mixer {
        Mixer { mix, first: Vec::new() }
    }

    /// Mixes batch `number` of an `epoch`, and writes its targets.
    pub(crate) fn apply(&mut self, seed: u64, epoch: u64, number: u64, batch: Images<'_>) {
        let Images { images, shape: [height, width, channels], labels, targets } = batch;
        let size = height * width * channels;
        let drawn = self.mix.draw([height, width], &mut key(seed, epoch, number).stream());
        self.first.clear();
        self.first.extend_from_slice(&images[..size.min(images.len())]);
        for i in 0..labels.len() {
            let (image, after) = images[i * size..].split_at_mut(size);
            let other = after.get(..size).unwrap_or(&self.first);
            match drawn {
                Drawn::Average { lambda } => average(lambda, image, other),
                Drawn::Cut { rows, columns } => {
                    paste(image, other, width * channels, rows, columns.map(|x| x * channels))
                }
            }
        }
        write_targets(drawn.share([height, width]), labels, targets);
    }
}

fn average(lambda: f32, image: &mut [f32], other: &[f32]) {
    for (a, b) in image.iter_mut().zip(other) {
        *a = lambda * *a + (1.0 - lambda) * b;
    }
}

fn paste(image: &mut [f32], other: &[f32], stride: usize, rows: [usize; 2], numbers: [usize; 2]) {
    for row in rows[0]..rows[1] {
        let piece = row * stride + numbers[0]..row * stride + numbers[1];
        image[piece.clone()].copy_from_slice(&other[piece]);
    }
}

/// `share` of the own class, and the rest of the next image's.
fn write_targets(share: f32, labels: &[u32], targets: &mut [f32]) {
    targets.fill(0.0);
    let classes = targets.len() / labels.len().max(1);
    for (i, &label) in labels.iter().enumerate() {
        let row = &mut targets[i * classes..][..classes];
        row[label as usize] += share;
        row[labels[(i + 1) % labels.len()] as usize] += 1.0 - share;
    }
}

impl Mix {
    fn draw(&self, size: [usize; 2], stream: &mut Stream) -> Drawn {
        let cut = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (true, true) => stream.next_u32() & 1 == 1,
            (_, cut) => cut,
        };
        let alpha = if cut { self.cutmix } else { self.mixup };
        let lambda = beta(f64::from(alpha), stream);
        if !cut {
            return Drawn::Average { lambda: lambda as f32 };
        }
        let share = (1.0 - lambda).sqrt();
        // A rectangle of the image's aspect about any point; what hangs over is cut off.
        let mut side = |n: usize| {
            let (middle, half) = (stream.below(n as u64) as f64, share * n as f64 / 2.0);
            [middle - half, middle + half].map(|edge| edge.round().clamp(0.0, n as f64) as usize)
        };
        Drawn::Cut { rows: side(size[0]), columns: side(size[1]) }
    }
}

impl Drawn {
    /// The share of the image itself.
    fn share(self, [height, width]: [usize; 2]) -> f32 {
        match self {
            Drawn::Average { lambda } => lambda,
            Drawn::Cut { rows: [top, bottom], columns: [left, right] } => {
                1.0 - ((bottom - top) * (right - left)) as f32 / (height * width) as f32
            }
        }
    }
}

/// A draw from Beta(α, α).
fn beta(alpha: f64, stream: &mut Stream) -> f64 {
    let (a, b) = (log_gamma_draw(alpha, stream), log_gamma_draw(alpha, stream));
    // a / (a + b) of logarithms, which a small α makes too small for numbers themselves.
    1.0 / (1.0 + (b - a).exp())
}

/// The logarithm of a draw from Gamma(α, 1): Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).
fn log_gamma_draw(alpha: f64, stream: &mut Stream) -> f64 {
    if alpha < 1.0 {
        // Their section 6: Gamma(α) is Gamma(α + 1) times U^(1/α).
        let boost = (1.0 - stream.uniform()).ln() / alpha;
        return log_gamma_draw(alpha + 1.0, stream) + boost;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = stream.normal();
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - stream.uniform();
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_draws_have_the_mean_and_variance_of_the_distribution() {
        for alpha in [0.1, 0.4, 1.0, 3.0] {
            let mut stream = Key::new(5, &[]).stream();
            let draws: Vec<f64> = (0..40_000).map(|_| beta(alpha, &mut stream)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let wanted = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01, "α {alpha}: mean {mean}");
            assert!((variance / wanted - 1.0).abs() < 0.03, "α {alpha}: variance {variance}, not {wanted}");
        }
    }

    fn batch(images: &mut [f32], labels: &[u32], targets: &mut [f32], mix: Mix, number: u64) {
        Mixer::new(mix).apply(1, 2, number, Images { images, shape: [6, 5, 2], labels, targets });
    }

    #[test]
    fn mixup_averages_neighbours_and_targets_alike() {
        let labels = [0, 2, 2, 1];
        let plain: Vec<f32> = (0..4 * 60).map(|i| (i / 60 * 10) as f32).collect();
        let (mut images, mut targets) = (plain.clone(), vec![f32::NAN; 12]);
        batch(&mut images, &labels, &mut targets, Mix { mixup: 0.4, cutmix: 0.0 }, 3);
        let lambda = targets[0];
        assert!((0.0..=1.0).contains(&lambda) && targets[0] + targets[2] == 1.0, "{targets:?}");
        for i in 0..4 {
            let want = lambda * plain[60 * i] + (1.0 - lambda) * plain[60 * ((i + 1) % 4)];
            assert!(images[60 * i..][..60].iter().all(|v| (v - want).abs() < 1e-4), "image {i}");
        }
        assert_eq!(targets[3..6], [0.0, 0.0, 1.0], "two of one class");
    }

    #[test]
    fn cutmix_pastes_a_rectangle_whose_area_is_the_others_share() {
        let labels = [0, 1, 2];
        let plain: Vec<f32> = (0..3 * 60).map(|i| i as f32).collect();
        for number in 0..30 {
            let (mut images, mut targets) = (plain.clone(), vec![f32::NAN; 9]);
            batch(&mut images, &labels, &mut targets, Mix { mixup: 0.0, cutmix: 1.0 }, number);
            for i in 0..3 {
                let other = &plain[60 * ((i + 1) % 3)..][..60];
                let own = &plain[60 * i..][..60];
                let pasted = (0..60).filter(|&k| images[60 * i + k] == other[k]).count();
                assert!((0..60).all(|k| images[60 * i + k] == other[k] || images[60 * i + k] == own[k]));
                assert!((targets[3 * i + (i + 1) % 3] - pasted as f32 / 60.0).abs() < 1e-6, "batch {number}");
                assert!((targets[3 * i..][..3].iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_batch_of_one_stays_as_it_is() {
        let plain: Vec<f32> = (0..60).map(|i| i as f32).collect();
        for mix in [Mix { mixup: 1.0, cutmix: 0.0 }, Mix { mixup: 0.0, cutmix: 1.0 }] {
            let (mut images, mut targets) = (plain.clone(), vec![f32::NAN; 3]);
            batch(&mut images, &[1], &mut targets, mix, 0);
            assert!(images.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4));
            assert!((targets[1] - 1.0).abs() < 1e-6 && targets[0] == 0.0);
        }
    }

    #[test]
    fn where_both_are_on_batches_have_one_or_the_other() {
        let mix = Mix { mixup: 0.2, cutmix: 1.0 };
        let cuts =
            (0..200).filter(|&n| matches!(mix.draw([8, 8], &mut key(1, 1, n).stream()), Drawn::Cut { .. }));
        assert!((70..130).contains(&cuts.count()));
    }

    #[test]
    fn strengths_that_make_no_sense_are_refused_by_name() {
        for (name, mix) in [
            ("mix.mixup", Mix { mixup: -1.0, cutmix: 0.0 }),
            ("mix.cutmix", Mix { mixup: 0.0, cutmix: f32::NAN }),
            ("mix.mixup", Mix { mixup: 1e9, cutmix: 0.0 }),
        ] {
            assert!(mix.check().unwrap_err().to_string().contains(name));
        }
        Mix { mixup: 0.2, cutmix: 1.0 }.check().unwrap();
    }
}
