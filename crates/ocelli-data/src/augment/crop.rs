//! Which part of a training picture is taken.

use ocelli_kernels::random::Stream;
use serde::{Deserialize, Serialize};

use super::check_bounds;
use crate::geometry::{Fit, Place, Window};
use crate::{DataError, Preprocess};

/// Which part of a picture becomes a training image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Crop {
    /// What evaluation takes ([`Preprocess::fit`]).
    #[default]
    Fit,
    /// A window of the input's aspect and of `share` of the largest one's sides, anywhere in the picture (Krizhevsky, Sutskever
    /// and Hinton 2012, section 4.1: 224 pixels of a picture whose shorter side has 256).
    Random {
        /// Above 0, at most 1.
        share: f32,
    },
    /// A window of a random share of the picture's area and of a random aspect, anywhere in it (Szegedy et al. 2015, section 6).
    /// Where ten draws do not fit into the picture it is the largest centred window within the bounds of the aspect.
    Resized {
        /// Bounds of the share of the area, drawn uniformly.
        area: [f32; 2],
        /// Bounds of the factor of width to height, beside the input's own; its logarithm is drawn uniformly.
        ratio: [f32; 2],
    },
    /// What evaluation takes, moved by up to so many pixels of the input along each axis, with background beyond the border
    /// (the usual variation of CIFAR's images, with 4).
    Padded {
        /// The most pixels.
        pixels: usize,
    },
}

/// The most pixels that a picture is moved by.
const MOST_PADDING: usize = 1 << 12;

/// How often an area and an aspect are drawn.
const DRAWS: usize = 10;

impl Crop {
    /// Shares of the area from 0.08 on and aspects from 3/4 to 4/3: what ImageNet's networks are trained with.
    pub const INCEPTION: Crop = Crop::of_area([0.08, 1.0]);

    /// Shares of the area between these bounds, and aspects from 3/4 to 4/3.
    pub const fn of_area(area: [f32; 2]) -> Crop {
        Crop::Resized { area, ratio: [0.75, 4.0 / 3.0] }
    }

    pub(super) fn check(&self) -> Result<(), DataError> {
        match *self {
            Crop::Fit => Ok(()),
            Crop::Random { share } => check_bounds("crop.random.share", [share, share], 0.0, 1.0),
            Crop::Resized { area, ratio } => {
                check_bounds("crop.resized.area", area, 0.0, 1.0)?;
                check_bounds("crop.resized.ratio", ratio, 0.0, 100.0)
            }
            Crop::Padded { pixels } if pixels > MOST_PADDING => {
                let rule = format!("it goes from 0 to {MOST_PADDING}");
                Err(DataError::setting("augment.crop.padded.pixels", pixels, rule))
            }
            Crop::Padded { .. } => Ok(()),
        }
    }

    /// The window of a picture of [H, W].
    pub(super) fn draw(&self, picture: [usize; 2], spec: &Preprocess, stream: &mut Stream) -> Window {
        let (fit, size) = (spec.fit, spec.size);
        match *self {
            Crop::Fit => fit.window(picture, size, Place::Centre),
            Crop::Random { share } => anywhere(Fit::Crop { share }, picture, size, stream),
            Crop::Resized { area, ratio } => resized(area, ratio, picture, size, stream),
            Crop::Padded { pixels } => {
                let mut window = fit.window(picture, size, Place::Centre);
                let mut draw = || stream.below(2 * pixels as u64 + 1) as f64 - pixels as f64;
                window.left += draw() * (window.width / size[1] as f64);
                window.top += draw() * (window.height / size[0] as f64);
                window
            }
        }
    }
}

/// A window as `fit` makes it, moved anywhere in the picture by whole pixels of the output: where the picture is not scaled,
/// its pixels stay as they are.
fn anywhere(fit: Fit, picture: [usize; 2], size: [usize; 2], stream: &mut Stream) -> Window {
    let mut window = fit.window(picture, size, Place::Centre);
    let mut start = |length: f64, window: f64, size: usize| {
        let step = window / size as f64;
        // Rounding must not lose the last place.
        let steps = ((length - window) / step + 1e-6).floor().max(0.0);
        let rest = (length - window - steps * step).max(0.0);
        rest / 2.0 + stream.below(steps as u64 + 1) as f64 * step
    };
    window.left = start(picture[1] as f64, window.width, size[1]);
    window.top = start(picture[0] as f64, window.height, size[0]);
    window
}

fn resized(
    area: [f32; 2],
    ratio: [f32; 2],
    picture: [usize; 2],
    size: [usize; 2],
    stream: &mut Stream,
) -> Window {
    let (area, own) = (area.map(f64::from), size[1] as f64 / size[0] as f64);
    let ratio = ratio.map(|r| f64::from(r) * own);
    let (height, width) = (picture[0] as f64, picture[1] as f64);
    for _ in 0..DRAWS {
        let pixels = height * width * stream.range(area[0], area[1]);
        let aspect = stream.range(ratio[0].ln(), ratio[1].ln()).exp();
        let (w, h) = ((pixels * aspect).sqrt().round(), (pixels / aspect).sqrt().round());
        if (1.0..=width).contains(&w) && (1.0..=height).contains(&h) {
            let top = stream.below((height - h) as u64 + 1) as f64;
            let left = stream.below((width - w) as u64 + 1) as f64;
            return Window { left, top, width: w, height: h };
        }
    }
    let aspect = (width / height).clamp(ratio[0], ratio[1]);
    let (w, h) =
        (width.min((height * aspect).round().max(1.0)), height.min((width / aspect).round().max(1.0)));
    Window { left: ((width - w) / 2.0).floor(), top: ((height - h) / 2.0).floor(), width: w, height: h }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;
    use crate::Normalise;

    fn spec(size: [usize; 2]) -> Preprocess {
        let normalise = Normalise::Range { low: 0.0, high: 1.0 };
        Preprocess { channels: 1, size, fit: Fit::Stretch, pad: 0, background: 0, normalise }
    }

    fn draws(crop: Crop, picture: [usize; 2], size: [usize; 2]) -> Vec<Window> {
        (0..3000).map(|i| crop.draw(picture, &spec(size), &mut Key::new(1, &[i]).stream())).collect()
    }

    fn inside(w: &Window, [height, width]: [usize; 2]) -> bool {
        let close = 1e-9;
        w.left >= 0.0
            && w.top >= 0.0
            && w.left + w.width <= width as f64 + close
            && w.top + w.height <= height as f64 + close
    }

    #[test]
    fn random_crops_reach_every_place_and_no_place_outside() {
        let all = draws(Crop::Random { share: 0.875 }, [128, 160], [112, 112]);
        assert!(all.iter().all(|w| inside(w, [128, 160]) && w.width == 112.0 && w.height == 112.0));
        assert!(all.iter().all(|w| w.left.fract() == 0.0 && w.top.fract() == 0.0), "whole pixels");
        for (most, side) in [(48.0, 0), (16.0, 1)] {
            let places = all.iter().map(|w| [w.left, w.top][side]);
            let mut seen: Vec<u32> = places.map(|x| x as u32).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, (0..=most as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn random_crops_of_scaled_pictures_move_by_pixels_of_the_output() {
        for picture in [[300, 451], [77, 50], [1, 1], [3, 1000]] {
            let all = draws(Crop::Random { share: 0.875 }, picture, [56, 56]);
            assert!(all.iter().all(|w| inside(w, picture)), "{picture:?}");
        }
    }

    #[test]
    fn resized_crops_have_the_shares_and_aspects_that_were_asked_for() {
        let all = draws(Crop::INCEPTION, [240, 320], [64, 64]);
        assert!(all.iter().all(|w| inside(w, [240, 320])));
        let share = |w: &Window| w.width * w.height / (240.0 * 320.0);
        let aspect = |w: &Window| w.width / w.height;
        assert!(all.iter().all(|w| (0.078..1.0).contains(&share(w)) && (0.73..1.37).contains(&aspect(w))));
        assert!(all.iter().any(|w| share(w) < 0.1) && all.iter().any(|w| share(w) > 0.9));
        let wide = all.iter().filter(|w| aspect(w) > 1.0).count();
        assert!((1350..1750).contains(&wide), "as many wide as high ones: {wide} of 3000");
    }

    #[test]
    fn pictures_that_no_draw_fits_give_their_middle_within_the_aspects() {
        let crop = Crop::Resized { area: [1.0, 1.0], ratio: [0.75, 4.0 / 3.0] };
        for w in draws(crop, [100, 1000], [10, 10]) {
            assert_eq!([w.left, w.top, w.width, w.height], [433.0, 0.0, 133.0, 100.0]);
        }
        for w in draws(crop, [1, 1], [10, 20]) {
            assert_eq!([w.left, w.top, w.width, w.height], [0.0, 0.0, 1.0, 1.0]);
        }
    }

    #[test]
    fn padded_crops_move_by_whole_pixels() {
        let all = draws(Crop::Padded { pixels: 4 }, [32, 32], [32, 32]);
        let mut seen: Vec<i32> = all.iter().flat_map(|w| [w.left as i32, w.top as i32]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (-4..=4).collect::<Vec<_>>());
        assert!(all.iter().all(|w| w.width == 32.0 && w.left.fract() == 0.0));
    }
}
