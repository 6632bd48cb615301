//! Trainable subsampling: values and gradients.

use ocelli_core::ops::Subsample;

use crate::single::{Single, assert_close, counting, random};

#[test]
fn scales_and_shifts_the_sum_of_each_window() {
    let layer = Single::new([2, 2, 5], Subsample::new(2)).set(0, &[0.5, -1.0]).set(1, &[1.0, 2.0]);
    let y = layer.forward(&counting(20));
    // Sums 1+2+6+7 = 16 and 24, then 56 and 64; the fifth column is not covered.
    assert_close(&y, &[9.0, 13.0, -54.0, -62.0]);

    let derivatives = layer.gradients(&counting(20), &[1.0, 2.0, 3.0, 4.0]);
    let first = [0.5, 0.5, 1.0, 1.0, 0.0];
    let second = [-3.0, -3.0, -4.0, -4.0, 0.0];
    assert_close(&derivatives.input, &[first, first, second, second].concat());
    assert_close(&derivatives.params[0], &[16.0 + 2.0 * 24.0, 3.0 * 56.0 + 4.0 * 64.0]);
    assert_close(&derivatives.params[1], &[3.0, 7.0]);
}

#[test]
fn several_samples_add_up_their_gradients() {
    let layer = Single::new([3, 4, 4], Subsample::new([2, 4]));
    let (x, g) = (random(3 * 48, 8), random(3 * 6, 9));
    let all = layer.gradients(&x, &g);
    let mut sums = vec![vec![0.0; 3]; 2];
    for (x, g) in x.chunks(48).zip(g.chunks(6)) {
        let one = layer.gradients(x, g);
        sums.iter_mut().zip(&one.params).for_each(|(s, p)| s.iter_mut().zip(p).for_each(|(s, p)| *s += p));
    }
    assert_close(&all.params[0], &sums[0]);
    assert_close(&all.params[1], &sums[1]);
}
