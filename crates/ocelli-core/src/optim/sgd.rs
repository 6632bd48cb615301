//! Stochastic gradient descent with momentum.

use ocelli_kernels::{Element, SgdStep};

use super::Update;

/// Without momentum there is no velocity to keep, and `velocity` is empty.
pub(super) fn update<T: Element>(
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    how: Update<T>,
    params: &mut [T],
    grads: &[T],
    velocity: &mut [T],
) {
    let decay = how.decay(weight_decay);
    let step = SgdStep { rate: how.rate, momentum: T::of(momentum), nesterov, decay };
    (how.kernels.sgd)(&step, params, grads, velocity);
}
