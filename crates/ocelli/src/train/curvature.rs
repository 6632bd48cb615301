//! The second derivatives of stochastic diagonal Levenberg–Marquardt, renewed now and then.

use std::sync::Arc;

use ocelli_core::optim::average_curvature;
use ocelli_core::{Batch, RandomState, Targets};
use ocelli_data::{Loader, LoaderOptions, Sampler};

use super::learner::curvature_samples;
use super::trainer::Trainer;
use crate::Error;

impl Trainer {
    /// Diagonal Levenberg–Marquardt renews its second derivatives before each epoch; in the first one, while the weights
    /// grow out of their small start by orders of magnitude, also after 16, 32, 64, … images.
    pub(super) fn curvature_is_due(&self) -> bool {
        let (progress, recipe) = (&self.progress, &self.config.recipe);
        let seen = progress.seen;
        let before = seen.saturating_sub((recipe.batch as u64).saturating_mul(recipe.accumulate as u64));
        let doubled = seen >= 16 && before.max(8).ilog2() < seen.ilog2();
        self.curvature.is_some() && (progress.batch == 0 || progress.epoch == 0 && doubled)
    }

    /// The mean second derivative of each parameter over some images, at the size that the network is used with.
    pub(super) fn estimate_curvature(&mut self) -> Result<(), Error> {
        const PURPOSE: u64 = u64::from_be_bytes(*b"CURVE   "); // other images than the epoch begins with
        let samples = curvature_samples(&self.config.recipe.optimizer).expect("invariant: it is due");
        let executor = self.curvature.as_mut().expect("invariant: it is due");
        let seed = self.config.seed ^ PURPOSE;
        let sampler = Sampler::new(self.splits.train.len(), 1)?.shuffled(seed);
        let epochs = self.progress.epoch..self.progress.epoch + 1;
        let options =
            LoaderOptions { augment: self.config.augment(), seed, epochs, ..LoaderOptions::default() };
        let train = Arc::clone(&self.splits.train);
        let mut loader = Loader::new(train, &self.config.preprocess, sampler, options)?;
        for count in 1..=samples.min(self.splits.train.len()) as u64 {
            let batch = loader.next_batch().expect("as many batches as images")?;
            let targets = Some(Targets::Classes(&batch.labels));
            let run = Batch { inputs: &[&batch.images], targets, count: 1 };
            executor.curvature(&self.learner.params, &run, &self.criterion, RandomState::default())?;
            let mean = self.learner.state.slots_mut()[0].data_mut();
            average_curvature(mean, executor.gradients().data(), count);
        }
        Ok(())
    }
}
