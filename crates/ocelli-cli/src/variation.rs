//! The options that say how images are varied.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ocelli::{Augmentation, Overrides};

/// A set by name, and pieces in place of its own.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct VariationArgs {
    /// How training images are varied
    #[arg(long, value_name = "NAME", value_parser = augmentation())]
    pub(crate) augment: Option<Augmentation>,
    /// Average each image with another one, with a weight from Beta(A, A), and their targets too; 0 for never
    #[arg(long, value_name = "A", value_parser = alpha)]
    pub(crate) mixup: Option<f32>,
    /// Paste a rectangle of another image, with an area from Beta(A, A), and share the target; 0 for never. With --mixup too, each
    /// batch has one of them
    #[arg(long, value_name = "A", value_parser = alpha)]
    pub(crate) cutmix: Option<f32>,
    /// Blank a rectangle in this share of the images
    #[arg(long, value_name = "P", value_parser = share)]
    pub(crate) erase: Option<f32>,
    /// Take crops of a share of a picture's area between these bounds
    #[arg(long, value_name = "LO,HI", value_parser = area)]
    pub(crate) crop_area: Option<[f32; 2]>,
}

impl VariationArgs {
    /// The pieces that were given, in place of `own`.
    pub(crate) fn overrides(&self, own: Overrides) -> Overrides {
        Overrides {
            mixup: self.mixup.or(own.mixup),
            cutmix: self.cutmix.or(own.cutmix),
            erase: self.erase.or(own.erase),
            crop_area: self.crop_area.or(own.crop_area),
        }
    }
}

/// `--augment`.
fn augmentation() -> impl TypedValueParser<Value = Augmentation> {
    let values = Augmentation::ALL.map(|set| PossibleValue::new(set.name()).help(about(set)));
    let find = |name: String| Augmentation::ALL.into_iter().find(|set| set.name() == name);
    PossibleValuesParser::new(values)
        .map(move |name| find(name).expect("invariant: the names are those of sets"))
}

/// What a set contains, in a line.
fn about(set: Augmentation) -> &'static str {
    match set {
        Augmentation::None => "Not at all",
        Augmentation::Auto => {
            "light for grey images, crop-flip for colour up to 64 pixels, photo for larger ones"
        }
        Augmentation::Light => "Small shifts, rotations, changes of scale and shears: digits, drawings",
        Augmentation::Distort => "LeNet-5's distortions: shifts, scale, squeezing and shears",
        Augmentation::Elastic => "The light ones with elastic deformation",
        Augmentation::CropFlip => "Shifts by up to an eighth of the side, and mirroring: CIFAR",
        Augmentation::Lecture => "AlexNet's: crops of 224 of 256 pixels, mirroring, shifts of colours (PCA)",
        Augmentation::Photo => {
            "Crops of 25 to 100 % of the area, mirroring, a little brightness, contrast, saturation"
        }
        Augmentation::Trivial => "Crops of 8 to 100 %, mirroring, TrivialAugment, 10 % with a hole",
        Augmentation::Strong => "trivial with mixup 0.2 or cutmix 1: for long trainings",
    }
}

/// A share from 0 to 1.
fn share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "give a number from 0 to 1, such as 0.25".to_string())
}

/// Two shares with a comma between them.
fn area(text: &str) -> Result<[f32; 2], String> {
    let bounds: Option<Vec<f32>> = text.split(',').map(|part| share(part).ok()).collect();
    match bounds.as_deref() {
        Some(&[low, high]) if low > 0.0 && low <= high => Ok([low, high]),
        _ => Err("give the least and the largest share of a picture's area, such as 0.08,1".to_string()),
    }
}

/// The α of a Beta distribution.
fn alpha(text: &str) -> Result<f32, String> {
    let alpha = text.parse().ok().filter(|alpha| *alpha == 0.0 || (0.01..=1000.0).contains(alpha));
    alpha.ok_or_else(|| "give 0 for none, or a number from 0.01 to 1000, such as 0.2".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_bounds_and_say_what_to_give() {
        assert_eq!(area("0.08,1"), Ok([0.08, 1.0]));
        for bad in ["0,1", "0.5", "0.9,0.1", "0.1,2", "a,b", "0.1,0.2,0.3"] {
            assert!(area(bad).is_err_and(|e| e.contains("0.08,1")), "{bad}");
        }
        assert_eq!((share("1"), alpha("0"), alpha("0.2")), (Ok(1.0), Ok(0.0), Ok(0.2)));
        assert!(
            share("1.5").is_err() && share("NaN").is_err() && alpha("-1").is_err() && alpha("1e9").is_err()
        );
    }
}
