//! Losses that treat each output on its own.

use ocelli_kernels::Element;

/// The sum of the costs that `rule` gives outputs with their targets; `rule(x, t)` returns cost and
/// derivative.
pub(super) fn sum<T: Element>(
    x: &[T],
    target: impl Fn(usize) -> T,
    gradient: Option<(&mut [T], T)>,
    rule: impl Fn(T, T) -> (T, T),
) -> f64 {
    let mut cost = 0.0;
    match gradient {
        Some((gradient, scale)) => {
            for i in 0..x.len() {
                let (term, slope) = rule(x[i], target(i));
                cost += term.f64();
                gradient[i] = scale * slope;
            }
        }
        None => {
            for i in 0..x.len() {
                cost += rule(x[i], target(i)).0.f64();
            }
        }
    }
    cost
}

/// ln(1 + e^x) without overflow.
pub(super) fn softplus<T: Element>(x: T) -> T {
    x.max(T::ZERO) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e^−x) without overflow.
pub(super) fn sigmoid<T: Element>(x: T) -> T {
    let e = (-x.abs()).exp();
    if x < T::ZERO { e / (T::ONE + e) } else { T::ONE / (T::ONE + e) }
}
