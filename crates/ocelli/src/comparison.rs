//! Training runs held against each other: how accurate they were after how long.

use std::path::Path;

use serde::Serialize;

use crate::Error;
use crate::figure::{COLORS, Drawing, Mark, Plot, Sheet};
use crate::train::{EpochRecord, RunFolder};

/// How a run went on its held-out images, epoch by epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunCurve {
    /// The run's folder.
    pub run: String,
    /// The network's name.
    pub net: String,
    /// Numbers that training sets.
    pub parameters: usize,
    /// The data, as they were named.
    pub data: String,
    /// The seed.
    pub seed: u64,
    /// The epochs that are over, in their order: one at least.
    pub epochs: Vec<CurvePoint>,
    /// What tells the held-out images from others, where the run still knows.
    #[serde(skip)]
    pub held_out: Option<String>,
}

/// A run after one of its epochs. Accuracies are fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Epochs done.
    pub epoch: f64,
    /// Steps done.
    pub step: u64,
    /// Seconds of training, with validation and saving.
    pub seconds: f64,
    /// Training images by the second in this epoch.
    pub images_per_second: f64,
    /// Held-out loss.
    pub loss: Option<f64>,
    /// Held-out accuracy.
    pub top1: Option<f64>,
    /// The share of held-out images whose class is among the first five guesses.
    pub top5: Option<f64>,
}

impl RunCurve {
    /// Of the run in this folder, which may still be going on.
    ///
    /// # Errors
    /// A path without a run, or a run of which no epoch is over.
    pub fn read(path: &Path) -> Result<RunCurve, Error> {
        let folder = RunFolder::open(path)?;
        let (config, network) = folder.load_network()?;
        let epochs: Vec<CurvePoint> = folder.load_metrics()?.iter().map(CurvePoint::of).collect();
        if epochs.is_empty() {
            return Err(Error::Usage(format!(
                "{}: no epoch of this run is over yet, so there is nothing to compare; let it come to the end of one",
                path.display()
            )));
        }
        Ok(RunCurve {
            run: path.display().to_string(),
            net: config.net,
            parameters: network.graph.layout().trainable(),
            data: config.data,
            seed: config.seed,
            epochs,
            held_out: folder.images_of_run().map(|[_, held_out]| held_out),
        })
    }

    /// The last epoch.
    pub fn last(&self) -> &CurvePoint {
        self.epochs.last().expect("a run has an epoch")
    }

    /// The first epoch with the highest accuracy.
    pub fn best(&self) -> &CurvePoint {
        let better =
            |best, point| if CurvePoint::accuracy(point) > CurvePoint::accuracy(best) { point } else { best };
        self.epochs.iter().reduce(better).expect("a run has an epoch")
    }

    /// The seconds after which a share of the held-out images was classified rightly, for the first time.
    pub fn reached(&self, top1: f64) -> Option<f64> {
        self.epochs.iter().find(|point| point.accuracy() >= top1).map(|point| point.seconds)
    }
}

impl CurvePoint {
    fn of(record: &EpochRecord) -> CurvePoint {
        CurvePoint {
            epoch: record.row.epoch,
            step: record.step,
            seconds: record.seconds,
            images_per_second: record.images_per_second,
            loss: record.row.val_loss,
            top1: record.row.val_top1,
            top5: record.row.val_top5,
        }
    }

    fn accuracy(&self) -> f64 {
        self.top1.unwrap_or(f64::NEG_INFINITY)
    }
}

/// Whether the runs were validated on the same images, as far as is known: else their figures do not compare.
pub fn same_images(runs: &[RunCurve]) -> bool {
    let mut known = runs.iter().filter_map(|run| run.held_out.as_ref());
    let first = known.next();
    known.all(|other| Some(other) == first)
}

/// What curves are drawn over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Along {
    /// Minutes of training.
    #[default]
    Minutes,
    /// Epochs.
    Epochs,
}

/// Held-out accuracy over time: top-1, and top-5 where that is not always all.
pub fn draw_curves(runs: &[RunCurve], along: Along) -> Drawing {
    let across = match along {
        Along::Minutes => "minutes of training",
        Along::Epochs => "epochs",
    };
    let at = |point: &CurvePoint| match along {
        Along::Minutes => point.seconds / 60.0,
        Along::Epochs => point.epoch,
    };
    let plot = |title: &str, accuracy: fn(&CurvePoint) -> Option<f64>| {
        let empty = Plot::new(title, across, "held-out images, %");
        runs.iter().enumerate().fold(empty, |plot, (number, run)| {
            let points = run.epochs.iter().filter_map(|p| Some([at(p), 100.0 * accuracy(p)?]));
            let mark = if number < COLORS { Mark::Line } else { Mark::Dashed };
            plot.colored(&name(run, runs), mark, number, points)
        })
    };
    let mut sheet = Sheet::new("Accuracy of training runs over time").add(plot("Top-1", |point| point.top1));
    if has_top5(runs) {
        sheet = sheet.add(plot("Top-5", |point| point.top5));
    }
    sheet.draw()
}

/// Whether top-5 tells anything: with five classes and fewer it is always 1.
pub fn has_top5(runs: &[RunCurve]) -> bool {
    runs.iter().flat_map(|run| &run.epochs).any(|point| point.top5.is_some_and(|top5| top5 < 1.0))
}

/// What a run is called beside others: its network if no other has that, else its folder.
fn name(run: &RunCurve, runs: &[RunCurve]) -> String {
    let alike = runs.iter().filter(|other| other.net == run.net).count();
    if alike == 1 { run.net.clone() } else { run.run.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &str, net: &str, accuracies: &[f64]) -> RunCurve {
        let point = |(i, &top1): (usize, &f64)| CurvePoint {
            epoch: i as f64 + 1.0,
            step: 10 * (i as u64 + 1),
            seconds: 60.0 * (i as f64 + 1.0),
            images_per_second: 1.0,
            loss: Some(1.0 - top1),
            top1: Some(top1),
            top5: Some(1.0),
        };
        RunCurve {
            run: folder.into(),
            net: net.into(),
            parameters: 1,
            data: "digits".into(),
            seed: 0,
            epochs: accuracies.iter().enumerate().map(point).collect(),
            held_out: Some("same".into()),
        }
    }

    #[test]
    fn the_best_epoch_is_the_first_with_the_highest_accuracy() {
        let run = run("runs/a", "mlp", &[0.5, 0.9, 0.9, 0.8]);
        assert_eq!((run.best().epoch, run.last().epoch), (2.0, 4.0));
        assert_eq!((run.reached(0.8), run.reached(0.95)), (Some(120.0), None));
    }

    #[test]
    fn curves_are_called_by_what_tells_them_apart() {
        let runs =
            [run("runs/a", "mlp", &[0.1]), run("runs/b", "mlp", &[0.2]), run("runs/c", "lenet", &[0.3])];
        let svg = draw_curves(&runs, Along::Minutes).svg();
        for told in ["runs/a", "runs/b", "lenet", "Top-1", "minutes of training"] {
            assert!(svg.contains(told), "no '{told}'");
        }
        assert!(!svg.contains("Top-5") && !svg.contains("runs/c"), "with few classes top-5 is always 1");
        assert!(draw_curves(&runs, Along::Epochs).svg().contains("epochs"));
    }

    #[test]
    fn other_images_are_noticed() {
        let mut runs = [run("a", "mlp", &[0.1]), run("b", "mlp", &[0.2])];
        assert!(same_images(&runs));
        runs[1].held_out = None;
        assert!(same_images(&runs));
        runs[1].held_out = Some("others".into());
        assert!(!same_images(&runs));
    }
}
