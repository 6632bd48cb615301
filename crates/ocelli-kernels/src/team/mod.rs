//! A persistent team of threads that run one closure in lock step.

mod denormals;
mod signal;

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{fmt, io, thread};

use denormals::FlushDenormals;
use signal::Signal;

/// Threads that wait for work: [`Team::run`] starts a closure on all of them within a microsecond or so, and
/// allocates nothing.
///
/// The calling thread is worker 0, so a team of n starts n − 1 threads. Waiting workers spin for a moment and
/// then sleep. Dropping the team ends its threads.
pub struct Team {
    shared: Arc<Shared>,
    /// Held during a run, so that callers on several threads take turns.
    turn: Mutex<()>,
    handles: Vec<JoinHandle<()>>,
}

/// One thread's view of a run.
pub struct Worker<'a> {
    shared: &'a Shared,
    index: usize,
}

type Work<'a> = dyn Fn(&Worker) + Sync + 'a;

impl Team {
    /// A team of `threads` workers, the caller among them.
    ///
    /// # Errors
    /// If `threads` is 0, or the system refuses a thread.
    pub fn new(threads: usize) -> io::Result<Team> {
        if threads == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a team needs at least one thread"));
        }
        let shared = Arc::new(Shared::new(threads));
        let mut team = Team { shared, turn: Mutex::new(()), handles: Vec::with_capacity(threads - 1) };
        for index in 1..threads {
            let shared = Arc::clone(&team.shared);
            let builder = thread::Builder::new().name(format!("ocelli-{index}"));
            // Where this fails, dropping `team` ends the threads that have started.
            team.handles.push(builder.spawn(move || shared.serve(index))?);
        }
        Ok(team)
    }

    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Runs `work` on every worker at once and returns when all are done.
    ///
    /// Denormal numbers count as 0 meanwhile. Several threads may call this on one team: they take turns. `work`
    /// must not call it on its own team: that would wait for itself.
    ///
    /// # Panics
    /// If `work` panics on any worker, with the first such panic, once all workers have stopped.
    pub fn run(&self, work: &(dyn Fn(&Worker) + Sync)) {
        let _flush = FlushDenormals::new();
        if self.threads() == 1 {
            return work(&Worker { shared: &self.shared, index: 0 });
        }
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let panic = self.shared.run(work);
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.start.advance();
        for handle in self.handles.drain(..) {
            // A worker catches the panics of the work, so there is nothing left to report here.
            let _ = handle.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Worker<'_> {
    /// Which worker this is: 0 (the caller) to `count` − 1.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.shared.threads
    }

    /// Waits until every worker has come here; what they wrote before is then visible to all.
    ///
    /// # Panics
    /// If another worker has panicked: it will never come.
    pub fn barrier(&self) {
        let shared = self.shared;
        if shared.threads == 1 {
            return;
        }
        let phase = shared.passed.value();
        shared.check_for_panic();
        if shared.arrived.fetch_add(1, Ordering::AcqRel) + 1 == shared.threads {
            shared.arrived.store(0, Ordering::Relaxed);
            shared.passed.advance();
        } else {
            shared.passed.wait_to_leave(phase, shared.spins);
            shared.check_for_panic();
        }
    }
}

/// What the workers share.
struct Shared {
    threads: usize,
    /// Whether waiting may spin: not where workers would take each other's core.
    spins: bool,
    /// Advances when `work` is set, or to end the threads.
    start: Signal,
    /// Advances when the last worker is done.
    done: Signal,
    /// Workers that are not done.
    running: AtomicUsize,
    /// Advances when the barrier opens.
    passed: Signal,
    /// Workers at the barrier.
    arrived: AtomicUsize,
    /// Whether a worker has panicked in this run.
    panicked: AtomicBool,
    /// Its panic.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    work: UnsafeCell<Option<*const Work<'static>>>,
}

// SAFETY: all fields but `work` are Sync. `work` is written by the one thread that holds the turn, before
// `start` advances and after `done` has; the workers read it between the two. It points to a Sync closure.
#[allow(unsafe_code)]
unsafe impl Sync for Shared {}
// SAFETY: as above: the pointer is used only while the run that it belongs to waits for its workers.
#[allow(unsafe_code)]
unsafe impl Send for Shared {}

/// The panic of a worker that found another's; not to be reported.
struct Aborted;

impl Shared {
    fn new(threads: usize) -> Shared {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Shared {
            threads,
            spins: threads <= cores,
            start: Signal::new(),
            done: Signal::new(),
            running: AtomicUsize::new(0),
            passed: Signal::new(),
            arrived: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
            work: UnsafeCell::new(None),
        }
    }

    /// Runs `work` on all workers; the first panic, if any. The caller holds the turn.
    #[allow(unsafe_code)]
    fn run(&self, work: &Work) -> Option<Box<dyn Any + Send>> {
        let done = self.done.value();
        self.running.store(self.threads, Ordering::Relaxed);
        self.arrived.store(0, Ordering::Relaxed);
        self.panicked.store(false, Ordering::Relaxed);
        let work: *const Work = work;
        // SAFETY: only the lifetime changes, and no worker uses the pointer after `done` has advanced below.
        // The workers are all waiting for `start`, so no one reads the cell while it is written.
        unsafe { *self.work.get() = Some(std::mem::transmute::<*const Work, *const Work<'static>>(work)) };
        self.start.advance();
        self.work_as(0);
        self.done.wait_to_leave(done, self.spins);
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A worker thread's life.
    fn serve(&self, index: usize) {
        let _flush = FlushDenormals::new();
        // The signal starts at 0; a run may have advanced it before this thread got here.
        let mut seen = 0;
        loop {
            seen = self.start.wait_to_leave(seen, self.spins);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.work_as(index);
        }
    }

    /// Does one worker's part of the run.
    #[allow(unsafe_code)]
    fn work_as(&self, index: usize) {
        // SAFETY: `start` has advanced after the cell was written, and its writer keeps the closure alive until
        // `done` advances, which waits for this worker.
        let work = unsafe { (*self.work.get()).map(|work| &*work) };
        let worker = Worker { shared: self, index };
        let outcome = catch_unwind(AssertUnwindSafe(|| work.expect("a run has started")(&worker)));
        if let Err(panic) = outcome {
            self.record(panic);
        }
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.advance();
        }
    }

    /// Keeps the first panic and frees those who wait at the barrier.
    fn record(&self, panic: Box<dyn Any + Send>) {
        if !panic.is::<Aborted>() {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        self.panicked.store(true, Ordering::SeqCst);
        self.passed.advance();
    }

    fn check_for_panic(&self) {
        if self.panicked.load(Ordering::SeqCst) {
            resume_unwind(Box::new(Aborted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_of_none_is_refused() {
        assert_eq!(Team::new(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn every_worker_works_once_per_run_over_many_runs() {
        for threads in [1, 2, 8] {
            let team = Team::new(threads).unwrap();
            let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for run in 1..=200 {
                team.run(&|worker| {
                    assert_eq!(worker.count(), threads);
                    counts[worker.index()].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == run));
            }
        }
    }

    #[test]
    fn behind_a_barrier_everyone_sees_what_was_written_before_it() {
        for threads in [1, 2, 8] {
            let team = Team::new(threads).unwrap();
            let cells: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            team.run(&|worker| {
                for round in 1..=100 {
                    cells[worker.index()].store(round, Ordering::Relaxed);
                    worker.barrier();
                    assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == round));
                    worker.barrier();
                }
            });
        }
    }

    #[test]
    fn a_panic_of_any_worker_reaches_the_caller_and_leaves_the_team_usable() {
        for threads in [1, 2, 8] {
            let team = Team::new(threads).unwrap();
            for culprit in 0..threads {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    team.run(&|worker| {
                        worker.barrier();
                        if worker.index() == culprit {
                            resume_unwind(Box::new(format!("worker {culprit}")));
                        }
                        worker.barrier();
                        worker.barrier();
                    });
                }));
                let panic = outcome.unwrap_err();
                assert_eq!(panic.downcast_ref::<String>(), Some(&format!("worker {culprit}")));
            }
            let sum = AtomicUsize::new(0);
            team.run(&|worker| {
                worker.barrier();
                sum.fetch_add(worker.index() + 1, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), threads * (threads + 1) / 2);
        }
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let team = Team::new(2).unwrap();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        team.run(&|worker| {
                            inside.fetch_add(1, Ordering::SeqCst);
                            worker.barrier();
                            assert_eq!(inside.load(Ordering::SeqCst), 2);
                            worker.barrier();
                            inside.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
    }

    #[test]
    fn denormals_are_zero_in_every_worker_during_a_run_alone() {
        let half = || std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
        let team = Team::new(2).unwrap();
        team.run(&|_| {
            if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
                assert_eq!(half(), 0.0);
            }
        });
        assert!(half() > 0.0);
    }
}
