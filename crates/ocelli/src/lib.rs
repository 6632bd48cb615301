//! Ocelli trains, measures, explains and ships neural networks that see.
//!
//! The engine stands in [`core`], data in [`data`], what computes in [`kernels`]; this crate puts them together: networks by name
//! ([`arch`]), training ([`train`]), measuring ([`eval`], [`bench`](mod@bench)), prediction ([`predict`]) by one model or several
//! ([`ensemble`]), submissions to a challenge ([`challenge`]), files ([`io`]) and reports ([`report`]); representations made by
//! hand ([`classical`]), and the experiments of the lecture ([`lecture`]).

pub mod arch;
mod augmentation;
pub mod baselines;
pub mod bench;
pub mod challenge;
pub mod classical;
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
