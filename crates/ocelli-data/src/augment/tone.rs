//! Changes of tone, one image at a time, on values from 0 to 255: what Pillow's `ImageEnhance` and `ImageOps` do.

use super::jitter::{LUMA, mean_grey};

/// What is changed. A factor of 1 changes nothing; from 0, where nothing is left of the property, it goes up without bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tone {
    /// Distance from black.
    Brightness(f32),
    /// Distance from each pixel's grey. Images in grey stay as they are.
    Colour(f32),
    /// Distance from the image's mean grey.
    Contrast(f32),
    /// Distance from the image smoothed with [1 1 1; 1 5 1; 1 1 1]/13; the border stays as it is.
    Sharpness(f32),
    /// So many bits are left of each value.
    Posterize(u8),
    /// Values from this one on are inverted.
    Solarize(f32),
    /// Each channel's values are stretched to go from 0 to 255.
    AutoContrast,
    /// Each channel's histogram is made as flat as a change of values can.
    Equalize,
}

/// Memory for changes that need another copy.
pub(super) type Copy = Vec<f32>;

impl Tone {
    /// Changes `image`, whose rows have `width` pixels. Values stay from 0 to 255.
    #[inline(always)]
    pub(super) fn apply<const C: usize>(self, image: &mut [[f32; C]], width: usize, copy: &mut Copy) {
        match self {
            Tone::Brightness(factor) => each(image, |v| v * factor),
            Tone::Colour(factor) => colour(image, factor),
            Tone::Contrast(factor) => {
                let mean = mean_grey(image);
                each(image, |v| mean + factor * (v - mean));
            }
            Tone::Sharpness(factor) => sharpness(image, width, factor, copy),
            Tone::Posterize(bits) => {
                let mask = !(0xffu8.checked_shr(bits.into()).unwrap_or(0));
                each(image, |v| f32::from(byte(v) & mask));
            }
            Tone::Solarize(threshold) => each(image, |v| if v >= threshold { 255.0 - v } else { v }),
            Tone::AutoContrast => auto_contrast(image),
            Tone::Equalize => equalize(image),
        }
    }
}

/// The nearest of 256 values.
#[inline(always)]
fn byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

#[inline(always)]
fn each<const C: usize>(image: &mut [[f32; C]], new: impl Fn(f32) -> f32) {
    for value in image.as_flattened_mut() {
        *value = new(*value).clamp(0.0, 255.0);
    }
}

#[inline(always)]
fn colour<const C: usize>(image: &mut [[f32; C]], factor: f32) {
    if C != 3 {
        return;
    }
    for pixel in image {
        let grey: f32 = pixel.iter().zip(LUMA).map(|(v, weight)| weight * v).sum();
        for value in pixel {
            *value = (grey + factor * (*value - grey)).clamp(0.0, 255.0);
        }
    }
}

#[inline(always)]
fn sharpness<const C: usize>(image: &mut [[f32; C]], width: usize, factor: f32, copy: &mut Copy) {
    let height = image.len() / width;
    copy.clear();
    copy.extend_from_slice(image.as_flattened());
    let row = |y: usize| &copy[y * width * C..][..width * C];
    for y in 1..height.saturating_sub(1) {
        let (above, own, below) = (row(y - 1), row(y), row(y + 1));
        let out = image[y * width..][..width].as_flattened_mut();
        for i in C..(width * C).saturating_sub(C) {
            let three = |r: &[f32]| r[i - C] + r[i] + r[i + C];
            let smooth = (three(above) + three(own) + three(below) + 4.0 * own[i]) / 13.0;
            out[i] = (smooth + factor * (own[i] - smooth)).clamp(0.0, 255.0);
        }
    }
}

#[inline(always)]
fn auto_contrast<const C: usize>(image: &mut [[f32; C]]) {
    for c in 0..C {
        let (least, most) =
            image.iter().fold((255f32, 0f32), |(least, most), p| (least.min(p[c]), most.max(p[c])));
        // A channel without contrast has none to stretch.
        if most > least {
            let scale = 255.0 / (most - least);
            image.iter_mut().for_each(|p| p[c] = ((p[c] - least) * scale).clamp(0.0, 255.0));
        }
    }
}

/// As Pillow's: a value becomes the share of pixels below it, rounded by half a step.
#[inline(always)]
fn equalize<const C: usize>(image: &mut [[f32; C]]) {
    for c in 0..C {
        let mut counts = [0u32; 256];
        image.iter().for_each(|p| counts[usize::from(byte(p[c]))] += 1);
        let last = counts.iter().rev().find(|&&n| n > 0).copied().unwrap_or(0);
        let step = (image.len() as u32 - last) / 255;
        if step == 0 {
            continue;
        }
        let mut below = step / 2;
        let table: [f32; 256] = std::array::from_fn(|v| {
            let new = (below / step).min(255) as f32;
            below += counts[v];
            new
        });
        image.iter_mut().for_each(|p| p[c] = table[usize::from(byte(p[c]))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp whose channels differ.
    fn ramp() -> Vec<[f32; 3]> {
        (0..6 * 7).map(|i| [i as f32 * 3.0, 20.0 + i as f32, 250.0 - i as f32 * 2.0]).collect()
    }

    fn changed(tone: Tone) -> Vec<[f32; 3]> {
        let mut image = ramp();
        tone.apply(&mut image, 7, &mut Vec::new());
        assert!(image.as_flattened().iter().all(|v| (0.0..=255.0).contains(v)), "{tone:?}");
        image
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        for tone in [
            Tone::Brightness(1.0),
            Tone::Colour(1.0),
            Tone::Contrast(1.0),
            Tone::Sharpness(1.0),
            Tone::Posterize(8),
            Tone::Solarize(256.0),
        ] {
            for (a, b) in changed(tone).as_flattened().iter().zip(ramp().as_flattened()) {
                assert!((a - b).abs() < 1e-4, "{tone:?}");
            }
        }
    }

    #[test]
    fn a_factor_of_zero_leaves_nothing_of_the_property() {
        assert!(changed(Tone::Brightness(0.0)).as_flattened().iter().all(|&v| v == 0.0));
        assert!(changed(Tone::Colour(0.0)).iter().all(|p| (p[0] - p[2]).abs() < 1e-3));
        let flat = changed(Tone::Contrast(0.0));
        assert!(flat.as_flattened().iter().all(|&v| v == flat[0][0]));
        let smooth = changed(Tone::Sharpness(0.0));
        let (image, at) = (ramp(), 2 * 7 + 3);
        let around = [-8i64, -7, -6, -1, 0, 1, 6, 7, 8].map(|d| image[(at as i64 + d) as usize][0]);
        assert!((smooth[at][0] - (around.iter().sum::<f32>() + 4.0 * image[at][0]) / 13.0).abs() < 1e-4);
        assert_eq!(smooth[0], image[0], "the border stays");
    }

    #[test]
    fn posterizing_keeps_the_upper_bits_and_solarizing_inverts_the_bright() {
        for (p, q) in changed(Tone::Posterize(3)).iter().zip(ramp()) {
            assert_eq!(p.map(|v| v as u8), q.map(|v| v as u8 & 0b1110_0000));
        }
        for (p, q) in changed(Tone::Solarize(100.0)).iter().zip(ramp()) {
            assert_eq!(*p, q.map(|v| if v >= 100.0 { 255.0 - v } else { v }));
        }
    }

    #[test]
    fn contrast_is_stretched_channel_by_channel() {
        let image = changed(Tone::AutoContrast);
        for c in 0..3 {
            let values = image.iter().map(|p| p[c]);
            assert_eq!(values.clone().fold(255.0, f32::min), 0.0);
            assert!((values.fold(0.0, f32::max) - 255.0).abs() < 1e-3);
        }
        let mut flat = vec![[9.0f32; 1]; 4];
        Tone::AutoContrast.apply(&mut flat, 2, &mut Vec::new());
        assert_eq!(flat, [[9.0]; 4]);
    }

    #[test]
    fn every_change_is_torchvisions() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/pictures.json")).unwrap();
        let bytes = |value: &serde_json::Value| serde_json::from_value::<Vec<u8>>(value.clone()).unwrap();
        let (source, width) = (bytes(&golden["pixels"]), golden["width"].as_u64().unwrap() as usize);
        // torchvision cuts off what is behind the point (1), and before that of greys (another |1 − factor|) or of smoothed
        // pixels, which it rounds (half as much).
        for (name, tone, most) in [
            ("brightness 0.4", Tone::Brightness(0.4), 1.0),
            ("brightness 1.7", Tone::Brightness(1.7), 1.0),
            ("colour 0.2", Tone::Colour(0.2), 1.8),
            ("colour 1.8", Tone::Colour(1.8), 1.8),
            ("contrast 0.3", Tone::Contrast(0.3), 1.7),
            ("contrast 1.9", Tone::Contrast(1.9), 1.9),
            ("sharpness 0.1", Tone::Sharpness(0.1), 1.45),
            ("sharpness 1.9", Tone::Sharpness(1.9), 1.45),
            ("posterize 3", Tone::Posterize(3), 0.0),
            ("solarize 100", Tone::Solarize(100.0), 0.0),
            ("autocontrast", Tone::AutoContrast, 1.0),
            ("equalize", Tone::Equalize, 0.0),
        ] {
            let mut image: Vec<[f32; 3]> =
                source.as_chunks::<3>().0.iter().map(|p| p.map(f32::from)).collect();
            tone.apply(&mut image, width, &mut Vec::new());
            let wanted = bytes(&golden["tones"][name]);
            let worst = image.as_flattened().iter().zip(&wanted).map(|(a, &b)| (a - f32::from(b)).abs());
            let worst = worst.fold(0f32, f32::max);
            assert!(worst <= most + 1e-3, "{name}: off by {worst}");
        }
    }

    #[test]
    fn equalizing_is_pillows() {
        // ImageOps.equalize of 600 pixels: value 10 300 times, 20 200 times, 30 100 times.
        let mut image: Vec<[f32; 1]> =
            (0..600).map(|i| [[10.0], [20.0], [30.0]][[0, 0, 0, 1, 1, 2][i % 6]]).collect();
        Tone::Equalize.apply(&mut image, 60, &mut Vec::new());
        // step = (600 − 100) / 255 = 1; tables: 10 → 0, 20 → 300 cut off at 255, 30 → 255.
        assert_eq!([image[0][0], image[3][0], image[5][0]], [0.0, 255.0, 255.0]);
        let mut constant = vec![[77.0f32; 1]; 600];
        Tone::Equalize.apply(&mut constant, 60, &mut Vec::new());
        assert!(constant.iter().all(|p| p[0] == 77.0));
    }
}
