//! What a run writes on its way, and what it says when it has lost its way.

use std::time::Instant;

use ocelli_core::Params;

use super::event::Event;
use super::health;
use super::trainer::{Control, Trainer};
use crate::Error;
use crate::io::{Checkpoint, ModelFile};

impl Trainer {
    pub(super) fn checkpoint(&mut self, control: &mut Control<'_>) -> Result<(), Error> {
        self.take_time();
        let start = Instant::now();
        let checkpoint = Checkpoint {
            network: self.network.clone(),
            optimizer: self.config.recipe.optimizer.clone(),
            params: &self.learner.params,
            state: &self.learner.state,
            average: self.learner.average.as_ref(),
            progress: serde_json::to_value(self.progress.for_checkpoint()).expect("plain data"),
            config: serde_json::to_value(&self.config).expect("plain data"),
        };
        checkpoint.save(self.folder.path())?;
        self.saving = start.elapsed().as_secs_f64();
        (control.observer)(&Event::Checkpoint { epoch: self.position() });
        Ok(())
    }

    /// The model file of the weights as they are.
    pub(super) fn model_file(&self) -> ModelFile<&Params<f32>> {
        ModelFile {
            network: self.network.clone(),
            classes: self.splits.train.classes().to_vec(),
            preprocess: serde_json::to_value(&self.config.preprocess).expect("plain data"),
            training: serde_json::json!({
                "data": self.config.data, "train_digest": self.progress.data[0], "val": self.config.val, "net": self.config.net,
                "seed": self.config.seed, "epochs": self.progress.epoch, "steps": self.progress.step,
                "recipe": self.config.recipe, "from": self.config.from,
            }),
            params: self.learner.weights(),
        }
    }

    /// The error of a loss that is no number, on images of the size of this phase.
    pub(super) fn diverged(&self, images: &[f32], count: usize, phase: usize) -> Error {
        let (graph, params) = (&self.sizes[phase].graph, &self.learner.params);
        let found = health::first_not_finite(&self.engine, graph, params, images, count);
        let found = found.unwrap_or_else(|e| format!("unknown, as finding it failed: {e}"));
        let path = self.folder.path();
        let kept = match Checkpoint::exists(path) {
            true => format!("the last good checkpoint stays in {}", path.display()),
            false => "no checkpoint had been written yet".to_string(),
        };
        let recipe = &self.config.recipe;
        let advice = match recipe.schedule.base() {
            // A schedule that lists its rates takes no other.
            Some(rate) => format!("--schedule constant --lr {:.1e}", rate / 10.0),
            None if self.rate() > recipe.rate => "a --schedule that does not rise above --lr".to_string(),
            None => format!("--lr {:.1e}", recipe.rate / 10.0),
        };
        Error::Diverged(format!(
            "training diverged: the loss is no longer a number after {} steps (epoch {}, learning rate {:.3e})\n  \
             first not finite: {found}\n  {kept}; begin another run with a smaller learning rate, such as {advice}",
            self.progress.step,
            self.progress.epoch + 1,
            self.rate()
        ))
    }
}
