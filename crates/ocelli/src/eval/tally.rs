//! Counting while evaluating.

use ocelli_core::Loss;
use ocelli_kernels::random::Key;

use super::calibration::Counts;
use super::{Answer, ClassFigures, Confused, Evaluation, MOST_CONFUSED, Mistake};
use crate::SCHEMA;

/// How many images are kept with their guesses.
const SAMPLES: usize = 24;

/// How many guesses count as near enough.
pub(crate) const FIVE: usize = 5;

/// What chance draws samples by.
const PURPOSE: u64 = u64::from_be_bytes(*b"SAMPLES ");

/// Everything that is told of an evaluation, as it is found.
pub(crate) struct Tally {
    classes: usize,
    images: usize,
    loss: f64,
    top1: usize,
    confusion: Vec<u32>,
    /// For each class, its images with it among the first five guesses.
    within_five: Vec<u32>,
    calibration: Counts,
    mistakes: Vec<Mistake>,
    /// The images to be kept, ascending.
    wanted: Vec<u32>,
    samples: Vec<Answer>,
    probabilities: Vec<f32>,
}

/// What was answered for one image.
pub(crate) struct Answered<'a> {
    /// Which image of the set.
    pub(crate) image: u32,
    /// Its class.
    pub(crate) truth: u32,
    /// The first guess.
    pub(crate) predicted: usize,
    /// How many classes were guessed before the right one.
    pub(crate) rank: usize,
    /// The loss.
    pub(crate) loss: f32,
    /// The probability of each class.
    pub(crate) probabilities: &'a [f32],
}

impl Tally {
    /// For a set of so many classes and images.
    pub(crate) fn new(classes: usize, images: usize) -> Tally {
        Tally {
            classes,
            images: 0,
            loss: 0.0,
            top1: 0,
            confusion: vec![0; classes * classes],
            within_five: vec![0; classes],
            calibration: Counts::default(),
            mistakes: Vec::new(),
            wanted: wanted(images),
            samples: Vec::new(),
            probabilities: vec![0.0; classes],
        }
    }

    /// Counts the outputs of one network for some images, and their costs.
    pub(crate) fn add_outputs(
        &mut self,
        loss: &Loss,
        outputs: &[f32],
        costs: &[f32],
        labels: &[u32],
        images: &[u32],
    ) {
        let width = outputs.len() / labels.len().max(1);
        let mut probabilities = std::mem::take(&mut self.probabilities);
        let rows = outputs.chunks_exact(width.max(1)).zip(costs);
        for (((x, &cost), &truth), &image) in rows.zip(labels).zip(images) {
            loss.probabilities(x, &mut probabilities);
            let answered = Answered {
                image,
                truth,
                predicted: loss.predicted_class(x),
                rank: loss.rank(x, truth as usize),
                loss: cost,
                probabilities: &probabilities,
            };
            self.add(&answered, || loss.top_classes(x, FIVE));
        }
        self.probabilities = probabilities;
    }

    /// Counts one answer; `best` gives its best five classes, best first.
    pub(crate) fn add(&mut self, answered: &Answered<'_>, best: impl FnOnce() -> Vec<usize>) {
        let &Answered { image, truth, predicted, rank, loss, probabilities } = answered;
        let (right, probability) = (rank == 0, probabilities[predicted]);
        self.images += 1;
        self.loss += f64::from(loss);
        self.top1 += usize::from(right);
        self.within_five[truth as usize] += u32::from(rank < FIVE);
        self.confusion[truth as usize * self.classes + predicted] += 1;
        self.calibration.add(probability, right);
        if !right {
            let predicted = predicted as u32;
            self.mistakes.push(Mistake { image, truth, predicted, probability, loss });
        }
        if self.wanted.binary_search(&image).is_ok() {
            let guesses = best().into_iter().map(|class| (class as u32, probabilities[class])).collect();
            self.samples.push(Answer { image, truth, guesses });
        }
    }

    /// The figures, for classes of these names.
    pub(crate) fn finish(mut self, names: &[String], seconds: f64) -> Evaluation {
        let share = |count: usize| count as f64 / self.images.max(1) as f64;
        let per_class: Vec<_> = names.iter().enumerate().map(|(k, name)| self.class(k, name)).collect();
        let calibration = self.calibration.finish();
        // Stable: of equals, the first image comes first.
        self.mistakes.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        let mut evaluation = Evaluation {
            schema: SCHEMA,
            images: self.images,
            loss: self.loss / self.images.max(1) as f64,
            top1: share(self.top1),
            top5: share(self.within_five.iter().map(|&n| n as usize).sum()),
            calibration_error: calibration.error(),
            per_class,
            confused: Vec::new(),
            calibration,
            confusion: self.confusion,
            unreadable: Vec::new(),
            seconds,
            images_per_second: self.images as f64 / seconds.max(1e-9),
            mistakes: self.mistakes,
            samples: self.samples,
        };
        let named = |(truth, predicted, images): (usize, usize, u32)| {
            let name = |class: usize| names[class].clone();
            Confused { truth: name(truth), predicted: name(predicted), images }
        };
        evaluation.confused = evaluation.most_confused(MOST_CONFUSED).into_iter().map(named).collect();
        evaluation
    }

    fn class(&self, class: usize, name: &str) -> ClassFigures {
        let row = &self.confusion[class * self.classes..(class + 1) * self.classes];
        let images: u32 = row.iter().sum();
        let share = |count: u32| (images > 0).then(|| f64::from(count) / f64::from(images));
        let (top1, top5) = (share(row[class]), share(self.within_five[class]));
        ClassFigures { class: name.to_string(), images: images as usize, top1, top5 }
    }
}

/// The numbers of the images to keep: one of each stretch of the set, so that sets that are sorted by class are
/// sampled all over, drawn by chance, so that sets in which classes alternate are too.
fn wanted(images: usize) -> Vec<u32> {
    let mut stream = Key::new(0, &[PURPOSE]).stream();
    let stretches = SAMPLES.min(images);
    let start = |k: usize| (k as u64 * images as u64 / stretches as u64) as u32;
    let draw = |k: usize| start(k) + stream.below(u64::from(start(k + 1) - start(k))) as u32;
    (0..stretches).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_different_images_from_all_over_the_set() {
        for images in [0, 1, 5, 24, 25, 1000, 1_000_003] {
            let wanted = wanted(images);
            assert_eq!(wanted.len(), images.min(SAMPLES), "{images}");
            assert!(wanted.windows(2).all(|w| w[0] < w[1]) && wanted.iter().all(|&i| (i as usize) < images));
        }
    }

    #[test]
    fn figures_are_shares_of_images() {
        let names = ["a", "b", "c", "d", "e", "f", "g"].map(String::from);
        let mut tally = Tally::new(7, 4);
        // Outputs fall from class to class: class 0 is guessed first, class 6 last.
        let row: Vec<f32> = (0..7).map(|k| -(k as f32)).collect();
        let outputs = row.repeat(4);
        let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
        tally.add_outputs(&loss, &outputs, &[1.0, 2.0, 5.0, 4.0], &[0, 4, 6, 0], &[0, 1, 2, 3]);
        let found = tally.finish(&names, 2.0);
        assert_eq!((found.images, found.loss, found.top1, found.top5), (4, 3.0, 0.5, 0.75));
        let class = |k: usize| (found.per_class[k].images, found.per_class[k].top1, found.per_class[k].top5);
        assert_eq!(class(0), (2, Some(1.0), Some(1.0)));
        assert_eq!(class(4), (1, Some(0.0), Some(1.0)));
        assert_eq!(class(6), (1, Some(0.0), Some(0.0)));
        assert_eq!(class(5), (0, None, None));
        assert_eq!(found.mistakes.iter().map(|m| m.image).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(found.most_confused(9), [(4, 0, 1), (6, 0, 1)]);
        assert_eq!((found.confused[1].truth.as_str(), found.confused[1].predicted.as_str()), ("g", "a"));
        assert_eq!(found.samples.len(), 4);
        let guesses: Vec<u32> = found.samples[2].guesses.iter().map(|g| g.0).collect();
        assert_eq!((found.samples[2].truth, guesses), (6, vec![0, 1, 2, 3, 4]));
    }
}
