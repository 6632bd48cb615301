//! In which order images are taken, epoch by epoch.

use ocelli_kernels::random::Key;

use crate::{DataError, purpose};

/// Divides the images of a data set into batches, in an order that (seed, epoch) determine alone: any
/// batch of any epoch can be asked for directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampler {
    len: usize,
    batch: usize,
    shuffle: Option<u64>,
    drop_last: bool,
}

impl Sampler {
    /// Batches of `batch` images of a set of `len`, in the set's order; the last batch of an epoch may
    /// be shorter.
    ///
    /// # Errors
    /// [`DataError::Setting`] for batches of 0 images or more than 2³²−1 images.
    pub fn new(len: usize, batch: usize) -> Result<Sampler, DataError> {
        if batch == 0 {
            return Err(DataError::setting("batch size", batch, "a batch holds at least one image"));
        }
        if u32::try_from(len).is_err() {
            return Err(DataError::setting("number of images", len, "a data set holds at most 2³²−1"));
        }
        Ok(Sampler { len, batch, shuffle: None, drop_last: false })
    }

    /// Takes each epoch's images in an order of its own, chosen by `seed`.
    pub fn shuffled(mut self, seed: u64) -> Sampler {
        self.shuffle = Some(seed);
        self
    }

    /// Leaves the last batch of an epoch out where it would be shorter; so nothing is left of a set
    /// smaller than one batch.
    pub fn drop_last(mut self) -> Sampler {
        self.drop_last = true;
        self
    }

    /// The number of images of the set.
    #[expect(clippy::len_without_is_empty, reason = "a sampler is no collection")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The most images of a batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The number of batches of an epoch.
    pub fn batches(&self) -> usize {
        match self.drop_last {
            true => self.len / self.batch,
            false => self.len.div_ceil(self.batch),
        }
    }

    /// The number of images that an epoch takes.
    pub fn images(&self) -> usize {
        self.len.min(self.batches() * self.batch)
    }

    /// The order of `epoch`.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut order = Epoch::default();
        self.epoch_into(epoch, &mut order);
        order
    }

    /// [`Sampler::epoch`] in memory that was used before.
    pub(crate) fn epoch_into(&self, epoch: u64, out: &mut Epoch) {
        out.batch = self.batch;
        out.order.clear();
        out.order.extend(0..self.len as u32);
        if let Some(seed) = self.shuffle {
            Key::new(seed, &[purpose::ORDER, epoch]).stream().shuffle(&mut out.order);
        }
        out.order.truncate(self.images());
    }
}

/// The images of one epoch in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    order: Vec<u32>,
    batch: usize,
}

impl Epoch {
    /// The indices of all images, in order.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The indices of the images of batch `k`. Panics where `k` is not less than [`Sampler::batches`].
    pub fn batch(&self, k: usize) -> &[u32] {
        let start = k * self.batch;
        &self.order[start..self.order.len().min(start + self.batch)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_takes_every_image_once_and_its_last_batch_is_short() {
        let sampler = Sampler::new(103, 10).unwrap().shuffled(5);
        let epoch = sampler.epoch(2);
        assert_eq!((sampler.batches(), epoch.batch(10).len()), (11, 3));
        let mut all: Vec<u32> = (0..11).flat_map(|k| epoch.batch(k).to_vec()).collect();
        assert_ne!(all, (0..103).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..103).collect::<Vec<_>>());
    }

    #[test]
    fn seed_and_epoch_choose_the_order() {
        let order = |seed, epoch| Sampler::new(50, 8).unwrap().shuffled(seed).epoch(epoch);
        assert_eq!(order(1, 1), order(1, 1));
        assert_ne!(order(1, 1), order(1, 2));
        assert_ne!(order(1, 1), order(2, 1));
    }

    #[test]
    fn a_short_last_batch_can_be_left_out() {
        let sampler = Sampler::new(103, 10).unwrap().drop_last();
        assert_eq!((sampler.batches(), sampler.images()), (10, 100));
        assert_eq!(sampler.epoch(0).order(), (0..100).collect::<Vec<u32>>());
        assert_eq!(Sampler::new(5, 10).unwrap().drop_last().batches(), 0);
    }
}
