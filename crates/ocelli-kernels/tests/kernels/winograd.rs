//! Convolutions of windows of 3, 5 or 7 taps with as many channels as Winograd's filtering is chosen for.

use ocelli_kernels::{Conv2d, Direction, Finish, Isa, Kernels, Write};

use crate::convolution::{backward_input, backward_weights, forward, products, square};
use crate::support::{Draw, Guarded, rms, rounding_tables, tables};

pub(crate) fn random_geometry(draw: &mut Draw) -> Conv2d {
    loop {
        let groups = [1, 1, 1, 2][draw.size(0, 3)];
        let kernel = [(); 2].map(|()| [3, 3, 5, 5, 7][draw.size(0, 4)]);
        // The seven loops take long for many channels of many taps.
        let most = if kernel == [3, 3] { 7 } else { 4 };
        let channels = |draw: &mut Draw| [16, 32, 33, 40, 64, 75, 100, 130][draw.size(0, most)];
        let (inputs, outputs) = (channels(draw), channels(draw));
        let size = [draw.size(1, 11), draw.size(2, 11)];
        let [before, after] = [(); 2].map(|()| kernel.map(|taps| draw.size(0, taps - 1)));
        let along =
            |axis: usize| Conv2d::output_size(size[axis], kernel[axis], 1, before[axis] + after[axis], 1);
        let (Some(height), Some(width)) = (along(0), along(1)) else { continue };
        return Conv2d {
            input: [size[0], size[1], inputs * groups],
            output: [height, width, outputs * groups],
            kernel,
            stride: [1, 1],
            padding: before,
            dilation: [1, 1],
            groups,
            samples: [1, 4, 64][draw.size(0, 2)],
        };
    }
}

#[test]
fn random_windows_agree_with_seven_loops() {
    for seed in 0..200 {
        let draw = &mut Draw::new(seed);
        let (conv, samples) = (random_geometry(draw), draw.size(1, 3));
        forward::<f32>(draw, conv, samples);
        backward_input::<f32>(draw, conv, samples);
        backward_weights::<f32>(draw, conv, samples);
    }
}

/// Root mean square error against f64.
fn error(got: &[f32], exact: &[f64]) -> f64 {
    rms(got.iter().zip(exact).map(|(got, exact)| f64::from(*got) - exact))
}

/// A convolution, one image, what its three directions read and what they give, computed in f64.
struct Case {
    taps: usize,
    channels: usize,
    conv: Conv2d,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    exact: [Vec<f64>; 3],
    /// The same by sums of fused multiply-adds of f32, one after another.
    fused: [Vec<f32>; 3],
}

impl Case {
    /// The filtering is chosen for most; for many channels of few pixels it is not, of one image.
    fn all() -> impl Iterator<Item = Case> {
        let sizes = [
            (0, 3, 32, 17),
            (1, 3, 64, 16),
            (2, 3, 130, 16),
            (3, 3, 192, 8),
            (4, 3, 256, 6),
            (5, 3, 512, 4),
            (6, 5, 32, 20),
            (7, 5, 64, 21),
            (8, 5, 130, 20),
            (9, 7, 32, 23),
            (10, 7, 64, 24),
            (11, 3, 75, 25),
        ];
        sizes.into_iter().map(|(seed, taps, channels, side)| {
            let draw = &mut Draw::new(seed);
            let conv =
                Conv2d { samples: 1, ..square([side, side, channels], channels, taps, 1, taps / 2, 1) };
            let (x, w) = (draw.values::<f32>(conv.input_len()), draw.values::<f32>(conv.weight_len()));
            let dy = draw.values::<f32>(conv.output_len());
            let mut exact = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
            let mut fused = [vec![0.0f32; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
            products(&conv, 1, |o, i, k| {
                for (at, direction, [a, b]) in
                    [(o, 0, [x[i], w[k]]), (i, 1, [dy[o], w[k]]), (k, 2, [dy[o], x[i]])]
                {
                    exact[direction][at] += f64::from(a) * f64::from(b);
                    fused[direction][at] = a.mul_add(b, fused[direction][at]);
                }
            });
            Case { taps, channels, conv, x, w, dy, exact, fused }
        })
    }

    /// The outputs, and the gradients of the input and of the weights.
    fn computed(&self, kernels: &Kernels<f32>) -> [Guarded<f32>; 3] {
        let Case { conv, x, w, dy, .. } = self;
        let scratch = &mut Guarded::nan(conv.scratch::<f32>());
        let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(Guarded::<f32>::nan);
        (kernels.conv_forward)(conv, x, w, &[], &[], Finish::nothing(), &mut y, scratch);
        (kernels.conv_backward_input)(conv, dy, w, &[], &mut dx, Write::Set, scratch);
        (kernels.conv_backward_weights)(conv, x, dy, &mut dw, 0..self.channels, Write::Set, scratch);
        [y, dx, dw]
    }
}

#[test]
fn errors_are_no_larger_than_those_of_sums_of_fused_multiply_adds_or_of_rounding_to_bf16() {
    /// Of what is rounded to bf16, as a share of the results' own size, root mean square. Rounding the operands alone gives
    /// 0.0023; nothing that is rounded has errors below the least.
    const LEAST: f64 = 5e-4;
    const MOST: f64 = 5e-3;
    for case in Case::all() {
        let Case { taps, channels, exact, fused, .. } = &case;
        let context = |kernels: &Kernels<f32>, direction: usize| {
            let (isa, precision) = (kernels.isa, kernels.precision);
            format!("{taps} taps, {channels} channels, direction {direction}, {isa:?} {precision:?}")
        };
        // The portable kernels are the definition, in their own order.
        for kernels in tables::<f32>().filter(|kernels| kernels.isa != Isa::Portable) {
            for (direction, got) in case.computed(kernels).iter().enumerate() {
                let [error, bound] = [&got[..], &fused[direction]].map(|of| error(of, &exact[direction]));
                assert!(error <= 1.02 * bound, "{error:e} > {bound:e}: {}", context(kernels, direction));
            }
        }
        for kernels in rounding_tables::<f32>() {
            for (direction, got) in case.computed(kernels).iter().enumerate() {
                let share = error(got, &exact[direction]) / rms(exact[direction].iter().copied());
                assert!((LEAST..=MOST).contains(&share), "{share:e}: {}", context(kernels, direction));
            }
        }
    }
}

#[test]
fn packed_weights_have_room_for_points_instead_of_taps() {
    for (taps, points) in [(3, 16), (5, 49), (7, 100)] {
        let conv = square([8, 8, 128], 128, taps, 1, taps / 2, 1);
        for direction in [Direction::Forward, Direction::BackwardInput] {
            assert!(conv.packed_len::<f32>(direction) >= points * 128 * 128);
        }
    }
}
