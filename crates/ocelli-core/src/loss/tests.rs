use ocelli_kernels::random::{Key, Stream};

use super::*;

fn losses() -> Vec<Loss> {
    vec![
        Loss::Euclidean,
        Loss::SquaredError,
        Loss::CrossEntropy { label_smoothing: 0.0 },
        Loss::CrossEntropy { label_smoothing: 0.1 },
        Loss::BinaryLogistic,
        Loss::Hinge { margin: 1.0, squared: false },
        Loss::Hinge { margin: 0.7, squared: true },
        Loss::Exponential,
        Loss::Map { rubbish: 1.5 },
        Loss::Penalty,
    ]
}

/// A batch of random outputs with targets that suit the loss.
struct Case {
    width: usize,
    outputs: Vec<f64>,
    labels: Vec<u32>,
    values: Vec<f64>,
}

impl Case {
    fn draw(loss: &Loss, stream: &mut Stream) -> Case {
        let (samples, width) = (1 + stream.below(4) as usize, 1 + stream.below(6) as usize);
        let outputs: Vec<f64> = (0..samples * width).map(|_| stream.range(-3.0, 3.0)).collect();
        let classes = loss.classes(width) as u64;
        let labels = (0..samples).map(|_| stream.below(classes) as u32).collect();
        let values = match loss {
            Loss::Hinge { .. } | Loss::Exponential => {
                outputs.iter().map(|_| if stream.below(2) == 0 { -1.0 } else { 1.0 }).collect()
            }
            Loss::Euclidean | Loss::SquaredError => outputs.iter().map(|_| stream.range(-2.0, 2.0)).collect(),
            _ => outputs.iter().map(|_| stream.uniform()).collect(),
        };
        Case { width, outputs, labels, values }
    }

    fn targets(&self, as_values: bool) -> Targets<'_, f64> {
        if as_values { Targets::Values(&self.values) } else { Targets::Classes(&self.labels) }
    }

    fn samples(&self) -> usize {
        self.labels.len()
    }

    /// Whether a margin is so close that a difference quotient would reach across its kink.
    fn near_kink(&self, loss: &Loss) -> bool {
        let Loss::Hinge { margin, .. } = *loss else { return false };
        let near = |a: f64| (margin - a.abs()).abs() < 0.01;
        let rows = self.outputs.chunks_exact(self.width);
        let pairs = rows.flat_map(|x| x.iter().flat_map(|a| x.iter().map(move |b| a - b)));
        self.outputs.iter().copied().chain(pairs).any(near)
    }
}

/// The sum of the costs of `outputs` with the targets of `case`.
fn total(loss: &Loss, case: &Case, outputs: &[f64], targets: Targets<'_, f64>) -> f64 {
    let mut costs = vec![0.0; case.samples()];
    loss.evaluate(outputs, case.width, targets, &mut costs, None);
    costs.iter().sum()
}

fn gradient(loss: &Loss, case: &Case, outputs: &[f64], targets: Targets<'_, f64>, scale: f64) -> Vec<f64> {
    let (mut costs, mut gradient) = (vec![0.0; case.samples()], vec![f64::NAN; outputs.len()]);
    loss.evaluate(outputs, case.width, targets, &mut costs, Some((&mut gradient, scale)));
    gradient
}

/// The derivative of `f` along output `i`, to fourth order.
fn slope(outputs: &[f64], i: usize, f: impl Fn(&[f64]) -> f64) -> f64 {
    const STEP: f64 = 1e-3;
    let at = |steps: f64| {
        let mut moved = outputs.to_vec();
        moved[i] += steps * STEP;
        f(&moved)
    };
    (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * STEP)
}

fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, context: &str) {
    let size = actual.iter().chain(expected).fold(1e-3, |size: f64, x| size.max(x.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * size, "{context}: at {i}: {a} instead of {e}");
    }
}

fn cost_of_one(loss: &Loss, outputs: &[f64], targets: Targets<'_, f64>) -> (f64, Vec<f64>) {
    let (mut cost, mut gradient) = ([0.0], vec![0.0; outputs.len()]);
    loss.evaluate(outputs, outputs.len(), targets, &mut cost, Some((&mut gradient, 1.0)));
    (cost[0], gradient)
}

#[test]
fn every_gradient_is_the_slope_of_its_cost() {
    for (index, loss) in losses().iter().enumerate() {
        let mut stream = Key::new(1, &[index as u64]).stream();
        let mut checked = 0;
        while checked < 120 {
            let case = Case::draw(loss, &mut stream);
            if case.near_kink(loss) {
                continue;
            }
            let targets = case.targets(checked % 2 == 1);
            let expected: Vec<f64> = (0..case.outputs.len())
                .map(|i| 0.25 * slope(&case.outputs, i, |x| total(loss, &case, x, targets)))
                .collect();
            let actual = gradient(loss, &case, &case.outputs, targets, 0.25);
            let context = format!("{loss:?}, case {checked}, width {}", case.width);
            assert_close(&actual, &expected, 1e-6, &context);
            checked += 1;
        }
    }
}

#[test]
fn curvature_is_the_slope_of_the_gradient_where_the_cost_bends() {
    let bends = |loss: &&Loss| loss.check_curvature().is_ok() && loss.ranking() == Ranking::Highest;
    for (index, loss) in losses().iter().filter(bends).enumerate() {
        let mut stream = Key::new(2, &[index as u64]).stream();
        let mut checked = 0;
        while checked < 60 {
            let case = Case::draw(loss, &mut stream);
            if case.near_kink(loss) {
                continue;
            }
            let targets = case.targets(false);
            let expected: Vec<f64> = (0..case.outputs.len())
                .map(|i| 0.5 * slope(&case.outputs, i, |x| gradient(loss, &case, x, targets, 1.0)[i]))
                .collect();
            let mut h = vec![f64::NAN; case.outputs.len()];
            loss.curvature(&case.outputs, case.width, targets, 0.5, &mut h).unwrap();
            assert_close(&h, &expected, 1e-6, &format!("{loss:?}, case {checked}"));
            checked += 1;
        }
    }
}

#[test]
fn penalties_seed_the_curvature_of_the_right_radial_basis_unit() {
    // y_i = ‖x − w_i‖² has ∂²y_c/∂x_j² = 2, and the units multiply their seeds by exactly that.
    for loss in [Loss::Penalty, Loss::Map { rubbish: 1.0 }] {
        let mut h = [f64::NAN; 6];
        loss.curvature(&[3.0, 1.0, 2.0, 0.5, 0.1, 9.0], 3, Targets::Classes(&[1, 2]), 0.5, &mut h).unwrap();
        assert_eq!(h, [0.0, 0.5, 0.0, 0.0, 0.0, 0.5]);
    }
}

#[test]
fn the_plain_hinge_refuses_to_give_a_curvature() {
    let loss = Loss::Hinge { margin: 1.0, squared: false };
    let refused = loss.curvature(&[0.0], 1, Targets::Classes(&[1]), 1.0, &mut [0.0]);
    assert_eq!(refused, Err(LossError::NoCurvature { loss: "hinge" }));
}

#[test]
fn gradients_of_the_sum_are_those_of_the_mean_times_the_batch_exactly() {
    let mut stream = Key::new(3, &[]).stream();
    let (width, samples) = (5, 8);
    let outputs: Vec<f64> = (0..samples * width).map(|_| stream.normal()).collect();
    let labels: Vec<u32> = (0..samples).map(|_| stream.below(5) as u32).collect();
    for loss in losses() {
        let run = |reduction: Reduction| {
            let (mut costs, mut gradient) = ([0.0; 8], [0.0; 40]);
            let scale = reduction.scale(samples);
            loss.evaluate(
                &outputs,
                width,
                Targets::Classes(&labels),
                &mut costs,
                Some((&mut gradient, scale)),
            );
            (reduction.reduce(&costs), gradient)
        };
        let ((mean, of_mean), (sum, of_sum)) = (run(Reduction::Mean), run(Reduction::Sum));
        assert_eq!(8.0 * mean, sum, "{loss:?}");
        assert_eq!(of_mean.map(|g| 8.0 * g), of_sum, "{loss:?}");
    }
}

#[test]
fn a_class_means_its_one_hot_values_or_signs() {
    let x = [0.3, -1.2, 0.8];
    for loss in losses() {
        let values = match loss {
            // Weston and Watkins compare classes with each other: values make independent margins instead.
            Loss::Hinge { .. } => continue,
            Loss::Exponential => [-1.0, 1.0, -1.0],
            _ => [0.0, 1.0, 0.0],
        };
        let by_class = cost_of_one(&loss, &x, Targets::Classes(&[1]));
        assert_eq!(by_class, cost_of_one(&loss, &x, Targets::Values(&values)), "{loss:?}");
    }
}

#[test]
fn a_single_output_has_class_1_on_its_positive_side() {
    for loss in losses().iter().filter(|loss| loss.classes(1) == 2) {
        for (class, near, far) in [(0, -1.0, 2.0), (1, 2.0, -1.0)] {
            let (right, _) = cost_of_one(loss, &[near], Targets::Classes(&[class]));
            let (wrong, g) = cost_of_one(loss, &[far], Targets::Classes(&[class]));
            assert!(right < wrong, "{loss:?}: {right} {wrong}");
            assert_eq!(g[0] < 0.0, class == 1, "{loss:?} pulls towards the class");
        }
    }
}

#[test]
fn the_lectures_worked_example_costs_what_it_says() {
    let (cost, gradient) = cost_of_one(&Loss::Euclidean, &[0.313055], Targets::Values(&[0.5]));
    assert!((cost - 0.0174742).abs() < 1e-7 && (gradient[0] + 0.186945).abs() < 1e-6);
    let (squared, doubled) = cost_of_one(&Loss::SquaredError, &[0.313055], Targets::Values(&[0.5]));
    assert_eq!((squared, doubled[0]), (2.0 * cost, 2.0 * gradient[0]));
}

#[test]
fn costs_equal_values_worked_by_hand() {
    let labels = Targets::Classes(&[1]);
    let cost = |loss: Loss, x: &[f64]| cost_of_one(&loss, x, labels).0;
    let e = f64::exp;
    let uniform = cost(Loss::CrossEntropy { label_smoothing: 0.0 }, &[4.0; 10]);
    assert!((uniform - 10f64.ln()).abs() < 1e-14);
    // p = (1, e)/(1 + e), q = (0.1, 0.9).
    let smoothed = cost(Loss::CrossEntropy { label_smoothing: 0.2 }, &[0.0, 1.0]);
    let log_z = (1.0 + e(1.0)).ln();
    assert!((smoothed - (0.1 * log_z + 0.9 * (log_z - 1.0))).abs() < 1e-14);
    assert!((cost(Loss::BinaryLogistic, &[0.5]) - (1.0 + e(-0.5)).ln()).abs() < 1e-14);
    let one_vs_rest = (1.0 + e(0.5)).ln() + (1.0 + e(-2.0)).ln();
    assert!((cost(Loss::BinaryLogistic, &[0.5, 2.0]) - one_vs_rest).abs() < 1e-14);
    let hinge = |squared| Loss::Hinge { margin: 1.0, squared };
    assert_eq!(cost(hinge(false), &[0.25]), 0.75);
    // Class 1 at 1.0: class 0 falls short by 0.5, class 2 by 2, class 3 not at all.
    assert_eq!(cost(hinge(false), &[0.5, 1.0, 2.0, 0.0]), 2.5);
    assert_eq!(cost(hinge(true), &[0.5, 1.0, 2.0, 0.0]), 4.25);
    assert!((cost(Loss::Exponential, &[0.5, 2.0]) - (e(0.5) + e(-2.0))).abs() < 1e-14);
    let map = cost(Loss::Map { rubbish: 0.5 }, &[1.0, 2.0]);
    assert!((map - (2.0 + (e(-0.5) + e(-1.0) + e(-2.0)).ln())).abs() < 1e-14);
    assert_eq!(cost(Loss::Penalty, &[1.0, 2.5]), 2.5);
}

#[test]
fn costs_and_gradients_stay_finite_at_logits_of_a_thousand() {
    fn check<T: Element>() {
        let outputs = [1e3, -1e3, 0.0, -1e3, -1e3, -1e3, 1e3, 1e3, 1e3].map(T::of);
        for loss in losses() {
            for class in 0..3 {
                let (mut costs, mut gradient, mut h) = ([T::NAN; 3], [T::NAN; 9], [T::NAN; 9]);
                let targets = Targets::Classes(&[class; 3]);
                loss.evaluate(&outputs, 3, targets, &mut costs, Some((&mut gradient, T::ONE)));
                if loss.check_curvature().is_ok() {
                    loss.curvature(&outputs, 3, targets, T::ONE, &mut h).unwrap();
                    assert!(h.iter().all(|h| h.is_finite() && *h >= T::ZERO), "{loss:?}: {h:?}");
                }
                let mut all = costs.iter().chain(&gradient);
                assert!(all.all(|x| x.is_finite()), "{loss:?} class {class}: {costs:?} {gradient:?}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn confident_right_answers_cost_their_small_tail_and_not_zero() {
    let (cost, _) =
        cost_of_one(&Loss::CrossEntropy { label_smoothing: 0.0 }, &[50.0, 0.0], Targets::Classes(&[0]));
    assert!((cost / (-50f64).exp() - 1.0).abs() < 1e-12, "{cost}");
    let (cost, _) = cost_of_one(&Loss::BinaryLogistic, &[50.0], Targets::Classes(&[1]));
    assert!((cost / (-50f64).exp() - 1.0).abs() < 1e-12, "{cost}");
}

#[test]
fn nan_outputs_give_nan_costs() {
    for loss in losses() {
        for class in [0, 1] {
            let mut x = [0.5, 0.5, 0.5];
            x[class as usize] = f64::NAN;
            let (cost, gradient) = cost_of_one(&loss, &x, Targets::Classes(&[class]));
            assert!(cost.is_nan(), "{loss:?}: {cost} {gradient:?}");
        }
    }
}

#[test]
fn a_logit_of_minus_infinity_rules_a_class_out() {
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let (cost, gradient) = cost_of_one(&loss, &[0.0, f64::NEG_INFINITY, 0.0], Targets::Classes(&[0]));
    assert!((cost - 2f64.ln()).abs() < 1e-15);
    assert_eq!(gradient, [-0.5, 0.0, 0.5]);
}

#[test]
fn batches_in_pieces_give_the_same_bits() {
    let mut stream = Key::new(4, &[]).stream();
    let (width, samples) = (4, 7);
    let outputs: Vec<f32> = (0..samples * width).map(|_| stream.normal() as f32).collect();
    let labels: Vec<u32> = (0..samples).map(|_| stream.below(4) as u32).collect();
    let targets = Targets::Classes(&labels);
    for loss in losses() {
        let (mut costs, mut gradient) = (vec![0.0; samples], vec![0.0; samples * width]);
        loss.evaluate(&outputs, width, targets, &mut costs, Some((&mut gradient, 0.3)));
        for piece in [0..3, 3..3, 3..7] {
            let part = piece.start * width..piece.end * width;
            let (mut c, mut g) = (vec![0.0; piece.len()], vec![9.0; part.len()]);
            let some = targets.samples(piece.clone(), width);
            loss.evaluate(&outputs[part.clone()], width, some, &mut c, Some((&mut g, 0.3)));
            assert_eq!((&c[..], &g[..]), (&costs[piece], &gradient[part]), "{loss:?}");
        }
    }
}

#[test]
fn reductions_sum_in_f64() {
    let mut costs = vec![1e-4f32; 10_000];
    costs[0] = 1e4;
    let exact = 1e4 + 9_999.0 * f64::from(1e-4f32);
    assert!((Reduction::Sum.reduce(&costs) - exact).abs() < 1e-9);
    assert_eq!(Reduction::Mean.reduce::<f32>(&[]), 0.0);
}

#[test]
fn outputs_that_do_not_fit_the_classes_are_refused_with_the_number_needed() {
    let message = |loss: Loss, width, classes| loss.check(width, classes).unwrap_err().to_string();
    let cross_entropy = Loss::CrossEntropy { label_smoothing: 0.0 };
    assert_eq!(
        message(cross_entropy.clone(), 10, Some(100)),
        "loss cross_entropy: 10 outputs tell 10 classes apart, and the data have 100; \
         give the last layer 100 outputs"
    );
    assert!(message(Loss::BinaryLogistic, 1, Some(3)).ends_with("3 outputs"));
    assert!(message(Loss::BinaryLogistic, 3, Some(2)).ends_with("1 or 2 outputs"));
    assert!(message(Loss::Map { rubbish: 1.0 }, 1, Some(2)).ends_with("layer 2 outputs"));
    assert!(message(cross_entropy.clone(), 0, None).contains("at least one"));
    assert_eq!(cross_entropy.check(10, Some(10)), Ok(()));
    assert_eq!(Loss::Exponential.check(1, Some(2)), Ok(()));
    assert_eq!(Loss::Euclidean.check(7, None), Ok(()));
}

#[test]
fn settings_outside_their_range_are_named() {
    let bad = [
        (Loss::CrossEntropy { label_smoothing: 1.5 }, "label_smoothing is 1.5"),
        (Loss::CrossEntropy { label_smoothing: f64::NAN }, "label_smoothing is NaN"),
        (Loss::Hinge { margin: 0.0, squared: false }, "margin is 0"),
        (Loss::Map { rubbish: f64::INFINITY }, "rubbish is inf"),
    ];
    for (loss, text) in bad {
        let message = loss.check(4, Some(4)).unwrap_err().to_string();
        assert!(message.contains(text) && message.contains("give a"), "{message}");
    }
}

#[test]
fn labels_out_of_range_are_found() {
    assert_eq!(check_labels(&[0, 2, 1], 3), Ok(()));
    let error = check_labels(&[0, 3, 7], 3).unwrap_err();
    assert_eq!(error, LossError::Label { sample: 1, label: 3, classes: 3 });
    assert!(error.to_string().contains("from 0 to 2"), "{error}");
    assert_eq!(check_labels(&[0], 0), Err(LossError::NoClasses));
    assert_eq!(check_labels(&[], 0), Ok(()));
}

#[test]
fn every_loss_survives_its_file_form_and_foreign_fields_are_refused() {
    for loss in losses() {
        let text = serde_json::to_string(&loss).unwrap();
        assert!(text.starts_with(&format!("{{\"kind\":\"{}\"", loss.name())), "{text}");
        assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss);
        assert_eq!(toml::from_str::<Loss>(&toml::to_string(&loss).unwrap()).unwrap(), loss);
        let foreign = text.replacen('{', "{\"colour\":1,", 1);
        let error = serde_json::from_str::<Loss>(&foreign).unwrap_err().to_string();
        assert!(error.contains("unknown field `colour`"), "{error}");
    }
    let defaults = toml::from_str::<Loss>("kind = \"hinge\"").unwrap();
    assert_eq!(defaults, Loss::Hinge { margin: 1.0, squared: false });
    assert_eq!(toml::from_str::<Loss>("kind = \"map\"\nrubbish = 2").unwrap(), Loss::Map { rubbish: 2.0 });
    assert!(toml::from_str::<Loss>("kind = \"map\"").is_err());
}

#[test]
fn ranks_put_equals_in_index_order_and_nan_last() {
    let scores = Loss::CrossEntropy { label_smoothing: 0.0 };
    let x = [0.5, 2.0, f64::NAN, 2.0, -1.0];
    assert_eq!(scores.predicted_class(&x), 1);
    assert_eq!([0, 1, 2, 3, 4].map(|class| scores.rank(&x, class)), [2, 0, 4, 1, 3]);
    assert_eq!(scores.top_classes(&x, 3), [1, 3, 0]);
    assert_eq!(Loss::Penalty.predicted_class(&x), 4);
    assert_eq!([0, 1, 2, 3, 4].map(|class| Loss::Penalty.rank(&x, class)), [1, 2, 4, 3, 0]);
    assert_eq!(Loss::Penalty.top_classes(&x, 9), [4, 0, 1, 3, 2]);
}

#[test]
fn a_single_output_decides_at_its_threshold() {
    for (x, class) in [(0.4, 0), (0.6, 1)] {
        assert_eq!(Loss::Euclidean.predicted_class(&[x]), class);
        assert_eq!(Loss::BinaryLogistic.predicted_class(&[x - 0.5]), class);
        assert_eq!(Loss::SquaredError.rank(&[x], class), 0);
        assert_eq!(Loss::SquaredError.rank(&[x], 1 - class), 1);
        assert_eq!(Loss::Exponential.top_classes(&[x - 0.5], 5), [class, 1 - class]);
    }
}

#[test]
fn probabilities_add_up_and_follow_the_ranking() {
    let mut stream = Key::new(5, &[]).stream();
    for loss in losses() {
        for _ in 0..50 {
            let width = 1 + stream.below(6) as usize;
            let outputs: Vec<f64> = (0..width).map(|_| stream.range(-2.0, 2.0)).collect();
            let mut p = vec![f64::NAN; loss.classes(width)];
            loss.probabilities(&outputs, &mut p);
            let sum: f64 = p.iter().sum();
            let rubbish = matches!(loss, Loss::Map { .. });
            assert!(if rubbish { sum < 1.0 } else { (sum - 1.0).abs() < 1e-12 }, "{loss:?}: {sum}");
            let by_rank: Vec<f64> = loss.top_classes(&outputs, width.max(2)).iter().map(|&i| p[i]).collect();
            assert!(by_rank.is_sorted_by(|a, b| a >= b), "{loss:?} {outputs:?}: {by_rank:?}");
        }
    }
}

#[test]
fn probabilities_equal_values_worked_by_hand() {
    let e = f64::exp;
    let check = |loss: Loss, x: &[f64], expected: [f64; 2]| {
        let mut p = [0.0; 2];
        loss.probabilities(x, &mut p);
        assert_close(&p, &expected, 1e-14, &format!("{loss:?}"));
    };
    let sigma = |x: f64| 1.0 / (1.0 + e(-x));
    check(Loss::CrossEntropy { label_smoothing: 0.1 }, &[0.0, 1.0], [sigma(-1.0), sigma(1.0)]);
    check(Loss::BinaryLogistic, &[0.7], [sigma(-0.7), sigma(0.7)]);
    let both = sigma(0.7) + sigma(0.2);
    check(Loss::BinaryLogistic, &[0.7, 0.2], [sigma(0.7) / both, sigma(0.2) / both]);
    check(Loss::Exponential, &[0.7], [sigma(-1.4), sigma(1.4)]);
    let z = e(-0.5) + e(-1.0) + e(-2.0);
    check(Loss::Map { rubbish: 0.5 }, &[1.0, 2.0], [e(-1.0) / z, e(-2.0) / z]);
    check(Loss::Penalty, &[1.0, 2.0], [sigma(1.0), sigma(-1.0)]);
    check(Loss::Euclidean, &[0.2], [0.8, 0.2]);
    check(Loss::Euclidean, &[0.6, -0.3], [1.0, 0.0]);
    check(Loss::SquaredError, &[-0.6, -0.3], [0.5, 0.5]);
}
