//! Moving the pixels of a grey picture: affine maps with bilinear sampling, and thicker or thinner strokes.

/// An affine map about the middle of a picture, from where a pixel is to where its value comes from:
/// source = matrix·(output − shift), both (row, column) from the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// 2×2, rows first.
    pub matrix: [[f64; 2]; 2],
    /// Rows down and columns right.
    pub shift: [f64; 2],
}

impl Affine {
    /// Everything stays where it is.
    pub const IDENTITY: Affine = Affine { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [0.0, 0.0] };

    /// Rows down and columns right.
    pub fn shift(rows: f64, columns: f64) -> Affine {
        Affine { shift: [rows, columns], ..Affine::IDENTITY }
    }

    /// Larger by these factors, down and across.
    pub fn scale(down: f64, across: f64) -> Affine {
        Affine { matrix: [[1.0 / down, 0.0], [0.0, 1.0 / across]], ..Affine::IDENTITY }
    }

    /// Turned clockwise by so many degrees.
    pub fn rotation(degrees: f64) -> Affine {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Affine { matrix: [[cos, -sin], [sin, cos]], ..Affine::IDENTITY }
    }
}

/// The picture (`height`×`width` values) moved by the map; 0 comes in from outside.
///
/// # Panics
/// If the picture has another size.
pub fn warp(picture: &[f32], [height, width]: [usize; 2], map: &Affine) -> Vec<f32> {
    assert_eq!(picture.len(), height * width, "a picture of {height}×{width}");
    let middle = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
    let at = |pixel: usize| {
        let row = (pixel / width) as f64 - middle[0] - map.shift[0];
        let column = (pixel % width) as f64 - middle[1] - map.shift[1];
        let [[a, b], [c, d]] = map.matrix;
        between(picture, [height, width], a * row + b * column + middle[0], c * row + d * column + middle[1])
    };
    (0..picture.len()).map(at).collect()
}

/// The value at (y, x), between pixels.
fn between(picture: &[f32], [height, width]: [usize; 2], y: f64, x: f64) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let at = |row: f64, column: f64| {
        let inside = (0.0..height as f64).contains(&row) && (0.0..width as f64).contains(&column);
        if inside { picture[row as usize * width + column as usize] } else { 0.0 }
    };
    let (down, right) = ((y - top) as f32, (x - left) as f32);
    let upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
    let lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
    upper * (1.0 - down) + lower * down
}

/// Strokes wider by about twice `pixels`, or thinner where that is negative: the largest (or smallest) value within so far,
/// for parts of a pixel a mixture of the two nearest.
///
/// # Panics
/// If the picture has another size.
pub fn thicken(picture: &[f32], [height, width]: [usize; 2], pixels: f64) -> Vec<f32> {
    assert_eq!(picture.len(), height * width, "a picture of {height}×{width}");
    let (whole, part) = (pixels.abs().floor() as usize, pixels.abs().fract() as f32);
    let extreme = |a: f32, b: f32| if pixels > 0.0 { a.max(b) } else { a.min(b) };
    let step = |from: &[f32]| -> Vec<f32> {
        let near = |pixel: usize| {
            let (row, column) = (pixel / width, pixel % width);
            let at = |row: usize, column: usize| {
                if row < height && column < width { from[row * width + column] } else { 0.0 }
            };
            let sides = [
                at(row.wrapping_sub(1), column),
                at(row + 1, column),
                at(row, column.wrapping_sub(1)),
                at(row, column + 1),
            ];
            sides.into_iter().fold(from[pixel], extreme)
        };
        (0..from.len()).map(near).collect()
    };
    let inner = (0..whole).fold(picture.to_vec(), |picture, _| step(&picture));
    let outer = step(&inner);
    inner.iter().zip(outer).map(|(inner, outer)| inner * (1.0 - part) + outer * part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(row: usize, column: usize) -> Vec<f32> {
        let mut picture = vec![0.0; 49];
        picture[row * 7 + column] = 1.0;
        picture
    }

    #[test]
    fn pixels_move_where_the_map_says() {
        let size = [7, 7];
        assert_eq!(warp(&dot(2, 3), size, &Affine::IDENTITY), dot(2, 3));
        assert_eq!(warp(&dot(2, 3), size, &Affine::shift(1.0, -2.0)), dot(3, 1));
        // A quarter turn clockwise takes what is above the middle to its right.
        let turned = warp(&dot(1, 3), size, &Affine::rotation(90.0));
        let most = (0..49).max_by(|&a, &b| turned[a].total_cmp(&turned[b])).unwrap();
        assert_eq!((most / 7, most % 7), (3, 5));
        // Twice as large: one pixel left of the middle is then two.
        let larger = warp(&dot(3, 2), size, &Affine::scale(1.0, 2.0));
        assert_eq!((larger[3 * 7 + 1], larger[3 * 7 + 2], larger[3 * 7 + 4]), (1.0, 0.5, 0.0));
    }

    #[test]
    fn strokes_grow_and_shrink() {
        let sum = |picture: &[f32]| picture.iter().sum::<f32>();
        let plus = thicken(&dot(3, 3), [7, 7], 1.0);
        assert_eq!(sum(&plus), 5.0);
        assert_eq!(sum(&thicken(&dot(3, 3), [7, 7], 0.5)), 3.0);
        assert_eq!(thicken(&plus, [7, 7], -1.0), dot(3, 3));
        assert_eq!(thicken(&plus, [7, 7], 0.0), plus);
    }
}
