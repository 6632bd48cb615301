//! How long a run is: counted in steps, whether it was asked for in epochs, in steps or in time.
//!
//! A run in epochs or steps knows its length beforehand. One in time measures how fast it is and decides its length again and
//! again, the last time shortly before its end ([`Budget`](super::budget::Budget)). Learning rate and picture size follow from
//! the step and the length decided last, so each decision is kept ([`Pace`]): a run that is given these
//! decisions does the same steps without a clock.

use serde::{Deserialize, Serialize};

/// A decision on the length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// The step from which it holds: so many were done.
    pub from: u64,
    /// Steps in all.
    pub steps: u64,
}

/// The decision of a run that holds at a step.
pub(super) fn decided_at(pace: &[Pace], step: u64) -> Option<u64> {
    pace.iter().rev().find(|pace| pace.from <= step).map(|pace| pace.steps)
}

/// How the batches of an epoch make steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epochs {
    /// Training images.
    pub(super) images: usize,
    /// Images of a batch.
    pub(super) batch: usize,
    /// Batches of a step; the last step of an epoch may have fewer.
    pub(super) accumulate: usize,
}

impl Epochs {
    /// Batches of an epoch.
    pub(super) fn batches(&self) -> usize {
        self.images.div_ceil(self.batch)
    }

    /// Steps of an epoch.
    pub(super) fn steps(&self) -> u64 {
        self.batches().div_ceil(self.accumulate) as u64
    }

    /// Batches of the step that begins with this batch of an epoch, and their images.
    pub(super) fn step_from(&self, batch: usize) -> (usize, usize) {
        let end = batch.saturating_add(self.accumulate).min(self.batches());
        let images = end.saturating_mul(self.batch).min(self.images) - batch * self.batch;
        (end - batch, images)
    }
}

/// Which of `sizes` pictures have in this step of `total`: each its equal share of the run.
pub(super) fn phase(step: u64, total: u64, sizes: usize) -> usize {
    let phase = u128::from(step) * sizes as u128 / u128::from(total.max(1));
    usize::try_from(phase).unwrap_or(usize::MAX).min(sizes.saturating_sub(1))
}

/// The first step of a phase.
pub(super) fn first_of(phase: usize, total: u64, sizes: usize) -> u64 {
    let first = (phase as u128 * u128::from(total)).div_ceil(sizes.max(1) as u128);
    u64::try_from(first).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decision_that_holds_is_the_last_one_made_by_then() {
        let pace = [Pace { from: 0, steps: 100 }, Pace { from: 10, steps: 80 }, Pace { from: 60, steps: 82 }];
        let at = |step| decided_at(&pace, step);
        assert_eq!([0, 9, 10, 59, 60, 500].map(at), [100, 100, 80, 80, 82, 82].map(Some));
        assert_eq!(decided_at(&[], 3), None);
    }

    #[test]
    fn steps_take_whole_batches_and_never_reach_into_the_next_epoch() {
        let epochs = Epochs { images: 103, batch: 10, accumulate: 4 };
        assert_eq!((epochs.batches(), epochs.steps()), (11, 3));
        assert_eq!([0, 4, 8].map(|batch| epochs.step_from(batch)), [(4, 40), (4, 40), (3, 23)]);
        let huge = Epochs { images: 103, batch: usize::MAX, accumulate: usize::MAX };
        assert_eq!((huge.steps(), huge.step_from(0)), (1, (1, 103)));
    }

    #[test]
    fn phases_have_equal_shares_of_the_steps() {
        let phases: Vec<usize> = (0..10).map(|step| phase(step, 10, 3)).collect();
        assert_eq!(phases, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!((phase(10, 10, 3), phase(5, 10, 0), phase(5, 0, 3), phase(u64::MAX, 1, 2)), (2, 0, 2, 1));
        for total in 1..40 {
            for sizes in 1..5 {
                let first = |k| (0..=total).find(|&step| phase(step, total, sizes) >= k).unwrap_or(total);
                (0..sizes)
                    .for_each(|k| assert_eq!(first_of(k, total, sizes), first(k), "{k} of {sizes}, {total}"));
            }
        }
    }
}
