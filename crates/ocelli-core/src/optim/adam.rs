//! Adam, with weight decay as part of the gradient or decoupled from it.

use ocelli_kernels::{AdamStep, Element};

use super::Update;

pub(super) struct Adam {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
    pub(super) decoupled: bool,
}

impl Adam {
    pub(super) fn update<T: Element>(
        &self,
        how: Update<T>,
        params: &mut [T],
        grads: &[T],
        first: &mut [T],
        second: &mut [T],
    ) {
        let step = AdamStep {
            rate: how.rate,
            beta1: T::of(self.beta1),
            beta2: T::of(self.beta2),
            epsilon: T::of(self.epsilon),
            decay: how.decay(self.weight_decay),
            decoupled: self.decoupled,
            correction1: correction(self.beta1, how.step),
            correction2: correction(self.beta2, how.step),
        };
        (how.kernels.adam)(&step, params, grads, first, second);
    }
}

/// 1 − βᵗ of the β that T can hold: in f32, 1 − 0.999 is off by 1e-5 of itself, which cancels against the
/// same error in the moment only if both start from the same β.
fn correction<T: Element>(beta: f64, step: u64) -> T {
    assert!(step > 0, "steps count from 1: the bias correction of step 0 divides by 0");
    // From exponents beyond i32 on, βᵗ is 0 for every β that differs from 1 in f32.
    let step = i32::try_from(step).unwrap_or(i32::MAX);
    T::of(1.0 - T::of(beta).f64().powi(step))
}
