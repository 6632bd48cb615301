//! Walks every kernel of every table that this machine can run against naive loops in `f64`.
//!
//! Shapes are random and odd, destinations and scratch start out as NaN, and a failure names its seed.

mod columns;
mod convolution;
mod elementwise;
mod gemm;
mod normalise;
mod optimise;
mod pool;
mod response;
mod rounded;
mod support;
mod winograd;
