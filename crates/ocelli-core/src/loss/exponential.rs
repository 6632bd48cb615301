//! Σ e^(−y·x). ∂C/∂x = −y·e^(−y·x), ∂²C/∂x² = y²·e^(−y·x).

use ocelli_kernels::Element;

use super::pointwise;
use super::targets::Target;

/// From this exponent on the tangent takes over: e^60 leaves room in f32 for sums over classes and batches.
const LIMIT: f64 = 60.0;

pub(super) fn cost<T: Element>(x: &[T], target: Target<'_, T>, gradient: Option<(&mut [T], T)>) -> f64 {
    let limit = T::of(LIMIT);
    pointwise::sum(
        x,
        |i| target.sign(i, x.len()),
        gradient,
        |x, y| {
            let exponent = -(y * x);
            let power = capped_exp(exponent);
            let beyond = if exponent > limit { exponent - limit } else { T::ZERO };
            (power * (T::ONE + beyond), -(y * power))
        },
    )
}

pub(super) fn curvature<T: Element>(x: &[T], target: Target<'_, T>, scale: T, h: &mut [T]) {
    for (i, h) in h.iter_mut().enumerate() {
        let y = target.sign(i, x.len());
        *h = scale * (y * y * capped_exp(-(y * x[i])));
    }
}

/// e^exponent, at most e^[`LIMIT`]. NaN stays NaN.
fn capped_exp<T: Element>(exponent: T) -> T {
    if exponent > T::of(LIMIT) { T::of(LIMIT).exp() } else { exponent.exp() }
}
