//! Deskewing: a written character is sheared until its principal axis is upright (LeCun et al. 1998, section III.C).

use super::warp::{Affine, warp};

/// Shears a grey picture of `height`×`width` values from 0 (paper) on, so that its ink's columns no longer correlate with its
/// rows, and shifts its centre of mass to the middle. Bilinear; 0 comes in from outside. A picture without ink stays.
///
/// # Panics
/// If the picture has another size.
pub fn deskew(picture: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    assert_eq!(picture.len(), height * width, "a picture of {height}×{width}");
    let Some((centre, slope)) = axis(picture, width) else { return picture.to_vec() };
    let [down, right] = [(height as f64 - 1.0) / 2.0 - centre[0], (width as f64 - 1.0) / 2.0 - centre[1]];
    // A row of the output takes the row of the ink's as far from its centre, moved along by the slope: the shear is about
    // the middle of the output, so the shift makes up for what the map shears of it.
    let map = Affine { matrix: [[1.0, 0.0], [slope, 1.0]], shift: [down, right - slope * down] };
    warp(picture, [height, width], &map)
}

/// Centre of mass (row, column) and how many columns the ink moves from one row to the next.
fn axis(picture: &[f32], width: usize) -> Option<([f64; 2], f64)> {
    let pixels =
        || picture.iter().enumerate().map(|(i, &p)| (f64::from(p), (i / width) as f64, (i % width) as f64));
    let ink: f64 = pixels().map(|(p, ..)| p).sum();
    if ink <= 0.0 {
        return None;
    }
    let y = pixels().map(|(p, y, _)| p * y).sum::<f64>() / ink;
    let x = pixels().map(|(p, _, x)| p * x).sum::<f64>() / ink;
    let rows = pixels().map(|(p, v, _)| p * (v - y).powi(2)).sum::<f64>() / ink;
    let both = pixels().map(|(p, v, h)| p * (v - y) * (h - x)).sum::<f64>() / ink;
    // A single row of ink has no slope.
    Some(([y, x], if rows > 1e-9 { both / rows } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slanted_stroke_becomes_upright_in_the_middle() {
        let size = [15, 15];
        let mut picture = vec![0.0; 225];
        (2..11).for_each(|row| picture[row * 15 + row + 1] = 1.0);
        let upright = deskew(&picture, size);
        let (centre, slope) = axis(&upright, 15).unwrap();
        assert!(slope.abs() < 0.02 && (centre[0] - 7.0).abs() < 1e-3 && (centre[1] - 7.0).abs() < 1e-3);
        // All ink stands in the middle column.
        let column: f32 = (0..15).map(|row| upright[row * 15 + 7]).sum();
        assert!((column - 9.0).abs() < 1e-3, "{column}");
    }

    #[test]
    fn an_empty_picture_stays() {
        assert_eq!(deskew(&[0.0; 12], [3, 4]), [0.0; 12]);
    }
}
