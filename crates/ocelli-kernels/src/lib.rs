//! CPU kernels: slices in, slices out.
//!
//! No tensor, no graph: a kernel takes slices, a geometry and flags. Activations are N·H·W·C, convolution
//! weights O·kh·kw·(I/groups). One table of kernels per instruction set and number type ([`Kernels`]), and another where
//! products of numbers rounded to bf16 are faster ([`Precision`]), chosen once at start ([`Isa::detect`]); the scalar table is
//! both the fallback and the specification.
//!
//! What holds for every kernel:
//! - With [`Write::Set`] every element of the destination is overwritten and none is read.
//! - Nothing is allocated; scratch comes from the caller, and what it holds does not matter.
//! - The result depends on the arguments and the table alone: sums run in an order fixed by the sizes.
//! - Slices of the wrong length are a bug of the caller, reported by a panic that names it.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
mod axis;
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
mod blocking;
mod ceiling;
mod common;
mod element;
mod finish;
mod geometry;
mod isa;
mod precision;
pub mod random;
mod scalar;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod simd;
mod table;
mod team;
mod unary;
mod update;
mod vectorised;

pub use ceiling::Ceiling;
pub use element::Element;
pub use finish::Finish;
pub use geometry::{Conv2d, Direction, Gemm, Pool2d, Write};
pub use isa::Isa;
pub use precision::Precision;
pub use table::Kernels;
pub use team::{Team, Worker};
pub use unary::Unary;
pub use update::{AdamStep, SgdStep};
pub use vectorised::{Vectorised, vectorised};
