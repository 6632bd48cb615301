//! Brightness, contrast, saturation and hue, in one pass.

use ocelli_kernels::random::Stream;
use serde::{Deserialize, Serialize};

use super::check_strength;
use crate::DataError;
use crate::resize::Line;

/// How strongly colours vary. Brightness, contrast and saturation are multiplied by factors between 1 − strength (at least 0)
/// and 1 + strength; contrast about the image's mean grey, saturation about each pixel's grey. The hue turns by up to `hue` of a
/// full circle, about the axis of greys (a rotation in YIQ). What ends beyond black and white is cut off.
///
/// Grey is ITU-R 601 luma, which saturation and hue leave as it is; so the four commute, and are one matrix with an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// Of all values.
    pub brightness: f32,
    /// Of differences from the image's mean.
    pub contrast: f32,
    /// Of differences from grey; images in grey have none.
    pub saturation: f32,
    /// As a share of the circle of hues, at most ½; images in grey have none.
    pub hue: f32,
}

/// The weights of red, green and blue in grey.
pub(super) const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

impl Jitter {
    /// No change at all.
    pub const NONE: Jitter = Jitter { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };

    pub(super) fn check(&self) -> Result<(), DataError> {
        check_strength("jitter.brightness", self.brightness, 10.0)?;
        check_strength("jitter.contrast", self.contrast, 10.0)?;
        check_strength("jitter.saturation", self.saturation, 10.0)?;
        check_strength("jitter.hue", self.hue, 0.5)
    }

    /// Draws the amounts. How much is read of `stream` does not depend on the strengths.
    pub(super) fn draw(&self, stream: &mut Stream) -> Drawn {
        let mut factor = |strength: f32| {
            let strength = f64::from(strength);
            stream.range((1.0 - strength).max(0.0), 1.0 + strength)
        };
        let (brightness, contrast, saturation) =
            (factor(self.brightness), factor(self.contrast), factor(self.saturation));
        Drawn { brightness, contrast, saturation, turn: f64::from(self.hue) * stream.range(-1.0, 1.0) }
    }
}

/// The amounts of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    brightness: f64,
    contrast: f64,
    saturation: f64,
    turn: f64,
}

impl Drawn {
    /// Changes an image of values from 0 to 255, then draws each channel's line.
    #[inline(always)]
    pub(super) fn apply<const C: usize>(&self, image: &mut [[f32; C]], lines: &[Line]) {
        let offset = (self.brightness * (1.0 - self.contrast)) as f32 * mean_grey(image);
        let matrix = self.matrix();
        if C == 3 {
            let matrix = matrix.map(|row| row.map(|v| v as f32));
            // Columns, so that four numbers at a time are a pixel's.
            let columns: [[f32; 4]; 3] =
                std::array::from_fn(|j| std::array::from_fn(|i| if i < 3 { matrix[i][j] } else { 0.0 }));
            let (slopes, offsets): ([f32; 4], [f32; 4]) = (
                std::array::from_fn(|i| lines[i.min(2)].slope),
                std::array::from_fn(|i| lines[i.min(2)].offset),
            );
            for pixel in image {
                let [r, g, b] = [pixel[0], pixel[1 % C], pixel[2 % C]];
                let new: [f32; 4] = std::array::from_fn(|i| {
                    let value = columns[0][i] * r + columns[1][i] * g + columns[2][i] * b + offset;
                    value.clamp(0.0, 255.0) * slopes[i] + offsets[i]
                });
                pixel.copy_from_slice(&new[..C]);
            }
        } else {
            let factor = (self.brightness * self.contrast) as f32;
            for value in image.as_flattened_mut() {
                *value = lines[0].at((factor * *value + offset).clamp(0.0, 255.0));
            }
        }
    }

    /// brightness · contrast · saturation · hue; rows give red, green and blue.
    fn matrix(&self) -> [[f64; 3]; 3] {
        let hue = turn_of_hue(self.turn);
        let factor = self.brightness * self.contrast;
        let grey = LUMA.map(f64::from);
        // saturation·x + (1 − saturation)·grey(x); the turn leaves greys alone.
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                factor * (self.saturation * hue[i][j] + (1.0 - self.saturation) * grey[j])
            })
        })
    }
}

/// The mean luma of an image, added in a fixed order.
#[inline(always)]
pub(super) fn mean_grey<const C: usize>(image: &[[f32; C]]) -> f32 {
    const LANES: usize = 12;
    let mut sums = [0f64; LANES];
    // Some thousand values are added in f32 before their sum goes on in f64.
    for piece in image.as_flattened().chunks(LANES * 256) {
        let mut part = [0f32; LANES];
        let (whole, rest) = piece.as_chunks::<LANES>();
        for values in whole {
            (0..LANES).for_each(|i| part[i] += values[i]);
        }
        rest.iter().enumerate().for_each(|(i, value)| part[i] += value);
        (0..LANES).for_each(|i| sums[i] += f64::from(part[i]));
    }
    let channel = |c: usize| sums.iter().skip(c).step_by(C).sum::<f64>() / image.len().max(1) as f64;
    match C {
        3 => (0..3).map(|c| f64::from(LUMA[c]) * channel(c)).sum::<f64>() as f32,
        _ => channel(0) as f32,
    }
}

/// The rotation of YIQ's colour plane by a share of a full turn, as a matrix on red, green and blue.
fn turn_of_hue(turn: f64) -> [[f64; 3]; 3] {
    let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
    // To and from Y, I and Q; the second is the inverse of the first, computed and not copied from a table, so that no turn is
    // the identity to the last digit but one.
    let to = [LUMA.map(f64::from), [0.595_716, -0.274_453, -0.321_263], [0.211_456, -0.522_591, 0.311_135]];
    let from = inverse(to);
    let turned = [to[0], combine(cos, to[1], -sin, to[2]), combine(sin, to[1], cos, to[2])];
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| from[i][k] * turned[k][j]).sum()))
}

fn combine(a: f64, x: [f64; 3], b: f64, y: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| a * x[i] + b * y[i])
}

fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let cofactor = |i: usize, j: usize| {
        let at = |a: usize, b: usize| m[(i + a) % 3][(j + b) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * cofactor(0, j)).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| cofactor(j, i) / determinant))
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    fn image() -> Vec<[f32; 3]> {
        let key = Key::new(4, &[]);
        (0..35).map(|i| std::array::from_fn(|c| 60.0 + (key.word(3 * i + c as u64) % 120) as f32)).collect()
    }

    fn grey(p: [f64; 3]) -> f64 {
        0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]
    }

    #[test]
    fn the_matrix_is_the_four_changes_one_after_another() {
        let drawn = Drawn { brightness: 1.2, contrast: 0.7, saturation: 1.3, turn: 0.0 };
        let mut found = image();
        drawn.apply(&mut found, &[Line::SAME; 3]);
        let bright: Vec<[f64; 3]> = image().iter().map(|p| p.map(|v| 1.2 * f64::from(v))).collect();
        let mean = bright.iter().map(|&p| grey(p)).sum::<f64>() / 35.0;
        for (found, p) in found.iter().zip(bright) {
            let p = p.map(|v| 0.7 * v + 0.3 * mean);
            let want = p.map(|v| (1.3 * v - 0.3 * grey(p)).clamp(0.0, 255.0));
            for (a, b) in found.iter().zip(want) {
                assert!((f64::from(*a) - b).abs() < 1e-3, "{found:?}, not {want:?}");
            }
        }
    }

    #[test]
    fn turning_the_hue_keeps_greys_and_lightness_and_a_third_of_a_turn_moves_red_towards_another_colour() {
        for turn in [-0.5, -0.1, 0.05, 0.3] {
            let m = turn_of_hue(turn);
            for row in m {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-5, "greys stay: {m:?}");
            }
            for j in 0..3 {
                let column: [f64; 3] = std::array::from_fn(|i| m[i][j]);
                assert!((grey(column) - f64::from(LUMA[j])).abs() < 1e-5, "lightness stays: {m:?}");
            }
        }
        let identity = turn_of_hue(0.0);
        for i in 0..3 {
            for j in 0..3 {
                assert!((identity[i][j] - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        let third = turn_of_hue(1.0 / 3.0);
        assert!(third[0][0] < third[1][0].max(third[2][0]), "red is no longer mostly red: {third:?}");
    }

    #[test]
    fn greys_have_brightness_and_contrast_alone_and_lines_come_last() {
        let drawn = Drawn { brightness: 1.5, contrast: 0.5, saturation: 0.0, turn: 0.4 };
        let mut image = vec![[100.0], [20.0], [240.0]];
        drawn.apply(&mut image, &[Line { slope: 2.0, offset: 1.0 }]);
        // 1.5·v·½ + ½·1.5·120, cut off at 255.
        for (found, want) in image.iter().zip([165.0, 105.0, 255.0]) {
            assert!((found[0] - (2.0 * want + 1.0)).abs() < 1e-3, "{found:?}");
        }
    }

    #[test]
    fn the_mean_is_that_of_all_pixels() {
        let many: Vec<[f32; 3]> = (0..5000).map(|i| [(i % 256) as f32, 7.0, 200.0]).collect();
        let red = many.iter().map(|p| f64::from(p[0])).sum::<f64>() / 5000.0;
        let want = grey([red, 7.0, 200.0]);
        assert!((f64::from(mean_grey(&many)) - want).abs() < 1e-3);
    }
}
