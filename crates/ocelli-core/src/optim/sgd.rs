//! Stochastic gradient descent with momentum.

use ocelli_kernels::Element;

pub(super) struct SgdStep<T> {
    pub(super) rate: T,
    pub(super) momentum: T,
    pub(super) nesterov: bool,
    pub(super) decay: T,
}

impl<T: Element> SgdStep<T> {
    /// g ← g + λw, v ← μv + g, w ← w − η·(v, or g + μv). Without momentum there is no velocity to keep.
    pub(super) fn apply(&self, params: &mut [T], grads: &[T], velocity: &mut [T]) {
        if velocity.is_empty() {
            for (w, &g) in params.iter_mut().zip(grads) {
                *w -= self.rate * (g + self.decay * *w);
            }
            return;
        }
        for ((w, &g), v) in params.iter_mut().zip(grads).zip(velocity) {
            let g = g + self.decay * *w;
            *v = self.momentum * *v + g;
            *w -= self.rate * if self.nesterov { g + self.momentum * *v } else { *v };
        }
    }
}
