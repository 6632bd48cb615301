use std::ops::Range;

use ocelli_kernels::{Conv2d, Direction, Element, Finish, Kernels, Precision, Unary, Write};

use crate::support::{
    Draw, Guarded, Sum, assert_sums, destination, for_seeds, rounding_tables, sums, tables, unit, wide,
};

/// Calls `visit(output index, input index, weight index)` for every product: the definition as seven loops.
pub(crate) fn products(conv: &Conv2d, samples: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let ([ih, iw, ic], [oh, ow, oc]) = (conv.input, conv.output);
    let (inputs, outputs) = (ic / conv.groups, oc / conv.groups);
    for n in 0..samples {
        for oy in 0..oh {
            for ox in 0..ow {
                for o in 0..oc {
                    for ky in 0..conv.kernel[0] {
                        for kx in 0..conv.kernel[1] {
                            let iy = (oy * conv.stride[0] + ky * conv.dilation[0]) as isize
                                - conv.padding[0] as isize;
                            let ix = (ox * conv.stride[1] + kx * conv.dilation[1]) as isize
                                - conv.padding[1] as isize;
                            if iy < 0 || ix < 0 || iy >= ih as isize || ix >= iw as isize {
                                continue;
                            }
                            for c in 0..inputs {
                                let input = ((n * ih + iy as usize) * iw + ix as usize) * ic
                                    + o / outputs * inputs
                                    + c;
                                let weight = ((o * conv.kernel[0] + ky) * conv.kernel[1] + kx) * inputs + c;
                                visit(((n * oh + oy) * ow + ox) * oc + o, input, weight);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn random_geometry(draw: &mut Draw) -> Conv2d {
    loop {
        let groups = [1, 1, 1, 2, 3][draw.size(0, 4)];
        let depthwise = draw.size(0, 5) == 0;
        let (inputs, outputs) = (draw.size(1, 12), draw.size(1, 20));
        let channels = if depthwise { draw.size(1, 40) } else { 0 };
        let pair = |draw: &mut Draw, low, high| [draw.size(low, high), draw.size(low, high)];
        let (size, kernel) = (pair(draw, 1, 12), pair(draw, 1, 5));
        let (stride, dilation) = (pair(draw, 1, 3), if draw.flag() { [1, 1] } else { pair(draw, 1, 3) });
        let stride = if draw.flag() { [1, 1] } else { stride };
        let (before, after) = (pair(draw, 0, 3), pair(draw, 0, 3));
        let along = |axis: usize| {
            let padding = before[axis] + after[axis];
            Conv2d::output_size(size[axis], kernel[axis], stride[axis], padding, dilation[axis])
        };
        let (Some(height), Some(width)) = (along(0), along(1)) else { continue };
        let (input, output, groups) = if depthwise {
            (channels, channels, channels)
        } else {
            (inputs * groups, outputs * groups, groups)
        };
        return Conv2d {
            input: [size[0], size[1], input],
            output: [height, width, output],
            kernel,
            stride,
            padding: before,
            dilation,
            groups,
            samples: 4,
        };
    }
}

/// Square windows; 4 samples.
pub(crate) fn square(
    input: [usize; 3],
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    groups: usize,
) -> Conv2d {
    let along = |axis: usize| Conv2d::output_size(input[axis], kernel, stride, 2 * padding, 1).unwrap();
    Conv2d {
        input,
        output: [along(0), along(1), outputs],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1, 1],
        groups,
        samples: 4,
    }
}

/// Layers as networks have them.
fn typical() -> Vec<Conv2d> {
    vec![
        square([28, 28, 1], 6, 5, 1, 2, 1),
        square([14, 14, 6], 16, 5, 1, 0, 1),
        square([5, 5, 16], 120, 5, 1, 0, 1),
        square([32, 32, 3], 20, 3, 1, 1, 1),
        square([9, 9, 64], 64, 3, 1, 1, 1),
        square([9, 9, 65], 33, 3, 2, 1, 1),
        square([8, 8, 48], 96, 1, 1, 0, 1),
        square([8, 8, 48], 24, 1, 2, 0, 1),
        square([23, 23, 3], 50, 7, 2, 3, 1),
        square([7, 7, 96], 96, 3, 1, 1, 96),
        square([7, 7, 64], 64, 3, 2, 1, 8),
        // Weights, images and patches beyond what is treated at a time, and rows shorter than a tile.
        square([4, 4, 530], 17, 3, 1, 1, 1),
        square([3, 3, 600], 100, 3, 1, 1, 1),
        square([40, 40, 64], 5, 3, 1, 1, 1),
        square([40, 40, 64], 4, 3, 2, 0, 1),
        square([2, 2, 64], 64, 3, 1, 1, 1),
        square([5, 5, 33], 50, 3, 2, 1, 1),
        square([40, 40, 2], 3, 3, 1, 1, 1),
    ]
}

#[test]
fn random_forward_convolutions_agree_with_seven_loops() {
    for_seeds!(500, random_forward);
}

#[test]
fn random_gradients_of_the_input_agree_with_seven_loops() {
    for_seeds!(500, random_backward_input);
}

#[test]
fn random_gradients_of_the_weights_agree_with_seven_loops() {
    for_seeds!(500, random_backward_weights);
}

#[test]
fn typical_layers_agree_with_seven_loops() {
    let mut draw = Draw::new(9);
    for conv in typical() {
        for samples in [1, 3] {
            forward::<f32>(&mut draw, conv, samples);
            backward_input::<f32>(&mut draw, conv, samples);
            backward_weights::<f32>(&mut draw, conv, samples);
        }
    }
}

#[test]
fn random_depthwise_convolutions_of_three_by_three_agree_with_seven_loops() {
    for seed in 0..150 {
        let draw = &mut Draw::new(seed);
        let stride = draw.size(1, 2);
        let channels = [2, 5, 16, 24, 33, 48, 96][draw.size(0, 6)];
        let (size, before) = ([draw.size(1, 13), draw.size(1, 13)], [draw.size(0, 2), draw.size(0, 2)]);
        let after = [draw.size(0, 2), draw.size(0, 2)];
        let along = |axis: usize| Conv2d::output_size(size[axis], 3, stride, before[axis] + after[axis], 1);
        let (Some(height), Some(width)) = (along(0), along(1)) else { continue };
        let conv = Conv2d {
            input: [size[0], size[1], channels],
            output: [height, width, channels],
            kernel: [3, 3],
            stride: [stride; 2],
            padding: before,
            dilation: [1, 1],
            groups: channels,
            samples: 4,
        };
        let samples = draw.size(1, 3);
        forward::<f32>(draw, conv, samples);
        backward_input::<f32>(draw, conv, samples);
        backward_weights::<f32>(draw, conv, samples);
    }
}

#[test]
fn no_samples_leave_nothing_but_a_zero_gradient_of_the_weights() {
    let mut draw = Draw::new(3);
    for conv in typical() {
        // The method may go by the samples of a full batch.
        for conv in [conv, Conv2d { samples: 32, ..conv }] {
            forward::<f32>(&mut draw, conv, 0);
            backward_input::<f32>(&mut draw, conv, 0);
            backward_weights::<f32>(&mut draw, conv, 0);
        }
    }
}

fn random_forward<T: Element>(draw: &mut Draw) {
    let (conv, samples) = (random_geometry(draw), draw.size(1, 3));
    forward::<T>(draw, conv, samples);
}

fn random_backward_input<T: Element>(draw: &mut Draw) {
    let (conv, samples) = (random_geometry(draw), draw.size(1, 3));
    backward_input::<T>(draw, conv, samples);
}

fn random_backward_weights<T: Element>(draw: &mut Draw) {
    let (conv, samples) = (random_geometry(draw), draw.size(1, 3));
    backward_weights::<T>(draw, conv, samples);
}

/// The weights as a kernel packs them, all pieces at once or in two goes; empty where it takes none or by choice.
pub(crate) fn packed<T: Element>(
    kernels: &Kernels<T>,
    conv: &Conv2d,
    direction: Direction,
    w: &[T],
    draw: &mut Draw,
) -> Vec<T> {
    let pieces = conv.packed_pieces::<T>(direction);
    if pieces == 0 || draw.flag() {
        return Vec::new();
    }
    let mut packed = Guarded::nan(conv.packed_len::<T>(direction));
    let cut = draw.size(0, pieces);
    let (at, end) = (conv.packed_range(direction, pieces - 1).end, packed.len());
    assert_eq!(at, end);
    let middle = if cut < pieces { conv.packed_range(direction, cut).start } else { end };
    let (first, second) = packed.split_at_mut(middle);
    (kernels.conv_pack)(conv, direction, w, 0..cut, first);
    (kernels.conv_pack)(conv, direction, w, cut..pieces, second);
    packed.to_vec()
}

pub(crate) fn forward<T: Element>(draw: &mut Draw, conv: Conv2d, samples: usize) {
    let x = Guarded::new(&draw.values::<T>(samples * conv.input_len()));
    let w = Guarded::new(&draw.values::<T>(conv.weight_len()));
    let bias = if draw.flag() { draw.values::<T>(conv.output[2]) } else { Vec::new() };
    let mut want = vec![Sum::default(); samples * conv.output_len()];
    if !bias.is_empty() {
        want.iter_mut().enumerate().for_each(|(i, sum)| sum.add(bias[i % conv.output[2]].f64()));
    }
    products(&conv, samples, |o, i, k| want[o].add(x[i].f64() * w[k].f64()));
    // Not from the case's own numbers, which would change those that follow.
    let more = &mut Draw::new(draw.seed + 1_000_000);
    let affine = [(); 2].map(|()| more.values::<T>(conv.output[2]));
    let addend = more.values::<T>(want.len());
    let unary = [Unary::Relu, Unary::Relu6, Unary::LeakyRelu(T::of(0.1)), Unary::Tanh];
    let finish = Finish {
        affine: more.flag().then(|| affine.each_ref().map(Vec::as_slice)),
        addend: if more.flag() { &addend } else { &[] },
        unary: unary.get(more.size(0, unary.len())).copied(),
    };
    for kernels in tables::<T>() {
        let mut y = Guarded::nan(want.len());
        let packed = packed(kernels, &conv, Direction::Forward, &w, draw);
        let scratch = &mut Guarded::nan(conv.forward_scratch::<T>());
        (kernels.conv_forward)(&conv, &x, &w, &packed, &bias, Finish::nothing(), &mut y, scratch);
        let context = || format!("{conv:?}, {samples} samples, {:?}, seed {}", kernels.isa, draw.seed);
        assert_sums(&y, &want, &context);
        let mut finished = Guarded::nan(want.len());
        (kernels.conv_forward)(&conv, &x, &w, &packed, &bias, finish, &mut finished, scratch);
        (kernels.finish)(&finish, &mut y);
        let same = finished.iter().zip(&y[..]).all(|(a, b)| a.f64().to_bits() == b.f64().to_bits());
        assert!(same, "finished on the way and in the end, {:?}: {}", finish.unary, context());
    }
}

pub(crate) fn backward_input<T: Element>(draw: &mut Draw, conv: Conv2d, samples: usize) {
    let dy = Guarded::new(&draw.values::<T>(samples * conv.output_len()));
    let w = Guarded::new(&draw.values::<T>(conv.weight_len()));
    let write = draw.write();
    let before = destination::<T>(draw, samples * conv.input_len(), write);
    let mut want = sums(&before, write);
    products(&conv, samples, |o, i, k| want[i].add(dy[o].f64() * w[k].f64()));
    for kernels in tables::<T>() {
        let mut dx = Guarded::new(&before);
        let packed = packed(kernels, &conv, Direction::BackwardInput, &w, draw);
        let scratch = &mut Guarded::nan(conv.scratch::<T>());
        (kernels.conv_backward_input)(&conv, &dy, &w, &packed, &mut dx, write, scratch);
        assert_sums(&dx, &want, &|| {
            format!("{conv:?}, {samples} samples, {write:?}, {:?}, seed {}", kernels.isa, draw.seed)
        });
    }
}

pub(crate) fn backward_weights<T: Element>(draw: &mut Draw, conv: Conv2d, samples: usize) {
    let x = Guarded::new(&draw.values::<T>(samples * conv.input_len()));
    let dy = Guarded::new(&draw.values::<T>(samples * conv.output_len()));
    let write = draw.write();
    let first = draw.size(0, conv.output[2]);
    let outputs = if draw.flag() { 0..conv.output[2] } else { first..draw.size(first, conv.output[2]) };
    let rows = outputs.start * conv.filter_len()..outputs.end * conv.filter_len();
    let before = destination::<T>(draw, rows.len(), write);
    let mut all = vec![Sum::default(); conv.weight_len()];
    all[rows.clone()].copy_from_slice(&sums(&before, write));
    products(&conv, samples, |o, i, k| all[k].add(dy[o].f64() * x[i].f64()));
    for kernels in tables::<T>() {
        let mut dw = Guarded::new(&before);
        let scratch = &mut Guarded::nan(conv.scratch::<T>());
        (kernels.conv_backward_weights)(&conv, &x, &dy, &mut dw, outputs.clone(), write, scratch);
        assert_sums(&dw, &all[rows.clone()], &|| {
            format!(
                "{conv:?}, {samples} samples, {outputs:?}, {write:?}, {:?}, seed {}",
                kernels.isa, draw.seed
            )
        });
    }
}

#[test]
fn the_gradients_are_the_adjoints_of_the_convolution() {
    for_seeds!(60, adjoints);
}

/// ⟨x ∗ w, dy⟩ = ⟨x, backward_input(dy)⟩ = ⟨w, backward_weights(x, dy)⟩.
fn adjoints<T: Element>(draw: &mut Draw) {
    let (conv, samples) = (random_geometry(draw), draw.size(1, 3));
    let x = Guarded::new(&draw.values::<T>(samples * conv.input_len()));
    let w = Guarded::new(&draw.values::<T>(conv.weight_len()));
    let dy = Guarded::new(&draw.values::<T>(samples * conv.output_len()));
    for kernels in tables::<T>() {
        let scratch = &mut Guarded::nan(conv.scratch::<T>());
        let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(Guarded::<T>::nan);
        (kernels.conv_forward)(&conv, &x, &w, &[], &[], Finish::nothing(), &mut y, scratch);
        (kernels.conv_backward_input)(&conv, &dy, &w, &[], &mut dx, Write::Set, scratch);
        (kernels.conv_backward_weights)(&conv, &x, &dy, &mut dw, 0..conv.output[2], Write::Set, scratch);
        let dot = |a: &[T], b: &[T]| wide(a).iter().zip(wide(b)).map(|(a, b)| a * b).sum::<f64>();
        let products = [dot(&y, &dy), dot(&x, &dx), dot(&w, &dw)];
        let size: f64 = wide(&y).iter().zip(wide(&dy)).map(|(y, dy)| (y * dy).abs()).sum::<f64>() + 1.0;
        let bound = 200.0 * unit::<T>() * size;
        let spread = (products[0] - products[1]).abs().max((products[0] - products[2]).abs());
        assert!(spread <= bound, "{products:?} for {conv:?}, {:?}, seed {}", kernels.isa, draw.seed);
    }
}

#[test]
fn scratch_does_not_depend_on_the_samples_that_a_method_is_chosen_by() {
    let pixels = |side, inputs, outputs| square([side, side, inputs], outputs, 1, 1, 0, 1);
    for conv in typical().into_iter().chain([pixels(4, 960, 320), pixels(8, 96, 576), pixels(16, 64, 128)]) {
        for samples in [1, 2, 100] {
            let scratch = |conv: Conv2d| [conv.scratch::<f32>(), conv.forward_scratch::<f32>()];
            assert_eq!(scratch(Conv2d { samples, ..conv }), scratch(conv), "{samples}: {conv:?}");
            assert!(conv.forward_scratch::<f32>() <= conv.scratch::<f32>(), "{conv:?}");
        }
    }
}

#[test]
fn rows_and_channels_by_themselves_are_those_of_the_whole() {
    for conv in typical() {
        for seed in 0..4 {
            sections::<f32>(&conv, &mut Draw::new(seed));
            sections::<f64>(&conv, &mut Draw::new(seed));
        }
    }
}

/// Rows from an even one on have the same bits and take the same packed weights; so have several groups; channels have the same
/// values but for rounding to f32.
fn sections<T: Element>(conv: &Conv2d, draw: &mut Draw) {
    let [rows, columns, channels] = conv.output;
    let (x, w) = (draw.values::<T>(conv.input_len()), draw.values::<T>(conv.weight_len()));
    let bias = draw.values::<T>(channels);
    let [scale, shift] = [(); 2].map(|()| draw.values::<T>(channels));
    for kernels in tables::<T>().chain(rounding_tables()) {
        let forward = |conv: &Conv2d, x: &[T], w: &[T], packed: &[T], outputs: &Range<usize>| {
            let mut y = Guarded::nan(conv.output_len());
            let mut scratch = Guarded::nan(conv.forward_scratch::<T>());
            let [scale, shift, bias] = [&scale, &shift, &bias].map(|all| &all[outputs.clone()]);
            let finish = Finish { affine: Some([scale, shift]), addend: &[], unary: Some(Unary::Relu6) };
            (kernels.conv_forward)(conv, &Guarded::new(x), w, packed, bias, finish, &mut y, &mut scratch);
            y.to_vec()
        };
        let mut packed = vec![T::NAN; conv.packed_len::<T>(Direction::Forward)];
        let pieces = conv.packed_pieces::<T>(Direction::Forward);
        if pieces > 0 {
            (kernels.conv_pack)(conv, Direction::Forward, &w, 0..pieces, &mut packed);
        }
        let whole = forward(conv, &x, &w, &packed, &(0..channels));
        let context = || format!("seed {}, {conv:?} on {:?} {:?}", draw.seed, kernels.isa, kernels.precision);
        // From an even row on, as tiles of two rows stand.
        let cut = (draw.seed as usize * 2).min(rows);
        for part in [0..cut, cut..rows].into_iter().filter(|part| !part.is_empty()) {
            let (of_rows, input) = conv.of_rows(part.clone());
            let row = conv.input[1] * conv.input[2];
            let y = forward(&of_rows, &x[input.start * row..input.end * row], &w, &packed, &(0..channels));
            assert!(
                y == whole[part.start * columns * channels..part.end * columns * channels],
                "{part:?}: {}",
                context()
            );
        }
        if conv.groups > 1 {
            let (group, inputs) = (conv.group_outputs(), conv.group_inputs());
            let cut = 1 + draw.seed as usize * 7 % conv.groups;
            // One group alone is a convolution without groups, which may go about it otherwise.
            for groups in [0..cut, cut..conv.groups].into_iter().filter(|groups| groups.len() > 1) {
                let part = groups.start * group..groups.end * group;
                let pixels = x.chunks_exact(conv.input[2]);
                let own = pixels.flat_map(|x| &x[groups.start * inputs..groups.end * inputs]);
                let weights = &w[part.start * conv.filter_len()..part.end * conv.filter_len()];
                let x: Vec<T> = own.copied().collect();
                let y = forward(&conv.of_channels(part.clone()), &x, weights, &[], &part);
                let whole = whole.chunks_exact(channels).flat_map(|y| &y[part.clone()]);
                assert!(y.iter().eq(whole), "groups {groups:?}: {}", context());
            }
        }
        if conv.groups > 1 || kernels.precision == Precision::Bf16 {
            continue;
        }
        let cut = 1 + draw.seed as usize * 7 % channels;
        for part in [0..cut, cut..channels].into_iter().filter(|part| !part.is_empty()) {
            let weights = &w[part.start * conv.filter_len()..part.end * conv.filter_len()];
            let y = forward(&conv.of_channels(part.clone()), &x, weights, &[], &part);
            for (y, whole) in y.chunks_exact(part.len()).zip(whole.chunks_exact(channels)) {
                for (y, whole) in y.iter().zip(&whole[part.clone()]) {
                    let steepest = scale.iter().map(|scale| scale.f64().abs()).fold(1.0, f64::max);
                    let bound = 8.0 * unit::<T>() * (8.0 + conv.filter_len() as f64) * steepest;
                    assert!((y.f64() - whole.f64()).abs() <= bound, "{y} and {whole}: {}", context());
                }
            }
        }
    }
}
