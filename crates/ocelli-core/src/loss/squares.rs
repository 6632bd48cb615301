//! f·‖x − t‖²: Euclidean (f = ½) and squared error (f = 1). ∂C/∂x = 2f·(x − t).

use ocelli_kernels::Element;

use super::pointwise;
use super::targets::Target;

pub(super) fn cost<T: Element>(
    factor: f64,
    x: &[T],
    target: Target<'_, T>,
    gradient: Option<(&mut [T], T)>,
) -> f64 {
    let slope = T::of(2.0 * factor);
    let squares = |x: T, t: T| ((x - t) * (x - t), slope * (x - t));
    factor * pointwise::sum(x, |i| target.positive(i, x.len()), gradient, squares)
}
