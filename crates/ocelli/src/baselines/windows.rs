//! Windows over a picture: where they stand, how many there are, and what each is labelled.

/// Where the windows of `window` = \[height, width\] stand in a picture of that size, `stride` apart: rows and columns of
/// their top left corners, row after row. Where the last step does not end at the border, one more window stands
/// flush with it, so that every pixel is covered if the stride is not larger than the window. None where the window
/// does not fit.
///
/// # Panics
/// If a side of the window or the stride is 0.
pub fn windows(picture: [usize; 2], window: [usize; 2], stride: usize) -> Vec<[usize; 2]> {
    let [rows, columns] = [0, 1].map(|axis| places(picture[axis], window[axis], stride));
    rows.iter().flat_map(|&row| columns.iter().map(move |&column| [row, column])).collect()
}

/// How many windows that are: ⌈(H − h)/s⌉ + 1 down times ⌈(W − w)/s⌉ + 1 across.
///
/// # Panics
/// As [`windows`].
pub fn window_count(picture: [usize; 2], window: [usize; 2], stride: usize) -> usize {
    assert!(window[0] > 0 && window[1] > 0 && stride > 0, "windows and strides of at least one pixel");
    let along = |axis: usize| match picture[axis].checked_sub(window[axis]) {
        Some(room) => room.div_ceil(stride) + 1,
        None => 0,
    };
    along(0) * along(1)
}

fn places(length: usize, window: usize, stride: usize) -> Vec<usize> {
    assert!(window > 0 && stride > 0, "windows and strides of at least one pixel");
    let Some(room) = length.checked_sub(window) else { return Vec::new() };
    (0..room).step_by(stride).chain([room]).collect()
}

/// A box in a picture: its top left corner, and its height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Row and column of the top left pixel.
    pub corner: [usize; 2],
    /// Height and width in pixels.
    pub size: [usize; 2],
}

impl Area {
    /// Intersection over union with another box, from 0 to 1.
    pub fn overlap(&self, other: &Area) -> f64 {
        let along = |axis: usize| {
            let start = self.corner[axis].max(other.corner[axis]);
            let end = (self.corner[axis] + self.size[axis]).min(other.corner[axis] + other.size[axis]);
            end.saturating_sub(start)
        };
        let area = |a: &Area| a.size[0] * a.size[1];
        let both = along(0) * along(1);
        both as f64 / (area(self) + area(other) - both).max(1) as f64
    }
}

/// y of a window: 1 where it holds one of the objects, overlapping it by at least `least` (½, by custom), else −1. A
/// classifier F answers with the sign of F(x): its threshold is 0.
pub fn window_label(window: &Area, objects: &[Area], least: f64) -> f64 {
    if objects.iter().any(|object| window.overlap(object) >= least) { 1.0 } else { -1.0 }
}
