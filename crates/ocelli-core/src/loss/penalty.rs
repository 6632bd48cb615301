//! The right class's penalty, Σ t_i·x_i. ∂C/∂x = t.

use ocelli_kernels::Element;

use super::targets::Target;

pub(super) fn cost<T: Element>(x: &[T], target: Target<'_, T>, gradient: Option<(&mut [T], T)>) -> f64 {
    if let Some((gradient, scale)) = gradient {
        for (i, g) in gradient.iter_mut().enumerate() {
            *g = scale * target.one_hot(i);
        }
    }
    match target {
        Target::Class(class) => x[class].f64(),
        Target::Values(values) => x.iter().zip(values).map(|(&x, &t)| x.f64() * t.f64()).sum(),
    }
}

/// 1 at the right class: see [`super::Loss::curvature`].
pub(super) fn curvature<T: Element>(target: Target<'_, T>, scale: T, h: &mut [T]) {
    for (i, h) in h.iter_mut().enumerate() {
        *h = scale * target.one_hot(i);
    }
}
