//! Σ ln(1 + e^x) − t·x. ∂C/∂x = σ(x) − t, ∂²C/∂x² = σ(x)(1 − σ(x)).

use ocelli_kernels::Element;

use super::pointwise::{self, sigmoid, softplus};
use super::targets::Target;

pub(super) fn cost<T: Element>(x: &[T], target: Target<'_, T>, gradient: Option<(&mut [T], T)>) -> f64 {
    pointwise::sum(x, |i| target.positive(i, x.len()), gradient, |x, t| (term(x, t), sigmoid(x) - t))
}

pub(super) fn curvature<T: Element>(x: &[T], scale: T, h: &mut [T]) {
    for (h, &x) in h.iter_mut().zip(x) {
        *h = scale * (sigmoid(x) * sigmoid(-x));
    }
}

/// t·ln(1 + e^−x) + (1 − t)·ln(1 + e^x), which does not cancel at large |x| as softplus(x) − t·x does.
fn term<T: Element>(x: T, t: T) -> T {
    let tail = (-x.abs()).exp().ln_1p();
    if x < T::ZERO { tail - t * x } else { tail + (T::ONE - t) * x }
}

/// ln σ(x).
pub(super) fn log_sigmoid<T: Element>(x: T) -> T {
    -softplus(-x)
}
