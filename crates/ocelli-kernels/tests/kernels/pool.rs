use ocelli_kernels::{Element, Isa, Pool2d, Write};

use crate::support::{
    Draw, Guarded, Sum, assert_sums, destination, for_seeds, nan, sums, tables, unit, wide,
};

fn random_pool(draw: &mut Draw) -> Pool2d {
    let channels = [1, 3, 6, 16, 33, 70, 96][draw.size(0, 6)];
    let (count_padding, apart) = (draw.flag(), draw.flag());
    let mut axis = || {
        let (input, kernel, stride) = (draw.size(1, 11), draw.size(1, 4), draw.size(1, 5));
        let stride = if apart { kernel } else { stride };
        let padding = draw.size(0, (kernel / 2).min(input));
        // Every window must start before the image ends; ceil mode lets the last one hang over.
        let last = (input + padding - 1) / stride + 1;
        (input, draw.size(1, last), kernel, stride, padding)
    };
    let (h, w) = (axis(), axis());
    Pool2d {
        input: [h.0, w.0, channels],
        output: [h.1, w.1, channels],
        kernel: [h.2, w.2],
        stride: [h.3, w.3],
        padding: [h.4, w.4],
        count_padding,
    }
}

/// The input pixels of a window with their offsets ky·kw + kx, and the size of the window clipped to the padding.
fn window(pool: &Pool2d, oy: usize, ox: usize) -> (Vec<(usize, usize)>, usize) {
    let (mut pixels, mut padded) = (Vec::new(), 0);
    for ky in 0..pool.kernel[0] {
        for kx in 0..pool.kernel[1] {
            let (py, px) = (oy * pool.stride[0] + ky, ox * pool.stride[1] + kx);
            if py >= pool.input[0] + 2 * pool.padding[0] || px >= pool.input[1] + 2 * pool.padding[1] {
                continue;
            }
            padded += 1;
            let (iy, ix) = (py.wrapping_sub(pool.padding[0]), px.wrapping_sub(pool.padding[1]));
            if iy < pool.input[0] && ix < pool.input[1] {
                pixels.push((ky * pool.kernel[1] + kx, iy * pool.input[1] + ix));
            }
        }
    }
    (pixels, padded)
}

/// Calls `visit(output index, pixels (offset, input index), divisor)` for every output element.
fn each_output(pool: &Pool2d, samples: usize, mut visit: impl FnMut(usize, &[(usize, usize)], f64)) {
    for n in 0..samples {
        for oy in 0..pool.output[0] {
            for ox in 0..pool.output[1] {
                let (pixels, padded) = window(pool, oy, ox);
                let divisor = if pool.count_padding { padded } else { pixels.len() };
                for c in 0..pool.input[2] {
                    let place = |&(tap, pixel): &(usize, usize)| {
                        (tap, n * pool.input_len() + pixel * pool.input[2] + c)
                    };
                    let pixels: Vec<_> = pixels.iter().map(place).collect();
                    let out = ((n * pool.output[0] + oy) * pool.output[1] + ox) * pool.input[2] + c;
                    visit(out, &pixels, divisor as f64);
                }
            }
        }
    }
}

#[test]
fn random_poolings_agree_with_naive_loops() {
    for_seeds!(200, random_case);
}

fn random_case<T: Element>(draw: &mut Draw) {
    let (pool, samples) = (random_pool(draw), draw.size(0, 3));
    let x = Guarded::new(&draw.values::<T>(samples * pool.input_len()));
    let dy = Guarded::new(&draw.values::<T>(samples * pool.output_len()));
    let write = draw.write();
    let before = destination::<T>(draw, x.len(), write);
    let (mut max, mut offsets) = (vec![f64::NAN; dy.len()], vec![0; dy.len()]);
    let mut average = vec![Sum::default(); dy.len()];
    let (mut max_dx, mut average_dx) = (sums(&before, write), sums(&before, write));
    each_output(&pool, samples, |out, pixels, divisor| {
        let mut best = pixels[0];
        for &pixel in pixels {
            average[out].add(x[pixel.1].f64() / divisor);
            average_dx[pixel.1].add(dy[out].f64() / divisor);
            if x[pixel.1] > x[best.1] {
                best = pixel;
            }
        }
        (max[out], offsets[out]) = (x[best.1].f64(), best.0);
        max_dx[best.1].add(dy[out].f64());
    });
    for kernels in tables::<T>() {
        let context =
            || format!("{pool:?}, {samples} samples, {write:?}, {:?}, seed {}", kernels.isa, draw.seed);
        let (mut y, mut argmax) = (Guarded::<T>::nan(dy.len()), Guarded::<T>::nan(dy.len()));
        (kernels.max_pool_forward)(&pool, &x, &mut y, &mut argmax);
        assert_eq!(wide(&y), max, "{}", context());
        assert!(argmax.iter().zip(&offsets).all(|(a, &b)| a.f64() == b as f64), "{}", context());
        let mut without_argmax = Guarded::<T>::nan(dy.len());
        (kernels.max_pool_forward)(&pool, &x, &mut without_argmax, &mut []);
        assert_eq!(y[..], without_argmax[..], "{}", context());
        let mut dx = Guarded::new(&before);
        (kernels.max_pool_backward)(&pool, &argmax, &dy, &mut dx, write);
        assert_sums(&dx, &max_dx, &context);
        (kernels.average_pool_forward)(&pool, &x, &mut y);
        assert_sums(&y, &average, &context);
        dx.copy_from_slice(&before);
        (kernels.average_pool_backward)(&pool, &dy, &mut dx, write);
        assert_sums(&dx, &average_dx, &context);
    }
}

#[test]
fn the_first_maximum_wins_and_nan_wins_over_all() {
    let pool = Pool2d {
        input: [1, 4, 40],
        output: [1, 1, 40],
        kernel: [1, 4],
        stride: [1, 1],
        padding: [0, 0],
        count_padding: false,
    };
    let infinite = f32::NEG_INFINITY;
    for (values, place) in [
        ([1.0, 3.0, 3.0, 2.0], 1.0),
        ([infinite; 4], 0.0),
        ([1.0, f32::NAN, 9.0, f32::NAN], 1.0),
        ([f32::NAN, 1.0, 2.0, 3.0], 0.0),
        ([0.0, -0.0, 0.0, -1.0], 0.0),
    ] {
        let x: Vec<f32> = (0..160).map(|i| values[i / 40]).collect();
        for kernels in tables::<f32>() {
            let (mut y, mut argmax) = (vec![0.0; 40], vec![f32::NAN; 40]);
            (kernels.max_pool_forward)(&pool, &x, &mut y, &mut argmax);
            assert_eq!(argmax, vec![place; 40], "{values:?} {:?}", kernels.isa);
            let best = values[place as usize];
            assert!(
                y.iter().all(|&y| y == best || (y.is_nan() && best.is_nan())),
                "{values:?} {:?}",
                kernels.isa
            );
        }
    }
}

#[test]
fn maxima_among_numbers_that_are_not_finite_are_those_of_the_reference() {
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let pool = random_pool(&mut draw);
        let mut x: Vec<f32> = draw.values(2 * pool.input_len());
        let rare = draw.size(2, 40);
        for x in &mut x {
            if draw.size(0, rare) == 0 {
                *x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0][draw.size(0, 4)];
            }
        }
        let run = |isa: Isa| {
            let len = 2 * pool.output_len();
            let (mut y, mut argmax) = (Guarded::<f32>::nan(len), Guarded::<f32>::nan(len));
            (f32::kernels(isa).max_pool_forward)(&pool, &x, &mut y, &mut argmax);
            (y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(), argmax.to_vec())
        };
        for kernels in tables::<f32>() {
            assert_eq!(run(kernels.isa), run(Isa::Portable), "{pool:?}, {:?}, seed {seed}", kernels.isa);
        }
    }
}

#[test]
fn the_average_gradient_is_the_adjoint_of_the_average() {
    for_seeds!(60, adjoint);
}

fn adjoint<T: Element>(draw: &mut Draw) {
    let (pool, samples) = (random_pool(draw), draw.size(1, 3));
    let x = draw.values::<T>(samples * pool.input_len());
    let dy = draw.values::<T>(samples * pool.output_len());
    for kernels in tables::<T>() {
        let (mut y, mut dx) = (nan::<T>(dy.len()), nan::<T>(x.len()));
        (kernels.average_pool_forward)(&pool, &x, &mut y);
        (kernels.average_pool_backward)(&pool, &dy, &mut dx, Write::Set);
        let dot = |a: &[T], b: &[T]| wide(a).iter().zip(wide(b)).map(|(a, b)| a * b).sum::<f64>();
        let size: f64 = wide(&dy).iter().map(|dy| dy.abs()).sum::<f64>() + 1.0;
        let difference = (dot(&y, &dy) - dot(&x, &dx)).abs();
        assert!(difference <= 60.0 * unit::<T>() * size, "{difference} {pool:?} seed {}", draw.seed);
    }
}

#[test]
fn rows_by_themselves_are_those_of_the_whole() {
    for_seeds!(150, rows);
}

fn rows<T: Element>(draw: &mut Draw) {
    let mut pool = random_pool(draw);
    if pool.padding[0] > 0 {
        pool.count_padding = false;
    }
    let x = draw.values::<T>(pool.input_len());
    let (cut, row) = (draw.size(0, pool.output[0]), pool.input[1] * pool.input[2]);
    for kernels in tables::<T>() {
        let both = |pool: &Pool2d, x: &[T]| {
            let (mut largest, mut mean) = (nan::<T>(pool.output_len()), nan::<T>(pool.output_len()));
            (kernels.max_pool_forward)(pool, x, &mut largest, &mut []);
            (kernels.average_pool_forward)(pool, x, &mut mean);
            [largest, mean]
        };
        let whole = both(&pool, &x);
        for part in [0..cut, cut..pool.output[0]].into_iter().filter(|part| !part.is_empty()) {
            let (of_rows, input) = pool.of_rows(part.clone());
            let found = both(&of_rows, &x[input.start * row..input.end * row]);
            let out = pool.output[1] * pool.output[2];
            for (found, whole) in found.iter().zip(&whole) {
                let same = found[..] == whole[part.start * out..part.end * out];
                assert!(same, "seed {}, rows {part:?} of {pool:?} on {:?}", draw.seed, kernels.isa);
            }
        }
    }
}
