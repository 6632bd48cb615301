//! The engine of Ocelli. A [`Graph`] says what is computed; a [`Plan`] says in which order, where in memory and in how
//! many parts; an [`Executor`] does it, allocating nothing. Each op is the lecture's three equations in one
//! file of [`ops`].
//!
//! No files, no clock, no environment, no printing: those belong to the crates above.

pub mod arena;
mod error;
mod executor;
pub mod gradient_check;
mod graph;
pub mod init;
pub mod loss;
pub mod ops;
pub mod optim;
mod optimizer_state;
mod params;
pub mod plan;
pub mod role;
pub mod schedule;
pub mod setting;
mod shape;
mod tensor;

pub use error::Error;
pub use executor::{Batch, Clock, Criterion, Executor, Profile, Share, StepTime, Update};
pub use gradient_check::{GradientCheck, GradientReport};
pub use graph::{Graph, Layer, Node, Value};
pub use init::Init;
pub use loss::{Loss, Reduction, Targets};
pub use ops::{Op, RandomState};
pub use optim::Optimizer;
pub use optimizer_state::OptimizerState;
pub use params::{ParamEntry, ParamLayout, ParamSpec, Params};
pub use plan::{Mode, Plan, PlanOptions};
pub use role::Role;
pub use schedule::Schedule;
pub use shape::Shape;
pub use tensor::{Tensor, to_channels_first, to_channels_last};
