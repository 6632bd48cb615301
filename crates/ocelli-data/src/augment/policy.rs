//! Policies: movements and changes of tone drawn from a list, as PyTorch's torchvision has them.

use ocelli_kernels::random::Stream;
use serde::{Deserialize, Serialize};

use super::affine::Affine;
use super::tone::Tone;
use crate::DataError;

/// A policy of which operations an image gets. Both draw from torchvision's lists of fourteen: identity, shear and translation
/// along each axis, rotation, brightness, colour, contrast, sharpness, posterize, solarize, autocontrast and equalize. Movements
/// go about the centre, interpolate bilinearly and are composed; changes of tone follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Policy {
    /// TrivialAugment with the wide ranges (Müller and Hutter 2021): one operation, of a strength drawn from 31.
    TrivialWide,
    /// RandAugment (Cubuk, Zoph, Shlens and Le 2020): so many operations, all of one strength.
    Rand {
        /// How many; usually 2.
        operations: usize,
        /// Of 31 strengths, 0 to 30; usually 9.
        magnitude: usize,
    },
}

/// The strengths of each operation.
const STRENGTHS: usize = 31;

/// The most operations of RandAugment.
pub(super) const MOST_OPERATIONS: usize = 8;

/// An operation, by its name in torchvision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Colour,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

const KINDS: [Kind; 14] = [
    Kind::Identity,
    Kind::ShearX,
    Kind::ShearY,
    Kind::TranslateX,
    Kind::TranslateY,
    Kind::Rotate,
    Kind::Brightness,
    Kind::Colour,
    Kind::Contrast,
    Kind::Sharpness,
    Kind::Posterize,
    Kind::Solarize,
    Kind::AutoContrast,
    Kind::Equalize,
];

/// How far the ranges of a policy go.
struct Ranges {
    shear: f64,
    /// Of an image of `[H, W]`, in pixels.
    translation: fn([usize; 2]) -> [f64; 2],
    degrees: f64,
    factor: f64,
    bits: f64,
}

const WIDE: Ranges =
    Ranges { shear: 0.99, translation: |_| [32.0, 32.0], degrees: 135.0, factor: 0.99, bits: 6.0 };

const NARROW: Ranges = Ranges {
    shear: 0.3,
    translation: |size| size.map(|n| 150.0 / 331.0 * n as f64),
    degrees: 30.0,
    factor: 0.9,
    bits: 4.0,
};

/// What one image gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) movement: Affine,
    tones: [Option<Tone>; MOST_OPERATIONS],
}

impl Drawn {
    /// Nothing.
    pub(super) const NONE: Drawn = Drawn { movement: Affine::IDENTITY, tones: [None; MOST_OPERATIONS] };

    /// The changes of tone, in their order.
    pub(super) fn tones(&self) -> impl Iterator<Item = Tone> {
        self.tones.into_iter().flatten()
    }
}

impl Policy {
    pub(super) fn check(&self) -> Result<(), DataError> {
        let Policy::Rand { operations, magnitude } = *self else { return Ok(()) };
        if !(1..=MOST_OPERATIONS).contains(&operations) {
            let rule = format!("it goes from 1 to {MOST_OPERATIONS}");
            return Err(DataError::setting("augment.policy.rand.operations", operations, rule));
        }
        if magnitude >= STRENGTHS {
            let rule = format!("it goes from 0 to {}", STRENGTHS - 1);
            return Err(DataError::setting("augment.policy.rand.magnitude", magnitude, rule));
        }
        Ok(())
    }

    /// What an image of `size` = [H, W] gets.
    pub(super) fn draw(&self, size: [usize; 2], stream: &mut Stream) -> Drawn {
        let (operations, ranges) = match self {
            Policy::TrivialWide => (1, &WIDE),
            Policy::Rand { operations, .. } => (*operations, &NARROW),
        };
        let mut drawn = Drawn::NONE;
        for tone in &mut drawn.tones[..operations] {
            let kind = KINDS[stream.below(KINDS.len() as u64) as usize];
            let bin = match self {
                Policy::TrivialWide => stream.below(STRENGTHS as u64) as usize,
                Policy::Rand { magnitude, .. } => *magnitude,
            };
            let sign = if stream.next_u32() & 1 == 1 { -1.0 } else { 1.0 };
            let strength = bin as f64 / (STRENGTHS - 1) as f64;
            match kind.movement(ranges, sign * strength, size) {
                Some(movement) => drawn.movement = drawn.movement.then(&movement),
                None => *tone = kind.tone(ranges, sign, strength),
            }
        }
        drawn
    }
}

impl Kind {
    /// Where output pixels come from; of strengths from −1 to 1.
    fn movement(self, ranges: &Ranges, strength: f64, size: [usize; 2]) -> Option<Affine> {
        let [down, across] = (ranges.translation)(size);
        let linear = |matrix| Some(Affine { matrix, offset: [0.0, 0.0] });
        let moved = |offset| Some(Affine { offset, ..Affine::IDENTITY });
        let shear = ranges.shear * strength;
        match self {
            Kind::ShearX => linear([[1.0, shear], [0.0, 1.0]]),
            Kind::ShearY => linear([[1.0, 0.0], [shear, 1.0]]),
            Kind::TranslateX => moved([across * strength, 0.0]),
            Kind::TranslateY => moved([0.0, down * strength]),
            Kind::Rotate => {
                let (sin, cos) = (ranges.degrees * strength).to_radians().sin_cos();
                linear([[cos, sin], [-sin, cos]])
            }
            _ => None,
        }
    }

    /// The change of tone, if it is one.
    fn tone(self, ranges: &Ranges, sign: f64, strength: f64) -> Option<Tone> {
        let factor = (1.0 + sign * ranges.factor * strength) as f32;
        match self {
            Kind::Brightness => Some(Tone::Brightness(factor)),
            Kind::Colour => Some(Tone::Colour(factor)),
            Kind::Contrast => Some(Tone::Contrast(factor)),
            Kind::Sharpness => Some(Tone::Sharpness(factor)),
            Kind::Posterize => Some(Tone::Posterize(8 - (ranges.bits * strength).round() as u8)),
            Kind::Solarize => Some(Tone::Solarize((255.0 * (1.0 - strength)) as f32)),
            Kind::AutoContrast => Some(Tone::AutoContrast),
            Kind::Equalize => Some(Tone::Equalize),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    fn draws(policy: Policy) -> Vec<Drawn> {
        (0..20_000).map(|i| policy.draw([128, 96], &mut Key::new(6, &[i]).stream())).collect()
    }

    #[test]
    fn trivial_augment_gives_one_of_fourteen_operations_each_as_often() {
        let all = draws(Policy::TrivialWide);
        let moved = all.iter().filter(|d| d.movement != Affine::IDENTITY).count() as f64 / 20_000.0;
        // Five of fourteen, but for the 31st part of them whose strength is 0.
        assert!((moved - 5.0 / 14.0 * 30.0 / 31.0).abs() < 0.015, "{moved}");
        assert!(all.iter().all(|d| d.tones().count() <= 1));
        let share = |wanted: fn(&Tone) -> bool| {
            all.iter().filter(|d| d.tones().any(|t| wanted(&t))).count() as f64 / 20_000.0
        };
        for (name, found) in [
            ("equalize", share(|t| *t == Tone::Equalize)),
            ("autocontrast", share(|t| *t == Tone::AutoContrast)),
            ("posterize", share(|t| matches!(t, Tone::Posterize(_)))),
            ("solarize", share(|t| matches!(t, Tone::Solarize(_)))),
            ("colour", share(|t| matches!(t, Tone::Colour(_)))),
        ] {
            assert!((found - 1.0 / 14.0).abs() < 0.01, "{name}: {found}");
        }
    }

    #[test]
    fn the_ranges_are_torchvisions() {
        let (mut cosine, mut shift, mut least, mut most, mut bits) = (1f64, 0f64, 1f32, 1f32, 8);
        for drawn in draws(Policy::TrivialWide) {
            cosine = cosine.min(drawn.movement.matrix[0][0]);
            shift = shift.max(drawn.movement.offset[0].abs());
            for tone in drawn.tones() {
                match tone {
                    Tone::Brightness(f) => (least, most) = (least.min(f), most.max(f)),
                    Tone::Posterize(b) => bits = bits.min(b),
                    _ => {}
                }
            }
        }
        assert!((cosine + 0.5f64.sqrt()).abs() < 1e-6, "135°: {cosine}");
        assert_eq!((shift, bits), (32.0, 2));
        assert!((least - 0.01).abs() < 1e-6 && (most - 1.99).abs() < 1e-6, "{least} to {most}");
    }

    #[test]
    fn rand_augment_gives_several_of_one_strength() {
        let mut counts = [0; 3];
        for drawn in draws(Policy::Rand { operations: 2, magnitude: 9 }) {
            counts[drawn.tones().count()] += 1;
            for tone in drawn.tones() {
                if let Tone::Contrast(factor) = tone {
                    assert!(((factor - 1.0).abs() - 0.27).abs() < 1e-5, "{factor}");
                }
            }
        }
        assert!(counts[2] > counts[0], "eight of fourteen are changes of tone: {counts:?}");
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let error =
            |operations, magnitude| Policy::Rand { operations, magnitude }.check().unwrap_err().to_string();
        assert!(error(0, 9).contains("operations") && error(9, 9).contains("operations"));
        assert!(error(2, 31).contains("magnitude"));
    }
}
