//! −Σ q ln p, p = softmax(x). ∂C/∂x = p·Σq − q; the diagonal of ∂²C/∂x² is p(1 − p).

use ocelli_kernels::Element;

use super::partition::Partition;
use super::targets::Target;

pub(super) fn cost<T: Element>(
    smoothing: f64,
    x: &[T],
    target: Target<'_, T>,
    gradient: Option<(&mut [T], T)>,
) -> f64 {
    let z = Partition::of(x.len(), |i| x[i]);
    let wanted = |i| (1.0 - smoothing) * target.one_hot(i).f64() + smoothing / x.len() as f64;
    let (mut cost, mut total) = (0.0, 0.0);
    for i in 0..x.len() {
        let q = wanted(i);
        total += q;
        // A class that is not wanted at all costs nothing, even where its logit is −∞; NaN has to come
        // through.
        if q != 0.0 || !x[i].is_finite() && x[i] != T::NEG_INFINITY {
            cost += q * z.surprise(x[i]);
        }
    }
    if let Some((gradient, scale)) = gradient {
        for i in 0..x.len() {
            gradient[i] = scale * (z.share(x[i]) * T::of(total) - T::of(wanted(i)));
        }
    }
    cost
}

pub(super) fn curvature<T: Element>(x: &[T], scale: T, h: &mut [T]) {
    let z = Partition::of(x.len(), |i| x[i]);
    for (h, &x) in h.iter_mut().zip(x) {
        let p = z.share(x);
        *h = scale * (p * (T::ONE - p));
    }
}
