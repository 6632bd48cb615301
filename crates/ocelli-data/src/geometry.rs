//! Which part of a picture becomes a network's input: in evaluation, and in each view of it.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// How a picture of any size becomes one of the network's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fit {
    /// The whole picture, stretched where its aspect is another one.
    #[default]
    Stretch,
    /// The middle of the picture, undistorted: of the largest centred window that has the aspect of the network's input,
    /// `share` of each side.
    Crop {
        /// Above 0, at most 1. A picture whose shorter side is scaled to 256 and then cropped to 224 has 0.875.
        share: f32,
    },
}

/// The share of each side that AlexNet's crops take: 224 of 256 (Krizhevsky, Sutskever and Hinton 2012, section 4.1).
pub const CROP_SHARE: f32 = 0.875;

/// One of the ways in which a network is shown the same picture, so that its answers can be averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Which part of the picture is taken.
    pub crop: Place,
    /// Whether left and right change sides.
    pub flip: bool,
}

/// Where a view's window stands in the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the middle, as [`Fit`] says.
    #[default]
    Centre,
    /// In the corner of the largest centred window.
    TopLeft,
    /// In the corner of the largest centred window.
    TopRight,
    /// In the corner of the largest centred window.
    BottomLeft,
    /// In the corner of the largest centred window.
    BottomRight,
}

impl View {
    /// The picture as evaluation shows it.
    pub const CENTRE: View = View { crop: Place::Centre, flip: false };

    /// The picture and its mirror image.
    pub const FLIP: [View; 2] = [View::CENTRE, View { crop: Place::Centre, flip: true }];

    /// AlexNet's ten: the four corners and the centre, and their mirror images (Krizhevsky, Sutskever and Hinton 2012,
    /// section 4.1).
    pub const TEN_CROP: [View; 10] = {
        let places = [Place::TopLeft, Place::TopRight, Place::BottomLeft, Place::BottomRight, Place::Centre];
        let mut views = [View::CENTRE; 10];
        let mut i = 0;
        while i < 10 {
            views[i] = View { crop: places[i % 5], flip: i >= 5 };
            i += 1;
        }
        views
    };
}

impl Place {
    /// How far along the free space, across and down, the window stands: 0 to 1.
    fn along(self) -> [f64; 2] {
        match self {
            Place::Centre => [0.5, 0.5],
            Place::TopLeft => [0.0, 0.0],
            Place::TopRight => [1.0, 0.0],
            Place::BottomLeft => [0.0, 1.0],
            Place::BottomRight => [1.0, 1.0],
        }
    }
}

impl Fit {
    /// Whether the share makes sense.
    ///
    /// # Errors
    /// [`DataError::Setting`] that names it.
    pub fn check(&self) -> Result<(), DataError> {
        match *self {
            Fit::Crop { share } if !(share > 0.0 && share <= 1.0) => Err(DataError::setting(
                "preprocess.fit.crop.share",
                share,
                "it is above 0 and at most 1, the largest window",
            )),
            _ => Ok(()),
        }
    }

    /// The part of a picture of `picture` = [H, W] that becomes `size` = [H, W] in the view `place`. A corner of what is
    /// otherwise taken whole has [`CROP_SHARE`] of its sides, as it would be no corner else.
    pub(crate) fn window(&self, picture: [usize; 2], size: [usize; 2], place: Place) -> Window {
        let (mut largest, share) = match *self {
            Fit::Stretch => (Window::whole(picture), 1.0),
            Fit::Crop { share } => (Window::largest(picture, size), f64::from(share)),
        };
        let share = if place != Place::Centre && share == 1.0 { f64::from(CROP_SHARE) } else { share };
        if share < 1.0 {
            let [across, down] = place.along();
            largest.left += across * (1.0 - share) * largest.width;
            largest.top += down * (1.0 - share) * largest.height;
            (largest.width, largest.height) = (largest.width * share, largest.height * share);
        }
        largest
    }
}

/// A rectangle of a picture, in its pixels; whole numbers are the edges between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Window {
    /// All of a picture of [H, W].
    pub(crate) fn whole([height, width]: [usize; 2]) -> Window {
        Window { left: 0.0, top: 0.0, width: width as f64, height: height as f64 }
    }

    /// The largest centred one of a picture of [H, W] that has the aspect of `size` = [H, W].
    pub(crate) fn largest([height, width]: [usize; 2], size: [usize; 2]) -> Window {
        let (height, width) = (height as f64, width as f64);
        let (rows, columns) = (size[0] as f64, size[1] as f64);
        // One side is the picture's own, and exactly so.
        let (w, h) = match height * columns <= width * rows {
            true => (height * columns / rows, height),
            false => (width, width * rows / columns),
        };
        Window { left: (width - w) / 2.0, top: (height - h) / 2.0, width: w, height: h }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(w: Window) -> [f64; 4] {
        [w.left, w.top, w.width, w.height]
    }

    #[test]
    fn the_largest_window_touches_two_borders_and_keeps_the_aspect() {
        assert_eq!(sides(Window::largest([100, 200], [50, 50])), [50.0, 0.0, 100.0, 100.0]);
        assert_eq!(sides(Window::largest([200, 100], [20, 40])), [0.0, 75.0, 100.0, 50.0]);
        assert_eq!(sides(Window::largest([7, 7], [224, 224])), [0.0, 0.0, 7.0, 7.0]);
    }

    #[test]
    fn a_crop_is_the_lectures_224_of_256_and_its_corners_touch_the_centred_square() {
        let fit = Fit::Crop { share: CROP_SHARE };
        let window = |place| sides(fit.window([256, 356], [224, 224], place));
        assert_eq!(window(Place::Centre), [66.0, 16.0, 224.0, 224.0]);
        assert_eq!(window(Place::TopLeft), [50.0, 0.0, 224.0, 224.0]);
        assert_eq!(window(Place::BottomRight), [82.0, 32.0, 224.0, 224.0]);
    }

    #[test]
    fn what_is_taken_whole_has_smaller_corners() {
        let window = |place| sides(Fit::Stretch.window([32, 64], [10, 10], place));
        assert_eq!(window(Place::Centre), [0.0, 0.0, 64.0, 32.0]);
        assert_eq!(window(Place::TopRight), [8.0, 0.0, 56.0, 28.0]);
    }

    #[test]
    fn ten_views_are_all_different() {
        let views: std::collections::HashSet<View> = View::TEN_CROP.into_iter().collect();
        assert_eq!(views.len(), 10);
        assert_eq!(View::TEN_CROP[4], View::CENTRE);
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        for share in [0.0, -1.0, 1.5, f32::NAN] {
            let error = Fit::Crop { share }.check().unwrap_err().to_string();
            assert!(error.contains("preprocess.fit.crop.share"), "{error}");
        }
        Fit::Crop { share: 1.0 }.check().unwrap();
    }
}
