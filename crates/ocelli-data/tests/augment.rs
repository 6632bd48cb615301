//! Preprocessing and augmentation: what they compute, and what they leave alone.

use std::f64::consts::PI;

use ocelli_data::{
    Augment, ColourAxes, ColourShift, Crop, Elastic, Erase, ErrorKind, Fit, Normalise, Picture, Preprocess,
    Preprocessor, View, augment::Draw,
};
use ocelli_kernels::random::Key;

fn noise(height: usize, width: usize, channels: usize) -> Picture {
    let mut stream = Key::new(11, &[channels as u64]).stream();
    let mut picture = Picture::default();
    picture.reshape(height, width, channels).fill_with(|| stream.next_u32() as u8);
    picture
}

fn preprocess(channels: usize, size: [usize; 2], pad: usize) -> Preprocess {
    let (mean, std) = (vec![0.25; channels], vec![0.5; channels]);
    Preprocess {
        channels,
        size,
        fit: Fit::Stretch,
        pad,
        background: 51,
        normalise: Normalise::MeanStd { mean, std },
    }
}

/// Inputs that are the values of pixels, 0 to 255.
fn values(channels: usize, size: [usize; 2], pad: usize, background: u8) -> Preprocess {
    Preprocess {
        background,
        normalise: Normalise::Range { low: 0.0, high: 255.0 },
        ..preprocess(channels, size, pad)
    }
}

fn apply(preprocess: &Preprocess, picture: &Picture) -> Vec<f32> {
    let mut out = vec![f32::NAN; preprocess.input_shape().iter().product()];
    Preprocessor::new(preprocess).unwrap().apply(picture, &mut out);
    out
}

fn draw(seed: u64, epoch: u64, sample: u32) -> Draw {
    Draw { seed, epoch, sample }
}

fn augmented(preprocess: &Preprocess, augment: &Augment, picture: &Picture, draw_of: Draw) -> Vec<f32> {
    let mut out = vec![f32::NAN; preprocess.input_shape().iter().product()];
    let mut worker = Preprocessor::new(preprocess).unwrap().with_augment(augment).unwrap();
    // What was made before must not show.
    worker.apply_augmented(&noise(17, 9, 3), draw(5, 5, 5), &mut out);
    worker.apply_augmented(picture, draw_of, &mut out);
    out
}

/// Every kind of variation, at LeNet-like strengths.
fn all() -> Augment {
    Augment {
        shift: 2.0,
        rotation: 15.0,
        scale: 0.15,
        squeeze: 0.1,
        shear: 0.2,
        elastic: Some(Elastic { alpha: 34.0, sigma: 4.0 }),
        ..Augment::NONE
    }
}

#[test]
fn pixels_are_padded_and_normalised_per_channel() {
    let picture = noise(4, 5, 3);
    let normalise = Normalise::MeanStd { mean: vec![0.1, 0.2, 0.3], std: vec![0.5, 0.25, 2.0] };
    let spec = Preprocess { normalise, ..preprocess(3, [4, 5], 2) };
    let out = apply(&spec, &picture);
    for (i, &got) in out.iter().enumerate() {
        let (y, x, c) = (i / 27, i / 3 % 9, i % 3);
        let inside = (2..6).contains(&y) && (2..7).contains(&x);
        let value = if inside { picture.pixels[((y - 2) * 5 + x - 2) * 3 + c] } else { 51 };
        let want = (f64::from(value) / 255.0 - [0.1, 0.2, 0.3][c]) / [0.5, 0.25, 2.0][c];
        assert!((f64::from(got) - want).abs() < 1e-6, "{y}, {x}, {c}: {got}, not {want}");
    }
}

#[test]
fn a_range_puts_background_low_and_ink_high() {
    let picture = Picture { pixels: vec![0, 255], height: 1, width: 2, channels: 1 };
    let normalise = Normalise::Range { low: -0.1, high: 1.175 };
    let out = apply(&Preprocess { normalise, ..preprocess(1, [1, 2], 0) }, &picture);
    assert!((out[0] + 0.1).abs() < 1e-6 && (out[1] - 1.175).abs() < 1e-6, "{out:?}");
}

#[test]
fn pictures_of_other_sizes_and_channels_are_converted() {
    let grey = Picture { pixels: vec![200; 15], height: 3, width: 5, channels: 1 };
    let color = Picture { pixels: vec![200; 45], height: 3, width: 5, channels: 3 };
    for (picture, channels) in [(&grey, 1), (&grey, 3), (&color, 1), (&color, 3)] {
        let out = apply(&preprocess(channels, [7, 4], 0), picture);
        assert_eq!(out.len(), 28 * channels);
        assert!(out.iter().all(|v| (v - (200.0 / 255.0 - 0.25) / 0.5).abs() < 1e-5), "{out:?}");
    }
}

fn viewed(preprocess: &Preprocess, picture: &Picture, view: View) -> Vec<f32> {
    let mut out = vec![f32::NAN; preprocess.input_shape().iter().product()];
    Preprocessor::new(preprocess).unwrap().view(picture, view, &mut out);
    out
}

#[test]
fn ten_views_are_the_corners_and_the_middle_and_their_mirror_images() {
    // 14 of 16 pixels, as 224 of 256: nothing is interpolated.
    let picture = noise(16, 20, 3);
    let spec = Preprocess { fit: Fit::Crop { share: 0.875 }, ..values(3, [14, 14], 0, 0) };
    let corners = [[0, 2], [0, 4], [2, 2], [2, 4], [1, 3]];
    for (i, view) in View::TEN_CROP.into_iter().enumerate() {
        let [top, left] = corners[i % 5];
        let out = viewed(&spec, &picture, view);
        for (k, &got) in out.iter().enumerate() {
            let (y, x, c) = (k / 42, k / 3 % 14, k % 3);
            let x = if i < 5 { x } else { 13 - x };
            assert_eq!(got, f32::from(picture.pixels[((top + y) * 20 + left + x) * 3 + c]), "view {i}: {k}");
        }
    }
    assert_eq!(viewed(&spec, &picture, View::CENTRE), apply(&spec, &picture));
}

#[test]
fn a_whole_picture_is_flipped_with_its_padding() {
    let (picture, spec) = (noise(5, 6, 1), values(1, [5, 6], 2, 77));
    let (plain, flipped) = (apply(&spec, &picture), viewed(&spec, &picture, View::FLIP[1]));
    for (row, mirrored) in plain.chunks(10).zip(flipped.chunks(10)) {
        assert!(row.iter().eq(mirrored.iter().rev()));
    }
}

#[test]
fn an_input_is_shown_as_the_picture_that_it_was() {
    let picture = noise(5, 6, 3);
    let mean = vec![0.1, 0.4, 0.6];
    let normalise = Normalise::MeanStd { mean, std: vec![0.3, -0.2, 0.1] };
    let spec = Preprocess { normalise, ..preprocess(3, [5, 6], 0) };
    let mut shown = Picture::default();
    spec.show(&apply(&spec, &picture), &mut shown);
    assert_eq!(shown, picture);
    spec.show(&[-1e9; 90], &mut shown);
    assert!(shown.pixels.chunks_exact(3).all(|p| p == [0, 255, 0]), "cut off at black and white");
}

#[test]
fn padded_crops_move_the_picture_by_whole_pixels_and_mirror_it() {
    let (picture, spec) = (noise(12, 10, 3), values(3, [12, 10], 0, 99));
    let augment = Augment { crop: Crop::Padded { pixels: 2 }, flip: 0.5, ..Augment::NONE };
    let mut seen = std::collections::BTreeSet::new();
    for sample in 0..400 {
        let out = augmented(&spec, &augment, &picture, draw(3, 0, sample));
        let moved = |dy: i64, dx: i64, flip: bool| {
            out.iter().enumerate().all(|(k, &got)| {
                let (y, x, c) = (k / 30, k / 3 % 10, k % 3);
                let (v, u) = (y as i64 + dy, if flip { 9 - x } else { x } as i64 + dx);
                let inside = (0..12).contains(&v) && (0..10).contains(&u);
                got == if inside { picture.pixels[((v * 10 + u) * 3) as usize + c].into() } else { 99.0 }
            })
        };
        let places = (0..50).map(|i| (i / 10 - 2, i / 2 % 5 - 2, i % 2 == 1));
        let found = places.clone().find(|&(dy, dx, flip)| moved(dy, dx, flip));
        seen.insert(found.unwrap_or_else(|| panic!("sample {sample} is no place")));
    }
    assert_eq!(seen.len(), 50, "every place and both sides");
}

#[test]
fn moving_a_crop_resamples_the_picture_itself() {
    // A distortion of nothing goes another way than none, to the same values, whether it enlarges or shrinks.
    for (size, channels, close) in [([40, 40], 3, 0.01), ([9, 9], 1, 0.01)] {
        let picture = noise(60, 60, channels);
        let spec = values(channels, size, 0, 50);
        let crop = Crop::Resized { area: [0.2, 0.3], ratio: [0.75, 1.3] };
        let plain = Augment { crop, flip: 0.5, ..Augment::NONE };
        let still = Augment { elastic: Some(Elastic { alpha: 0.0, sigma: 4.0 }), ..plain.clone() };
        for sample in 0..20 {
            let make = |augment| augmented(&spec, augment, &picture, draw(8, 0, sample));
            for (k, (a, b)) in make(&plain).iter().zip(make(&still)).enumerate() {
                let (y, x) = (k / channels / size[1], k / channels % size[1]);
                let inner = (2..size[0] - 2).contains(&y) && (2..size[1] - 2).contains(&x);
                assert!(!inner || (a - b).abs() < close, "sample {sample}, {y}, {x}: {a} and {b}");
            }
        }
    }
}

#[test]
fn colours_shift_by_the_same_for_every_pixel_and_holes_have_the_mean_colour() {
    let (picture, spec) = (noise(20, 20, 3), preprocess(3, [20, 20], 0));
    let axes = ColourAxes {
        values: [0.2, 0.02, 0.01],
        vectors: [[0.6, 0.8, 0.0], [0.8, -0.6, 0.0], [0.0, 0.0, 1.0]],
    };
    let colour = Some(ColourShift { strength: 0.1, axes });
    let plain = apply(&spec, &picture);
    let key = draw(1, 2, 3);
    let shifted = augmented(&spec, &Augment { colour, ..Augment::NONE }, &picture, key);
    for (c, first) in shifted[..3].iter().zip(&plain).map(|(a, b)| a - b).enumerate() {
        assert!(first.abs() > 1e-5);
        let differences = shifted.iter().zip(&plain).skip(c).step_by(3).map(|(a, b)| a - b);
        assert!(differences.into_iter().all(|d| (d - first).abs() < 1e-5), "channel {c}");
    }
    let erase = Some(Erase::usual(1.0));
    let holed = augmented(&spec, &Augment { erase, ..Augment::NONE }, &picture, key);
    let lost = holed
        .chunks(3)
        .zip(plain.chunks(3))
        .filter(|(a, b)| a != b)
        .inspect(|(a, _)| assert_eq!(*a, [0.0; 3]));
    assert!((8..=140).contains(&lost.count()));
}

#[test]
fn transparent_pixels_lie_on_the_background() {
    let spec = Preprocess { background: 51, ..preprocess(1, [1, 2], 0) };
    let picture = Picture { pixels: vec![9, 0, 102, 255], height: 1, width: 2, channels: 2 };
    let out = apply(&spec, &picture);
    for (found, value) in out.iter().zip([0.2f32, 0.4]) {
        assert!((found - (value - 0.25) / 0.5).abs() < 1e-5, "{out:?}");
    }
}

#[test]
fn inverted_preprocessing_undoes_an_inverted_picture() {
    let normalises = [
        Normalise::MeanStd { mean: vec![0.1, 0.2, 0.3], std: vec![0.5, 0.6, 0.7] },
        Normalise::Range { low: -0.1, high: 1.175 },
    ];
    let picture = Picture { pixels: (0..45).map(|i| i * 5).collect(), height: 3, width: 5, channels: 3 };
    let negative = Picture { pixels: picture.pixels.iter().map(|p| 255 - p).collect(), ..picture.clone() };
    for normalise in normalises {
        let spec = Preprocess { normalise, ..preprocess(3, [3, 5], 2) };
        let (want, found) = (apply(&spec, &picture), apply(&spec.inverted(), &negative));
        assert!(want.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5), "{want:?} {found:?}");
    }
}

#[test]
fn dark_drawings_on_bright_paper_look_inverted_to_a_model_of_bright_ones_on_dark() {
    let dark = Preprocess { channels: 1, ..preprocess(1, [4, 4], 0) };
    let drawing = |paper: u8, ink: u8| {
        let ink_at = |i: usize| [5, 6, 9].contains(&i);
        let pixels = (0..16).map(|i| if ink_at(i) { ink } else { paper }).collect();
        Picture { pixels, height: 4, width: 4, channels: 1 }
    };
    assert!(dark.looks_inverted(&drawing(250, 0)) && !dark.looks_inverted(&drawing(3, 250)));
    assert!(!dark.inverted().looks_inverted(&drawing(250, 0)), "inverted on purpose");
    let range = Normalise::Range { low: -0.1, high: 1.175 };
    assert!(Preprocess { normalise: range, ..dark }.looks_inverted(&drawing(250, 0)));
    assert!(!preprocess(3, [4, 4], 0).looks_inverted(&drawing(250, 0)), "photographs have no paper");
}

#[test]
fn preprocessing_survives_serialisation_and_says_what_cannot_be() {
    let spec = preprocess(3, [32, 24], 2);
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<Preprocess>(&text).unwrap(), spec);
    let wrong = [
        ("preprocess.channels is 2", Preprocess { channels: 2, ..spec.clone() }),
        ("preprocess.size", Preprocess { size: [0, 3], ..spec.clone() }),
        ("preprocess.size", Preprocess { size: [usize::MAX, 3], ..spec.clone() }),
        ("preprocess.size", Preprocess { pad: usize::MAX / 2 + 1, ..spec.clone() }),
        ("preprocess.normalise is 3 means", Preprocess { channels: 1, ..spec.clone() }),
        (
            "deviations not 0",
            Preprocess {
                normalise: Normalise::MeanStd { mean: vec![0.0; 3], std: vec![1.0, 0.0, 1.0] },
                ..spec.clone()
            },
        ),
        ("differ", Preprocess { normalise: Normalise::Range { low: 1.0, high: 1.0 }, ..spec }),
    ];
    for (what, spec) in wrong {
        let error = Preprocessor::new(&spec).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}

#[test]
fn strengths_of_zero_change_no_bit() {
    for channels in [1, 3] {
        let (spec, picture) = (preprocess(channels, [28, 20], 2), noise(28, 20, channels));
        let plain = apply(&spec, &picture);
        assert_eq!(augmented(&spec, &Augment::NONE, &picture, draw(1, 2, 3)), plain);
        // The same by resampling: a distortion that is on, but moves nothing.
        let still = Augment { elastic: Some(Elastic { alpha: 0.0, sigma: 4.0 }), ..Augment::NONE };
        assert_eq!(augmented(&spec, &still, &picture, draw(1, 2, 3)), plain);
    }
}

#[test]
fn seed_epoch_and_sample_alone_choose_the_variation() {
    let (spec, picture) = (preprocess(1, [28, 28], 2), noise(28, 28, 1));
    let make = |key| augmented(&spec, &all(), &picture, key);
    let base = make(draw(1, 2, 3));
    assert_eq!(base, make(draw(1, 2, 3)));
    for other in [draw(9, 2, 3), draw(1, 9, 3), draw(1, 2, 9)] {
        assert_ne!(base, make(other));
    }
}

#[test]
fn varied_pixels_stay_between_those_of_the_picture_and_the_background() {
    let picture = Picture { pixels: vec![200; 28 * 28 * 3], height: 28, width: 28, channels: 3 };
    let (spec, augment) = (values(3, [28, 28], 2, 100), Augment { shift: 30.0, ..all() });
    for sample in 0..50 {
        let out = augmented(&spec, &augment, &picture, draw(0, 0, sample));
        assert!(out.iter().all(|v| (100.0..=200.0).contains(v)), "sample {sample}");
    }
}

#[test]
fn one_resampling_composes_all_that_moves() {
    // Against the definition in f64, with the same draws in the same order.
    let picture = noise(20, 16, 1);
    let augment = Augment { elastic: None, ..all() };
    for sample in 0..5 {
        let draw = draw(4, 1, sample);
        let out = augmented(&values(1, [20, 16], 2, 30), &augment, &picture, draw);
        let mut stream = draw.key().stream();
        let mut draw = |strength: f32| f64::from(strength) * stream.range(-1.0, 1.0);
        let (tx, ty, angle) = (draw(2.0), draw(2.0), draw(15.0) / 180.0 * PI);
        let (scale, squeeze, shear) = (1.0 + draw(0.15), 1.0 + draw(0.1), draw(0.2));
        for (i, &got) in out.iter().enumerate() {
            let (x, y) = ((i % 20) as f64 - 9.5 - tx, (i / 20) as f64 - 11.5 - ty);
            let (x, y) = (angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x);
            let (x, y) = ((x - shear * y) / scale / squeeze + 7.5, y / scale * squeeze + 9.5);
            let want = bilinear(&picture, x, y, 30.0);
            assert!((f64::from(got) - want).abs() < 0.01, "sample {sample}, pixel {i}: {got}, not {want}");
        }
    }
}

fn bilinear(picture: &Picture, x: f64, y: f64, background: f64) -> f64 {
    let at = |x: f64, y: f64| {
        let inside = x >= 0.0 && y >= 0.0 && x < picture.width as f64 && y < picture.height as f64;
        if inside { picture.pixels[y as usize * picture.width + x as usize].into() } else { background }
    };
    let (left, top) = (x.floor(), y.floor());
    let mix = |a: f64, b: f64, share: f64| a + (b - a) * share;
    let upper = mix(at(left, top), at(left + 1.0, top), x - left);
    mix(upper, mix(at(left, top + 1.0), at(left + 1.0, top + 1.0), x - left), y - top)
}

#[test]
fn strengths_that_make_no_sense_are_refused_by_name() {
    let elastic = |alpha, sigma| Augment { elastic: Some(Elastic { alpha, sigma }), ..Augment::NONE };
    let wrong = [
        ("augment.shift is -1", Augment { shift: -1.0, ..Augment::NONE }),
        ("augment.rotation is NaN", Augment { rotation: f32::NAN, ..Augment::NONE }),
        ("augment.scale is 1", Augment { scale: 1.0, ..Augment::NONE }),
        ("augment.elastic.alpha is inf", elastic(f32::INFINITY, 4.0)),
        ("augment.elastic.sigma is 0", elastic(34.0, 0.0)),
        ("augment.flip is 2", Augment { flip: 2.0, ..Augment::NONE }),
        (
            "augment.crop.random.share is 0 to 0",
            Augment { crop: Crop::Random { share: 0.0 }, ..Augment::NONE },
        ),
        (
            "augment.erase.probability is NaN",
            Augment { erase: Some(Erase::usual(f32::NAN)), ..Augment::NONE },
        ),
    ];
    for (what, augment) in wrong {
        let error = augment.check().unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    all().check().unwrap();
}

#[test]
fn every_image_is_mirrored_every_second_time_where_half_of_them_are() {
    let spec = preprocess(1, [3, 4], 0);
    let picture = noise(3, 4, 1);
    let plain = apply(&spec, &picture);
    let mirrored = |share: f32, epoch: u64, sample: u32| {
        let augment = Augment { flip: share, ..Augment::NONE };
        augmented(&spec, &augment, &picture, draw(2, epoch, sample)) != plain
    };
    for sample in 0..50 {
        let turns: Vec<bool> = (0..9).map(|epoch| mirrored(0.5, epoch, sample)).collect();
        assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "image {sample}: {turns:?}");
        let quarter = (0..400).filter(|&epoch| mirrored(0.25, epoch, sample)).count();
        assert_eq!(quarter, 100, "image {sample}");
        assert!(mirrored(1.0, 3, sample) && !mirrored(0.0, 3, sample));
    }
    for (share, epoch) in [(0.5, 0), (0.5, 7), (0.3, 0), (0.3, 12_345)] {
        let count = (0..2000).filter(|&sample| mirrored(share, epoch, sample)).count() as f32;
        assert!((count / 2000.0 - share).abs() < 0.04, "{count} of 2000 in epoch {epoch}, wanted {share}");
    }
}
