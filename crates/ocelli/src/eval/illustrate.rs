//! The pictures that a report shows of an evaluation.

use std::collections::{BTreeMap, BTreeSet};

use ocelli_data::{Dataset, Picture};

use super::{Evaluation, FIVE, Mistake};
use crate::report::{self, Report};

/// The longer side of a picture in a report, in pixels.
const SIDE: usize = 96;

/// How many of the worst mistakes are shown.
const MISTAKES: usize = 24;

/// How many confusions are shown with pictures, and how many pictures of each.
const CONFUSIONS: (usize, usize) = (12, 4);

/// The most pictures of each class's mistakes, and of all of them together.
const OF_CLASSES: (usize, usize) = (4, 300);

/// Fills in what a report says and shows of an evaluation of `dataset`: figures, classes, confusions and pictures, which
/// are read on so many threads.
///
/// An image that cannot be read any more is shown as missing: a report is written when the work is done, and must
/// not fail.
pub fn illustrate(report: &mut Report, evaluation: &Evaluation, dataset: &dyn Dataset, threads: usize) {
    figures(report, evaluation);
    let worst = &evaluation.mistakes[..evaluation.mistakes.len().min(MISTAKES)];
    let of_classes = of_classes(evaluation);
    let confusions = confusions(evaluation);
    let shown = worst.iter().chain(of_classes.iter().copied());
    let shown = shown.chain(confusions.iter().flat_map(|(_, examples)| examples.iter().copied()));
    let mut images: BTreeSet<u32> = shown.map(|mistake| mistake.image).collect();
    images.extend(evaluation.samples.iter().map(|answer| answer.image));
    let gallery = Gallery::read(dataset, &images, threads);
    report.samples = evaluation.samples.iter().map(|answer| gallery.sample(answer)).collect();
    report.mistakes = worst.iter().map(|mistake| gallery.mistake(mistake)).collect();
    report.class_mistakes = of_classes.into_iter().map(|mistake| gallery.mistake(mistake)).collect();
    let confusion = |((truth, predicted, images), examples): (Pair, Vec<&Mistake>)| report::Confusion {
        truth,
        predicted,
        images: images.into(),
        examples: examples.into_iter().map(|mistake| gallery.mistake(mistake)).collect(),
    };
    report.confusions = confusions.into_iter().map(confusion).collect();
}

/// What is told in numbers. Top-5 says nothing where there are no more classes than that.
fn figures(report: &mut Report, evaluation: &Evaluation) {
    let many = evaluation.per_class.len() > FIVE;
    report.summary.top1 = Some(evaluation.top1);
    report.summary.top5 = many.then_some(evaluation.top5);
    report.summary.loss = Some(evaluation.loss);
    report.summary.calibration_error = Some(evaluation.calibration_error);
    report.classes = evaluation.per_class.iter().map(|figures| figures.class.clone()).collect();
    report.class_top5 = evaluation.per_class.iter().filter(|_| many).map(|figures| figures.top5).collect();
    report.confusion = evaluation.confusion.clone();
    let bin = |bin: &super::Bin| report::CalibrationBin {
        images: bin.images as u64,
        confidence: bin.confidence,
        accuracy: bin.accuracy,
    };
    report.calibration = evaluation.calibration.bins.iter().map(bin).collect();
}

/// The worst mistakes of each class.
fn of_classes(evaluation: &Evaluation) -> Vec<&Mistake> {
    let (each, all) = OF_CLASSES;
    let mut classes: Vec<usize> =
        (0..evaluation.per_class.len()).filter(|&k| evaluation.per_class[k].top1.is_some()).collect();
    let each = (all / classes.len().max(1)).clamp(1, each);
    let recall = |class: usize| evaluation.per_class[class].top1.unwrap_or(1.0);
    // Stable: equal classes stay in their order.
    classes.sort_by(|&a, &b| recall(a).total_cmp(&recall(b)));
    classes.truncate(all);
    classes.sort_unstable();
    let mut found: BTreeMap<u32, Vec<&Mistake>> = classes.iter().map(|&k| (k as u32, Vec::new())).collect();
    for mistake in &evaluation.mistakes {
        if let Some(of_class) = found.get_mut(&mistake.truth).filter(|of_class| of_class.len() < each) {
            of_class.push(mistake);
        }
    }
    found.into_values().flatten().collect()
}

/// True class, first guess and number of images.
type Pair = (usize, usize, u32);

/// The most frequent confusions with the worst examples of each.
fn confusions(evaluation: &Evaluation) -> Vec<(Pair, Vec<&Mistake>)> {
    let (pairs, examples) = CONFUSIONS;
    let of = |pair: &Pair| {
        let this = |m: &&Mistake| (m.truth as usize, m.predicted as usize) == (pair.0, pair.1);
        evaluation.mistakes.iter().filter(this).take(examples).collect()
    };
    evaluation.most_confused(pairs).into_iter().map(|pair| (pair, of(&pair))).collect()
}

/// Small pictures of some images.
struct Gallery<'a> {
    dataset: &'a dyn Dataset,
    pictures: BTreeMap<u32, report::Picture>,
}

impl<'a> Gallery<'a> {
    fn read(dataset: &'a dyn Dataset, images: &BTreeSet<u32>, threads: usize) -> Gallery<'a> {
        let images: Vec<u32> = images.iter().copied().collect();
        let share = images.len().div_ceil(threads.max(1)).max(1);
        let read = |images: &[u32]| -> Vec<_> {
            let mut picture = Picture::default();
            let small =
                |&i: &u32| dataset.read(i as usize, &mut picture).ok().map(|()| (i, thumbnail(&picture)));
            images.iter().filter_map(small).collect()
        };
        let parts = std::thread::scope(|scope| {
            let threads: Vec<_> = images.chunks(share).map(|images| scope.spawn(|| read(images))).collect();
            // A panic of a reader is this thread's too.
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
                .collect::<Vec<_>>()
        });
        Gallery { dataset, pictures: parts.into_iter().flatten().collect() }
    }

    fn picture(&self, image: u32) -> report::Picture {
        self.pictures.get(&image).cloned().unwrap_or_default()
    }

    fn sample(&self, answer: &super::Answer) -> report::Sample {
        let guess = |&(class, probability): &(u32, f32)| report::Guess { class: class as usize, probability };
        report::Sample {
            picture: self.picture(answer.image),
            name: self.dataset.name_of(answer.image as usize),
            truth: answer.truth as usize,
            guesses: answer.guesses.iter().map(guess).collect(),
        }
    }

    fn mistake(&self, mistake: &Mistake) -> report::Mistake {
        report::Mistake {
            picture: self.picture(mistake.image),
            name: self.dataset.name_of(mistake.image as usize),
            truth: mistake.truth as usize,
            predicted: mistake.predicted as usize,
            probability: mistake.probability,
            loss: mistake.loss,
        }
    }
}

/// The whole picture, scaled down where it is larger than a report shows it.
fn thumbnail(picture: &Picture) -> report::Picture {
    let longer = picture.height.max(picture.width);
    let small = |side: usize| (side * SIDE / longer.max(1)).max(1);
    let mut out = Picture::default();
    let shown = if longer <= SIDE {
        picture
    } else {
        ocelli_data::resize(picture, small(picture.height), small(picture.width), &mut out);
        &out
    };
    report::Picture {
        width: shown.width,
        height: shown.height,
        channels: shown.channels,
        pixels: shown.pixels.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ocelli_data::MemoryDataset;

    use super::*;
    use crate::eval::ClassFigures;

    /// 40 images of 120×60, of four classes in turn; all but those of class 3 are taken for the next class.
    fn evaluation() -> (Evaluation, MemoryDataset) {
        let labels: Vec<u32> = (0..40).map(|i| i % 4).collect();
        let classes: Vec<String> = (0..4).map(|k| format!("c{k}")).collect();
        let pixels = labels.iter().flat_map(|&label| vec![label as u8; 120 * 60]).collect();
        let dataset =
            MemoryDataset::new("test", [1, 120, 60], pixels, labels.clone(), classes.clone()).unwrap();
        let mistake = |image: u32| Mistake {
            image,
            truth: image % 4,
            predicted: image % 4 + 1,
            probability: 0.9,
            loss: 50.0 - image as f32,
        };
        let mut confusion = vec![0; 16];
        labels.iter().for_each(|&k| confusion[(k * 4 + (k + 1).min(3)) as usize] += 1);
        let class = |k: usize| ClassFigures {
            class: classes[k].clone(),
            images: 10,
            top1: Some(f64::from(u8::from(k == 3))),
            top5: Some(1.0),
        };
        let evaluation = Evaluation {
            mistakes: (0..40).filter(|i| i % 4 != 3).map(mistake).collect(),
            per_class: (0..4).map(class).collect(),
            confusion,
            ..Evaluation::default()
        };
        (evaluation, dataset)
    }

    #[test]
    fn the_worst_are_shown_small_by_class_and_by_confusion() {
        let (evaluation, dataset) = evaluation();
        let report = |threads: usize| {
            let mut report = Report::default();
            illustrate(&mut report, &evaluation, &dataset, threads);
            report
        };
        let found = report(3);
        assert_eq!(found, report(1));
        assert_eq!(
            (&found.confusion, found.classes.len(), found.class_top5.len()),
            (&evaluation.confusion, 4, 0)
        );
        assert_eq!(found.mistakes.len(), MISTAKES);
        let picture = &found.mistakes[1].picture;
        assert_eq!((picture.height, picture.width, picture.pixels[7]), (96, 48, 1));
        let truths: Vec<usize> = found.class_mistakes.iter().map(|m| m.truth).collect();
        assert_eq!(truths, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        let pairs: Vec<_> =
            found.confusions.iter().map(|c| (c.truth, c.predicted, c.images, c.examples.len())).collect();
        assert_eq!(pairs, [(0, 1, 10, 4), (1, 2, 10, 4), (2, 3, 10, 4)]);
        assert_eq!(found.confusions[1].examples[0].name, "test image 1");
    }

    #[test]
    fn images_that_are_gone_are_missing_and_no_error() {
        struct Gone(MemoryDataset);
        impl Dataset for Gone {
            fn len(&self) -> usize {
                self.0.len()
            }
            fn classes(&self) -> &[String] {
                self.0.classes()
            }
            fn image_shape(&self) -> [usize; 3] {
                self.0.image_shape()
            }
            fn label(&self, i: usize) -> u32 {
                self.0.label(i)
            }
            fn read(&self, _: usize, _: &mut Picture) -> Result<(), ocelli_data::DataError> {
                ocelli_data::decode("gone.png".as_ref()).map(|_| ())
            }
            fn name_of(&self, i: usize) -> String {
                self.0.name_of(i)
            }
        }
        let (evaluation, dataset) = evaluation();
        let gone: Arc<dyn Dataset> = Arc::new(Gone(dataset));
        let mut found = Report::default();
        illustrate(&mut found, &evaluation, &*gone, 2);
        assert_eq!(found.mistakes.len(), MISTAKES);
        assert!(found.mistakes.iter().all(|m| m.picture == report::Picture::default()));
    }
}
