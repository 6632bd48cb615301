//! Ocelli trains, measures, explains and ships neural networks that see.
//!
//! | to | begin with | which has an example |
//! |---|---|---|
//! | train a network on a folder of pictures | [`train::Trainer`] | [`train`] |
//! | tell what pictures show | [`ensemble::Ensemble::predict`] | [`predict`](mod@predict) |
//! | measure models on labelled images | [`ensemble::Ensemble::evaluate`], [`eval::Evaluator`] | [`eval`] |
//! | build a network, and train it in a loop of your own | [`core::Graph`], [`core::Executor::step`] | below |
//! | read and write models and network files | [`io::ModelFile`], [`io::Network`] | |
//!
//! All of these run on an [`Engine`]: so many threads, and the kernels of an instruction set. A [`Recipe`] is a way to train, an
//! [`Augmentation`] what is done to pictures meanwhile; a [`ShownBatch`] is a look at that.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ocelli::core::ops::{Linear, Relu};
//! use ocelli::core::{
//!     Batch, Criterion, Executor, Graph, Loss, Optimizer, OptimizerState, Params, Plan, PlanOptions, RandomState,
//!     Reduction, Targets, Update,
//! };
//! use ocelli::kernels::{Isa, Team};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut graph = Graph::new();
//! let x = graph.input("point", [2])?;
//! let x = graph.add("hidden", Linear::new(16), [x])?;
//! let x = graph.add("relu", Relu {}, [x])?;
//! graph.add("out", Linear::new(2), [x])?;
//! let graph = Arc::new(graph);
//!
//! let mut params = Params::<f32>::initialised(graph.layout(), 1)?;
//! let plan = Arc::new(Plan::new(&graph, PlanOptions::train(4))?);
//! let mut executor = Executor::new(plan, Arc::new(Team::new(1)?), Isa::detect())?;
//! let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
//! let mut state = OptimizerState::new(&optimizer, graph.layout())?;
//! let criterion =
//!     Criterion { loss: Loss::CrossEntropy { label_smoothing: 0.0 }, reduction: Reduction::Mean };
//!
//! // Whether exactly one of two numbers is 1.
//! let (points, labels) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0, 1, 1, 0]);
//! let mut cost = f64::INFINITY;
//! for step in 0..300 {
//!     let batch = Batch { inputs: &[&points], targets: Some(Targets::Classes(&labels)), count: 4 };
//!     let update = Update::new(&optimizer, &mut state, 0.1);
//!     cost = executor.step(&mut params, &batch, &criterion, update, RandomState { seed: 1, step });
//! }
//! assert!(cost < 0.1, "{cost}");
//! # Ok(())
//! # }
//! ```
//!
//! The engine stands in [`core`], data in [`data`], what computes in [`kernels`]; this crate puts them together: networks by name
//! ([`arch`]), training, measuring ([`eval`], [`bench`](mod@bench)), prediction by one model or several, explanations
//! ([`explain`]), submissions to a challenge ([`challenge`]), files ([`io`]) and reports ([`report`]); what a network takes
//! ([`describe`]) and what it runs on ([`machine`]); runs held against each other ([`comparison`]); representations made by hand ([`classical`]), simple classifiers to compare with
//! ([`baselines`]), and the experiments of the lecture ([`lecture`]).

pub mod arch;
mod augmentation;
pub mod baselines;
pub mod bench;
pub mod challenge;
pub mod classical;
pub mod comparison;
pub mod describe;
mod engine;
pub mod ensemble;
mod error;
pub mod eval;
pub mod explain;
mod feed;
mod figure;
mod fit;
pub mod io;
pub mod lecture;
pub mod machine;
mod portrait;
pub mod predict;
mod recipe;
pub mod report;
mod show;
mod spread;
mod suggest;
pub mod train;

pub use {ocelli_core as core, ocelli_data as data, ocelli_kernels as kernels};

pub use augmentation::{Augmentation, Overrides};
pub use engine::Engine;
pub use error::Error;
pub use recipe::{ClassWeights, Pixels, Recipe};
pub use show::{Mixed, ShownBatch, ShownImage, write_png};

/// Version of the JSON that commands print.
pub const SCHEMA: u32 = 1;

/// The examples of the documents compile, and run where they can.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/models.md")]
    struct Models;
}
