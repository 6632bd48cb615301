//! Seeing inside a network: what it computes for one input, and the arithmetic of one step of back-propagation.
//!
//! [`trace()`] takes a step of gradient descent on one sample in f64 and keeps every number of it, [`draw()`] draws that, and
//! [`jacobian()`] gives the matrices whose product the backward pass is.

mod draw;
mod jacobian;
mod matrix;
mod model;
mod trace;
mod units;

pub use draw::draw;
pub use jacobian::{jacobian, layer_jacobians};
pub use matrix::Matrix;
pub use model::{first_guess, trace_model};
pub use trace::{LayerTrace, ParamTrace, Trace, trace};
