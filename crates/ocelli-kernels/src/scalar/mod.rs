//! The reference of the products: the equations as loops, generic over the number type.

pub(crate) mod convolution;
pub(crate) mod gemm;
