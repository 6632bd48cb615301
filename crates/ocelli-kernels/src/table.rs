//! The table of kernels of one instruction set.

use crate::{Element, Isa};

/// The kernels of one number type for one instruction set.
#[derive(Debug)]
pub struct Kernels<T: Element> {
    /// The instruction set that they need.
    pub isa: Isa,
    /// Marker until the families stand here.
    pub marker: std::marker::PhantomData<T>,
}

pub(crate) fn f32_kernels(_isa: Isa) -> &'static Kernels<f32> {
    &Kernels { isa: Isa::Portable, marker: std::marker::PhantomData }
}

pub(crate) fn f64_kernels(_isa: Isa) -> &'static Kernels<f64> {
    &Kernels { isa: Isa::Portable, marker: std::marker::PhantomData }
}
