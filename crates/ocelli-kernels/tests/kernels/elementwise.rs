use ocelli_kernels::{Element, Unary, Write};

use crate::support::{Draw, Sum, assert_close, assert_sums, destination, for_seeds, nan, sums, tables, wide};

pub(crate) const ALL: [Unary<f64>; 6] =
    [Unary::Sigmoid, Unary::Tanh, Unary::ScaledTanh, Unary::Relu, Unary::LeakyRelu(0.25), Unary::Relu6];

pub(crate) fn of<T: Element>(unary: Unary<f64>) -> Unary<T> {
    match unary {
        Unary::Sigmoid => Unary::Sigmoid,
        Unary::Tanh => Unary::Tanh,
        Unary::ScaledTanh => Unary::ScaledTanh,
        Unary::Relu => Unary::Relu,
        Unary::LeakyRelu(slope) => Unary::LeakyRelu(T::of(slope)),
        Unary::Relu6 => Unary::Relu6,
    }
}

/// Every 4099th number between −1e3 and 1e3, which is about a million of `f32`.
fn whole_range() -> Vec<f32> {
    let positive = (0..1e3f32.to_bits()).step_by(4099).map(f32::from_bits);
    positive.flat_map(|x| [x, -x]).collect()
}

#[test]
fn activations_stay_within_three_units_in_the_last_place_over_the_whole_range() {
    let x = whole_range();
    for kernels in tables::<f32>() {
        for unary in ALL {
            let mut y = vec![f32::NAN; x.len()];
            (kernels.unary_forward)(of(unary), &x, &mut y);
            let mut over = x.clone();
            (kernels.unary_in_place)(of(unary), &mut over);
            assert_eq!(over, y, "{unary:?} over its argument, {:?}", kernels.isa);
            // ScaledTanh rounds twice more: around its tanh.
            let most = if unary == Unary::ScaledTanh { 4.0 } else { 3.0 };
            for (&x, &y) in x.iter().zip(&y) {
                let want = unary.value(f64::from(x));
                if want.abs() < f64::from(f32::MIN_POSITIVE) {
                    // Denormal: 0 is as good, since nets compute with denormals flushed.
                    assert!(y.abs() <= f32::MIN_POSITIVE, "{unary:?} of {x:e} is {y:e}, not {want:e}");
                    continue;
                }
                let error = (f64::from(y) - want).abs() / ulp(want as f32);
                assert!(
                    error <= most,
                    "{unary:?} of {x:e} is {y:e}, not {want:e}: {error} {:?}",
                    kernels.isa
                );
            }
        }
    }
}

fn ulp(x: f32) -> f64 {
    let x = x.abs();
    f64::from(f32::from_bits(x.to_bits() + 1)) - f64::from(x)
}

#[test]
fn activations_of_infinities_and_nan_are_their_limits_and_nan() {
    check_limits::<f32>();
    check_limits::<f64>();
}

fn check_limits<T: Element>() {
    let infinity = -T::NEG_INFINITY;
    let x = [infinity, T::NEG_INFINITY, T::NAN, T::of(1e30), T::of(-1e30)];
    for kernels in tables::<T>() {
        for unary in ALL {
            let mut y = [T::NAN; 5];
            (kernels.unary_forward)(of(unary), &x, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let want = T::of(unary.value(x.f64()));
                assert!(
                    *y == want || (y.is_nan() && want.is_nan()),
                    "{unary:?} of {x}: {y} {:?}",
                    kernels.isa
                );
            }
        }
    }
}

#[test]
fn gradients_of_activations_agree_with_their_definition() {
    for_seeds!(60, random_gradient);
}

fn random_gradient<T: Element>(draw: &mut Draw) {
    let len = draw.size(0, 200);
    let dy = draw.values::<T>(len);
    let x = draw.values::<T>(len);
    for unary in ALL {
        let y: Vec<T> = x.iter().map(|&x| T::of(unary.value(4.0 * x.f64()))).collect();
        let write = draw.write();
        let before = destination::<T>(draw, len, write);
        let mut want = sums(&before, write);
        for (i, sum) in want.iter_mut().enumerate() {
            sum.add(dy[i].f64() * unary.derivative_from_output(y[i].f64()));
            sum.size += 4.0 * dy[i].f64().abs();
        }
        for kernels in tables::<T>() {
            let mut dx = before.clone();
            (kernels.unary_backward)(of(unary), &y, &dy, &mut dx, write);
            if write == Write::Set {
                let mut over = dy.clone();
                (kernels.unary_backward_in_place)(of(unary), &y, &mut over);
                assert_eq!(over, dx, "{unary:?}, {:?}, seed {}", kernels.isa, draw.seed);
            }
            assert_sums(&dx, &want, &|| format!("{unary:?}, {:?}, seed {}", kernels.isa, draw.seed));
        }
    }
}

#[test]
fn sums_scalings_and_products_agree_with_their_definitions() {
    for_seeds!(60, random_arithmetic);
}

fn random_arithmetic<T: Element>(draw: &mut Draw) {
    let len = draw.size(0, 200);
    let (a, b) = (draw.values::<T>(len), draw.values::<T>(len));
    let alpha = T::of(draw.uniform(-2.0, 2.0));
    let write = draw.write();
    let before = destination::<T>(draw, len, write);
    let pairs = || wide(&a).into_iter().zip(wide(&b));
    for kernels in tables::<T>() {
        let context = || format!("{write:?}, {:?}, seed {}", kernels.isa, draw.seed);
        let mut y = nan(len);
        (kernels.add)(&a, &b, &mut y);
        assert_close(&y, &pairs().map(|(a, b)| a + b).collect::<Vec<_>>(), 1.0, 0.0, &context);
        y.copy_from_slice(&b);
        (kernels.accumulate)(&a, &mut y);
        assert_close(&y, &pairs().map(|(a, b)| a + b).collect::<Vec<_>>(), 1.0, 0.0, &context);

        let with = |term: &dyn Fn(usize) -> f64| {
            let mut want: Vec<Sum> = sums(&before, write);
            want.iter_mut().enumerate().for_each(|(i, sum)| sum.add(term(i)));
            want
        };
        y.copy_from_slice(&before);
        (kernels.scale)(alpha, &a, &mut y, write);
        assert_sums(&y, &with(&|i| alpha.f64() * a[i].f64()), &context);
        y.copy_from_slice(&b);
        (kernels.approach)(alpha, &a, &mut y);
        let mut want: Vec<Sum> = sums(&b, Write::Add);
        let terms = want.iter_mut().zip(pairs());
        terms.for_each(|(sum, (a, b))| [a, -b].into_iter().for_each(|x| sum.add(alpha.f64() * x)));
        assert_sums(&y, &want, &context);
        y.copy_from_slice(&a);
        (kernels.approach)(alpha, &a, &mut y);
        assert_eq!(y, a, "what is there stays, {}", context());
        (kernels.scale_in_place)(alpha, &mut y);
        let scaled: Vec<T> = a.iter().map(|&a| alpha * a).collect();
        assert_eq!(y, scaled, "{}", context());
        y.copy_from_slice(&before);
        (kernels.multiply)(&a, &b, &mut y, write);
        assert_sums(&y, &with(&|i| a[i].f64() * b[i].f64()), &context);
    }
}
