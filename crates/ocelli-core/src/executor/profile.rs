//! Where the time of a pass goes: what an executor notes of each step while it is asked to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::arena::ALIGNMENT;

/// Nanoseconds since some moment, the same one on all threads. The engine knows no clock: whoever wants times lends one.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the passes over a plan took since [`Executor::start_profile`](crate::Executor::start_profile), in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Passes.
    pub passes: u64,
    /// From the start of each pass until every worker was done with it.
    pub total: u64,
    /// For each worker and each step of [`Plan::steps`](crate::Plan::steps), what it took.
    pub workers: Vec<Vec<StepTime>>,
}

/// What a step took one worker, in all passes together, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    /// Working on its parts of the step.
    pub work: u64,
    /// Waiting at the barrier before the step.
    pub wait: u64,
}

/// Notes times while workers run. Each writes where no other one does.
pub(super) struct Recorder {
    clock: Clock,
    steps: usize,
    /// Work and waiting of each step; one worker's after another's, on cache lines of their own.
    times: Vec<AtomicU64>,
    passes: AtomicU64,
    total: AtomicU64,
}

impl Recorder {
    pub(super) fn new(clock: Clock, workers: usize, steps: usize) -> Recorder {
        let mut times = Vec::new();
        times.resize_with(workers * stride(steps), AtomicU64::default);
        Recorder { clock, steps, times, passes: AtomicU64::default(), total: AtomicU64::default() }
    }

    /// Runs a pass and notes what it takes.
    pub(super) fn pass(&self, run: impl FnOnce()) {
        let start = (self.clock)();
        run();
        add(&self.total, (self.clock)().saturating_sub(start));
        add(&self.passes, 1);
    }

    /// The watch of a worker that begins a pass.
    pub(super) fn watch(&self, worker: usize) -> Watch<'_> {
        let times = &self.times[worker * stride(self.steps)..][..2 * self.steps];
        Watch { clock: &*self.clock, times, since: (self.clock)() }
    }

    pub(super) fn profile(&self) -> Profile {
        let get = |time: &AtomicU64| time.load(Ordering::Relaxed);
        let of_step = |pair: &[AtomicU64]| StepTime { work: get(&pair[0]), wait: get(&pair[1]) };
        let of_worker = |times: &[AtomicU64]| times[..2 * self.steps].chunks_exact(2).map(of_step).collect();
        Profile {
            passes: get(&self.passes),
            total: get(&self.total),
            workers: self.times.chunks_exact(stride(self.steps)).map(of_worker).collect(),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Recorder").field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// Numbers from one worker's times to the next one's: whole cache lines, and one between them.
fn stride(steps: usize) -> usize {
    let line = ALIGNMENT / size_of::<u64>();
    (2 * steps).next_multiple_of(line) + line
}

/// Adds where nobody else writes.
fn add(to: &AtomicU64, time: u64) {
    to.store(to.load(Ordering::Relaxed) + time, Ordering::Relaxed);
}

/// One worker's watch during one pass: every moment since its start belongs to a step.
pub(super) struct Watch<'a> {
    clock: &'a (dyn Fn() -> u64 + Send + Sync),
    times: &'a [AtomicU64],
    since: u64,
}

impl Watch<'_> {
    /// What has passed since the last note was waiting before `step`.
    pub(super) fn waited(&mut self, step: usize) {
        self.note(2 * step + 1);
    }

    /// What has passed since the last note was work on `step`.
    pub(super) fn worked(&mut self, step: usize) {
        self.note(2 * step);
    }

    fn note(&mut self, place: usize) {
        let now = (self.clock)();
        add(&self.times[place], now.saturating_sub(self.since));
        self.since = now;
    }
}
