//! Varying training images at random, one file per kind of variation.
//!
//! What is varied, in this order: which part of the picture is taken and whether it is mirrored ([`Crop`], [`Augment::flip`]),
//! movements (shift, rotation, …, [`Elastic`], those of a [`Policy`]), tones (the rest of a policy), colours ([`Jitter`],
//! [`ColourShift`]), and a hole ([`Erase`]); whole batches may then be mixed ([`Mix`]).
//!
//! Everything that moves pixels is composed into one map from output to source. Without movements that is a crop, which is
//! resized with antialiasing, mirrored and normalised in one pass; with movements the picture is resampled once, after being
//! scaled down where it is much larger than the output.

mod affine;
mod apply;
mod crop;
mod elastic;
mod erase;
mod jitter;
mod mix;
mod pca;
mod policy;
mod tone;
mod warp;

use ocelli_kernels::random::Key;
use serde::{Deserialize, Serialize};

pub(crate) use apply::Augmenter;
pub use crop::Crop;
pub use elastic::Elastic;
pub use erase::Erase;
pub use jitter::Jitter;
pub use mix::Mix;
pub(crate) use mix::{Images, Mixer};
pub use pca::{ColourAxes, ColourShift};
pub use policy::Policy;

use crate::{DataError, purpose};

/// How strongly training images are varied. Each image, each epoch, draws its own amounts. The strengths of movements are drawn
/// uniformly from minus to plus the strength; a strength of 0 leaves that out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Which part of the picture is taken.
    pub crop: Crop,
    /// The share of images that are mirrored, left to right: others in each epoch ([`Draw`]).
    pub flip: f32,
    /// Translation along each axis, in pixels.
    pub shift: f32,
    /// Rotation about the centre, in degrees.
    pub rotation: f32,
    /// Change of size, as a fraction: 0.1 is a factor of 0.9 to 1.1.
    pub scale: f32,
    /// Stretching of the width by 1 + u while the height shrinks to 1/(1 + u), or the reverse; u as a
    /// fraction.
    pub squeeze: f32,
    /// Horizontal shear: rows move by this fraction of their height above the centre.
    pub shear: f32,
    /// Elastic distortion.
    pub elastic: Option<Elastic>,
    /// Movements and tones drawn from a list.
    pub policy: Option<Policy>,
    /// Brightness, contrast, saturation and hue.
    pub jitter: Jitter,
    /// Shifts along the directions in which the colours of the data vary; images in grey have none.
    pub colour: Option<ColourShift>,
    /// A rectangle that is blanked.
    pub erase: Option<Erase>,
}

impl Augment {
    /// No variation at all.
    pub const NONE: Augment = Augment {
        crop: Crop::Fit,
        flip: 0.0,
        shift: 0.0,
        rotation: 0.0,
        scale: 0.0,
        squeeze: 0.0,
        shear: 0.0,
        elastic: None,
        policy: None,
        jitter: Jitter::NONE,
        colour: None,
        erase: None,
    };

    /// Whether the strengths make sense.
    ///
    /// # Errors
    /// [`DataError::Setting`] that names the strength.
    pub fn check(&self) -> Result<(), DataError> {
        let limits = [
            ("flip", self.flip, 1.0),
            ("shift", self.shift, 1e4),
            ("rotation", self.rotation, 180.0),
            ("scale", self.scale, 0.9),
            ("squeeze", self.squeeze, 0.9),
            ("shear", self.shear, 10.0),
        ];
        for (name, strength, most) in limits {
            check_strength(name, strength, most)?;
        }
        self.crop.check()?;
        self.jitter.check()?;
        self.elastic.as_ref().map_or(Ok(()), Elastic::check)?;
        self.policy.as_ref().map_or(Ok(()), Policy::check)?;
        self.colour.as_ref().map_or(Ok(()), ColourShift::check)?;
        self.erase.as_ref().map_or(Ok(()), Erase::check)
    }
}

/// Whether `strength` is a number from 0 to `most`.
fn check_strength(name: &str, strength: f32, most: f32) -> Result<(), DataError> {
    match (0.0..=most).contains(&strength) {
        true => Ok(()),
        false => {
            let rule = format!("it goes from 0 to {most}");
            Err(DataError::setting(format!("augment.{name}"), strength, rule))
        }
    }
}

/// Whether a pair of bounds goes up and stays above `least` and at `most`.
fn check_bounds(name: &str, [low, high]: [f32; 2], least: f32, most: f32) -> Result<(), DataError> {
    match low > least && low <= high && high <= most {
        true => Ok(()),
        false => {
            let rule = format!("its bounds go up, from above {least} to at most {most}");
            Err(DataError::setting(format!("augment.{name}"), format!("{low} to {high}"), rule))
        }
    }
}

impl Default for Augment {
    fn default() -> Augment {
        Augment::NONE
    }
}

/// What decides how an image is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The run's.
    pub seed: u64,
    /// The pass over the images.
    pub epoch: u64,
    /// The image's number in its data set.
    pub sample: u32,
}

impl Draw {
    /// The key of what is drawn anew in each epoch.
    pub fn key(self) -> Key {
        Key::new(self.seed, &[purpose::AUGMENT, self.epoch, u64::from(self.sample)])
    }

    /// Whether an image is mirrored, where `share` of them are.
    ///
    /// Which ones is drawn for the first epoch. From then on the image's number goes on by `share` in each epoch, around from 1
    /// to 0, and mirrored are those below `share`: of one half each image every second time, so that two epochs that follow each
    /// other show each image both ways round, which independent draws do for half of them (Jordan 2024).
    fn is_mirrored(self, share: f32) -> bool {
        let drawn = Key::new(self.seed, &[purpose::MIRROR, u64::from(self.sample)]).stream().uniform();
        // The epoch's part first: large epochs would cost the sum its digits.
        let share = f64::from(share);
        let gone = (share * (self.epoch % EPOCHS_AROUND) as f64).fract();
        (drawn + gone).fract() < share || share >= 1.0
    }
}

/// Epochs after which mirroring begins anew: far more than runs have, and exact in a product with any share.
const EPOCHS_AROUND: u64 = 1 << 24;

/// What an image's key is derived for, so that turning one kind of variation on changes no other. Movements use the key itself.
mod part {
    pub(super) const CROP: u64 = 1;
    pub(super) const POLICY: u64 = 3;
    pub(super) const JITTER: u64 = 4;
    pub(super) const COLOUR: u64 = 5;
    pub(super) const ERASE: u64 = 6;
}
