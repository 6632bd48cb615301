//! Tables whose products may round: what they compute are the sums of products of operands as they are, or of operands rounded
//! to bf16, to within the rounding of sums of `f32`. Shapes are such that a matrix unit is worth it for many of them. Where
//! Winograd's filtering is chosen, what it makes of the operands is rounded instead, and errors are held against those of rounded
//! operands.

use ocelli_kernels::{Conv2d, Direction, Element, Finish, Gemm, Isa, Kernels, Precision, Unary, Write};

use crate::convolution::{packed, products};
use crate::support::{Draw, Guarded, Sum, bound, destination, rms, sums};
use crate::winograd;

const SEEDS: u64 = 500;

/// How many times as large as those of rounded operands the errors of Winograd's filtering may be, root mean square. Of long sums
/// of random numbers they are 1.7 times as large for 3 taps along both axes and up to twice as large for more.
const FILTERED: f64 = 2.5;

/// The tables that may round, and how many calls of each did.
struct Counted(Vec<(&'static Kernels<f32>, u64)>);

impl Counted {
    fn all() -> Counted {
        let available = Isa::ALL.into_iter().filter(|isa| isa.available());
        Counted(available.map(|isa| (f32::kernels_of(isa, Precision::Bf16), 0)).collect())
    }

    /// Calls each table's kernel and compares what it gives.
    fn check(
        &mut self,
        want: &mut dyn FnMut(fn(f32) -> f64) -> Vec<Sum>,
        call: &mut dyn FnMut(&'static Kernels<f32>) -> Vec<f32>,
        conv: Option<&Conv2d>,
        context: &str,
    ) {
        let filtered = conv.is_some_and(may_be_filtered);
        let (exact, rounded) = (want(f64::from), want(nearest_bf16));
        for (kernels, count) in &mut self.0 {
            let got = call(kernels);
            let context = || format!("{context}, {:?} {:?}", kernels.isa, kernels.precision);
            assert_eq!(got.len(), exact.len(), "{}", context());
            let worst = |want: &[Sum]| {
                let excess = |(got, want): (&f32, &Sum)| {
                    let error = (f64::from(*got) - want.value).abs();
                    if error.is_nan() { f64::INFINITY } else { error - bound::<f32>(want) }
                };
                got.iter().zip(want).map(excess).fold(0.0, f64::max)
            };
            if worst(&exact) <= 0.0 {
                continue;
            }
            assert_eq!(kernels.precision, Precision::Bf16, "rounds: {}", context());
            *count += 1;
            let error = rms(got.iter().zip(&exact).map(|(got, exact)| f64::from(*got) - exact.value));
            let of_rounded =
                rms(rounded.iter().zip(&exact).map(|(rounded, exact)| rounded.value - exact.value));
            if filtered && kernels.isa == Isa::Avx512 && error <= FILTERED * of_rounded {
                continue;
            }
            let excess = worst(&rounded);
            assert!(excess <= 0.0, "neither exact nor of rounded operands by {excess:.1e}: {}", context());
        }
    }

    /// Rounding is what makes the tables that say they round worth having. Many random geometries have too few channels to be
    /// worth it.
    fn assert_rounded(&self) {
        for (kernels, count) in &self.0 {
            let least = if kernels.precision == Precision::Bf16 { SEEDS / 8 } else { 0 };
            assert!(*count >= least, "{:?} rounds in {count} of {SEEDS} cases", kernels.isa);
        }
    }
}

/// Windows that Winograd's filtering may be chosen for.
fn may_be_filtered(conv: &Conv2d) -> bool {
    let [inputs, outputs] = [conv.input[2], conv.output[2]].map(|channels| channels / conv.groups);
    let windows = conv.kernel.iter().all(|taps| [3, 5, 7].contains(taps));
    windows
        && conv.stride == [1, 1]
        && conv.dilation == [1, 1]
        && inputs.min(outputs) >= 16
        && inputs * outputs >= 1024
}

/// The nearest number of bf16, ties to even.
fn nearest_bf16(number: f32) -> f64 {
    let bits = number.to_bits();
    f64::from(f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
}

#[test]
fn random_products_are_those_of_operands_or_of_rounded_ones() {
    let mut counted = Counted::all();
    for seed in 0..SEEDS {
        let draw = &mut Draw::new(seed);
        let most = if seed % 10 == 0 { 300 } else { 90 };
        let (m, n, k) = (draw.size(1, most), draw.size(1, most), draw.size(1, most));
        let strides = |draw: &mut Draw, rows: usize, columns: usize| match draw.flag() {
            true => [columns + draw.size(0, 3), 1],
            false => [1, rows + draw.size(0, 3)],
        };
        let (a, b) = (strides(draw, m, k), strides(draw, k, n));
        let gemm = Gemm { m, n, k, of: [m, n], a, b, c_row: n, write: draw.write() };
        let a = Guarded::new(&draw.values::<f32>(gemm.a_len()));
        let b = Guarded::new(&draw.values::<f32>(gemm.b_len()));
        let before = destination::<f32>(draw, gemm.c_len(), gemm.write);
        let mut want = |number: fn(f32) -> f64| {
            let mut want = sums(&before, gemm.write);
            for (at, sum) in want.iter_mut().enumerate() {
                let (i, j) = (at / n, at % n);
                for p in 0..k {
                    let a = a[i * gemm.a[0] + p * gemm.a[1]];
                    sum.add(number(a) * number(b[p * gemm.b[0] + j * gemm.b[1]]));
                }
            }
            want
        };
        let mut call = |kernels: &'static Kernels<f32>| {
            let mut c = Guarded::new(&before);
            (kernels.gemm)(&gemm, &a, &b, &mut c, &mut Guarded::nan(gemm.scratch::<f32>()));
            c.to_vec()
        };
        counted.check(&mut want, &mut call, None, &format!("{gemm:?}, seed {seed}"));
    }
    counted.assert_rounded();
}

/// Layers of enough channels for matrix units to be worth it, mostly; some that Winograd's filtering may be chosen for.
fn geometry(draw: &mut Draw) -> Conv2d {
    if draw.size(0, 9) == 0 {
        return winograd::random_geometry(draw);
    }
    loop {
        let groups = [1, 1, 1, 2][draw.size(0, 3)];
        let (inputs, outputs) = (draw.size(1, 50) * groups, draw.size(4, 50) * groups);
        let (size, kernel) = ([draw.size(1, 9), draw.size(1, 9)], [draw.size(1, 3), draw.size(1, 3)]);
        let (stride, dilation) = ([draw.size(1, 2), draw.size(1, 2)], [draw.size(1, 2), 1]);
        let (before, after) = ([draw.size(0, 2), draw.size(0, 2)], [draw.size(0, 2), draw.size(0, 2)]);
        let along = |axis: usize| {
            let padding = before[axis] + after[axis];
            Conv2d::output_size(size[axis], kernel[axis], stride[axis], padding, dilation[axis])
        };
        let (Some(height), Some(width)) = (along(0), along(1)) else { continue };
        return Conv2d {
            input: [size[0], size[1], inputs],
            output: [height, width, outputs],
            kernel,
            stride,
            padding: before,
            dilation,
            groups,
            samples: 4,
        };
    }
}

#[test]
fn random_forward_convolutions_are_those_of_operands_or_of_rounded_ones() {
    let mut counted = Counted::all();
    for seed in 0..SEEDS {
        let draw = &mut Draw::new(seed);
        let (conv, samples) = (geometry(draw), draw.size(1, 3));
        let x = Guarded::new(&draw.values::<f32>(samples * conv.input_len()));
        let w = Guarded::new(&draw.values::<f32>(conv.weight_len()));
        let bias = if draw.flag() { draw.values::<f32>(conv.output[2]) } else { Vec::new() };
        // Not from the case's own numbers, which would change those that follow.
        let more = &mut Draw::new(seed + 1_000_000);
        let [scale, shift] = [(); 2].map(|()| more.values::<f32>(conv.output[2]));
        let addend = more.values::<f32>(samples * conv.output_len());
        let finish =
            Finish { affine: Some([&scale, &shift]), addend: &addend, unary: Some(Unary::LeakyRelu(0.1)) };
        let mut want = |number: fn(f32) -> f64| {
            let mut want = vec![Sum::default(); samples * conv.output_len()];
            if !bias.is_empty() {
                want.iter_mut().enumerate().for_each(|(i, sum)| sum.add(bias[i % bias.len()].into()));
            }
            products(&conv, samples, |o, i, k| want[o].add(number(x[i]) * number(w[k])));
            want
        };
        let mut call = |kernels: &'static Kernels<f32>| {
            let mut y = Guarded::nan(samples * conv.output_len());
            let packed = packed(kernels, &conv, Direction::Forward, &w, draw);
            let scratch = &mut Guarded::nan(conv.forward_scratch::<f32>());
            let forward = kernels.conv_forward;
            forward(&conv, &x, &w, &packed, &bias, Finish::nothing(), &mut y, scratch);
            let mut finished = Guarded::nan(y.len());
            forward(&conv, &x, &w, &packed, &bias, finish, &mut finished, scratch);
            let mut after = Guarded::new(&y);
            (kernels.finish)(&finish, &mut after);
            let same = finished.iter().zip(&after[..]).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "finished on the way and in the end: {conv:?}, seed {seed}, {:?}", kernels.isa);
            y.to_vec()
        };
        let context = format!("{conv:?}, {samples} samples, seed {seed}");
        counted.check(&mut want, &mut call, Some(&conv), &context);
    }
    counted.assert_rounded();
}

#[test]
fn random_gradients_of_the_input_are_those_of_operands_or_of_rounded_ones() {
    let mut counted = Counted::all();
    for seed in 0..SEEDS {
        let draw = &mut Draw::new(seed);
        let (conv, samples, write) = (geometry(draw), draw.size(1, 3), draw.write());
        let dy = Guarded::new(&draw.values::<f32>(samples * conv.output_len()));
        let w = Guarded::new(&draw.values::<f32>(conv.weight_len()));
        let before = destination::<f32>(draw, samples * conv.input_len(), write);
        let mut want = |number: fn(f32) -> f64| {
            let mut want = sums(&before, write);
            products(&conv, samples, |o, i, k| want[i].add(number(dy[o]) * number(w[k])));
            want
        };
        let mut call = |kernels: &'static Kernels<f32>| {
            let mut dx = Guarded::new(&before);
            let packed = packed(kernels, &conv, Direction::BackwardInput, &w, draw);
            let scratch = &mut Guarded::nan(conv.scratch::<f32>());
            (kernels.conv_backward_input)(&conv, &dy, &w, &packed, &mut dx, write, scratch);
            dx.to_vec()
        };
        let context = format!("{conv:?}, {samples} samples, {write:?}, seed {seed}");
        counted.check(&mut want, &mut call, Some(&conv), &context);
    }
    counted.assert_rounded();
}

#[test]
fn random_gradients_of_the_weights_are_those_of_operands_or_of_rounded_ones() {
    let mut counted = Counted::all();
    for seed in 0..SEEDS {
        let draw = &mut Draw::new(seed);
        let (conv, samples, write) = (geometry(draw), draw.size(1, 3), draw.write());
        let x = Guarded::new(&draw.values::<f32>(samples * conv.input_len()));
        let dy = Guarded::new(&draw.values::<f32>(samples * conv.output_len()));
        let first = draw.size(0, conv.output[2]);
        let outputs = if draw.flag() { 0..conv.output[2] } else { first..draw.size(first, conv.output[2]) };
        let rows = outputs.start * conv.filter_len()..outputs.end * conv.filter_len();
        let before = destination::<f32>(draw, rows.len(), write);
        let mut want = |number: fn(f32) -> f64| {
            let mut all = vec![Sum::default(); conv.weight_len()];
            all[rows.clone()].copy_from_slice(&sums(&before, write));
            products(&conv, samples, |o, i, k| all[k].add(number(dy[o]) * number(x[i])));
            all[rows.clone()].to_vec()
        };
        let mut call = |kernels: &'static Kernels<f32>| {
            let mut dw = Guarded::new(&before);
            let scratch = &mut Guarded::nan(conv.scratch::<f32>());
            (kernels.conv_backward_weights)(&conv, &x, &dy, &mut dw, outputs.clone(), write, scratch);
            dw.to_vec()
        };
        let context = format!("{conv:?}, {samples} samples, {outputs:?}, {write:?}, seed {seed}");
        counted.check(&mut want, &mut call, Some(&conv), &context);
    }
    counted.assert_rounded();
}

#[test]
fn numbers_that_are_no_numbers_stay_so() {
    let (m, n, k) = (64, 64, 64);
    let gemm = Gemm { m, n, k, of: [m, n], a: [k, 1], b: [n, 1], c_row: n, write: Write::Set };
    for (kernels, _) in Counted::all().0 {
        let (mut a, b) = (vec![1.0; m * k], vec![1.0; k * n]);
        // One whose payload would be rounded away.
        a[5 * k + 3] = f32::from_bits(0x7fff_ffff);
        let mut c = vec![0.0; m * n];
        (kernels.gemm)(&gemm, &a, &b, &mut c, &mut vec![0.0; gemm.scratch::<f32>()]);
        for (i, row) in c.chunks(n).enumerate() {
            assert!(row.iter().all(|c| if i == 5 { c.is_nan() } else { *c == k as f32 }), "row {i}: {row:?}");
        }
    }
}
