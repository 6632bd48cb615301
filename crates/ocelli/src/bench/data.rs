//! How fast images are read, prepared, and loaded in batches.

use std::convert::Infallible;
use std::sync::Arc;

use ocelli_data::{
    Augment, Dataset, Loader, LoaderOptions, Mix, Picture, Preprocess, Preprocessor, Sampler, augment::Draw,
};

use super::{Budget, Timing};
use crate::Error;

/// Images of a repeat: enough that their differences in size even out.
const IMAGES: usize = 256;

/// A data set, and what is done with its images.
pub struct DataBench {
    dataset: Arc<dyn Dataset>,
    preprocess: Preprocess,
    augment: Augment,
    mix: Mix,
    batch: usize,
    /// The images that are read and prepared, spread over the set.
    chosen: Vec<usize>,
}

impl DataBench {
    /// A bench of `dataset`, whose images are prepared as `preprocess` says, varied, and put into batches of `batch`.
    ///
    /// # Errors
    /// A set without images.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        preprocess: Preprocess,
        augment: Augment,
        mix: Mix,
        batch: usize,
    ) -> Result<DataBench, Error> {
        let len = dataset.len();
        if len == 0 {
            return Err(Error::Bad("the data set has no images, so there is nothing to measure".to_string()));
        }
        let chosen = (0..IMAGES).map(|i| (i as u64 * len as u64 / IMAGES as u64) as usize).collect();
        Ok(DataBench { dataset, preprocess, augment, mix, batch, chosen })
    }

    /// Images of a repeat of [`DataBench::read`] and [`DataBench::prepare`].
    pub fn images(&self) -> usize {
        self.chosen.len()
    }

    /// Times reading images on one thread: from the disk or the archive where they are there, and decoding.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn read(&self, budget: Budget) -> Result<Timing, Error> {
        let mut picture = Picture::default();
        Timing::measure(budget, || {
            self.chosen.iter().try_for_each(|&i| self.dataset.read(i, &mut picture)).map_err(Error::from)
        })
    }

    /// Times what comes after reading, on one thread: cropping, resizing, varying, normalising.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn prepare(&self, budget: Budget) -> Result<Timing, Error> {
        let mut preprocessor = Preprocessor::new(&self.preprocess)?.with_augment(&self.augment)?;
        let mut pictures = vec![Picture::default(); self.chosen.len()];
        for (picture, &i) in pictures.iter_mut().zip(&self.chosen) {
            self.dataset.read(i, picture)?;
        }
        let mut input = vec![0.0; self.preprocess.input_shape().iter().product()];
        let mut epoch = 0;
        let timing = Timing::measure(budget, || {
            for (picture, i) in pictures.iter().zip(0..) {
                preprocessor.apply_augmented(picture, Draw { seed: 0, epoch, sample: i }, &mut input);
            }
            epoch += 1;
            Ok::<(), Infallible>(())
        });
        let Ok(timing) = timing;
        Ok(timing)
    }

    /// Times loading one batch with so many threads of the loader's; 0 is the caller's own. The images of the repeat.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn load(&self, budget: Budget, threads: usize) -> Result<(Timing, usize), Error> {
        let options = LoaderOptions {
            threads,
            augment: self.augment.clone(),
            mix: self.mix,
            epochs: 0..u64::MAX,
            ..LoaderOptions::default()
        };
        let sampler = Sampler::new(self.dataset.len(), self.batch)?.shuffled(0);
        let batches = IMAGES.div_ceil(self.batch);
        let mut loader = Loader::new(Arc::clone(&self.dataset), &self.preprocess, sampler, options)?;
        let (mut images, mut repeats) = (0u64, 0u64);
        let timing = Timing::measure(budget, || {
            for _ in 0..batches {
                images += loader.next_batch().expect("epochs have no end")?.len() as u64;
            }
            repeats += 1;
            Ok::<(), Error>(())
        })?;
        // A short last batch of an epoch counts for as many as it has.
        Ok((timing, (images as f64 / repeats as f64).round() as usize))
    }
}
