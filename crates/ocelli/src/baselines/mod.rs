//! What learned before networks did, and what is measured beside them: nearest neighbours, least squares, quadratic
//! classifiers on principal components, boosted stumps; and how pictures are prepared for them.
//!
//! These are the baselines of LeCun, Bottou, Bengio and Haffner (1998), section III, and the family of detectors that the
//! lecture trains on windows.

mod boost;
mod deskew;
mod family;
mod least_squares;
mod nearest;
mod quadratic;
mod symmetric;
mod warp;
mod windows;

pub use boost::{Boosted, Booster, Stump};
pub use deskew::deskew;
pub use family::{Descent, Errors, Labelled, Member, Net, error, errors};
pub use least_squares::{LinearClassifier, Moments};
pub use nearest::Nearest;
pub use quadratic::{Components, Quadratic};
pub use warp::{Affine, thicken, warp};
pub use windows::{Area, window_count, window_label, windows};
