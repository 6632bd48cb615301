//! Initialisers: what parameters are before training.

use ocelli_kernels::Element;
use ocelli_kernels::random::{Key, Stream};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::arena::AlignedBuffer;
use crate::setting::{SettingError, no_fields, require};

mod digits;

pub(crate) use digits::{BITMAP_LEN, DIGITS};

/// How to fill a range of parameters. Random ones follow from their key alone.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Init {
    /// The same value everywhere.
    Constant {
        /// It.
        value: f64,
    },
    /// U(−a/fan-in^power, a/fan-in^power), as LeNet-5 has it with a = 2.4 (LeCun et al. 1998, appendix A).
    UniformFanIn {
        /// a > 0.
        a: f64,
        /// 1, or ½ to give weighted sums the same variance whatever the fan-in.
        #[serde(default = "one")]
        power: f64,
    },
    /// Variance 2/(fan-in + fan-out), a compromise between the forward and the backward pass (Glorot and
    /// Bengio 2010).
    Xavier {
        /// Uniform, as in the paper, or normal.
        #[serde(default = "yes")]
        uniform: bool,
    },
    /// Variance 2/((1 + α²)·fan-in), which rectifiers pass on undiminished (He et al. 2015, equation 15).
    He {
        /// Uniform, or normal as in the paper.
        #[serde(default)]
        uniform: bool,
        /// α, the rectifier's slope below 0.
        #[serde(default)]
        slope: f64,
        /// Divides by fan-out instead, so that it is the gradients that pass undiminished (equation 14).
        #[serde(default)]
        fan_out: bool,
    },
    /// N(0, std²).
    Normal {
        /// Standard deviation ≥ 0.
        std: f64,
    },
    /// A random matrix with orthonormal rows (or columns, if there are fewer) times `gain` (Saxe, McClelland
    /// and Ganguli 2014). Costs 2·rows·cols·min(rows, cols) multiply-adds and rows·cols f64 of memory for the
    /// while.
    Orthogonal {
        /// What it is multiplied by.
        #[serde(default = "one")]
        gain: f64,
    },
    /// Filter i hands channel i on: 1 in the middle of its window, 0 elsewhere. Filters beyond the number of channels are drawn
    /// from N(0, 1/fan-in), so that all have the same norm on average. What a layer is given reaches the next one before anything
    /// is learned (Zagoruyko and Komodakis 2017; beside drawn filters Jordan 2024).
    #[serde(deserialize_with = "no_fields")]
    Identity,
    /// −1 or 1, each as likely: random codes.
    #[serde(deserialize_with = "no_fields")]
    Signs,
    /// Row i is digit i as a bitmap of 7×12 pixels, 1 for ink and −1 for paper (LeCun et al. 1998, figure 3). Rows
    /// beyond ten and columns beyond 84 begin again.
    #[serde(deserialize_with = "no_fields")]
    Digits,
}

/// How many values a unit sums up, and how many units a value goes into. For convolutions, channels (per
/// group) times the area of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fan {
    /// Fan-in.
    pub inputs: usize,
    /// Fan-out.
    pub outputs: usize,
}

impl Init {
    /// Its name, as configuration files write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Init::Constant { .. } => "constant",
            Init::UniformFanIn { .. } => "uniform_fan_in",
            Init::Xavier { .. } => "xavier",
            Init::He { .. } => "he",
            Init::Normal { .. } => "normal",
            Init::Orthogonal { .. } => "orthogonal",
            Init::Identity => "identity",
            Init::Signs => "signs",
            Init::Digits => "digits",
        }
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Names the setting and what it accepts.
    pub fn check(&self) -> Result<(), SettingError> {
        let finite = |field, x: f64| require(x.is_finite(), self.name(), field, x, "a finite number");
        match *self {
            Init::Constant { value } => finite("value", value),
            Init::UniformFanIn { a, power } => {
                require(a > 0.0 && a.is_finite(), self.name(), "a", a, "a finite number above 0")?;
                finite("power", power)
            }
            Init::Xavier { .. } | Init::Identity | Init::Signs | Init::Digits => Ok(()),
            Init::He { slope, .. } => finite("slope", slope),
            Init::Normal { std } => {
                let wanted = "a finite number that is not negative";
                require(std >= 0.0 && std.is_finite(), self.name(), "std", std, wanted)
            }
            Init::Orthogonal { gain } => finite("gain", gain),
        }
    }

    /// Fills `out`, a parameter of this shape (the first size is that of its units), from the stream of `key`.
    ///
    /// # Errors
    /// [`Error::Memory`], from [`Init::Orthogonal`] alone.
    ///
    /// # Panics
    /// If `out` does not divide into its units.
    pub fn fill<T: Element>(&self, fan: Fan, shape: &[usize], key: Key, out: &mut [T]) -> Result<(), Error> {
        let (mut stream, rows) = (key.stream(), shape[0]);
        let inputs = fan.inputs.max(1) as f64;
        let both = (fan.inputs + fan.outputs).max(1) as f64;
        match *self {
            Init::Constant { value } => out.fill(T::of(value)),
            Init::UniformFanIn { a, power } => uniform(a / inputs.powf(power), &mut stream, out),
            Init::Xavier { uniform } => centred(uniform, 2.0 / both, &mut stream, out),
            Init::He { uniform, slope, fan_out } => {
                let fan = if fan_out { fan.outputs.max(1) as f64 } else { inputs };
                centred(uniform, 2.0 / ((1.0 + slope * slope) * fan), &mut stream, out);
            }
            Init::Normal { std } => centred(false, std * std, &mut stream, out),
            Init::Orthogonal { gain } => orthogonal(gain, rows, &mut stream, out)?,
            Init::Identity => identity(fan, shape, &mut stream, out),
            Init::Signs => out.fill_with(|| sign(stream.next_u32() & 1 == 1)),
            Init::Digits => bitmaps(rows, out),
        }
        Ok(())
    }
}

fn sign<T: Element>(positive: bool) -> T {
    if positive { T::ONE } else { -T::ONE }
}

/// Filters of O×(I/groups)×kh×kw, or O×I: each hands the channel on that has its place in its group.
fn identity<T: Element>(fan: Fan, shape: &[usize], stream: &mut Stream, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let (rows, taps) = (shape[0], shape.iter().skip(2).product::<usize>().max(1));
    let cols = out.len() / rows;
    // A weight has a use at every tap for each output of its group.
    let (channels, group) = (cols / taps, (fan.outputs / taps).clamp(1, rows));
    for (i, row) in out.chunks_exact_mut(cols).enumerate() {
        let own = i % group;
        if own < channels {
            row.fill(T::ZERO);
            row[own * taps + taps / 2] = T::ONE;
        } else {
            centred(false, 1.0 / cols as f64, stream, row);
        }
    }
}

fn bitmaps<T: Element>(rows: usize, out: &mut [T]) {
    let cols = (out.len() / rows.max(1)).max(1);
    for (digit, row) in out.chunks_mut(cols).enumerate() {
        for (pixel, value) in row.iter_mut().enumerate() {
            *value = sign(digits::is_ink(digit % DIGITS, pixel % BITMAP_LEN));
        }
    }
}

/// Mean 0 and this variance.
fn centred<T: Element>(is_uniform: bool, variance: f64, stream: &mut Stream, out: &mut [T]) {
    if is_uniform {
        // U(−b, b) has variance b²/3.
        return uniform((3.0 * variance).sqrt(), stream, out);
    }
    let std = variance.sqrt();
    out.fill_with(|| T::of(std * stream.normal()));
}

fn uniform<T: Element>(bound: f64, stream: &mut Stream, out: &mut [T]) {
    out.fill_with(|| T::of(stream.range(-bound, bound)));
}

/// Orthonormalises Gaussian vectors along the shorter side. Gram–Schmidt leaves R's diagonal positive, so the
/// result is uniform over all such matrices without a correction of signs (Mezzadri 2007).
fn orthogonal<T: Element>(gain: f64, rows: usize, stream: &mut Stream, out: &mut [T]) -> Result<(), Error> {
    if out.is_empty() {
        return Ok(());
    }
    assert!(rows > 0 && out.len().is_multiple_of(rows), "a matrix divides into its rows");
    let cols = out.len() / rows;
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut vectors = AlignedBuffer::<f64>::zeroed(count * length, "an orthogonal initialiser")?;
    for i in 0..count {
        let (done, rest) = vectors.split_at_mut(i * length);
        draw_orthonormal(done, stream, &mut rest[..length]);
    }
    for (position, value) in out.iter_mut().enumerate() {
        let (row, col) = (position / cols, position % cols);
        let (vector, place) = if rows <= cols { (row, col) } else { (col, row) };
        *value = T::of(gain * vectors[vector * length + place]);
    }
    Ok(())
}

/// A random unit vector orthogonal to those in `done`.
fn draw_orthonormal(done: &[f64], stream: &mut Stream, vector: &mut [f64]) {
    loop {
        vector.fill_with(|| stream.normal());
        let drawn = norm(vector);
        // Twice is enough: the second pass removes what rounding left of the first (Giraud et al. 2005).
        for _ in 0..2 {
            for other in done.chunks_exact(vector.len()) {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let left = norm(vector);
        // A draw that lay almost within the span of the others would be mostly rounding error.
        if left > 1e-6 * drawn {
            vector.iter_mut().for_each(|x| *x /= left);
            return;
        }
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAN: Fan = Fan { inputs: 25, outputs: 75 };

    fn filled(init: &Init, rows: usize, len: usize) -> Vec<f64> {
        let mut out = vec![f64::NAN; len];
        init.fill(FAN, &[rows], Key::new(3, &[]), &mut out).unwrap();
        out
    }

    fn all() -> Vec<Init> {
        vec![
            Init::Constant { value: 0.25 },
            Init::UniformFanIn { a: 2.4, power: 1.0 },
            Init::Xavier { uniform: true },
            Init::Xavier { uniform: false },
            Init::He { uniform: true, slope: 0.0, fan_out: false },
            Init::He { uniform: false, slope: 0.25, fan_out: false },
            Init::Normal { std: 0.01 },
            Init::Orthogonal { gain: 1.0 },
            Init::Identity,
        ]
    }

    #[test]
    fn random_initialisers_have_their_published_variance_and_mean_zero() {
        let expected = [
            (Init::UniformFanIn { a: 2.4, power: 1.0 }, (2.4f64 / 25.0).powi(2) / 3.0),
            (Init::Xavier { uniform: true }, 2.0 / 100.0),
            (Init::Xavier { uniform: false }, 2.0 / 100.0),
            (Init::He { uniform: true, slope: 0.0, fan_out: false }, 2.0 / 25.0),
            (Init::He { uniform: false, slope: 0.0, fan_out: false }, 2.0 / 25.0),
            (Init::He { uniform: false, slope: 0.5, fan_out: false }, 2.0 / (1.25 * 25.0)),
            (Init::He { uniform: false, slope: 0.5, fan_out: true }, 2.0 / (1.25 * 75.0)),
            (Init::Normal { std: 0.01 }, 1e-4),
        ];
        for (init, variance) in expected {
            let w = filled(&init, 1, 40_000);
            let mean = w.iter().sum::<f64>() / w.len() as f64;
            let second = w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64;
            assert!((second / variance - 1.0).abs() < 0.03, "{init:?}: {second} instead of {variance}");
            assert!(mean.abs() < 0.02 * variance.sqrt(), "{init:?}: mean {mean}");
        }
    }

    #[test]
    fn uniform_initialisers_fill_their_interval_and_stay_inside() {
        let bounds = [
            (Init::UniformFanIn { a: 2.4, power: 1.0 }, 2.4 / 25.0),
            (Init::Xavier { uniform: true }, (6.0f64 / 100.0).sqrt()),
            (Init::He { uniform: true, slope: 0.0, fan_out: false }, (6.0f64 / 25.0).sqrt()),
        ];
        for (init, bound) in bounds {
            let largest = filled(&init, 1, 10_000).iter().fold(0.0, |max: f64, w| max.max(w.abs()));
            assert!(largest <= bound && largest > 0.99 * bound, "{init:?}: {largest} of {bound}");
        }
        assert_eq!(filled(&Init::Constant { value: 0.25 }, 2, 4), [0.25; 4]);
    }

    #[test]
    fn filters_hand_their_channel_on_and_those_beyond_the_channels_are_drawn() {
        let filled = |[rows, groups]: [usize; 2], channels: usize, [kh, kw]: [usize; 2]| {
            let fan = Fan { inputs: channels * kh * kw, outputs: rows / groups * kh * kw };
            let mut out = vec![f64::NAN; rows * channels * kh * kw];
            Init::Identity.fill(fan, &[rows, channels, kh, kw], Key::new(3, &[]), &mut out).unwrap();
            out
        };
        let dense = [([3, 1], 3, [3, 3]), ([2, 1], 5, [3, 3]), ([7, 1], 3, [5, 5]), ([4, 1], 4, [1, 1])];
        let grouped = [([4, 2], 2, [3, 3]), ([64, 64], 1, [3, 3]), ([6, 2], 2, [1, 3]), ([4, 2], 4, [3, 1])];
        for ([rows, groups], channels, kernel) in dense.into_iter().chain(grouped) {
            let out = filled([rows, groups], channels, kernel);
            let taps = kernel[0] * kernel[1];
            for (i, filter) in out.chunks(channels * taps).enumerate() {
                let own = i % (rows / groups);
                if own >= channels {
                    continue;
                }
                let ones: Vec<usize> = (0..filter.len()).filter(|&at| filter[at] == 1.0).collect();
                assert_eq!(
                    ones,
                    [own * taps + taps / 2],
                    "filter {i} of {rows} in {groups} groups, {kernel:?}"
                );
                assert_eq!(filter.iter().filter(|w| **w == 0.0).count(), filter.len() - 1);
            }
        }
        let drawn = &filled([2000, 1], 8, [3, 3])[8 * 72..];
        let norm = drawn.iter().map(|w| w * w).sum::<f64>() / (2000.0 - 8.0);
        assert!((norm - 1.0).abs() < 0.02, "{norm}");
    }

    #[test]
    fn orthogonal_matrices_have_orthonormal_rows_or_columns_times_the_gain() {
        for (rows, cols) in [(1, 1), (1, 7), (7, 1), (16, 16), (12, 40), (40, 12)] {
            let mut w = vec![f32::NAN; rows * cols];
            Init::Orthogonal { gain: 1.5 }.fill(FAN, &[rows], Key::new(4, &[]), &mut w).unwrap();
            let at = |vector: usize, place: usize| {
                f64::from(if rows <= cols { w[vector * cols + place] } else { w[place * cols + vector] })
            };
            for a in 0..rows.min(cols) {
                for b in 0..=a {
                    let dot: f64 = (0..rows.max(cols)).map(|i| at(a, i) * at(b, i)).sum();
                    let expected = if a == b { 2.25 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-6, "{rows}×{cols}, {a}·{b}: {dot}");
                }
            }
        }
        assert!(filled(&Init::Orthogonal { gain: 1.0 }, 0, 0).is_empty());
    }

    #[test]
    fn the_same_key_gives_the_same_bits_and_another_key_others() {
        for init in all() {
            let draw = |seed| {
                let mut out = [0f32; 12];
                init.fill(FAN, &[6], Key::new(seed, &[5]), &mut out).unwrap();
                out
            };
            assert_eq!(draw(1), draw(1), "{init:?}");
            assert_eq!(draw(1) == draw(2), matches!(init, Init::Constant { .. }), "{init:?}");
        }
    }

    #[test]
    fn units_without_inputs_get_finite_values() {
        for init in all() {
            let mut out = [f32::NAN; 4];
            init.fill(Fan { inputs: 0, outputs: 0 }, &[2], Key::new(1, &[]), &mut out).unwrap();
            assert!(out.iter().all(|w| w.is_finite()), "{init:?}: {out:?}");
        }
    }

    #[test]
    fn every_initialiser_survives_its_file_form_and_foreign_fields_are_refused() {
        for init in all() {
            assert_eq!(init.check(), Ok(()));
            let text = serde_json::to_string(&init).unwrap();
            assert!(text.starts_with(&format!("{{\"kind\":\"{}\"", init.name())), "{text}");
            assert_eq!(serde_json::from_str::<Init>(&text).unwrap(), init);
            let foreign = text.replacen('{', "{\"colour\":1,", 1);
            assert!(serde_json::from_str::<Init>(&foreign).unwrap_err().to_string().contains("`colour`"));
        }
        let paper = toml::from_str::<Init>("kind = \"he\"").unwrap();
        assert_eq!(paper, Init::He { uniform: false, slope: 0.0, fan_out: false });
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        for init in [
            Init::Constant { value: f64::NAN },
            Init::UniformFanIn { a: 0.0, power: 1.0 },
            Init::He { uniform: true, slope: f64::INFINITY, fan_out: false },
            Init::Normal { std: -1.0 },
            Init::Orthogonal { gain: f64::NAN },
        ] {
            let message = init.check().unwrap_err().to_string();
            assert!(
                message.starts_with(init.name()) && message.contains("; give a finite number"),
                "{message}"
            );
        }
    }
}
