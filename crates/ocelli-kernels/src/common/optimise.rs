//! Optimiser steps over flat slices.

use super::multiply_add;
use crate::{AdamStep, Element, SgdStep};

/// See [`SgdStep`]. `velocity` may be empty where the momentum is 0.
#[inline(always)]
pub(crate) fn sgd<T: Element, const FMA: bool>(
    step: &SgdStep<T>,
    params: &mut [T],
    grads: &[T],
    velocity: &mut [T],
) {
    let SgdStep { rate, momentum, nesterov, decay } = *step;
    assert_eq!(params.len(), grads.len(), "sgd: a gradient for each parameter");
    if velocity.is_empty() {
        assert!(momentum == T::ZERO || params.is_empty(), "sgd: momentum needs a velocity");
        for (w, &g) in params.iter_mut().zip(grads) {
            *w = multiply_add::<T, FMA>(-rate, multiply_add::<T, FMA>(decay, *w, g), *w);
        }
        return;
    }
    assert_eq!(params.len(), velocity.len(), "sgd: a velocity for each parameter");
    // With Nesterov the step is g′ + momentum·v, else v.
    let (now, along) = if nesterov { (T::ONE, momentum) } else { (T::ZERO, T::ONE) };
    for ((w, &g), v) in params.iter_mut().zip(grads).zip(velocity) {
        let g = multiply_add::<T, FMA>(decay, *w, g);
        *v = multiply_add::<T, FMA>(momentum, *v, g);
        let direction = multiply_add::<T, FMA>(along, *v, now * g);
        *w = multiply_add::<T, FMA>(-rate, direction, *w);
    }
}

/// See [`AdamStep`].
#[inline(always)]
pub(crate) fn adam<T: Element, const FMA: bool>(
    step: &AdamStep<T>,
    params: &mut [T],
    grads: &[T],
    first: &mut [T],
    second: &mut [T],
) {
    assert_eq!(params.len(), grads.len(), "adam: a gradient for each parameter");
    assert_eq!(params.len(), first.len(), "adam: a first moment for each parameter");
    assert_eq!(params.len(), second.len(), "adam: a second moment for each parameter");
    let AdamStep { rate, beta1, beta2, epsilon, decay, decoupled, correction1, correction2 } = *step;
    let (keep, into_gradient) = if decoupled { (T::ONE - rate * decay, T::ZERO) } else { (T::ONE, decay) };
    let (rest1, rest2) = (T::ONE - beta1, T::ONE - beta2);
    let (rate, root) = (rate / correction1, T::ONE / correction2.sqrt());
    for (((w, &g), m), v) in params.iter_mut().zip(grads).zip(first).zip(second) {
        let g = multiply_add::<T, FMA>(into_gradient, *w, g);
        *m = multiply_add::<T, FMA>(beta1, *m, rest1 * g);
        *v = multiply_add::<T, FMA>(beta2, *v, rest2 * g * g);
        let denominator = multiply_add::<T, FMA>(v.sqrt(), root, epsilon);
        *w = multiply_add::<T, FMA>(-rate, *m / denominator, *w * keep);
    }
}
