//! A counter that threads can wait on.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a waiting thread spins before it sleeps. Waking a sleeper costs several microseconds, and the steps
/// of a plan are often shorter than this.
const SPIN: Duration = Duration::from_micros(100);

/// A counter that only advances, and on which threads wait for the next value: spinning first, then asleep.
///
/// On a cache line of its own, since others spin on it.
#[repr(align(128))]
pub(super) struct Signal {
    value: AtomicUsize,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Signal {
    /// A signal at 0.
    pub(super) fn new() -> Signal {
        Signal {
            value: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// The present value.
    pub(super) fn value(&self) -> usize {
        self.value.load(Ordering::Acquire)
    }

    /// Moves to the next value and frees all who wait.
    pub(super) fn advance(&self) {
        // Sequentially consistent with the sleeper's count: either it sees the new value, or this sees it asleep.
        self.value.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // With the lock held, a sleeper is either before its check of the value or already waiting.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_all();
        }
    }

    /// Waits until the value is not `seen`; the new one.
    pub(super) fn wait_to_leave(&self, seen: usize, spins: bool) -> usize {
        if spins {
            let start = Instant::now();
            while start.elapsed() < SPIN {
                for _ in 0..16 {
                    let value = self.value();
                    if value != seen {
                        return value;
                    }
                    spin_loop();
                }
            }
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.value.load(Ordering::SeqCst) == seen {
            guard = self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        self.value()
    }
}
