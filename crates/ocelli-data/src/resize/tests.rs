use ocelli_kernels::random::Key;

use super::*;

fn noise(height: usize, width: usize, channels: usize) -> Picture {
    let key = Key::new(3, &[height as u64, width as u64]);
    let mut picture = Picture::default();
    for (i, p) in picture.reshape(height, width, channels).iter_mut().enumerate() {
        *p = key.word(i as u64) as u8;
    }
    picture
}

/// The definition, one output value at a time, in f64, of the part `window` of the source; `None` outside the picture.
fn naive(source: &Picture, window: Window, height: usize, width: usize) -> Vec<Option<f64>> {
    let centre = |i: usize, first: f64, length: f64, to: usize| first + (i as f64 + 0.5) * length / to as f64;
    let weight = |k: usize, centre: f64, scale: f64| {
        (1.0 - ((k as f64 + 0.5 - centre) / scale.max(1.0)).abs()).max(0.0)
    };
    let (down, across) = (window.height / height as f64, window.width / width as f64);
    let mut out = Vec::new();
    for (y, x, c) in positions(height, width, source.channels) {
        let y = centre(y, window.top, window.height, height);
        let x = centre(x, window.left, window.width, width);
        let inside = y >= 0.0 && x >= 0.0 && y < source.height as f64 && x < source.width as f64;
        let (mut sum, mut weights) = (0.0, 0.0);
        for (v, u, _) in positions(source.height, source.width, 1) {
            let w = weight(v, y, down) * weight(u, x, across);
            sum += w * f64::from(source.pixels[(v * source.width + u) * source.channels + c]);
            weights += w;
        }
        out.push(inside.then(|| sum / weights));
    }
    out
}

fn positions(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

#[test]
fn resizing_is_the_triangle_filter() {
    for (from, to, channels) in [
        ([8, 8], [28, 20], 1),
        ([31, 17], [8, 5], 3),
        ([5, 40], [9, 7], 3),
        ([1, 1], [4, 3], 1),
        ([64, 1], [1, 3], 1),
        ([20, 9], [13, 8], 3),
        ([9, 9], [5, 12], 4),
        ([7, 12], [9, 6], 2),
    ] {
        let source = noise(from[0], from[1], channels);
        let mut out = Picture::default();
        resize(&source, to[0], to[1], &mut out);
        assert_eq!(out.shape(), [channels, to[0], to[1]]);
        let wanted = naive(&source, Window::whole(from), to[0], to[1]);
        for (got, want) in out.pixels.iter().zip(wanted) {
            let want = want.expect("all is inside");
            assert!((f64::from(*got) - want).abs() <= 0.501, "{from:?} to {to:?}: {got}, not {want}");
        }
    }
}

#[test]
fn the_same_size_changes_nothing() {
    let source = noise(13, 7, 3);
    let mut out = Picture::default();
    resize(&source, 13, 7, &mut out);
    assert_eq!(out, source);
}

/// Whole and fractional windows, inside and beyond the border, enlarged, shrunk and kept.
const WINDOWS: [[f64; 4]; 7] = [
    [0.0, 0.0, 14.0, 11.0],
    [2.0, 3.0, 6.0, 4.0],
    [1.25, 0.5, 9.5, 7.75],
    [-3.0, 2.0, 14.0, 11.0],
    [4.0, -2.0, 6.0, 8.0],
    [-4.5, -3.5, 21.0, 19.0],
    [20.0, 1.0, 5.0, 5.0],
];

#[test]
fn a_window_is_drawn_by_its_definition_and_what_is_outside_is_background() {
    let mut resizer = Resizer::default();
    for channels in [1, 3] {
        let source = noise(11, 14, channels);
        for [left, top, width, height] in WINDOWS {
            for size in [[8, 6], [4, 3], [11, 14], [13, 17]] {
                let window = Window { left, top, width, height };
                let lines = [Line { slope: 0.5, offset: -3.0 }; 3];
                let lines = &lines[..channels];
                let mut out = vec![f32::NAN; size[0] * size[1] * channels];
                let drawing = Drawing { window, flip: false, size, pad: 0, background: 40, lines };
                resizer.draw(&source, &drawing, &mut out);
                for (i, (got, want)) in out.iter().zip(naive(&source, window, size[0], size[1])).enumerate() {
                    let want = 0.5 * want.unwrap_or(40.0) - 3.0;
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-3,
                        "{window:?} to {size:?}, number {i}: {got}, not {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_flip_is_the_mirror_image_bit_for_bit_and_padding_is_background() {
    let mut resizer = Resizer::default();
    let source = noise(11, 14, 3);
    for [left, top, width, height] in WINDOWS {
        let window = Window { left, top, width, height };
        let (size, pad) = ([9, 14], 2);
        let mut draw = |flip, pad: usize| {
            let mut out = vec![f32::NAN; (size[0] + 2 * pad) * (size[1] + 2 * pad) * 3];
            let lines = [0.1, 0.2, 0.3].map(|slope| Line { slope, offset: 1.0 });
            resizer.draw(
                &source,
                &Drawing { window, flip, size, pad, background: 9, lines: &lines },
                &mut out,
            );
            out
        };
        let (plain, padded) = (draw(false, 0), draw(true, pad));
        for (i, got) in padded.iter().enumerate() {
            let (y, x, c) = (i / 54, i / 3 % 18, i % 3);
            let inside = (2..11).contains(&y) && (2..16).contains(&x);
            let want = match inside {
                true => plain[((y - 2) * 14 + 13 - (x - 2)) * 3 + c],
                false => 9.0 * [0.1, 0.2, 0.3][c] + 1.0,
            };
            assert_eq!(*got, want, "{window:?} at {y}, {x}, {c}");
        }
    }
}

#[test]
fn windows_are_resized_as_pillow_does() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/pictures.json")).unwrap();
    let bytes = |value: &serde_json::Value| serde_json::from_value::<Vec<u8>>(value.clone()).unwrap();
    let side = |name: &str| golden[name].as_u64().unwrap() as usize;
    let source = Picture {
        pixels: bytes(&golden["pixels"]),
        height: side("height"),
        width: side("width"),
        channels: 3,
    };
    for case in golden["resized"].as_array().unwrap() {
        let [left, top, right, bottom]: [f64; 4] = serde_json::from_value(case["box"].clone()).unwrap();
        let [width, height]: [usize; 2] = serde_json::from_value(case["size"].clone()).unwrap();
        let window = Window { left, top, width: right - left, height: bottom - top };
        let mut out = vec![f32::NAN; height * width * 3];
        let drawing = Drawing {
            window,
            flip: false,
            size: [height, width],
            pad: 0,
            background: 0,
            lines: &[Line::SAME; 3],
        };
        Resizer::default().draw(&source, &drawing, &mut out);
        // Pillow rounds after each axis.
        for (i, (got, want)) in out.iter().zip(bytes(&case["pixels"])).enumerate() {
            assert!((got - f32::from(want)).abs() <= 1.0, "{window:?}, number {i}: {got}, not {want}");
        }
    }
}
