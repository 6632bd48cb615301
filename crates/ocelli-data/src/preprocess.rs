//! From a picture to a network's input: the part that is stored with a model.

use serde::{Deserialize, Serialize};

use crate::picture::Flat;
use crate::resize::Line;
use crate::{DataError, Dataset, Fit, Picture};

/// What is done to every picture, in training, evaluation and prediction alike: lay over the background, convert to
/// grey or colour, crop, resize, pad, normalise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// 1 (grey) or 3 (colour).
    pub channels: usize,
    /// Height and width that pictures get, in pixels.
    pub size: [usize; 2],
    /// Which part of a picture gets this size.
    #[serde(default)]
    pub fit: Fit,
    /// Pixels of `background` that are then added on each side.
    #[serde(default)]
    pub pad: usize,
    /// The value, 0 to 255, of what lies behind and outside the picture: under transparent pixels, padding, and what
    /// augmentation moves in.
    #[serde(default)]
    pub background: u8,
    /// How pixel values become inputs.
    pub normalise: Normalise,
}

/// How a pixel value, taken as p from 0 to 1, becomes an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalise {
    /// (p − mean) / std, with one of each per channel.
    MeanStd {
        /// Of the training images.
        mean: Vec<f32>,
        /// Of the training images; negative ones invert the picture.
        std: Vec<f32>,
    },
    /// low + p·(high − low). LeNet-5 has −0.1 for background and 1.175 for ink (LeCun, Bottou, Bengio
    /// and Haffner 1998, section II-B).
    Range {
        /// What 0 becomes.
        low: f32,
        /// What 1 becomes.
        high: f32,
    },
}

/// The most pixels of an input, and the most of each side.
const MOST_PIXELS: usize = 1 << 26;

/// The most images whose pixels are looked at where that takes decoding.
const MOST_SAMPLED: usize = 4096;

/// The most pixels of an image that are looked at.
const MOST_PIXELS_SAMPLED: usize = 1 << 16;

impl Preprocess {
    /// The size and channels of `dataset`, unpadded, and the mean and standard deviation of its pixels. They are over all
    /// images, or over up to 4096 at even distances where images have to be decoded; of large images, over 65,536 pixels at
    /// even distances. A channel that never varies keeps a deviation of 1.
    ///
    /// # Errors
    /// Those of reading an image, and [`DataError::Malformed`] for a set without images.
    pub fn fit(dataset: &dyn Dataset) -> Result<Preprocess, DataError> {
        let [channels, height, width] = dataset.image_shape();
        let mut moments = vec![Moments::default(); channels];
        let (mut picture, mut flat) = (Picture::default(), Flat::default());
        let sampled = if dataset.decodes() { MOST_SAMPLED } else { usize::MAX };
        for i in (0..dataset.len()).step_by(dataset.len().div_ceil(sampled).max(1)) {
            dataset.read(i, &mut picture)?;
            let picture = flat.of(&picture, channels, 0);
            let step = (picture.height * picture.width).div_ceil(MOST_PIXELS_SAMPLED).max(1) * channels;
            moments.iter_mut().enumerate().for_each(|(c, m)| m.add(&picture.pixels[c..], step));
        }
        if moments.iter().any(|m| m.count == 0) {
            return Err(DataError::malformed("training images", "pixels", "none", "add images"));
        }
        Ok(Preprocess {
            channels,
            size: [height, width],
            fit: Fit::Stretch,
            pad: 0,
            background: 0,
            normalise: Normalise::MeanStd {
                mean: moments.iter().map(|m| m.mean() as f32).collect(),
                std: moments.iter().map(|m| m.std() as f32).collect(),
            },
        })
    }

    /// The shape [C, H, W] of the network's input.
    pub fn input_shape(&self) -> [usize; 3] {
        [self.channels, self.size[0] + 2 * self.pad, self.size[1] + 2 * self.pad]
    }

    /// Whether all of this can be done; a model file may hold anything.
    ///
    /// # Errors
    /// [`DataError::Setting`] that names the field.
    pub fn check(&self) -> Result<(), DataError> {
        let refuse = |field: &str, value: String, rule: &str| {
            Err(DataError::setting(format!("preprocess.{field}"), value, rule))
        };
        if self.channels != 1 && self.channels != 3 {
            return refuse("channels", self.channels.to_string(), "pictures have 1 or 3 channels");
        }
        let side = |n: usize| n.checked_add(self.pad.checked_mul(2)?);
        let pixels = side(self.size[0]).zip(side(self.size[1])).and_then(|(h, w)| h.checked_mul(w));
        if self.size.contains(&0) || pixels.is_none_or(|n| n > MOST_PIXELS) {
            let value = format!("{:?} with a padding of {}", self.size, self.pad);
            return refuse("size", value, &format!("an input has 1 to {MOST_PIXELS} pixels"));
        }
        self.fit.check()?;
        match &self.normalise {
            Normalise::MeanStd { mean, std } => {
                if mean.len() != self.channels || std.len() != self.channels {
                    let value = format!("{} means and {} deviations", mean.len(), std.len());
                    return refuse("normalise", value, "every channel has one of each");
                }
                if !mean.iter().all(|m| m.is_finite()) || !std.iter().all(|s| s.is_normal()) {
                    let value = format!("mean {mean:?}, std {std:?}");
                    return refuse(
                        "normalise",
                        value,
                        "means and deviations are finite, and deviations not 0",
                    );
                }
            }
            Normalise::Range { low, high } => {
                if !low.is_finite() || !high.is_finite() || low == high {
                    let value = format!("low {low}, high {high}");
                    return refuse("normalise", value, "they are finite and differ");
                }
            }
        }
        Ok(())
    }

    /// The same for pictures that are inverted: where v was expected, they have 255 − v.
    pub fn inverted(&self) -> Preprocess {
        let normalise = match &self.normalise {
            // ((1 − p) − mean) / std = (p − (1 − mean)) / −std.
            Normalise::MeanStd { mean, std } => Normalise::MeanStd {
                mean: mean.iter().map(|m| 1.0 - m).collect(),
                std: std.iter().map(|s| -s).collect(),
            },
            Normalise::Range { low, high } => Normalise::Range { low: *high, high: *low },
        };
        Preprocess { normalise, background: 255 - self.background, ..self.clone() }
    }

    /// Whether `picture` looks like a negative of the training images: its border is bright where theirs are mostly
    /// dark, or dark where theirs are mostly bright. Only drawings in grey are judged; photographs have no paper.
    pub fn looks_inverted(&self, picture: &Picture) -> bool {
        let usual = match &self.normalise {
            _ if self.channels != 1 => return false,
            Normalise::MeanStd { mean, std } if std[0] > 0.0 => mean[0],
            Normalise::Range { low, high } if low < high => f32::from(self.background) / 255.0,
            // Inverted already, on purpose.
            _ => return false,
        };
        let border = border_mean(Flat::default().of(picture, 1, self.background));
        (usual < DARK && border > 1.0 - DARK) || (usual > 1.0 - DARK && border < DARK)
    }

    /// Makes `out` the picture that an `input` (H·W·C) shows, with its padding. Values beyond black and white are cut off.
    /// Panics where the input is not as long as [`Preprocess::input_shape`] says.
    pub fn show(&self, input: &[f32], out: &mut Picture) {
        let [channels, height, width] = self.input_shape();
        let (lines, pixels) = (self.lines(), out.reshape(height, width, channels));
        assert_eq!(pixels.len(), input.len(), "the length of an input");
        for (pixels, input) in pixels.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
            for ((pixel, value), line) in pixels.iter_mut().zip(input).zip(&lines) {
                *pixel = ((value - line.offset) / line.slope + 0.5) as u8;
            }
        }
    }

    /// Per channel the line that values from 0 to 255 follow.
    pub(crate) fn lines(&self) -> Vec<Line> {
        (0..self.channels).map(|c| self.line(c)).collect()
    }

    fn line(&self, c: usize) -> Line {
        let (slope, offset) = match &self.normalise {
            Normalise::MeanStd { mean, std } => {
                let (mean, std) = (f64::from(mean[c]), f64::from(std[c]));
                (1.0 / (255.0 * std), -mean / std)
            }
            Normalise::Range { low, high } => {
                let (low, high) = (f64::from(*low), f64::from(*high));
                ((high - low) / 255.0, low)
            }
        };
        Line { slope: slope as f32, offset: offset as f32 }
    }
}

/// Below this share of full brightness a drawing's paper is dark, and above 1 − this bright.
const DARK: f32 = 0.4;

/// The mean of the outermost pixels of a grey picture, from 0 to 1.
fn border_mean(grey: &Picture) -> f32 {
    let (height, width) = (grey.height, grey.width);
    let outer = |i: &usize| {
        let (y, x) = (i / width, i % width);
        y == 0 || x == 0 || y + 1 == height || x + 1 == width
    };
    let border: Vec<f32> =
        (0..height * width).filter(outer).map(|i| f32::from(grey.pixels[i]) / 255.0).collect();
    border.iter().sum::<f32>() / border.len().max(1) as f32
}

/// Exact sums of a channel's values, so that their order cannot matter.
#[derive(Clone, Default)]
struct Moments {
    count: u64,
    sum: u64,
    squares: u128,
}

impl Moments {
    fn add(&mut self, pixels: &[u8], step: usize) {
        let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
        for &p in pixels.iter().step_by(step) {
            let p = u64::from(p);
            (count, sum, squares) = (count + 1, sum + p, squares + p * p);
        }
        (self.count, self.sum) = (self.count + count, self.sum + sum);
        self.squares += u128::from(squares);
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64 / 255.0
    }

    fn std(&self) -> f64 {
        let (n, sum) = (u128::from(self.count), u128::from(self.sum));
        let variance = (n * self.squares - sum * sum) as f64 / (n as f64 * n as f64);
        if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 }
    }
}
