//! What tests of the lecture share.

use ocelli_kernels::random::Key;

/// Whether each of `found` is what is expected, to `tolerance`.
#[track_caller]
pub(crate) fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

/// Normal random numbers from this seed.
pub(crate) fn normal(seed: u64, count: usize) -> Vec<f64> {
    let mut stream = Key::new(seed, &[]).stream();
    (0..count).map(|_| stream.normal()).collect()
}
