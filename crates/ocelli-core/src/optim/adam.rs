//! Adam, with weight decay as part of the gradient or decoupled from it.

use ocelli_kernels::Element;

use super::Update;

pub(super) struct AdamStep<T> {
    rate: T,
    beta1: T,
    beta2: T,
    epsilon: T,
    decay: T,
    decoupled: bool,
    /// 1 − β₁ᵗ.
    correction1: T,
    /// 1 − β₂ᵗ.
    correction2: T,
}

impl<T: Element> AdamStep<T> {
    pub(super) fn new(how: Update<T>, betas: [f64; 2], epsilon: f64, decay: T, decoupled: bool) -> Self {
        assert!(how.step > 0, "steps count from 1: the bias correction of step 0 divides by 0");
        // Powers beyond i32 have long become 0 in 1 − βᵗ.
        let t = i32::try_from(how.step).unwrap_or(i32::MAX);
        AdamStep {
            rate: how.rate,
            beta1: T::of(betas[0]),
            beta2: T::of(betas[1]),
            epsilon: T::of(epsilon),
            decay,
            decoupled,
            correction1: T::of(1.0 - betas[0].powi(t)),
            correction2: T::of(1.0 - betas[1].powi(t)),
        }
    }

    pub(super) fn apply(&self, params: &mut [T], grads: &[T], first: &mut [T], second: &mut [T]) {
        let (in_gradient, in_weight) =
            if self.decoupled { (T::ZERO, self.decay) } else { (self.decay, T::ZERO) };
        let keep = T::ONE - self.rate * in_weight;
        let rate = self.rate / self.correction1;
        let root = self.correction2.sqrt();
        let (new1, new2) = (T::ONE - self.beta1, T::ONE - self.beta2);
        for (((w, &g), m), v) in params.iter_mut().zip(grads).zip(first).zip(second) {
            let g = g + in_gradient * *w;
            *m = self.beta1 * *m + new1 * g;
            *v = self.beta2 * *v + new2 * (g * g);
            *w = keep * *w - rate * *m / (v.sqrt() / root + self.epsilon);
        }
    }
}
