//! Representations made by hand: filter banks, pyramids and wavelets, as vision used them before features were learned.
//!
//! All of them are linear and work on a [`Plane`], one channel of an image in `f64`. A [`FilterBank`] is also a convolution
//! layer whose weights were written down instead of learned. Pyramids and wavelets can be turned back into the image:
//! [`Laplacian`] and [`Steerable`] without loss, [`Wavelet`] as well as its filters allow.

mod bank;
mod filter;
mod fourier;
mod plane;
mod pyramid;
mod steerable;
mod wavelet;

pub use bank::{Filter, FilterBank};
pub use filter::{Border, convolve};
pub use fourier::{Complex, fourier, inverse_fourier};
pub use plane::Plane;
pub use pyramid::{Laplacian, binomial, burt_adelson, expand, gaussian_pyramid, reduce};
pub use steerable::{Steerable, steering_weights};
pub use wavelet::{Subbands, Wavelet};
