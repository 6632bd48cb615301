//! x_c + ln(e^−j + Σ e^−x_i) on penalties x. ∂C/∂x_i = t_i − e^−x_i / (e^−j + Σ e^−x_k).
//!
//! LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998),
//! equation 9: besides lowering the right class's penalty it raises those of the others, as long as they are
//! not far above j, so the units cannot all collapse onto one point.

use ocelli_kernels::Element;

use super::partition::Partition;
use super::targets::Target;

pub(super) fn cost<T: Element>(
    rubbish: f64,
    x: &[T],
    target: Target<'_, T>,
    gradient: Option<(&mut [T], T)>,
) -> f64 {
    let z = partition(rubbish, x);
    let (mut cost, mut total) = (0.0, T::ZERO);
    for i in 0..x.len() {
        let t = target.one_hot(i);
        if t != T::ZERO {
            cost += t.f64() * z.surprise(-x[i]);
            total += t;
        }
    }
    if let Some((gradient, scale)) = gradient {
        for i in 0..x.len() {
            gradient[i] = scale * (target.one_hot(i) - z.share(-x[i]) * total);
        }
    }
    cost
}

/// e^−j + Σ e^−x_i: the rubbish class takes its share beside the others.
pub(super) fn partition<T: Element>(rubbish: f64, x: &[T]) -> Partition<T> {
    Partition::of(x.len() + 1, |i| if i < x.len() { -x[i] } else { T::of(-rubbish) })
}
