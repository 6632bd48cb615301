//! What time it is in a run, and what is due.

use std::time::{Duration, Instant};

/// When to report and to save.
pub(super) struct Intervals {
    last_report: Instant,
    /// Steps since then, and the seconds that they took.
    steps: u32,
    seconds: f64,
    last_checkpoint: Instant,
}

impl Intervals {
    pub(super) fn new() -> Intervals {
        let now = Instant::now();
        Intervals { last_report: now, steps: 0, seconds: 0.0, last_checkpoint: now }
    }

    /// A step took so long.
    pub(super) fn step(&mut self, seconds: f64) {
        (self.steps, self.seconds) = (self.steps + 1, self.seconds + seconds);
    }

    pub(super) fn report_due(&self) -> bool {
        self.last_report.elapsed() >= Duration::from_millis(200)
    }

    pub(super) fn checkpoint_due(&self, every: Duration) -> bool {
        self.last_checkpoint.elapsed() >= every
    }

    /// A checkpoint was written.
    pub(super) fn saved(&mut self) {
        self.last_checkpoint = Instant::now();
    }

    /// The mean since the last report, which this one becomes.
    pub(super) fn seconds_per_step(&mut self) -> f64 {
        let mean = self.seconds / f64::from(self.steps.max(1));
        (self.last_report, self.steps, self.seconds) = (Instant::now(), 0, 0.0);
        mean
    }
}

/// The time of a run since it was last added up.
pub(super) struct Stopwatch {
    /// Since when training runs.
    training: Instant,
    /// Since when the budget's time runs.
    budget: Instant,
    /// When the last lap ended.
    lap: Instant,
}

impl Stopwatch {
    /// The budget's time runs from now on.
    pub(super) fn new() -> Stopwatch {
        let now = Instant::now();
        Stopwatch { training: now, budget: now, lap: now }
    }

    /// The budget's time ran from there on.
    pub(super) fn budget_from(&mut self, start: Instant) {
        self.budget = start;
    }

    /// Training begins.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        (self.training, self.lap) = (now, now);
    }

    /// Seconds since the last lap, which ends here.
    pub(super) fn lap(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.lap, Instant::now());
        (self.lap - before).as_secs_f64()
    }

    /// Seconds of the budget since they were last taken.
    pub(super) fn budget_seconds(&self) -> f64 {
        self.budget.elapsed().as_secs_f64()
    }

    /// The seconds of training and of the budget since they were last taken.
    pub(super) fn take(&mut self) -> (f64, f64) {
        let now = Instant::now();
        let seconds = ((now - self.training).as_secs_f64(), (now - self.budget).as_secs_f64());
        (self.training, self.budget) = (now, now);
        seconds
    }
}
