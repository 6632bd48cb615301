use ocelli_kernels::{AdamStep, Element, SgdStep};

use crate::support::{Draw, assert_close, for_seeds, tables, wide};

const STEPS: usize = 4;

#[test]
fn sgd_follows_its_definition_over_several_steps() {
    for_seeds!(60, random_sgd);
}

fn random_sgd<T: Element>(draw: &mut Draw) {
    let len = draw.size(0, 150);
    let momentum = [0.0, 0.0, 0.5, 0.875][draw.size(0, 3)];
    let (rate, decay) = (draw.size(1, 8) as f64 / 64.0, draw.size(0, 2) as f64 / 128.0);
    let nesterov = momentum > 0.0 && draw.flag();
    let start = draw.values::<T>(len);
    let grads: Vec<Vec<T>> = (0..STEPS).map(|_| draw.values(len)).collect();
    let (mut want, mut velocity) = (wide(&start), vec![0.0; len]);
    for grads in &grads {
        for i in 0..len {
            let g = grads[i].f64() + decay * want[i];
            velocity[i] = momentum * velocity[i] + g;
            want[i] -= rate * if nesterov { g + momentum * velocity[i] } else { velocity[i] };
        }
    }
    let step = SgdStep { rate: T::of(rate), momentum: T::of(momentum), nesterov, decay: T::of(decay) };
    for kernels in tables::<T>() {
        for slots in if momentum == 0.0 { vec![0, len] } else { vec![len] } {
            let (mut params, mut velocity) = (start.clone(), vec![T::ZERO; slots]);
            for grads in &grads {
                (kernels.sgd)(&step, &mut params, grads, &mut velocity);
            }
            assert_close(&params, &want, 30.0, 1.0, &|| {
                format!("{step:?}, {:?}, seed {}", kernels.isa, draw.seed)
            });
        }
    }
}

#[test]
fn adam_follows_its_definition_over_several_steps() {
    for_seeds!(60, random_adam);
}

fn random_adam<T: Element>(draw: &mut Draw) {
    let len = draw.size(0, 150);
    let (rate, decay) = (1.0 / 64.0, draw.size(0, 2) as f64 / 16.0);
    let (beta1, beta2, epsilon, decoupled) = (0.875, 0.96875, 1e-6, draw.flag());
    let start = draw.values::<T>(len);
    let grads: Vec<Vec<T>> = (0..STEPS).map(|_| draw.values(len)).collect();
    let (mut want, mut m, mut v) = (wide(&start), vec![0.0; len], vec![0.0; len]);
    let corrections = |t: i32| (1.0 - f64::powi(beta1, t), 1.0 - f64::powi(beta2, t));
    for (t, grads) in (1..).zip(&grads) {
        let (correction1, correction2) = corrections(t);
        for i in 0..len {
            let g = grads[i].f64() + if decoupled { 0.0 } else { decay * want[i] };
            want[i] *= if decoupled { 1.0 - rate * decay } else { 1.0 };
            m[i] = beta1 * m[i] + (1.0 - beta1) * g;
            v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
            want[i] -= rate / correction1 * m[i] / ((v[i] / correction2).sqrt() + epsilon);
        }
    }
    for kernels in tables::<T>() {
        let (mut params, mut first, mut second) = (start.clone(), vec![T::ZERO; len], vec![T::ZERO; len]);
        for (t, grads) in (1..).zip(&grads) {
            let (correction1, correction2) = corrections(t);
            let step = AdamStep {
                rate: T::of(rate),
                beta1: T::of(beta1),
                beta2: T::of(beta2),
                epsilon: T::of(epsilon),
                decay: T::of(decay),
                decoupled,
                correction1: T::of(correction1),
                correction2: T::of(correction2),
            };
            (kernels.adam)(&step, &mut params, grads, &mut first, &mut second);
        }
        assert_close(&params, &want, 30.0, 1.0, &|| {
            format!("decay {decay}, decoupled {decoupled}, {:?}, seed {}", kernels.isa, draw.seed)
        });
    }
}
