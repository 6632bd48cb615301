//! Z = Σ e^s over scores, in the form that neither overflows nor loses small terms.

use ocelli_kernels::Element;

/// Z of a sample's scores, relative to the largest of them.
pub(super) struct Partition<T> {
    largest: T,
    /// Z / e^largest − 1: the terms beside the largest one.
    rest: f64,
}

impl<T: Element> Partition<T> {
    /// The partition of `n` > 0 scores. NaN among them makes every share NaN.
    pub(super) fn of(n: usize, score: impl Fn(usize) -> T) -> Self {
        let mut at = 0;
        for i in 1..n {
            if score(i) > score(at) {
                at = i;
            }
        }
        let largest = score(at);
        let rest = (0..n).filter(|&i| i != at).map(|i| (score(i) - largest).exp().f64()).sum();
        Partition { largest, rest }
    }

    /// e^score / Z.
    pub(super) fn share(&self, score: T) -> T {
        (score - self.largest).exp() / T::of(1.0 + self.rest)
    }

    /// −ln(e^score / Z) = ln Z − score.
    pub(super) fn surprise(&self, score: T) -> f64 {
        (self.largest.f64() - score.f64()) + self.rest.ln_1p()
    }
}
