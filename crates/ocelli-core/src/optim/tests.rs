use ocelli_kernels::Isa;
use ocelli_kernels::random::Key;

use super::*;

fn optimizers() -> Vec<Optimizer> {
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
    vec![
        Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.1 },
        Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.1 },
        Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 },
        Optimizer::Adam { beta1, beta2, epsilon, weight_decay: 0.1 },
        Optimizer::AdamW { beta1, beta2, epsilon, weight_decay: 0.1 },
        Optimizer::DiagonalLm { mu: 0.02, samples: 500 },
    ]
}

fn how<T: Element>(rate: f64, step: u64, decay: bool) -> Update<T> {
    Update { rate: T::of(rate), step, decay, kernels: T::kernels(Isa::Portable) }
}

/// Parameters with as many slots as the optimiser has.
struct State<T> {
    params: Vec<T>,
    slots: [Vec<T>; 2],
}

impl<T: Element> State<T> {
    fn new(optimizer: &Optimizer, params: &[T]) -> Self {
        let slot = |present| vec![T::ZERO; if present { params.len() } else { 0 }];
        State { params: params.to_vec(), slots: [slot(optimizer.slots() > 0), slot(optimizer.slots() > 1)] }
    }

    fn step(&mut self, optimizer: &Optimizer, how: Update<T>, grads: &[T]) {
        let [first, second] = &mut self.slots;
        optimizer.update(how, &mut self.params, grads, [first, second]);
    }
}

/// The published rule for one parameter over a sequence of gradients, written from the papers without slots
/// or slices: moments are sums over the whole past.
fn reference(optimizer: &Optimizer, mut w: f64, h: f64, rates: &[f64], grads: &[f64], decay: bool) -> f64 {
    let lambda = |weight_decay: f64| if decay { weight_decay } else { 0.0 };
    let mut past: Vec<f64> = Vec::new();
    let faded = |past: &[f64], beta: f64| {
        let age = |i: usize| (past.len() - 1 - i) as f64;
        past.iter().enumerate().map(|(i, g)| beta.powf(age(i)) * g).sum::<f64>()
    };
    for (t, (&rate, &g)) in rates.iter().zip(grads).enumerate() {
        let t = (t + 1) as f64;
        match *optimizer {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                let g = g + lambda(weight_decay) * w;
                past.push(g);
                let v = faded(&past, momentum);
                w -= rate * if nesterov { g + momentum * v } else { v };
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay }
            | Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let decoupled = matches!(optimizer, Optimizer::AdamW { .. });
                past.push(if decoupled { g } else { g + lambda(weight_decay) * w });
                if decoupled {
                    w -= rate * lambda(weight_decay) * w;
                }
                let squares: Vec<f64> = past.iter().map(|g| g * g).collect();
                let mean = (1.0 - beta1) * faded(&past, beta1) / (1.0 - beta1.powf(t));
                let square = (1.0 - beta2) * faded(&squares, beta2) / (1.0 - beta2.powf(t));
                w -= rate * mean / (square.sqrt() + epsilon);
            }
            Optimizer::DiagonalLm { mu, .. } => w -= rate / (mu + h) * g,
        }
    }
    w
}

#[test]
fn five_steps_follow_the_published_rules() {
    let mut stream = Key::new(1, &[]).stream();
    let rates = [0.1, 0.1, 0.05, 0.02, 0.2];
    for optimizer in optimizers() {
        for decay in [false, true] {
            let start: Vec<f64> = (0..37).map(|_| stream.normal()).collect();
            let grads: Vec<Vec<f64>> =
                rates.iter().map(|_| start.iter().map(|_| stream.normal()).collect()).collect();
            let mut state = State::new(&optimizer, &start);
            let curvature: Vec<f64> = start.iter().map(|_| stream.uniform()).collect();
            if matches!(optimizer, Optimizer::DiagonalLm { .. }) {
                state.slots[0].clone_from(&curvature);
            }
            for (t, grads) in grads.iter().enumerate() {
                state.step(&optimizer, how(rates[t], t as u64 + 1, decay), grads);
            }
            for i in 0..start.len() {
                let own: Vec<f64> = grads.iter().map(|grads| grads[i]).collect();
                let expected = reference(&optimizer, start[i], curvature[i], &rates, &own, decay);
                let error = (state.params[i] - expected).abs();
                assert!(error < 1e-12, "{optimizer:?} decay {decay} at {i}: {error}");
            }
        }
    }
}

#[test]
fn momentum_steps_equal_a_sequence_worked_by_hand() {
    // v: 1, then 0.5 + 2 = 2.5, then 1.25 − 1 = 0.25; w: 1 − 0.1·v.
    let optimizer = Optimizer::Sgd { momentum: 0.5, nesterov: false, weight_decay: 0.0 };
    let mut state = State::new(&optimizer, &[1.0]);
    for (step, (g, w)) in [(1.0, 0.9), (2.0, 0.65), (-1.0, 0.625)].into_iter().enumerate() {
        state.step(&optimizer, how(0.1, step as u64 + 1, true), &[g]);
        assert!((state.params[0] - w).abs() < 1e-15, "{}", state.params[0]);
    }
    // Nesterov: w = 1 − 0.1·(1 + 0.5·1).
    let optimizer = Optimizer::Sgd { momentum: 0.5, nesterov: true, weight_decay: 0.0 };
    let mut state = State::new(&optimizer, &[1.0]);
    state.step(&optimizer, how(0.1, 1, true), &[1.0]);
    assert!((state.params[0] - 0.85f64).abs() < 1e-15);
}

#[test]
fn the_lectures_worked_example_takes_its_printed_step() {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut state = State::new(&optimizer, &[1.0, -3.0, 0.2, 1.0, 1.0, -1.0]);
    let grads = [-0.118661, -0.011866, 0.171080, 0.017108, -0.112983, -0.054459];
    state.step(&optimizer, how(0.2, 1, true), &grads);
    let expected = [1.023732, -2.997627, 0.165784, 0.996578, 1.022597, -0.989108];
    for (w, e) in state.params.iter().zip(expected) {
        assert!((w - e).abs() < 1e-6f64, "{w} {e}");
    }
}

#[test]
fn the_first_adam_step_is_the_rate_along_the_sign_in_f32_too() {
    let optimizer = Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    let mut state = State::<f32>::new(&optimizer, &[0.0; 3]);
    state.step(&optimizer, how(0.001, 1, true), &[3.0, -0.02, 0.0]);
    for (w, expected) in state.params.iter().zip([-0.001, 0.001, 0.0]) {
        assert!((w - expected).abs() <= 1e-9, "{w} {expected}");
    }
}

#[test]
fn decoupled_decay_shrinks_weights_without_a_gradient_and_spares_ranges_that_do_not_decay() {
    let optimizer = &optimizers()[4];
    for (decay, expected) in [(true, 2.0 * (1.0 - 0.5 * 0.1)), (false, 2.0)] {
        let mut state = State::new(optimizer, &[2.0]);
        state.step(optimizer, how(0.5, 1, decay), &[0.0]);
        assert_eq!(state.params, [expected]);
    }
}

#[test]
fn flat_directions_take_longer_levenberg_marquardt_steps() {
    let optimizer = Optimizer::DiagonalLm { mu: 0.02, samples: 500 };
    let mut state = State::new(&optimizer, &[0.0, 0.0]);
    state.slots[0] = vec![0.0, 0.98];
    state.step(&optimizer, how(0.01, 1, true), &[1.0, 1.0]);
    assert!((state.params[0] + 0.5f64).abs() < 1e-15 && (state.params[1] + 0.01).abs() < 1e-15);
    assert_eq!(state.slots[0], [0.0, 0.98], "the slot is only read");
}

#[test]
fn curvature_averages_over_samples_and_forgets_the_pass_before() {
    let mut mean = [77.0, 77.0];
    for (i, sample) in [[1.0, 0.0], [3.0, 0.0], [8.0, 6.0]].iter().enumerate() {
        average_curvature(&mut mean, sample, i as u64 + 1);
    }
    assert!((mean[0] - 4.0f64).abs() < 1e-15 && (mean[1] - 2.0).abs() < 1e-15);
}

#[test]
fn ranges_in_pieces_move_to_the_same_bits() {
    let mut stream = Key::new(2, &[]).stream();
    let mut draw = |n: usize| (0..n).map(|_| stream.normal() as f32).collect::<Vec<_>>();
    let (start, grads) = (draw(101), [draw(101), draw(101), draw(101)]);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        for optimizer in optimizers() {
            let (mut whole, mut pieces) = (State::new(&optimizer, &start), State::new(&optimizer, &start));
            for (step, grads) in (1..).zip(&grads) {
                let how = Update { kernels: f32::kernels(isa), ..how(0.1, step, true) };
                whole.step(&optimizer, how, grads);
                for part in [0..1, 1..1, 1..34, 34..101] {
                    let slots = pieces.slots.each_mut().map(|slot| match slot.len() {
                        0 => &mut slot[..],
                        _ => &mut slot[part.clone()],
                    });
                    optimizer.update(how, &mut pieces.params[part.clone()], &grads[part], slots);
                }
            }
            assert_eq!(whole.params, pieces.params, "{optimizer:?} with {isa:?}");
            assert_eq!(whole.slots, pieces.slots, "{optimizer:?} with {isa:?}");
        }
    }
}

#[test]
fn slots_are_named_one_by_one() {
    let slots: Vec<_> = optimizers().iter().map(|optimizer| optimizer.slots()).collect();
    assert_eq!(slots, [0, 1, 1, 2, 2, 1]);
    assert_eq!(optimizers()[3].slot_names(), ["first_moment", "second_moment"]);
}

#[test]
fn every_optimizer_survives_its_file_form_and_foreign_fields_are_refused() {
    for optimizer in optimizers() {
        assert_eq!(optimizer.check(), Ok(()));
        let text = serde_json::to_string(&optimizer).unwrap();
        assert!(text.starts_with(&format!("{{\"kind\":\"{}\"", optimizer.name())), "{text}");
        assert_eq!(serde_json::from_str::<Optimizer>(&text).unwrap(), optimizer);
        let foreign = text.replacen('{', "{\"colour\":1,", 1);
        assert!(serde_json::from_str::<Optimizer>(&foreign).unwrap_err().to_string().contains("`colour`"));
    }
    let defaults = toml::from_str::<Optimizer>("kind = \"diagonal_lm\"").unwrap();
    assert_eq!(defaults, Optimizer::DiagonalLm { mu: 0.02, samples: 500 });
}

#[test]
fn settings_outside_their_range_are_named() {
    let (beta1, epsilon, weight_decay) = (0.9, 1e-8, 0.0);
    let bad = [
        (Optimizer::Sgd { momentum: 1.0, nesterov: false, weight_decay }, "momentum is 1"),
        (Optimizer::Sgd { momentum: 0.0, nesterov: true, weight_decay }, "nesterov is true"),
        (Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: -1.0 }, "weight_decay is -1"),
        (Optimizer::Adam { beta1, beta2: 1.0 - 1e-12, epsilon, weight_decay }, "beta2 is 0.99"),
        (Optimizer::AdamW { beta1, beta2: 0.9, epsilon: 1e-60, weight_decay }, "epsilon is"),
        // Kernels take denormal numbers for 0.
        (Optimizer::AdamW { beta1, beta2: 0.9, epsilon: 1e-40, weight_decay }, "epsilon is"),
        (Optimizer::DiagonalLm { mu: 0.0, samples: 1 }, "mu is 0"),
        (Optimizer::DiagonalLm { mu: 0.02, samples: 0 }, "samples is 0"),
    ];
    for (optimizer, text) in bad {
        let message = optimizer.check().unwrap_err().to_string();
        assert!(message.contains(text) && message.starts_with(optimizer.name()), "{message}");
    }
}
