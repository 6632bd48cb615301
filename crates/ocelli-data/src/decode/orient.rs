//! Turning pictures as their EXIF data say.

use image::metadata::Orientation;

use crate::Picture;

/// Height and width of a picture of size [height, width] that is turned.
pub(super) fn turned([height, width]: [usize; 2], orientation: Orientation) -> [usize; 2] {
    match swaps(orientation) {
        true => [width, height],
        false => [height, width],
    }
}

/// Turns `picture`, in new memory unless nothing is to be done.
pub(super) fn orient(picture: &mut Picture, orientation: Orientation) {
    if orientation == Orientation::NoTransforms {
        return;
    }
    let (h, w, channels) = (picture.height, picture.width, picture.channels);
    let [height, width] = turned([h, w], orientation);
    let mut pixels = vec![0; picture.pixels.len()];
    for (i, out) in pixels.chunks_exact_mut(channels).enumerate() {
        let (y, x) = (i / width, i % width);
        let (y, x) = match orientation {
            Orientation::NoTransforms => (y, x),
            Orientation::FlipHorizontal => (y, w - 1 - x),
            Orientation::Rotate180 => (h - 1 - y, w - 1 - x),
            Orientation::FlipVertical => (h - 1 - y, x),
            Orientation::Rotate90FlipH => (x, y),
            Orientation::Rotate90 => (h - 1 - x, y),
            Orientation::Rotate270FlipH => (h - 1 - x, w - 1 - y),
            Orientation::Rotate270 => (x, w - 1 - y),
        };
        out.copy_from_slice(&picture.pixels[(y * w + x) * channels..][..channels]);
    }
    *picture = Picture { pixels, height, width, channels };
}

fn swaps(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}
