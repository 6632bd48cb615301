//! Local response normalisation: values, gradients and refusals.

use ocelli_core::ops::LocalResponseNorm;

use crate::single::{Single, assert_close, random, refusal};

#[test]
fn divides_by_the_mean_square_of_the_neighbouring_channels() {
    let op = LocalResponseNorm::new(3).alpha(3.0).beta(0.5).k(1.0);
    let layer = Single::new([4, 1, 1], op);
    let y = layer.forward(&[1.0, 2.0, 3.0, 4.0]);
    // d = 1 + x² of the channel and its neighbours: 6, 15, 30, 26.
    let expected = [1.0 / 6f64.sqrt(), 2.0 / 15f64.sqrt(), 3.0 / 30f64.sqrt(), 4.0 / 26f64.sqrt()];
    assert_close(&y, &expected);
}

#[test]
fn an_even_window_reaches_further_back_and_a_huge_one_sees_every_channel() {
    let even = Single::new([3, 1, 1], LocalResponseNorm::new(2).alpha(2.0).beta(1.0).k(1.0));
    assert_close(&even.forward(&[1.0, 2.0, 3.0]), &[1.0 / 2.0, 2.0 / 6.0, 3.0 / 14.0]);
    let huge = LocalResponseNorm::new(usize::MAX).alpha(usize::MAX as f64).beta(1.0).k(1.0);
    let huge = Single::new([3, 1, 1], huge);
    assert_close(&huge.forward(&[1.0, 2.0, 3.0]), &[1.0 / 15.0, 2.0 / 15.0, 3.0 / 15.0]);
}

#[test]
fn pixels_and_samples_do_not_see_each_other() {
    let layer = Single::new([5, 2, 3], LocalResponseNorm::default().alpha(2.0));
    let x = random(2 * 30, 10);
    let y = layer.forward(&x);
    let alone = Single::new([5, 1, 1], LocalResponseNorm::default().alpha(2.0));
    for (sample, pixel) in [(0, 0), (0, 5), (1, 2)] {
        let channels = |of: &[f64]| (0..5).map(|c| of[sample * 30 + c * 6 + pixel]).collect::<Vec<_>>();
        assert_close(&channels(&y), &alone.forward(&channels(&x)));
    }
}

#[test]
fn gradients_are_the_slopes_of_the_output() {
    for op in [LocalResponseNorm::default().alpha(1.5), LocalResponseNorm::new(4).alpha(2.0).beta(1.2).k(0.7)]
    {
        let layer = Single::new([6, 1, 2], op);
        let (x, g) = (random(12, 11), random(12, 12));
        let dx = layer.gradients(&x, &g).input;
        for i in 0..12 {
            let at = |change: f64| {
                let mut x = x.clone();
                x[i] += change;
                layer.forward(&x).iter().zip(&g).map(|(y, g)| y * g).sum::<f64>()
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((dx[i] - slope).abs() < 1e-7, "{} is not {slope} at {i}", dx[i]);
        }
    }
}

#[test]
fn refuses_settings_that_divide_by_nothing() {
    assert!(
        refusal([8, 2, 2], LocalResponseNorm::default().k(0.0)).contains("its k is 0; give a number above 0")
    );
    assert!(refusal([8, 2, 2], LocalResponseNorm::new(0)).contains("its size is 0; give at least 1"));
}
