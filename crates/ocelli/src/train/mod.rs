//! Training: from data and a recipe to a saved, measured network.
//!
//! A [`NetSpec`] and its [`Recipe`](crate::Recipe) become a [`RunConfig`] on some data; a [`Trainer`] does what that says, in a
//! [`RunFolder`] from which it can go on after a stop.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use std::time::Duration;
//!
//! use ocelli::Engine;
//! use ocelli::data::{OpenOptions, open};
//! use ocelli::kernels::Isa;
//! use ocelli::train::{Control, Event, NetSpec, RunConfig, RunFolder, Trainer};
//!
//! # fn main() -> Result<(), ocelli::Error> {
//! # let runs = tempfile::tempdir().unwrap();
//! # let runs = runs.path();
//! let splits = open("digits", &OpenOptions { seed: 1, ..OpenOptions::default() })?; // or a folder of pictures
//! let net = NetSpec::automatic(&*splits.train, None);
//! let recipe = ocelli::Recipe { epochs: 2, ..net.recipe()? };
//! let config = RunConfig::resolve("digits", None, &net, recipe, 1, &splits)?; // the seed of the held-out images
//! let folder = RunFolder::create_next(runs, &splits.name)?;
//! let mut trainer = Trainer::begin(config, splits, &Engine::new(0, Isa::detect())?, folder, "my program")?;
//! let mut observer = |event: &Event| {
//!     if let Event::Epoch(record) = event {
//!         println!("epoch {}: {:?} of the held-out images", record.row.epoch, record.row.val_top1);
//!     }
//! };
//! // Setting `stop`, in a handler of Ctrl-C say, ends the run with a checkpoint.
//! let (stop, checkpoint_every) = (AtomicBool::new(false), Duration::from_secs(30));
//! trainer.run(&mut Control { observer: &mut observer, stop: &stop, checkpoint_every })?;
//! let outcome = trainer.finish()?; // writes model and report
//! assert!(outcome.val.top1 > 0.8);
//! println!("{} tells {:.1} % of them", outcome.model, 100.0 * outcome.val.top1);
//! # Ok(())
//! # }
//! ```

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
pub use event::{EpochRecord, Event, LayerFigures, Over};
pub use find_rate::{RatePoint, RateSweep, check_sweep, find_rate};
pub use finish::{Figures, Outcome};
pub use folder::RunFolder;
pub use images::data_digest;
pub use length::Pace;
pub(crate) use loading::{Loading, training_batches};
pub(crate) use options::{curvature_options, health_options, recipe_options, step_options};
pub use resolve::NetSpec;
pub(crate) use sizes::as_it_begins;
pub use start_from::{Pretrained, Source};
pub use trainer::{Control, Trainer};
