//! CPU kernels: slices in, slices out.
//!
//! No tensor, no graph: a kernel takes slices, a geometry and flags. Activations are N·H·W·C, convolution
//! weights O·kh·kw·(I/groups). One table of kernels per instruction set and number type ([`Kernels`]),
//! chosen once at start ([`Isa::detect`]); the scalar table is both the fallback and the specification.

mod element;
mod isa;
pub mod random;
mod table;

pub use element::Element;
pub use isa::Isa;
pub use table::Kernels;
