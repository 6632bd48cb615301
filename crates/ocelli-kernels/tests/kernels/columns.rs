use ocelli_kernels::Element;

use crate::support::{
    Draw, assert_close, assert_sums, destination, for_seeds, nan, sums, tables, unit, wide,
};

#[test]
fn random_column_kernels_agree_with_naive_loops() {
    for_seeds!(150, random_case);
}

fn random_case<T: Element>(draw: &mut Draw) {
    let channels = [1, 2, 6, 10, 16, 33, 255, 256, 257, 600][draw.size(0, 9)];
    let rows = if draw.flag() { draw.size(0, 5) } else { draw.size(0, 9000 / channels) };
    let (x, dy) = (draw.values::<T>(rows * channels), draw.values::<T>(rows * channels));
    let shift = draw.values::<T>(channels);
    let write = draw.write();
    let before = destination::<T>(draw, channels, write);
    let (mut want_sums, mut want_dots) = (sums(&before, write), sums(&before, write));
    for (i, x) in wide(&x).into_iter().enumerate() {
        want_sums[i % channels].add(x);
        want_dots[i % channels].add(x * dy[i].f64());
    }
    let with_bias: Vec<f64> = (0..x.len()).map(|i| x[i].f64() + shift[i % channels].f64()).collect();
    for kernels in tables::<T>() {
        let context = || format!("{rows}×{channels}, {write:?}, {:?}, seed {}", kernels.isa, draw.seed);
        let mut y = nan::<T>(x.len());
        (kernels.add_bias)(&shift, &x, &mut y);
        assert_close(&y, &with_bias, 1.0, 0.0, &context);
        y.copy_from_slice(&x);
        (kernels.add_bias_in_place)(&shift, &mut y);
        assert_close(&y, &with_bias, 1.0, 0.0, &context);
        let mut got = before.clone();
        (kernels.column_sums)(&x, &mut got, write);
        assert_sums(&got, &want_sums, &context);
        got.copy_from_slice(&before);
        (kernels.column_dots)(&dy, &x, &mut got, write);
        assert_sums(&got, &want_dots, &context);
    }
}

#[test]
fn moments_are_right_even_where_the_mean_dwarfs_the_deviations() {
    for_seeds!(60, random_moments);
}

fn random_moments<T: Element>(draw: &mut Draw) {
    let channels = [1, 3, 16, 300][draw.size(0, 3)];
    let rows = draw.size(1, 400);
    let offset = if draw.flag() { 1000.0 } else { 0.0 };
    let x: Vec<T> = wide(&draw.values::<T>(rows * channels)).iter().map(|x| T::of(x + offset)).collect();
    let column = |c: usize| x.iter().skip(c).step_by(channels).map(|x| x.f64());
    let mean: Vec<f64> = (0..channels).map(|c| column(c).sum::<f64>() / rows as f64).collect();
    let m2: Vec<f64> = (0..channels).map(|c| column(c).map(|x| (x - mean[c]).powi(2)).sum()).collect();
    for kernels in tables::<T>() {
        let context = || format!("{rows}×{channels} + {offset}, {:?}, seed {}", kernels.isa, draw.seed);
        let (mut got_mean, mut got_m2) = (nan::<T>(channels), nan::<T>(channels));
        (kernels.column_moments)(&x, &mut got_mean, &mut got_m2);
        assert_close(&got_mean, &mean, 20.0, 1.0 + offset, &context);
        // The mean's own rounding adds rows·(error of the mean)².
        let floor = 1.0 + rows as f64 * 400.0 * unit::<T>() * offset * offset;
        assert_close(&got_m2, &m2, 60.0, floor.max(rows as f64), &context);
    }
}

#[test]
fn moments_of_no_rows_are_zero() {
    for kernels in tables::<f32>() {
        let (mut mean, mut m2) = (vec![f32::NAN; 3], vec![f32::NAN; 3]);
        (kernels.column_moments)(&[], &mut mean, &mut m2);
        assert_eq!((mean, m2), (vec![0.0; 3], vec![0.0; 3]));
    }
}
