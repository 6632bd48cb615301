//! Varying training images at random, one file per kind of variation.
//!
//! Everything that moves pixels is composed into one map from output to source and resampled once, so
//! an image is blurred once however many variations are on.

mod affine;
mod elastic;
mod warp;

use ocelli_kernels::random::Key;
use serde::{Deserialize, Serialize};

pub use elastic::Elastic;

use crate::{DataError, Picture, purpose};
use affine::Affine;

/// How strongly training images are varied. Each image, each epoch, draws its own amounts, uniformly
/// from minus to plus the strength; a strength of 0 leaves that out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
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
}

impl Augment {
    /// No variation at all.
    pub const NONE: Augment =
        Augment { shift: 0.0, rotation: 0.0, scale: 0.0, squeeze: 0.0, shear: 0.0, elastic: None };

    /// Whether the strengths make sense.
    ///
    /// # Errors
    /// [`DataError::Setting`] that names the strength.
    pub fn check(&self) -> Result<(), DataError> {
        let limits = [
            ("shift", self.shift, 1e4),
            ("rotation", self.rotation, 180.0),
            ("scale", self.scale, 0.9),
            ("squeeze", self.squeeze, 0.9),
            ("shear", self.shear, 10.0),
        ];
        for (name, strength, most) in limits {
            if !(0.0..=most).contains(&strength) {
                let rule = format!("it goes from 0 to {most}");
                return Err(DataError::setting(format!("augment.{name}"), strength, rule));
            }
        }
        self.elastic.as_ref().map_or(Ok(()), Elastic::check)
    }
}

impl Default for Augment {
    fn default() -> Augment {
        Augment::NONE
    }
}

/// The key of what is drawn for image `sample` in `epoch` of a run with `seed`.
pub fn key(seed: u64, epoch: u64, sample: u32) -> Key {
    Key::new(seed, &[purpose::AUGMENT, epoch, u64::from(sample)])
}

/// Carries out an [`Augment`] with memory that is kept from image to image. One for each thread.
#[derive(Clone, Debug)]
pub struct Augmenter {
    augment: Augment,
    elastic: Option<elastic::Field>,
    framed: warp::Framed,
}

impl Augmenter {
    /// For strengths that [`Augment::check`] accepts.
    pub fn new(augment: &Augment) -> Augmenter {
        let elastic = augment.elastic.as_ref().map(elastic::Field::new);
        Augmenter { augment: augment.clone(), elastic, framed: warp::Framed::default() }
    }

    /// Writes `picture` (H·W·C), varied as `key` says, to `out` with `pad` pixels more on each side.
    /// Values stay from 0 to 255; what comes from outside the picture is `background`. Panics where
    /// `out` has another length than (H + 2·pad)·(W + 2·pad)·C.
    pub fn apply(&mut self, picture: &Picture, pad: usize, background: u8, key: Key, out: &mut [f32]) {
        let (height, width) = (picture.height + 2 * pad, picture.width + 2 * pad);
        assert_eq!(out.len(), height * width * picture.channels, "the length of an augmented image");
        let mut stream = key.stream();
        let affine = Affine::draw(&self.augment, &mut stream);
        if let Some(field) = &mut self.elastic {
            field.draw(height, width, &mut stream);
        }
        self.framed.fill(picture, background);
        let map = warp::Map { affine, displacement: self.elastic.as_ref(), height, width };
        map.resample(&self.framed, out);
    }
}
