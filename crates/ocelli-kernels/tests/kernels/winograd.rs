//! Convolutions of windows of 3, 5 or 7 taps with as many channels as Winograd's filtering is chosen for.

use ocelli_kernels::{Conv2d, Direction, Finish, Isa};

use crate::convolution::{backward_input, backward_weights, forward, products, square};
use crate::support::{Draw, Guarded, tables};

fn random_geometry(draw: &mut Draw) -> Conv2d {
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

/// Root mean square error against f64 of what a kernel computed and of sums of fused multiply-adds, one after another.
fn errors(got: &[f32], exact: &[f64], fused: &[f32]) -> [f64; 2] {
    [got, fused].map(|values| {
        let squares = values.iter().zip(exact).map(|(value, exact)| (f64::from(*value) - exact).powi(2));
        (squares.sum::<f64>() / exact.len() as f64).sqrt()
    })
}

#[test]
fn errors_are_no_larger_than_those_of_sums_of_fused_multiply_adds() {
    for (seed, taps, channels, side) in [
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
    ] {
        let draw = &mut Draw::new(seed);
        let conv = Conv2d { samples: 1, ..square([side, side, channels], channels, taps, 1, taps / 2, 1) };
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
        // The portable kernels are the definition, in their own order.
        for kernels in tables::<f32>().filter(|kernels| kernels.isa != Isa::Portable) {
            let scratch = &mut Guarded::nan(conv.scratch::<f32>());
            let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(Guarded::<f32>::nan);
            (kernels.conv_forward)(&conv, &x, &w, &[], &[], Finish::nothing(), &mut y, scratch);
            let set = ocelli_kernels::Write::Set;
            (kernels.conv_backward_input)(&conv, &dy, &w, &[], &mut dx, set, scratch);
            (kernels.conv_backward_weights)(&conv, &x, &dy, &mut dw, 0..channels, set, scratch);
            for (direction, got) in [&y, &dx, &dw].into_iter().enumerate() {
                let [error, bound] = errors(got, &exact[direction], &fused[direction]);
                assert!(
                    error <= 1.02 * bound,
                    "{error:e} > {bound:e}: {taps} taps, {channels} channels, direction {direction}, {:?}",
                    kernels.isa
                );
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
