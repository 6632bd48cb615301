//! Work on many images by all cores.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many images are taken at a time.
const CHUNK: usize = 64;

/// `work(i)` for every i below `n`, in order. Each thread makes a tool of its own with `tool`.
pub(crate) fn map<S, T: Send>(
    n: usize,
    tool: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let share = || {
        let (mut done, mut tool) = (Vec::new(), tool());
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= n {
                return done;
            }
            let chunk: Vec<T> = (start..n.min(start + CHUNK)).map(|i| work(&mut tool, i)).collect();
            done.push((start, chunk));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let helpers = cores.min(n.div_ceil(CHUNK)).saturating_sub(1);
    let mut chunks = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..helpers).map(|_| scope.spawn(share)).collect();
        let mut chunks = share();
        for handle in handles {
            chunks.extend(handle.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        chunks
    });
    chunks.sort_unstable_by_key(|(start, _)| *start);
    chunks.into_iter().flat_map(|(_, chunk)| chunk).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_order() {
        for n in [0, 1, 63, 64, 65, 1000] {
            assert_eq!(super::map(n, || 1, |one, i| i + *one), (1..=n).collect::<Vec<_>>());
        }
    }
}
