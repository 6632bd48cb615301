//! Training a detector: items 54 to 59 of the lecture's list.

use ocelli::Engine;
use ocelli::baselines::{
    Area, Booster, Descent, Labelled, Member, Net, errors, window_count, window_label, windows,
};
use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{Criterion, Graph, Loss, Optimizer, Reduction, Targets};
use ocelli_kernels::Isa;

use crate::support::{close, normal};

#[test]
fn item_54_windows_are_as_many_as_the_formula_says_and_cover_every_pixel() {
    for (picture, window, stride) in [
        ([20, 31], [8, 8], 4),
        ([20, 31], [8, 8], 5),
        ([9, 9], [9, 9], 1),
        ([8, 40], [5, 12], 3),
        ([7, 7], [8, 2], 1),
    ] {
        let all = windows(picture, window, stride);
        assert_eq!(all.len(), window_count(picture, window, stride), "{picture:?} {window:?} {stride}");
        let mut covered = vec![0; picture[0] * picture[1]];
        for [row, column] in &all {
            for y in *row..row + window[0] {
                for x in *column..column + window[1] {
                    covered[y * picture[1] + x] += 1;
                }
            }
        }
        assert!(all.is_empty() || covered.iter().all(|&count| count > 0), "{picture:?} {window:?} {stride}");
        let mut unique = all.clone();
        unique.dedup();
        assert_eq!(unique, all);
    }
    // (20 − 8)/4 + 1 = 4 down; (31 − 8)/4 is 5¾, so ⌈5¾⌉ + 1 = 7 across.
    assert_eq!(window_count([20, 31], [8, 8], 4), 28);
    assert_eq!(windows([20, 31], [8, 8], 4)[6], [0, 23]);
    assert_eq!(windows([7, 7], [8, 2], 1).len(), 0);
}

#[test]
fn item_55_labels_are_plus_and_minus_one_and_the_threshold_of_an_answer_is_0() {
    let object = [Area { corner: [10, 10], size: [8, 8] }];
    let label = |row, column| window_label(&Area { corner: [row, column], size: [8, 8] }, &object, 0.5);
    assert_eq!(label(10, 10), 1.0);
    // 8·6 pixels of 64 + 64 − 48 are 0.6; 8·5 of 88 are 0.45.
    assert_eq!([label(10, 12), label(10, 13), label(40, 40)], [1.0, -1.0, -1.0]);
    /// Answers with what it is given.
    struct Same;
    impl Member for Same {
        fn scores(&mut self, samples: &[f64]) -> Vec<f64> {
            samples.to_vec()
        }
    }
    let set = |samples: [f64; 4]| Labelled {
        samples: samples.to_vec(),
        width: 1,
        labels: vec![1.0, 1.0, -1.0, -1.0],
    };
    let found = errors(&mut Same, &set([0.1, -0.1, -3.0, 5.0]), &set([1e-9, 2.0, -1e-9, 0.0]));
    assert_eq!((found.train, found.held_out), (0.5, 0.0));
}

/// Points inside a ring or not, which no linear function tells apart.
fn ring(seed: u64) -> Labelled {
    let samples = normal(seed, 2 * 400);
    let inside = |x: &[f64]| if x[0] * x[0] + x[1] * x[1] < 1.4 { 1.0 } else { -1.0 };
    let labels = samples.chunks(2).map(inside).collect();
    Labelled { samples, width: 2, labels }
}

#[test]
fn items_56_and_57_a_linear_a_boosted_and_a_network_member_have_one_face_and_both_errors() {
    let (train, held_out) = (ring(1), ring(2));
    let engine = Engine::new(1, Isa::Portable).unwrap();
    let how = Descent {
        criterion: Criterion { loss: Loss::SquaredError, reduction: Reduction::Mean },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 },
        rate: 0.02,
        epochs: 40,
        batch: 20,
        seed: 3,
    };
    let network = |hidden: usize| {
        let mut graph = Graph::new();
        let mut x = graph.input("window", [2]).unwrap();
        if hidden > 0 {
            x = graph.add("hidden", Linear::new(hidden), [x]).unwrap();
            x = graph.add("tanh", Tanh {}, [x]).unwrap();
        }
        graph.add("F", Linear::new(1), [x]).unwrap();
        Net::fit(&engine, graph, &train, &how).unwrap()
    };
    let mut booster = Booster::new(&train.samples, 2, &train.labels);
    (0..80).for_each(|_| _ = booster.round());
    let mut family: [(&str, Box<dyn Member>); 3] = [
        ("linear", Box::new(network(0))),
        ("boosted", Box::new(booster.found().clone())),
        ("net", Box::new(network(12))),
    ];
    let found = family.each_mut().map(|(name, member)| (*name, errors(&mut **member, &train, &held_out)));
    let [linear, boosted, net] = found.map(|(_, errors)| errors);
    assert!(linear.train > 0.3 && linear.held_out > 0.3, "{found:?}");
    assert!(boosted.held_out < 0.1 && net.held_out < 0.1, "{found:?}");
    assert!(boosted.train <= boosted.held_out && boosted.train < 0.02, "{found:?}");
}

/// E of scores with labels, and its gradient.
fn cost(loss: &Loss, scores: &[f64], labels: &[f64]) -> (f64, Vec<f64>) {
    let (mut costs, mut gradient) = (vec![0.0; scores.len()], vec![0.0; scores.len()]);
    loss.evaluate(scores, 1, Targets::Values(labels), &mut costs, Some((&mut gradient, 1.0)));
    (Reduction::Sum.reduce(&costs), gradient)
}

#[test]
fn item_58_the_squared_error_is_the_sum_of_squared_differences_without_a_half() {
    let (e, gradient) = cost(&Loss::SquaredError, &[0.5, -2.0, 1.0], &[1.0, -1.0, -1.0]);
    close(&[e], &[0.25 + 1.0 + 4.0], 1e-15);
    close(&gradient, &[2.0 * (0.5 - 1.0), 2.0 * (-2.0 + 1.0), 2.0 * (1.0 + 1.0)], 1e-15);
}

#[test]
fn item_59_the_exponential_loss_is_what_boosting_lowers() {
    let (e, gradient) = cost(&Loss::Exponential, &[0.5, -2.0, 1.0], &[1.0, -1.0, -1.0]);
    close(&[e], &[(-0.5f64).exp() + (-2.0f64).exp() + 1f64.exp()], 1e-14);
    close(&gradient, &[-(-0.5f64).exp(), (-2.0f64).exp(), 1f64.exp()], 1e-14);
    let data = ring(4);
    let mut booster = Booster::new(&data.samples, 2, &data.labels);
    let mut before = 1.0;
    for _ in 0..30 {
        let mean = booster.round();
        let scores = booster.found().clone().scores(&data.samples);
        let (sum, _) = cost(&Loss::Exponential, &scores, &data.labels);
        assert!((mean - sum / 400.0).abs() < 1e-12 && mean < before);
        before = mean;
    }
}
