//! One channel of an image, in `f64`.

/// Values on a grid, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    height: usize,
    width: usize,
    values: Vec<f64>,
}

impl Plane {
    /// A plane of these values, row after row.
    ///
    /// # Panics
    /// If there are not height·width of them, or a side is 0.
    pub fn new(height: usize, width: usize, values: Vec<f64>) -> Plane {
        assert!(height > 0 && width > 0 && values.len() == height * width, "{height}×{width} values");
        Plane { height, width, values }
    }

    /// A plane of zeros.
    pub fn zeros(height: usize, width: usize) -> Plane {
        Plane::new(height, width, vec![0.0; height * width])
    }

    /// The plane whose value in row y and column x is `value(y, x)`.
    pub fn from_fn(height: usize, width: usize, mut value: impl FnMut(usize, usize) -> f64) -> Plane {
        let values = (0..height * width).map(|i| value(i / width, i % width)).collect();
        Plane::new(height, width, values)
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// The value in row `y` and column `x`.
    ///
    /// # Panics
    /// Outside the plane.
    pub fn at(&self, y: usize, x: usize) -> f64 {
        assert!(x < self.width, "column {x} of {}", self.width);
        self.values[y * self.width + x]
    }

    /// Each value as `of` maps it.
    pub fn map(&self, of: impl Fn(f64) -> f64) -> Plane {
        Plane { values: self.values.iter().map(|&v| of(v)).collect(), ..*self }
    }

    /// Two planes of one size, value by value.
    ///
    /// # Panics
    /// For planes of different sizes.
    pub fn zip(&self, other: &Plane, of: impl Fn(f64, f64) -> f64) -> Plane {
        assert_eq!(self.size(), other.size(), "planes of one size");
        Plane { values: self.values.iter().zip(&other.values).map(|(&a, &b)| of(a, b)).collect(), ..*self }
    }

    /// Shifted by whole pixels, down and to the right; what leaves on one side comes in on the other.
    pub fn shifted(&self, down: isize, right: isize) -> Plane {
        let wrap = |at: usize, by: isize, n: usize| (at as isize - by).rem_euclid(n as isize) as usize;
        Plane::from_fn(self.height, self.width, |y, x| {
            self.at(wrap(y, down, self.height), wrap(x, right, self.width))
        })
    }

    /// The window of `height`×`width` whose upper left corner is in row `top` and column `left`.
    ///
    /// # Panics
    /// Where it does not lie inside.
    pub fn window(&self, [top, left]: [usize; 2], [height, width]: [usize; 2]) -> Plane {
        assert!(top + height <= self.height && left + width <= self.width, "a window inside the plane");
        Plane::from_fn(height, width, |y, x| self.at(top + y, left + x))
    }

    /// Lays `tile` over this plane, its upper left corner in row `top` and column `left`.
    ///
    /// # Panics
    /// Where it does not lie inside.
    pub fn paste(&mut self, [top, left]: [usize; 2], tile: &Plane) {
        let [height, width] = tile.size();
        assert!(top + height <= self.height && left + width <= self.width, "a tile inside the plane");
        for (y, row) in tile.values.chunks_exact(width).enumerate() {
            self.values[(top + y) * self.width + left..][..width].copy_from_slice(row);
        }
    }

    /// Planes of one size side by side in rows of `columns`, `gap` apart; what they leave free is `paper`.
    ///
    /// # Panics
    /// Without planes or columns, or for planes of different sizes.
    pub fn tiled(tiles: &[Plane], columns: usize, gap: usize, paper: f64) -> Plane {
        let [height, width] = tiles.first().expect("a tile").size();
        assert!(tiles.iter().all(|tile| tile.size() == [height, width]), "tiles of one size");
        let rows = tiles.len().div_ceil(columns);
        let mut whole =
            Plane::from_fn(rows * (height + gap) - gap, columns * (width + gap) - gap, |_, _| paper);
        for (k, tile) in tiles.iter().enumerate() {
            whole.paste([k / columns * (height + gap), k % columns * (width + gap)], tile);
        }
        whole
    }

    /// The square in the middle with sides of `side`, or of the shorter side where that is less.
    pub fn centre(&self, side: usize) -> Plane {
        let side = side.min(self.height).min(self.width);
        self.window([(self.height - side) / 2, (self.width - side) / 2], [side, side])
    }

    /// Rows become columns.
    pub fn transposed(&self) -> Plane {
        Plane::from_fn(self.width, self.height, |y, x| self.at(x, y))
    }

    /// The largest magnitude of a difference between two planes of one size.
    ///
    /// # Panics
    /// For planes of different sizes.
    pub fn largest_difference(&self, other: &Plane) -> f64 {
        self.zip(other, |a, b| (a - b).abs()).values.into_iter().fold(0.0, f64::max)
    }

    /// The largest magnitude.
    pub fn largest(&self) -> f64 {
        self.values.iter().fold(0.0, |most, v| v.abs().max(most))
    }

    /// The sum of the squares.
    pub fn energy(&self) -> f64 {
        self.values.iter().map(|v| v * v).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_wrap_and_windows_are_cut_out() {
        let plane = Plane::from_fn(2, 3, |y, x| (3 * y + x) as f64);
        assert_eq!(plane.shifted(1, -1).values(), [4.0, 5.0, 3.0, 1.0, 2.0, 0.0]);
        assert_eq!(plane.shifted(2, 3), plane);
        assert_eq!(plane.window([0, 1], [2, 2]).values(), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(plane.transposed().size(), [3, 2]);
        assert_eq!(plane.transposed().at(2, 1), 5.0);
        assert_eq!(plane.largest_difference(&plane.map(|v| v - 2.0)), 2.0);
    }

    #[test]
    fn tiles_stand_in_rows_with_paper_between_them() {
        let tile = |value: f64| Plane::from_fn(1, 2, |_, x| value + x as f64);
        let tiled = Plane::tiled(&[tile(1.0), tile(3.0), tile(5.0)], 2, 1, -1.0);
        assert_eq!(tiled.size(), [3, 5]);
        let rows = [[1.0, 2.0, -1.0, 3.0, 4.0], [-1.0; 5], [5.0, 6.0, -1.0, -1.0, -1.0]];
        assert_eq!(tiled.values(), rows.as_flattened());
        assert_eq!(tiled.window([2, 0], [1, 2]), tile(5.0));
    }
}
