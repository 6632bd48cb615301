//! Second derivatives of single layers against the Gauss–Newton diagonal, worked out naively, and derivatives that add up.

use ocelli_core::ops::{
    AdaptiveAvgPool2d, AvgPool2d, Conv2d, GlobalAvgPool, Linear, MaxPool2d, ScaledTanh, Subsample,
};
use ocelli_core::{Loss, Op, Shape};

use crate::single::{Derivatives, Single, assert_close, random};

#[test]
fn a_linear_layer_with_squared_error_has_twice_the_squared_input() {
    let layer = Single::new([3], Linear::new(2));
    let input = [0.5, -3.0, 2.0];
    let h = layer.curvature(&input, Loss::SquaredError, &[7.0, -7.0]);
    assert_close(&h.params[0], &[0.5, 18.0, 8.0, 0.5, 18.0, 8.0]);
    assert_close(&h.params[1], &[2.0, 2.0]);
}

#[test]
fn every_layer_of_lenet_and_its_kin_has_the_gauss_newton_diagonal() {
    for (seed, (shape, op)) in ops().into_iter().enumerate() {
        check(Shape::try_new(shape).unwrap(), op, seed as u64);
    }
}

#[test]
fn an_input_that_two_layers_read_gets_the_derivatives_of_both() {
    for (shape, op) in ops() {
        let shape = Shape::try_new(shape).unwrap();
        let (once, twice) = (Single::new(shape, op.clone()), Single::twice(shape, op));
        let x = random(shape.len(), 1);
        let g = random(once.forward(&x).len(), 2);
        let both = |alone: Derivatives, both: Derivatives| {
            let found = both.params.into_iter().chain([both.input]);
            for (found, alone) in found.zip(alone.params.into_iter().chain([alone.input])) {
                assert_close(&found, &alone.iter().map(|d| 2.0 * d).collect::<Vec<_>>());
            }
        };
        both(once.gradients(&x, &g), twice.gradients(&x, &g));
        both(once.curvature(&x, Loss::Euclidean, &g), twice.curvature(&x, Loss::Euclidean, &g));
    }
}

/// Layers with second derivatives, and the shapes of their inputs.
fn ops() -> [(&'static [usize], Op); 14] {
    [
        (&[5], Linear::new(3).into()),
        (&[2, 5, 4], Conv2d::new(3, 3).into()),
        (&[2, 5, 4], Conv2d::new(3, [3, 2]).stride([2, 1]).padding(1).without_bias().into()),
        (&[4, 5, 5], Conv2d::new(4, 2).groups(2).dilation(2).into()),
        (&[3, 4, 4], Conv2d::new(4, 2).connections([vec![0, 1], vec![2], vec![2, 0], vec![0, 1, 2]]).into()),
        (&[2, 4, 5], MaxPool2d::new(2).into()),
        (&[2, 4, 5], MaxPool2d::new(3).stride(2).padding(1).ceil_mode().into()),
        (&[2, 4, 5], AvgPool2d::new(2).into()),
        (&[2, 4, 5], AvgPool2d::new(3).stride(2).padding(1).ceil_mode().into()),
        (&[2, 4, 5], AvgPool2d::new(3).stride(1).padding(1).without_padding_counted().into()),
        (&[2, 4, 5], GlobalAvgPool {}.into()),
        (&[2, 4, 5], AdaptiveAvgPool2d::new([3, 2]).into()),
        (&[2, 4, 5], Subsample::new(2).into()),
        (&[2, 4, 5], ScaledTanh {}.into()),
    ]
}

/// Compares with h_k = Σ_i (∂y_i/∂θ_k)²·e^(−y_i), for the loss Σ e^(−y_i): every output has a curvature of its own.
fn check(shape: Shape, op: Op, seed: u64) {
    let name = op.name();
    let mut layer = Single::new(shape, op);
    let x: Vec<f64> = random(3 * shape.len(), seed).iter().map(|x| 0.5 * x).collect();
    let y = layer.forward(&x);
    let found = layer.curvature(&x, Loss::Exponential, &vec![1.0; y.len()]);
    let sum = |plus: &[f64], minus: &[f64]| -> f64 {
        let slopes = plus.iter().zip(minus).map(|(plus, minus)| (plus - minus) / (2.0 * STEP));
        slopes.zip(&y).map(|(slope, y)| slope * slope * (-y).exp()).sum()
    };
    for k in 0..x.len() {
        let at = |step: f64| layer.forward(&moved(&x, k, step));
        agree(found.input[k], sum(&at(STEP), &at(-STEP)), &format!("input {k} of {name} ({seed})"));
    }
    let entries = layer.graph.layout().entries().to_vec();
    for (entry, found) in entries.iter().zip(&found.params) {
        let values = layer.params.get(entry).into_data();
        for k in 0..values.len() {
            let mut at = |step: f64| {
                layer.params.set(entry, &moved(&values, k, step));
                layer.forward(&x)
            };
            let expected = sum(&at(STEP), &at(-STEP));
            agree(found[k], expected, &format!("{} {k} of {name} ({seed})", entry.name));
        }
        layer.params.set(entry, &values);
    }
}

const STEP: f64 = 1e-5;

fn moved(values: &[f64], k: usize, step: f64) -> Vec<f64> {
    let mut values = values.to_vec();
    values[k] += step;
    values
}

fn agree(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-7 * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}
