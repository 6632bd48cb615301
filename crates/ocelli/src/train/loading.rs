//! How batches are prepared while others are trained on.

use std::sync::Arc;

use ocelli_data::{Augment, Dataset, Loader, LoaderOptions, Sampler};

use super::config::RunConfig;
use crate::Error;

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

/// The batches that a run trains on, from one on that is given by its epoch and its number there, prepared beside so many threads
/// that train, or by the one that asks where preparing is but copying. There is no last one: a run ends when it ends, and batches ahead of it are dropped.
///
/// # Errors
/// Settings that cannot work, or too little memory.
pub(crate) fn training_batches(
    config: &RunConfig,
    train: &Arc<dyn Dataset>,
    (epoch, first_batch): (u64, usize),
    threads: usize,
) -> Result<Loader, Error> {
    let (augment, mix) = (config.augment(), config.mix());
    // What only turns bytes into numbers takes less time than waking a thread that does it, on a core that trains.
    let copies = augment == Augment::NONE && !mix.is_on() && !train.decodes();
    let Loading { threads, prefetch } = Loading::beside(if copies { 1 } else { threads });
    let options = LoaderOptions {
        threads,
        prefetch,
        augment,
        mix,
        seed: config.seed,
        epochs: epoch..u64::MAX,
        first_batch,
    };
    let sampler = Sampler::new(train.len(), config.recipe.batch)?.shuffled(config.seed);
    Ok(Loader::new(Arc::clone(train), &config.preprocess, sampler, options)?)
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
