//! Training: from data and a recipe to a saved, measured network.

mod budget;
mod clock;
mod config;
mod curvature;
mod event;
mod find_rate;
mod finish;
mod folder;
mod health;
mod images;
mod learner;
mod length;
mod loading;
mod options;
mod progress;
mod resolve;
mod save;
mod sizes;
mod start;
mod start_from;
mod trainer;
mod whiten;

pub use config::{RunConfig, preprocess_for};
pub use event::{EpochRecord, Event, LayerFigures};
pub use find_rate::{RatePoint, RateSweep, check_sweep, find_rate};
pub use finish::{Figures, Outcome};
pub use folder::RunFolder;
pub use images::data_digest;
pub use length::Pace;
pub(crate) use loading::{Loading, training_batches};
pub(crate) use options::{curvature_options, health_options, recipe_options, step_options};
pub use resolve::NetSpec;
pub use start_from::{Pretrained, Source};
pub use trainer::{Control, Trainer};
