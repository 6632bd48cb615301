//! Training: from data and a recipe to a saved, measured network.

mod config;
mod event;
mod finish;
mod folder;
mod health;
mod resolve;
mod trainer;

use ocelli_core::PlanOptions;
use ocelli_kernels::Precision;

pub use config::{RunConfig, preprocess_for};
pub use event::{EpochRecord, Event, LayerFigures};
pub use finish::{Figures, Outcome};
pub use folder::RunFolder;
pub use resolve::NetSpec;
pub use trainer::{Control, Trainer, data_digest};
pub(crate) use trainer::{PREFETCH, curvature_options};

/// The plan with which steps of training are done: nothing but their outcome is wanted.
pub(crate) fn step_options(batch: usize, precision: Precision) -> PlanOptions {
    PlanOptions { keep_gradients: false, precision, ..PlanOptions::train(batch) }
}

/// The plan with which the health of the layers is measured.
pub(crate) fn health_options() -> PlanOptions {
    health::Health::options()
}
