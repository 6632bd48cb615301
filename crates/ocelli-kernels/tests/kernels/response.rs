use ocelli_kernels::{Element, Write};

use crate::support::{Draw, assert_close, destination, for_seeds, nan, tables};

#[test]
fn response_normalisation_agrees_with_its_definition_and_its_gradient_with_differences() {
    for_seeds!(60, random_case);
}

/// One row in f64.
fn forward(size: usize, alpha: f64, beta: f64, k: f64, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let denominator = |c: usize| {
        let window = c.saturating_sub(size / 2)..(c + (size - 1) / 2 + 1).min(x.len());
        k + alpha * x[window].iter().map(|x| x * x).sum::<f64>()
    };
    let d: Vec<f64> = (0..x.len()).map(denominator).collect();
    (x.iter().zip(&d).map(|(x, d)| x * d.powf(-beta)).collect(), d)
}

fn random_case<T: Element>(draw: &mut Draw) {
    let (size, channels, rows) = (draw.size(1, 6), draw.size(1, 40), draw.size(0, 3));
    let (alpha, beta, k) = (draw.uniform(0.01, 0.3), [0.5, 0.75, 0.6][draw.size(0, 2)], 2.0);
    // The kernel sees rounded constants; so must the definition.
    let [alpha, beta] = [alpha, beta].map(|value| T::of(value).f64());
    let x = draw.values::<T>(rows * channels);
    let dy = draw.values::<T>(rows * channels);
    let write = draw.write();
    let before = destination::<T>(draw, x.len(), write);
    let (mut want_y, mut want_d, mut want_dx) = (Vec::new(), Vec::new(), Vec::new());
    for start in (0..x.len()).step_by(channels) {
        let row: Vec<f64> = x[start..start + channels].iter().map(|x| x.f64()).collect();
        let (y, d) = forward(size, alpha, beta, k, &row);
        want_y.extend(y);
        want_d.extend(d);
        for c in 0..channels {
            let cost = |h: f64| {
                let mut moved = row.clone();
                moved[c] += h;
                let (y, _) = forward(size, alpha, beta, k, &moved);
                y.iter().zip(&dy[start..]).map(|(y, dy)| y * dy.f64()).sum::<f64>()
            };
            let slope = (cost(1e-5) - cost(-1e-5)) / 2e-5;
            want_dx.push(slope + if write == Write::Add { before[start + c].f64() } else { 0.0 });
        }
    }
    for kernels in tables::<T>() {
        let context =
            || format!("{size} of {channels}, β {beta}, {write:?}, {:?}, seed {}", kernels.isa, draw.seed);
        let (t, [mut y, mut d]) = (|v| T::of(v), [nan::<T>(x.len()), nan(x.len())]);
        (kernels.local_response_forward)(size, t(alpha), t(beta), t(k), channels, &x, &mut y, &mut d);
        assert_close(&d, &want_d, 12.0, 0.0, &context);
        assert_close(&y, &want_y, 20.0, 0.0, &context);
        let mut dx = before.clone();
        let backward = kernels.local_response_backward;
        backward(size, t(alpha), t(beta), channels, &x, &y, &d, &dy, &mut dx, write, &mut nan(channels));
        // The differences themselves are good to about 1e-9.
        let units = if T::BYTES == 4 { 60.0 } else { 1e8 };
        assert_close(&dx, &want_dx, units, 1.0, &context);
    }
}
