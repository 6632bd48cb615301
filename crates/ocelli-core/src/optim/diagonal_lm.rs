//! Stochastic diagonal Levenberg–Marquardt: LeCun et al. 1998, appendix C.
//!
//! Each parameter has its own rate η/(μ + h). h is the Gauss–Newton diagonal of the Hessian, the mean over a
//! few hundred samples of Σ over the parameter's uses of ∂²C/∂a²·(input)², which leaves out what could be
//! negative. It is carried backward like a gradient, starting from [`crate::loss::Loss::curvature`], with
//! squared weights and squared slopes. Being a property of the error surface it changes slowly, so once per
//! pass is enough and costs little.

use ocelli_kernels::Element;

pub(super) fn update<T: Element>(mu: f64, rate: T, params: &mut [T], grads: &[T], curvature: &[T]) {
    let mu = T::of(mu);
    for ((w, &g), &h) in params.iter_mut().zip(grads).zip(curvature) {
        *w -= rate / (mu + h) * g;
    }
}

/// Takes the curvature of the `count`th sample (the first is 1) into the mean over all so far.
///
/// The paper also gives a running form, h ← (1 − γ)h + γ·sample; its experiments estimate h anew on 500
/// samples before each pass, and so does this: γ = 1/count is the plain mean, and the first sample forgets
/// the pass before.
///
/// # Panics
/// If lengths differ or `count` is 0.
pub fn average_curvature<T: Element>(mean: &mut [T], sample: &[T], count: u64) {
    assert_eq!(mean.len(), sample.len(), "curvature has the parameters' layout");
    assert!(count > 0, "samples count from 1");
    if count == 1 {
        mean.copy_from_slice(sample);
        return;
    }
    let weight = T::of(1.0 / count as f64);
    for (mean, &h) in mean.iter_mut().zip(sample) {
        *mean += weight * (h - *mean);
    }
}
