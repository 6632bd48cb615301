//! How training images are varied: the sets that have a name, and what replaces pieces of them.

use ocelli_core::Loss;
use ocelli_data::{
    Augment, CROP_SHARE, ColourAxes, ColourShift, Crop, Elastic, Erase, Fit, Jitter, Mix, Policy,
};
use serde::{Deserialize, Serialize};

use crate::Error;

/// How training images are varied; each image differently in each epoch, by the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Augmentation {
    /// Not at all.
    #[default]
    None,
    /// What suits the data ([`Augmentation::usual_for`]); a run notes which that is.
    Auto,
    /// Small shifts, rotations, changes of scale and shears, for digits and other drawings.
    Light,
    /// LeNet-5's distortions (LeCun et al. 1998, section III-A): shifts, scale, squeezing and horizontal shears.
    Distort,
    /// Light, with elastic deformation (Simard, Steinkraus and Platt 2003).
    Elastic,
    /// For small colour pictures, as CIFAR's: shifts by up to an eighth of the side, and mirroring.
    CropFlip,
    /// AlexNet's (Krizhevsky, Sutskever and Hinton 2012): crops of 224 of 256 pixels, mirroring, and shifts of colours along
    /// their principal directions.
    Lecture,
    /// For photographs: crops of a quarter to all of the area, mirroring, and a little brightness, contrast and saturation.
    Photo,
    /// Crops of 8 to 100 % of the area, mirroring, TrivialAugment, and a tenth of the images with a hole.
    Trivial,
    /// That, with mixup or CutMix of whole batches: for long trainings.
    Strong,
}

/// Pieces that were asked for, in place of a named set's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// α of mixup; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f32>,
    /// α of CutMix; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<f32>,
    /// The share of images that get a hole; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erase: Option<f32>,
    /// Bounds of the share of a picture's area that is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_area: Option<[f32; 2]>,
}

/// Pictures in colour of up to so many pixels a side are varied as CIFAR's are.
const MOST_SMALL: usize = 64;

impl Augmentation {
    /// Every set, in the order of [`Augmentation`].
    pub const ALL: [Augmentation; 10] = [
        Augmentation::None,
        Augmentation::Auto,
        Augmentation::Light,
        Augmentation::Distort,
        Augmentation::Elastic,
        Augmentation::CropFlip,
        Augmentation::Lecture,
        Augmentation::Photo,
        Augmentation::Trivial,
        Augmentation::Strong,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Augmentation::None => "none",
            Augmentation::Auto => "auto",
            Augmentation::Light => "light",
            Augmentation::Distort => "distort",
            Augmentation::Elastic => "elastic",
            Augmentation::CropFlip => "crop-flip",
            Augmentation::Lecture => "lecture",
            Augmentation::Photo => "photo",
            Augmentation::Trivial => "trivial",
            Augmentation::Strong => "strong",
        }
    }

    /// What suits images of shape C×H×W, where nothing else is known of them: `photo` for colour, `crop-flip` for small images in
    /// colour, `light` for grey ones, which are often digits or drawings that mean something else when mirrored.
    pub fn usual_for([channels, height, width]: [usize; 3]) -> Augmentation {
        match (channels, height.min(width)) {
            (1, _) => Augmentation::Light,
            (_, side) if side <= MOST_SMALL => Augmentation::CropFlip,
            _ => Augmentation::Photo,
        }
    }

    /// The set itself: `auto` is that of images of shape C×H×W.
    pub fn resolve(self, image_shape: [usize; 3]) -> Augmentation {
        if self == Augmentation::Auto { Augmentation::usual_for(image_shape) } else { self }
    }

    /// The variation of images that become `size` = [H, W]. `axes` are those of the training set's colours; without them there are
    /// no shifts of colours.
    pub fn augment(self, overrides: &Overrides, size: [usize; 2], axes: Option<ColourAxes>) -> Augment {
        let mut augment = self.own(size, axes);
        if let Some(area) = overrides.crop_area {
            augment.crop = Crop::of_area(area);
        }
        if let Some(probability) = overrides.erase {
            augment.erase = (probability != 0.0).then(|| Erase::usual(probability));
        }
        augment
    }

    /// Without overrides.
    fn own(self, size: [usize; 2], axes: Option<ColourAxes>) -> Augment {
        // Strengths are for pictures of 28 pixels, the size of MNIST's.
        let side = size[0].min(size[1]) as f32 / 28.0;
        let light = Augment { shift: 2.0 * side, rotation: 10.0, scale: 0.1, shear: 0.1, ..Augment::NONE };
        let mirrored = Augment { flip: 0.5, ..Augment::NONE };
        match self {
            Augmentation::None => Augment::NONE,
            Augmentation::Auto => panic!("invariant: a run has resolved which set it is"),
            Augmentation::Light => light,
            Augmentation::Distort => Augment { rotation: 0.0, squeeze: 0.1, shear: 0.2, ..light },
            Augmentation::Elastic => {
                Augment { elastic: Some(Elastic { alpha: 34.0 * side, sigma: 4.0 * side }), ..light }
            }
            Augmentation::CropFlip => {
                Augment { crop: Crop::Padded { pixels: size[0].min(size[1]).div_ceil(8) }, ..mirrored }
            }
            Augmentation::Lecture => Augment {
                crop: Crop::Random { share: CROP_SHARE },
                colour: axes.map(|axes| ColourShift { strength: 0.1, axes }),
                ..mirrored
            },
            Augmentation::Photo => Augment {
                crop: Crop::of_area([0.25, 1.0]),
                jitter: Jitter { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.0 },
                ..mirrored
            },
            Augmentation::Trivial | Augmentation::Strong => Augment {
                crop: Crop::INCEPTION,
                policy: Some(Policy::TrivialWide),
                erase: Some(Erase::usual(0.1)),
                ..mirrored
            },
        }
    }

    /// How the images of a batch are mixed.
    pub fn mix(self, overrides: &Overrides) -> Mix {
        let own = match self {
            Augmentation::Strong => Mix { mixup: 0.2, cutmix: 1.0 },
            _ => Mix::NONE,
        };
        Mix { mixup: overrides.mixup.unwrap_or(own.mixup), cutmix: overrides.cutmix.unwrap_or(own.cutmix) }
    }

    /// What evaluation takes of a picture: its middle, where training takes crops of it too.
    pub fn fit(self, overrides: &Overrides) -> Fit {
        let crops = matches!(
            self,
            Augmentation::Lecture | Augmentation::Photo | Augmentation::Trivial | Augmentation::Strong
        );
        match crops || overrides.crop_area.is_some() {
            true => Fit::Crop { share: CROP_SHARE },
            false => Fit::Stretch,
        }
    }

    /// Whether colours are shifted, which takes the directions in which those of the training set vary.
    pub fn shifts_colours(self) -> bool {
        self == Augmentation::Lecture
    }

    /// Whether the pieces make sense, and `loss` takes targets that are shares of classes where images are mixed.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(self, overrides: &Overrides, loss: &Loss) -> Result<(), Error> {
        let usage = |e: ocelli_data::DataError| Error::Usage(e.to_string());
        let resolved = if self == Augmentation::Auto { Augmentation::None } else { self };
        resolved.augment(overrides, [64, 64], None).check().map_err(usage)?;
        let mix = self.mix(overrides);
        mix.check().map_err(usage)?;
        match loss {
            Loss::Hinge { .. } | Loss::Exponential if mix.is_on() => Err(Error::Usage(format!(
                "mixup and CutMix make targets that are shares of classes, and loss {} takes yes or no alone; give --mixup 0 \
                 --cutmix 0, or another --loss, such as cross-entropy",
                loss.name()
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROSS_ENTROPY: Loss = Loss::CrossEntropy { label_smoothing: 0.0 };

    #[test]
    fn names_are_those_of_files_with_dashes() {
        for set in Augmentation::ALL {
            let text = serde_json::to_string(&set).unwrap();
            assert_eq!(text.trim_matches('"').replace('_', "-"), set.name());
        }
    }

    #[test]
    fn every_set_makes_sense_for_every_size() {
        let axes = ColourAxes { values: [0.1; 3], vectors: [[1.0, 0.0, 0.0]; 3] };
        for set in Augmentation::ALL.into_iter().filter(|&set| set != Augmentation::Auto) {
            for size in [[1, 1], [8, 8], [28, 28], [96, 128], [512, 512]] {
                set.augment(&Overrides::default(), size, Some(axes)).check().unwrap();
            }
            set.check(&Overrides::default(), &CROSS_ENTROPY).unwrap();
        }
    }

    #[test]
    fn data_choose_what_suits_them() {
        let auto = |shape| Augmentation::Auto.resolve(shape);
        assert_eq!(auto([1, 28, 28]), Augmentation::Light);
        assert_eq!(auto([3, 32, 32]), Augmentation::CropFlip);
        assert_eq!(auto([3, 128, 128]), Augmentation::Photo);
        assert_eq!(Augmentation::None.resolve([3, 128, 128]), Augmentation::None);
    }

    #[test]
    fn pieces_that_were_asked_for_win_and_the_rest_stays() {
        let overrides =
            Overrides { mixup: Some(0.0), cutmix: None, erase: Some(0.5), crop_area: Some([0.5, 0.9]) };
        let [augment, plain] =
            [overrides, Overrides::default()].map(|o| Augmentation::Strong.augment(&o, [64, 64], None));
        assert_eq!(augment.erase, Some(Erase::usual(0.5)));
        assert_eq!(augment.crop, Crop::Resized { area: [0.5, 0.9], ratio: [0.75, 4.0 / 3.0] });
        assert_eq!(Augment { erase: plain.erase, crop: plain.crop, ..augment }, plain);
        assert_eq!(Augmentation::Strong.mix(&overrides), Mix { mixup: 0.0, cutmix: 1.0 });
        assert_eq!(Augmentation::None.fit(&overrides), Fit::Crop { share: CROP_SHARE });
    }

    #[test]
    fn losses_that_take_no_shares_of_classes_refuse_mixed_images() {
        let hinge = Loss::Hinge { margin: 1.0, squared: false };
        let error = Augmentation::Strong.check(&Overrides::default(), &hinge).unwrap_err().to_string();
        assert!(error.contains("hinge") && error.contains("--mixup 0"), "{error}");
        Augmentation::Trivial.check(&Overrides::default(), &hinge).unwrap();
        let wrong = Overrides { erase: Some(2.0), ..Overrides::default() };
        assert!(Augmentation::None.check(&wrong, &CROSS_ENTROPY).unwrap_err().to_string().contains("erase"));
    }
}
