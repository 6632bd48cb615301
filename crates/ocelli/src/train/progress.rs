//! How far a run has come.

use serde::{Deserialize, Serialize};

use super::event::EpochRecord;
use super::learner::Tally;
use super::length::Pace;
use crate::eval::Evaluation;

/// How far a run has come: what a checkpoint keeps beside parameters and slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Epochs done.
    pub(super) epoch: u64,
    /// Batches done of the next one.
    pub(super) batch: usize,
    /// The costs of the images since the last record, added up.
    pub(super) loss_sum: f64,
    /// Images since then that were classified rightly.
    pub(super) correct: u64,
    /// Images since then.
    pub(super) seen: u64,
    /// Seconds that their steps took.
    pub(super) epoch_seconds: f64,
    /// Seconds of these that were spent waiting for images.
    #[serde(default)]
    pub(super) waited: f64,
    /// Seconds of training, resumptions included.
    pub(super) seconds: f64,
    /// Seconds that count against a time budget: those of training and of what came before it in the same command.
    #[serde(default)]
    pub(super) budget_seconds: f64,
    /// Steps done in all.
    pub(super) step: u64,
    /// The sums over all that is recorded.
    #[serde(default)]
    pub(super) recorded: Recorded,
    /// How many steps there were to be, from the first decision to the last.
    #[serde(default)]
    pub(super) pace: Vec<Pace>,
    /// Which of the recipe's sizes pictures have.
    #[serde(default)]
    pub(super) phase: usize,
    /// The learning rate of the last step.
    pub(super) rate: f64,
    /// Digests of the training and of the held-out images.
    pub(super) data: [String; 2],
    /// When training began, ISO 8601.
    pub(super) started: String,
    /// The epochs so far.
    pub(super) records: Vec<EpochRecord>,
    /// The epoch with the highest held-out accuracy, of several as accurate ones that with the least loss.
    pub(super) best: Option<Best>,
    /// The first epoch with that accuracy.
    #[serde(default)]
    pub(super) highest: Option<Best>,
}

/// How many records a checkpoint keeps whole, the last ones. Of others it leaves out how the layers fared, which is most of
/// a record: every epoch writes them all again.
const WHOLE_RECORDS: usize = 1000;

/// Sums over the records of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// Training images.
    pub(super) images: u64,
    /// Seconds that their steps took.
    pub(super) seconds: f64,
    /// Seconds of these that were spent waiting for images.
    pub(super) waited: f64,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// Epochs done.
    pub(super) epoch: f64,
    /// Held-out accuracy.
    pub(super) top1: f64,
    /// Held-out loss.
    pub(super) loss: f64,
}

impl Best {
    /// Whether these figures are better: more accurate, or as accurate with less loss.
    fn is_beaten_by(&self, evaluation: &Evaluation) -> bool {
        (evaluation.top1, -evaluation.loss) > (self.top1, -self.loss)
    }
}

impl Progress {
    /// Counts what was learned from a batch.
    pub(super) fn add(&mut self, tally: &Tally) {
        self.loss_sum += tally.loss_sum;
        self.correct += tally.correct;
        self.seen += tally.seen;
        self.batch += 1;
    }

    /// Notes the held-out figures after `epoch`. Whether they are the best so far.
    pub(super) fn note(&mut self, epoch: f64, evaluation: &Evaluation) -> bool {
        let figures = Best { epoch, top1: evaluation.top1, loss: evaluation.loss };
        if self.highest().is_none_or(|highest| figures.top1 > highest.top1) {
            self.highest = Some(figures);
        }
        let better = self.best.is_none_or(|best| best.is_beaten_by(evaluation));
        if better {
            self.best = Some(figures);
        }
        better
    }

    /// The first epoch with the highest held-out accuracy.
    pub(super) fn highest(&self) -> Option<Best> {
        // Checkpoints of earlier releases do not have it.
        self.highest.or(self.best)
    }

    /// What a checkpoint keeps.
    pub(super) fn for_checkpoint(&self) -> Progress {
        let mut kept = self.clone();
        let old = kept.records.len().saturating_sub(WHOLE_RECORDS);
        kept.records[..old].iter_mut().for_each(|record| record.health.clear());
        kept
    }

    /// Takes the figures since the last record into those of the whole run: an epoch of `batches` may be over.
    pub(super) fn record(&mut self, record: EpochRecord, batches: usize) {
        self.records.push(record);
        let sums = &mut self.recorded;
        sums.images += self.seen;
        sums.seconds += self.epoch_seconds;
        sums.waited += self.waited;
        if self.batch == batches {
            (self.epoch, self.batch) = (self.epoch + 1, 0);
        }
        (self.loss_sum, self.correct, self.seen) = (0.0, 0, 0);
        (self.epoch_seconds, self.waited) = (0.0, 0.0);
    }

    /// What was decided since the last record.
    pub(super) fn undisclosed(&self) -> &[Pace] {
        let told: usize = self.records.iter().map(|record| record.pace.len()).sum();
        self.pace.get(told..).unwrap_or_default()
    }

    /// How many steps there are to be, as was last decided.
    pub(super) fn total(&self) -> u64 {
        self.pace.last().map_or(0, |pace| pace.steps)
    }

    /// Decides that there are to be `steps` in all, from the next one on.
    pub(super) fn decide(&mut self, steps: u64) {
        if self.total() == steps && !self.pace.is_empty() {
            return;
        }
        let (pace, open) = (Pace { from: self.step, steps }, !self.undisclosed().is_empty());
        match self.pace.last_mut().filter(|last| open && last.from == self.step) {
            Some(last) => *last = pace,
            None => self.pace.push(pace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::EpochRow;
    use crate::train::LayerFigures;

    fn figures(top1: f64, loss: f64) -> Evaluation {
        Evaluation { top1, loss, ..Evaluation::default() }
    }

    #[test]
    fn the_best_epoch_has_the_least_loss_and_patience_waits_for_accuracy_alone() {
        let mut progress = Progress::default();
        assert!(progress.note(1.0, &figures(0.9, 0.5)));
        assert!(progress.note(2.0, &figures(0.9, 0.4)));
        assert!(!progress.note(3.0, &figures(0.8, 0.1)));
        assert_eq!((progress.best.unwrap().epoch, progress.highest().unwrap().epoch), (2.0, 1.0));
        assert!(progress.note(4.0, &figures(0.95, 0.6)));
        assert_eq!((progress.best.unwrap().epoch, progress.highest().unwrap().epoch), (4.0, 4.0));
        // What an earlier release noted.
        let best = progress.best;
        assert_eq!(Progress { best, ..Progress::default() }.highest(), best);
    }

    #[test]
    fn a_checkpoint_keeps_the_last_records_whole() {
        let row = EpochRow { epoch: 1.0, ..EpochRow::default() };
        let health = vec![LayerFigures { layer: "conv".into(), health: Default::default() }];
        let record = EpochRecord {
            row,
            step: 1,
            seconds: 0.0,
            images_per_second: 0.0,
            waiting: 0.0,
            size: None,
            pace: Vec::new(),
            health,
        };
        let progress = Progress { records: vec![record; WHOLE_RECORDS + 2], ..Progress::default() };
        let kept = progress.for_checkpoint().records;
        let whole = |records: &[EpochRecord]| records.iter().filter(|r| !r.health.is_empty()).count();
        assert_eq!((whole(&kept), kept.len()), (WHOLE_RECORDS, progress.records.len()));
        assert_eq!((whole(&kept[..2]), whole(&progress.records)), (0, progress.records.len()));
        // What the checkpoint leaves out, the file of the run knows.
        let folder = tempfile::tempdir().unwrap();
        let run = crate::train::RunFolder::create(&folder.path().join("run")).unwrap();
        assert_eq!(whole(&run.whole_records(kept.clone())), WHOLE_RECORDS);
        run.write_metrics(&progress.records).unwrap();
        assert_eq!(run.whole_records(kept), progress.records);
    }
}
