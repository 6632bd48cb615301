//! A run that is to end at a time: how many steps fit.
//!
//! What a step takes is measured for each picture size, as the time from the end of one step to the end of the next, whatever
//! happens in between; and so is what the end of an epoch takes (evaluation, health, files). Sizes that have not been seen yet
//! are taken to cost as their pixels say. The number of steps for which all this adds up to the time left is decided anew after
//! every twentieth of it. No clock stands here: whoever asks says how much time has passed.

use super::length::{first_of, phase};

/// How much of a measured time an older one keeps when a new one comes: a hundred of them count, so that other work which slows
/// the machine for some seconds does not shorten the run, and with it the schedule.
const MEMORY: f64 = 0.99;
/// Before any epoch has ended: what evaluating an image takes, of what training on it takes.
const EVALUATION: f64 = 0.35;
/// The share of the time left after which the length is decided again.
const AGAIN: f64 = 0.05;
/// The first decision comes after so many steps, or after steps that took this share of all time.
const FIRST_STEPS: u64 = 8;
const FIRST_SHARE: f64 = 0.02;

/// What is known of the speed of a run that has a time to end at.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Seconds in all.
    seconds: f64,
    /// Steps of an epoch.
    epoch: u64,
    /// Pixels of each picture size.
    pixels: Vec<f64>,
    /// Seconds of a step with each of them.
    step: Vec<Mean>,
    /// Seconds at the end of an epoch.
    epoch_end: Mean,
    /// Steps that an epoch's evaluation is as much work as, before one has been measured.
    evaluation_steps: f64,
    /// Seconds that writing the results takes.
    finish: f64,
    /// When the length is decided next.
    next: f64,
    /// Steps that were noted, and the seconds that they and the ends of epochs took.
    noted: (u64, f64),
}

/// A mean that forgets: what is long ago, and the first time, when caches were cold and memory untouched.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, seconds: f64) {
        self.count += 1;
        (self.sum, self.weight) = match self.count {
            1 | 2 => (seconds, 1.0),
            _ => (MEMORY * self.sum + seconds, MEMORY * self.weight + 1.0),
        };
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.weight)
    }
}

impl Budget {
    /// A budget of so many seconds for pictures of these sizes one after another (in pixels), in epochs of so many steps;
    /// evaluation looks at `evaluated` images for each one of a step.
    pub(super) fn new(seconds: f64, pixels: Vec<f64>, epoch: u64, evaluated: f64) -> Budget {
        Budget {
            seconds,
            epoch: epoch.max(1),
            step: vec![Mean::default(); pixels.len()],
            pixels,
            epoch_end: Mean::default(),
            evaluation_steps: evaluated * EVALUATION,
            finish: 0.0,
            next: 0.0,
            noted: (0, 0.0),
        }
    }

    /// A step with pictures of this size took so long.
    pub(super) fn note_step(&mut self, phase: usize, seconds: f64) {
        self.noted = (self.noted.0 + 1, self.noted.1 + seconds);
        self.step[phase].add(seconds);
    }

    /// The end of an epoch took so long.
    pub(super) fn note_epoch_end(&mut self, seconds: f64) {
        self.noted.1 += seconds;
        self.epoch_end.add(seconds);
    }

    /// Writing the results will take so long.
    pub(super) fn expect_finish(&mut self, seconds: f64) {
        self.finish = seconds;
    }

    /// Whether the length is to be decided after so many seconds in all.
    pub(super) fn is_due(&self, elapsed: f64) -> bool {
        let (steps, seconds) = self.noted;
        (steps >= FIRST_STEPS || seconds >= FIRST_SHARE * self.seconds) && elapsed >= self.next
    }

    /// Whether a length was decided yet.
    pub(super) fn has_decided(&self) -> bool {
        self.next > 0.0
    }

    /// The steps in all for which the time suffices, `step` of them done after `elapsed` seconds, with pictures of size number
    /// `now` or larger: at least one, and none fewer than are done.
    pub(super) fn fit(&mut self, elapsed: f64, step: u64, now: usize) -> u64 {
        let left = self.seconds - elapsed - self.finish;
        self.next = elapsed + (AGAIN * left).max(0.0);
        // Doubling, then halving: the largest length that fits.
        let fits = |total: u64| self.cost(step, total, now) <= left;
        let mut beyond = 1;
        while fits(step.saturating_add(beyond)) && beyond < u64::MAX / 4 {
            beyond *= 2;
        }
        let (mut fit, mut too_many) = (0, beyond);
        while too_many - fit > 1 {
            let middle = fit + (too_many - fit) / 2;
            if fits(step + middle) { fit = middle } else { too_many = middle }
        }
        (step + fit).max(1)
    }

    /// Seconds that the steps from `step` to `total` take, with the ends of epochs.
    fn cost(&self, step: u64, total: u64, now: usize) -> f64 {
        let sizes = self.pixels.len();
        let mut seconds = 0.0;
        for size in now..sizes {
            let first = if size == now { step } else { first_of(size, total, sizes).max(step) };
            let end = if size + 1 == sizes { total } else { first_of(size + 1, total, sizes) };
            seconds += end.saturating_sub(first) as f64 * self.step_seconds(size);
        }
        // That of an epoch whose last step has just been taken is still to come.
        let ended = step.saturating_sub(1) / self.epoch;
        let ends = total / self.epoch - ended + u64::from(!total.is_multiple_of(self.epoch));
        let end = self.epoch_end.get().unwrap_or(self.evaluation_steps * self.step_seconds(sizes - 1));
        seconds + ends as f64 * end
    }

    /// Seconds of a step with a size: measured, or by its pixels from the nearest one that was.
    fn step_seconds(&self, size: usize) -> f64 {
        let measured = |k: usize| Some(self.step[k].get()? * self.pixels[size] / self.pixels[k]);
        let mut nearest: Vec<usize> = (0..self.pixels.len()).collect();
        nearest.sort_by_key(|k| k.abs_diff(size));
        nearest.into_iter().find_map(measured).unwrap_or(0.0)
    }
}

/// The number of the size that pictures have in this step of `total`, after size number `now`: they never shrink again, though a
/// length that was decided anew may say so.
pub(super) fn next_phase(now: usize, step: u64, total: u64, sizes: usize) -> usize {
    phase(step, total, sizes).max(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run on a machine that takes these times, by its own clock. The seconds in all, and how often a length was decided.
    fn simulate(
        budget_seconds: f64,
        epoch: u64,
        pixels: &[f64],
        step_seconds: impl Fn(u64, usize) -> f64,
        epoch_end: f64,
    ) -> (f64, u64, usize) {
        let mut budget = Budget::new(budget_seconds, pixels.to_vec(), epoch, 10.0);
        let (mut clock, mut step, mut total, mut phase, mut decided) = (0.0, 0, 1000 * epoch, 0, 0);
        while step < total {
            phase = next_phase(phase, step, total, pixels.len());
            let seconds = step_seconds(step, phase);
            (clock, step) = (clock + seconds, step + 1);
            budget.note_step(phase, seconds);
            if budget.is_due(clock) {
                total = budget.fit(clock, step, phase);
                decided += 1;
            }
            if step % epoch == 0 || step >= total {
                clock += epoch_end;
                budget.note_epoch_end(epoch_end);
            }
        }
        (clock, total, decided)
    }

    #[test]
    fn runs_end_in_time_whatever_steps_and_evaluation_take() {
        for seconds in [20.0, 600.0, 3600.0] {
            for epoch in [5, 40, 500] {
                for step in [0.002, 0.05, 0.3] {
                    for epoch_end in [0.001, 0.5] {
                        if epoch as f64 * step > seconds || epoch_end > step * epoch as f64 {
                            continue;
                        }
                        let (clock, _, _) = simulate(seconds, epoch, &[1.0], |_, _| step, epoch_end);
                        // The step that would begin another epoch would bring that epoch's end with it.
                        let slack = (0.02 * seconds).max(step + epoch_end);
                        assert!(
                            (clock - seconds).abs() <= slack,
                            "{seconds} s, epochs of {epoch} steps of {step} s and {epoch_end} s: {clock}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_machine_that_slows_down_and_pictures_that_grow_are_followed() {
        let slowing =
            |step: u64, _| 0.05 * (1.0 + (step as f64 / 4000.0).min(1.0)) + if step == 0 { 2.0 } else { 0.0 };
        let (clock, ..) = simulate(600.0, 100, &[1.0], slowing, 1.0);
        assert!((clock - 600.0).abs() < 12.0, "{clock}");
        // The larger pictures take more than their pixels say.
        let growing = |_, phase: usize| [0.05, 0.11, 0.19][phase];
        let (clock, total, decided) = simulate(900.0, 100, &[0.5625, 0.766, 1.0], growing, 1.0);
        assert!((clock - 900.0).abs() < 18.0 && total > 5000, "{clock} s, {total} steps");
        assert!(decided < 200, "{decided} decisions");
    }

    #[test]
    fn a_few_slow_steps_hardly_change_the_length() {
        let mut budget = Budget::new(1000.0, vec![1.0], 100, 0.0);
        (0..500).for_each(|_| budget.note_step(0, 0.1));
        let before = budget.fit(50.0, 500, 0);
        (0..20).for_each(|_| budget.note_step(0, 0.2));
        let after = budget.fit(54.0, 520, 0);
        assert!(after < before && after as f64 > 0.8 * before as f64, "{before}, then {after}");
    }

    #[test]
    fn a_budget_that_is_spent_ends_the_run_and_one_that_is_tiny_does_one_step() {
        let mut budget = Budget::new(10.0, vec![1.0], 50, 5.0);
        budget.note_step(0, 1.0);
        assert_eq!((budget.fit(11.0, 30, 0), budget.fit(11.0, 0, 0)), (30, 1));
    }
}
