//! The ops on images: values, shapes, parameter counts, second derivatives and refusals, worked out by hand or naively.

mod convolution;
mod curvature;
mod lenet5;
mod pooling;
mod response;
mod single;
mod subsampling;
