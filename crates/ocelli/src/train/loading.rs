//! How batches are prepared while others are trained on.

/// How many threads prepare batches, and how many batches each has ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loading {
    pub(crate) threads: usize,
    pub(crate) prefetch: usize,
}

/// More threads than this decode faster than any network trains.
const MOST_THREADS: usize = 8;
/// Batches that are ready, all threads together.
const AHEAD: usize = 4;

impl Loading {
    /// Beside so many threads that train. One thread does both in turn. Else there are as many that prepare: where
    /// preparing takes long they have the cores while the others wait, and where it does not they sleep.
    pub(crate) fn beside(threads: usize) -> Loading {
        match threads {
            0 | 1 => Loading { threads: 0, prefetch: 0 },
            _ => {
                let threads = threads.min(MOST_THREADS);
                Loading { threads, prefetch: AHEAD.div_ceil(threads) }
            }
        }
    }

    /// Batches in memory at once: the one at hand, those that are ready, and those that are being prepared.
    pub(crate) fn batches(self) -> usize {
        1 + self.threads * (self.prefetch + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_in_memory_grow_slowly_with_threads() {
        let batches = |threads| Loading::beside(threads).batches();
        assert_eq!([1, 2, 4, 8, 64].map(batches), [1, 7, 9, 17, 17]);
    }
}
