//! The reference of the products and of pooling: the equations as loops, generic over the number type.

pub(crate) mod convolution;
pub(crate) mod gemm;
pub(crate) mod pool;
