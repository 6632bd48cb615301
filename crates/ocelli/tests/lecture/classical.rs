//! Representations by hand: claims 1 to 8.

use ocelli::classical::{
    Border, FilterBank, Laplacian, Plane, Steerable, Wavelet, burt_adelson, convolve, expand,
    gaussian_pyramid, reduce, steering_weights,
};

use crate::support::{accepted, engine, normal};

fn noise(seed: u64, height: usize, width: usize) -> Plane {
    Plane::new(height, width, normal(seed, height * width))
}

#[test]
fn item_01_an_impulse_returns_every_kernel_and_the_bank_is_linear() {
    let bank = FilterBank::gabor(9, 4.0, 6);
    let impulse = Plane::from_fn(21, 23, |y, x| f64::from(u8::from((y, x) == (10, 11))));
    for (response, filter) in bank.responses::<f64>(&engine(), &impulse).unwrap().iter().zip(bank.filters()) {
        assert_eq!(response.window([6, 7], [9, 9]), filter.kernel, "{}", filter.name);
        assert_eq!(response.energy(), filter.kernel.energy(), "nothing beside the kernel");
    }
    let (x, z) = (noise(1, 30, 41), noise(2, 30, 41));
    let of = |plane: &Plane| bank.responses::<f64>(&engine(), plane).unwrap();
    for ((both, x), z) in of(&x.zip(&z, |x, z| 0.3 * x + 5.0 * z)).iter().zip(of(&x)).zip(of(&z)) {
        assert!(x.zip(&z, |x, z| 0.3 * x + 5.0 * z).largest_difference(both) < 1e-12);
    }
}

#[test]
fn item_01_a_bank_as_a_layer_computes_the_convolution() {
    let bank = FilterBank::gaussian_derivatives(11, 1.7, 3);
    let plane = noise(3, 26, 19);
    for (layer, filter) in bank.responses::<f64>(&engine(), &plane).unwrap().iter().zip(bank.filters()) {
        assert!(
            convolve(&plane, &filter.kernel, Border::Zero).largest_difference(layer) < 1e-13,
            "{}",
            filter.name
        );
    }
}

#[test]
fn item_02_a_circular_shift_commutes_with_convolution_to_the_last_bit() {
    let kernel = noise(4, 5, 7);
    let plane = noise(5, 24, 31);
    for [down, right] in [[0, 1], [1, 0], [-7, 12], [23, -30]] {
        let before = convolve(&plane.shifted(down, right), &kernel, Border::Circular);
        assert_eq!(before, convolve(&plane, &kernel, Border::Circular).shifted(down, right));
    }
    // With another border it does not: the test can fail.
    let before = convolve(&plane.shifted(3, 3), &kernel, Border::Zero);
    assert_ne!(before, convolve(&plane, &kernel, Border::Zero).shifted(3, 3));
}

#[test]
fn item_03_the_gaussian_pyramid_halves_sizes_and_keeps_constants() {
    for a in [0.3, 0.375, 0.4, 0.6] {
        for (height, width) in [(1, 1), (2, 3), (17, 32), (64, 63)] {
            let plane = Plane::from_fn(height, width, |_, _| -2.5);
            let reduced = reduce(&plane, &burt_adelson(a));
            assert_eq!(reduced.size(), [height.div_ceil(2), width.div_ceil(2)]);
            let expanded = expand(&reduced, [height, width], &burt_adelson(a));
            for v in reduced.values().iter().chain(expanded.values()) {
                assert!((v + 2.5).abs() < 1e-14, "{height}×{width}: {v}");
            }
        }
    }
    let sizes: Vec<_> =
        gaussian_pyramid(&noise(6, 21, 13), 9, &burt_adelson(0.4)).iter().map(Plane::size).collect();
    assert_eq!(sizes, [[21, 13], [11, 7], [6, 4], [3, 2], [2, 1]]);
}

#[test]
fn item_04_laplacian_pyramid_collapses() {
    for (height, width) in [(64, 64), (63, 64), (33, 17), (5, 2), (1, 9), (1, 1)] {
        for a in [0.375, 0.4, 0.9] {
            let plane = noise((height * 100 + width) as u64, height, width);
            let pyramid = Laplacian::new(&plane, 6, &burt_adelson(a));
            assert!(pyramid.collapse().largest_difference(&plane) < 1e-12, "{height}×{width}, a {a}");
        }
    }
    let mut pyramid = Laplacian::new(&noise(7, 40, 40), 4, &burt_adelson(0.4));
    let whole = pyramid.collapse();
    pyramid.bands[1].values_mut()[3] += 0.1;
    assert!(pyramid.collapse().largest_difference(&whole) > 0.05, "every band counts");
}

#[test]
fn item_05_wavelets_reconstruct_as_their_filters_allow() {
    let plane = noise(8, 64, 128);
    for moments in 2..=4 {
        let wavelet = Wavelet::daubechies(moments);
        let bands = wavelet.analyse(&plane, 4);
        assert!(wavelet.synthesise(&bands).largest_difference(&plane) < 1e-10, "{}", wavelet.name);
        let energy: f64 = bands.details.iter().flatten().chain([&bands.rest]).map(Plane::energy).sum();
        assert!(
            (energy / plane.energy() - 1.0).abs() < 1e-10,
            "{}: an orthogonal transform keeps energy",
            wavelet.name
        );
    }
    let haar = Wavelet::haar();
    assert!(haar.synthesise(&haar.analyse(&plane, 5)).largest_difference(&plane) < 1e-14);
    accepted("wavelets");
}

#[test]
fn item_06_steerable_pyramid_reconstructs_and_steers() {
    for (height, width, levels, orientations) in
        [(64, 64, 3, 4), (50, 63, 2, 3), (33, 37, 2, 1), (48, 40, 3, 6)]
    {
        let plane = noise((height + width) as u64, height, width);
        let pyramid = Steerable::new(&plane, levels, orientations);
        assert!(pyramid.collapse().largest_difference(&plane) < 1e-10, "{height}×{width}");
        for angle in [0.0, 0.4, 1.9, -2.2] {
            let direct = Steerable::finest_band(&plane, orientations, angle);
            assert!(
                pyramid.steered(0, angle).largest_difference(&direct) < 1e-10,
                "{orientations} at {angle}"
            );
        }
    }
    assert!(
        (steering_weights(4, std::f64::consts::FRAC_PI_4)[1] - 1.0).abs() < 1e-15,
        "a basis band is itself"
    );
}

#[test]
fn item_07_a_pattern_of_twice_the_size_peaks_one_level_up() {
    let finding = accepted("pyramids");
    assert!(finding.checks.iter().filter(|check| check.what.contains("peak moves")).count() >= 2);
}

#[test]
fn item_08_features_made_by_hand_and_learned_are_compared_under_one_classifier() {
    accepted("hand-made");
}
