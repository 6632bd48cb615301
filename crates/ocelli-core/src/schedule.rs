//! Schedules: the learning rate η as a function of how far training has come.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::setting::{SettingError, no_fields, require};

/// A learning rate over the epochs: a curve, with an optional warm-up before it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How the rate goes.
    pub curve: Curve,
    /// How it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
}

/// The curve of a learning rate. `base` is the rate that training was given, p the epochs done (a fraction
/// within an epoch), P those in total.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// base.
    #[serde(deserialize_with = "no_fields")]
    Constant,
    /// base·factor^⌊p / every⌋.
    Step {
        /// Epochs between two changes.
        every: f64,
        /// What each change multiplies the rate by.
        #[serde(default = "tenth")]
        factor: f64,
    },
    /// base·factor^(how many of `at` have been reached).
    Milestones {
        /// Epochs after which the rate changes, ascending.
        at: Vec<f64>,
        /// What each change multiplies the rate by.
        #[serde(default = "tenth")]
        factor: f64,
    },
    /// base·factor^p, without jumps.
    Exponential {
        /// What an epoch multiplies the rate by.
        factor: f64,
    },
    /// From base down to `to` along half a cosine wave over the whole training (Loshchilov and Hutter 2017).
    Cosine {
        /// The rate at the end.
        #[serde(default)]
        to: f64,
    },
    /// Up from base/`start_divisor` to base at `peak_at`·P, then down to
    /// base/(`start_divisor`·`end_divisor`), both along half cosine waves (Smith and Topin 2019, in PyTorch's
    /// two-phase form; momentum stays as it is).
    OneCycle {
        /// The share of training in which the rate rises.
        #[serde(default = "default_peak_at")]
        peak_at: f64,
        /// How far below base it starts.
        #[serde(default = "default_start_divisor")]
        start_divisor: f64,
        /// How far below its start it ends.
        #[serde(default = "default_end_divisor")]
        end_divisor: f64,
    },
    /// Rates one after another, each for so many epochs; the last stays. They stand for themselves: base is
    /// not used ([`Schedule::base`]).
    List {
        /// In order.
        pieces: Vec<Piece>,
    },
}

/// A rate that holds for some epochs.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// For how long.
    pub epochs: f64,
    /// η.
    pub rate: f64,
}

/// A linear rise that multiplies any curve: the factor goes from `from` to 1 over the first `epochs` (Goyal
/// et al. 2017). The curve's own clock is not delayed by it.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Warmup {
    /// For how long.
    pub epochs: f64,
    /// The factor at the start. Above 0, or the first step would be wasted.
    #[serde(default = "hundredth")]
    pub from: f64,
}

impl Schedule {
    /// The same rate all the time.
    pub const CONSTANT: Schedule = Schedule { curve: Curve::Constant, warmup: None };

    /// The recipe of LeNet-5 (LeCun et al. 1998): 5e-4 for two passes, 2e-4 for three, 1e-4 for three, 5e-5
    /// for four, then 1e-5, as global rates of diagonal Levenberg–Marquardt.
    pub fn lenet5() -> Schedule {
        let pieces = [(2.0, 5e-4), (3.0, 2e-4), (3.0, 1e-4), (4.0, 5e-5), (8.0, 1e-5)];
        Curve::List { pieces: pieces.map(|(epochs, rate)| Piece { epochs, rate }).to_vec() }.into()
    }

    /// The same curve after a linear rise over the first `epochs`.
    pub fn warmed_up(self, epochs: f64) -> Schedule {
        Schedule { warmup: Some(Warmup { epochs, from: hundredth() }), ..self }
    }

    /// η after `epochs_done` of `total_epochs`. Before the start it is the first rate, after the end the last
    /// one.
    pub fn rate(&self, base: f64, epochs_done: f64, total_epochs: f64) -> f64 {
        let factor = self.warmup.map_or(1.0, |warmup| warmup.factor(epochs_done));
        factor * self.curve.rate(base, epochs_done.max(0.0), total_epochs)
    }

    /// The rate that the schedule itself begins with, if it takes no base.
    pub fn base(&self) -> Option<f64> {
        match &self.curve {
            Curve::List { pieces } => pieces.first().map(|piece| piece.rate),
            _ => None,
        }
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Names the setting and what it accepts.
    pub fn check(&self) -> Result<(), SettingError> {
        if let Some(Warmup { epochs, from }) = self.warmup {
            positive("warmup", "epochs", epochs)?;
            require((0.0..=1.0).contains(&from), "warmup", "from", from, "a number from 0 to 1")?;
        }
        self.curve.check()
    }
}

impl From<Curve> for Schedule {
    fn from(curve: Curve) -> Self {
        Schedule { curve, warmup: None }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule::CONSTANT
    }
}

impl Warmup {
    fn factor(&self, epochs_done: f64) -> f64 {
        let done = (epochs_done / self.epochs).clamp(0.0, 1.0);
        self.from + (1.0 - self.from) * done
    }
}

impl Curve {
    /// Its name, as configuration files write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Curve::Constant => "constant",
            Curve::Step { .. } => "step",
            Curve::Milestones { .. } => "milestones",
            Curve::Exponential { .. } => "exponential",
            Curve::Cosine { .. } => "cosine",
            Curve::OneCycle { .. } => "one_cycle",
            Curve::List { .. } => "list",
        }
    }

    fn rate(&self, base: f64, epochs: f64, total: f64) -> f64 {
        let done = if total > 0.0 { (epochs / total).min(1.0) } else { 1.0 };
        match self {
            Curve::Constant => base,
            Curve::Step { every, factor } => base * factor.powf((epochs / every).floor()),
            Curve::Milestones { at, factor } => {
                let reached = at.iter().filter(|&&milestone| epochs >= milestone).count();
                base * factor.powf(reached as f64)
            }
            Curve::Exponential { factor } => base * factor.powf(epochs),
            Curve::Cosine { to } => half_wave(base, *to, done),
            &Curve::OneCycle { peak_at, start_divisor, end_divisor } => {
                let start = base / start_divisor;
                if done < peak_at {
                    half_wave(start, base, done / peak_at)
                } else {
                    let falling = if peak_at < 1.0 { (done - peak_at) / (1.0 - peak_at) } else { 0.0 };
                    half_wave(base, start / end_divisor, falling)
                }
            }
            Curve::List { pieces } => rate_of(pieces, epochs).unwrap_or(base),
        }
    }

    fn check(&self) -> Result<(), SettingError> {
        let name = self.name();
        match self {
            Curve::Constant => Ok(()),
            Curve::Step { every, factor } => {
                positive(name, "every", *every)?;
                positive(name, "factor", *factor)
            }
            Curve::Milestones { at, factor } => {
                let ascending = at.is_sorted() && at.iter().all(|&epoch| epoch > 0.0);
                require(ascending, name, "at", format!("{at:?}"), "ascending epochs above 0")?;
                positive(name, "factor", *factor)
            }
            Curve::Exponential { factor } => positive(name, "factor", *factor),
            Curve::Cosine { to } => {
                let wanted = "a finite rate that is not negative";
                require(*to >= 0.0 && to.is_finite(), name, "to", to, wanted)
            }
            Curve::OneCycle { peak_at, start_divisor, end_divisor } => {
                require((0.0..=1.0).contains(peak_at), name, "peak_at", peak_at, "a number from 0 to 1")?;
                positive(name, "start_divisor", *start_divisor)?;
                positive(name, "end_divisor", *end_divisor)
            }
            Curve::List { pieces } => {
                require(!pieces.is_empty(), name, "pieces", "empty", "at least one piece")?;
                pieces.iter().try_for_each(|piece| {
                    positive(name, "epochs", piece.epochs)?;
                    positive(name, "rate", piece.rate)
                })
            }
        }
    }
}

/// From `start` (done = 0) to `end` (done = 1) along half a cosine wave.
fn half_wave(start: f64, end: f64, done: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (PI * done).cos())
}

/// The rate of the piece that `epochs` falls into: of the last one after all. None if there are no pieces.
fn rate_of(pieces: &[Piece], epochs: f64) -> Option<f64> {
    let mut end = 0.0;
    let current = pieces.iter().find(|piece| {
        end += piece.epochs;
        epochs < end
    });
    current.or(pieces.last()).map(|piece| piece.rate)
}

fn positive(rule: &'static str, field: &'static str, x: f64) -> Result<(), SettingError> {
    require(x > 0.0 && x.is_finite(), rule, field, x, "a finite number above 0")
}

fn tenth() -> f64 {
    0.1
}

fn hundredth() -> f64 {
    0.01
}

fn default_peak_at() -> f64 {
    0.3
}

fn default_start_divisor() -> f64 {
    25.0
}

fn default_end_divisor() -> f64 {
    1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves() -> Vec<Curve> {
        vec![
            Curve::Constant,
            Curve::Step { every: 30.0, factor: 0.1 },
            Curve::Milestones { at: vec![10.0, 15.5], factor: 0.5 },
            Curve::Exponential { factor: 0.9 },
            Curve::Cosine { to: 0.01 },
            Curve::OneCycle { peak_at: 0.25, start_divisor: 10.0, end_divisor: 100.0 },
            Schedule::lenet5().curve,
        ]
    }

    #[track_caller]
    fn assert_rates(curve: Curve, total: f64, points: &[(f64, f64)]) {
        let schedule = Schedule::from(curve);
        for &(epochs, expected) in points {
            let rate = schedule.rate(1.0, epochs, total);
            assert!((rate / expected - 1.0).abs() < 1e-12, "after {epochs}: {rate} instead of {expected}");
        }
    }

    #[test]
    fn curves_pass_through_points_worked_by_hand() {
        assert_rates(Curve::Constant, 9.0, &[(0.0, 1.0), (4.2, 1.0), (9.0, 1.0)]);
        let step = Curve::Step { every: 30.0, factor: 0.1 };
        assert_rates(step, 90.0, &[(0.0, 1.0), (29.99, 1.0), (30.0, 0.1), (60.0, 0.01), (90.0, 0.001)]);
        let milestones = Curve::Milestones { at: vec![10.0, 15.5], factor: 0.5 };
        assert_rates(milestones, 20.0, &[(9.9, 1.0), (10.0, 0.5), (15.4, 0.5), (15.5, 0.25), (99.0, 0.25)]);
        assert_rates(
            Curve::Exponential { factor: 0.9 },
            5.0,
            &[(0.0, 1.0), (2.0, 0.81), (0.5, 0.9f64.sqrt())],
        );
        let cosine = Curve::Cosine { to: 0.2 };
        assert_rates(
            cosine,
            12.0,
            &[(0.0, 1.0), (4.0, 0.8), (6.0, 0.6), (8.0, 0.4), (12.0, 0.2), (50.0, 0.2)],
        );
    }

    #[test]
    fn one_cycle_rises_to_base_and_falls_below_its_start() {
        let curve = Curve::OneCycle { peak_at: 0.25, start_divisor: 10.0, end_divisor: 100.0 };
        let middle = |a: f64, b: f64| (a + b) / 2.0;
        let points = [
            (0.0, 0.1),
            (2.5, middle(0.1, 1.0)),
            (5.0, 1.0),
            (12.5, middle(1.0, 0.001)),
            (20.0, 0.001),
            (21.0, 0.001),
        ];
        assert_rates(curve, 20.0, &points);
        for peak_at in [0.0, 1.0] {
            let edge = Schedule::from(Curve::OneCycle { peak_at, start_divisor: 10.0, end_divisor: 100.0 });
            for epochs in [0.0, 10.0, 20.0] {
                assert!(edge.rate(1.0, epochs, 20.0).is_finite());
            }
        }
    }

    #[test]
    fn lenet5_rates_change_after_2_5_8_and_12_passes() {
        let points = [
            (0.0, 5e-4),
            (1.99, 5e-4),
            (2.0, 2e-4),
            (5.0, 1e-4),
            (8.0, 5e-5),
            (12.0, 1e-5),
            (20.0, 1e-5),
            (40.0, 1e-5),
        ];
        assert_rates(Schedule::lenet5().curve, 20.0, &points);
        assert_eq!(Schedule::lenet5().base(), Some(5e-4));
        assert_eq!(Schedule::CONSTANT.base(), None);
    }

    #[test]
    fn warm_up_is_linear_meets_its_curve_without_a_jump_and_leaves_the_rest_alone() {
        for curve in curves() {
            let plain = Schedule::from(curve);
            let warm = plain.clone().warmed_up(5.0);
            let factor = |epochs: f64| warm.rate(0.3, epochs, 20.0) / plain.rate(0.3, epochs, 20.0);
            for (epochs, expected) in [(0.0, 0.01), (2.5, 0.505), (5.0 - 1e-12, 1.0), (5.0, 1.0), (17.0, 1.0)]
            {
                assert!((factor(epochs) - expected).abs() < 1e-9, "{plain:?} after {epochs}");
            }
        }
    }

    #[test]
    fn positions_outside_training_give_the_rates_at_its_ends() {
        for curve in curves() {
            let schedule = Schedule::from(curve);
            assert_eq!(schedule.rate(0.3, -1.0, 20.0), schedule.rate(0.3, 0.0, 20.0), "{schedule:?}");
            assert!(schedule.rate(0.3, 0.0, 0.0).is_finite(), "{schedule:?}");
        }
    }

    #[test]
    fn every_schedule_survives_its_file_form_and_foreign_fields_are_refused() {
        for curve in curves() {
            assert_eq!(Schedule::from(curve.clone()).check(), Ok(()));
            let schedule = Schedule::from(curve).warmed_up(2.0);
            let text = toml::to_string(&schedule).unwrap();
            assert_eq!(toml::from_str::<Schedule>(&text).unwrap(), schedule, "{text}");
            let text = serde_json::to_string(&schedule.curve).unwrap();
            assert!(text.starts_with(&format!("{{\"kind\":\"{}\"", schedule.curve.name())), "{text}");
            let foreign = text.replacen('{', "{\"colour\":1,", 1);
            assert!(serde_json::from_str::<Curve>(&foreign).unwrap_err().to_string().contains("`colour`"));
        }
        let written = "curve = { kind = \"cosine\" }\nwarmup = { epochs = 5 }";
        let expected = Schedule::from(Curve::Cosine { to: 0.0 }).warmed_up(5.0);
        assert_eq!(toml::from_str::<Schedule>(written).unwrap(), expected);
        assert!(toml::from_str::<Schedule>("colour = 1\ncurve = { kind = \"constant\" }").is_err());
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        let bad = [
            (Curve::Step { every: 0.0, factor: 0.1 }, "every is 0"),
            (Curve::Milestones { at: vec![3.0, 2.0], factor: 0.1 }, "at is [3.0, 2.0]"),
            (Curve::Exponential { factor: f64::NAN }, "factor is NaN"),
            (Curve::Cosine { to: -1.0 }, "to is -1"),
            (Curve::OneCycle { peak_at: 1.5, start_divisor: 1.0, end_divisor: 1.0 }, "peak_at is 1.5"),
            (Curve::List { pieces: vec![] }, "pieces is empty"),
            (Curve::List { pieces: vec![Piece { epochs: 0.0, rate: 1.0 }] }, "epochs is 0"),
        ];
        for (curve, text) in bad {
            let message = Schedule::from(curve).check().unwrap_err().to_string();
            assert!(message.contains(text), "{message}");
        }
        let message = Schedule::CONSTANT.warmed_up(0.0).check().unwrap_err().to_string();
        assert_eq!(message, "warmup: epochs is 0; give a finite number above 0");
    }
}
