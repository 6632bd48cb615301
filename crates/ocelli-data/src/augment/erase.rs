//! Random erasing: a rectangle without content.

use ocelli_kernels::random::Stream;
use serde::{Deserialize, Serialize};

use super::{check_bounds, check_strength};
use crate::DataError;

/// Random erasing of Zhong, Zheng, Kang, Li and Yang (2020): a rectangle, anywhere, gets the mean colour of the training images
/// (background, where inputs are no deviations from a mean).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The share of images that lose something.
    pub probability: f32,
    /// Bounds of the rectangle's share of the area, drawn uniformly.
    pub area: [f32; 2],
    /// Bounds of height to width, whose logarithm is drawn uniformly.
    pub ratio: [f32; 2],
}

/// How often a rectangle is drawn until one fits.
const DRAWS: usize = 10;

impl Erase {
    /// This share of images, with the paper's 2 to 33 % of the area and aspects from 0.3 to 3.3.
    pub const fn usual(probability: f32) -> Erase {
        Erase { probability, area: [0.02, 1.0 / 3.0], ratio: [0.3, 3.3] }
    }

    pub(super) fn check(&self) -> Result<(), DataError> {
        check_strength("erase.probability", self.probability, 1.0)?;
        check_bounds("erase.area", self.area, 0.0, 1.0)?;
        check_bounds("erase.ratio", self.ratio, 0.0, 100.0)
    }

    /// Fills a rectangle of `image`, whose rows have `width` pixels, with `blank`, or nothing.
    pub(super) fn apply<const C: usize>(
        &self,
        image: &mut [[f32; C]],
        width: usize,
        blank: [f32; C],
        stream: &mut Stream,
    ) {
        if stream.uniform() >= f64::from(self.probability) {
            return;
        }
        let height = image.len() / width;
        if let Some([top, left, rows, columns]) = self.draw(height, width, stream) {
            for row in image.chunks_exact_mut(width).skip(top).take(rows) {
                row[left..left + columns].fill(blank);
            }
        }
    }

    /// Top, left, height and width of a rectangle that fits.
    fn draw(&self, height: usize, width: usize, stream: &mut Stream) -> Option<[usize; 4]> {
        let (area, ratio) = (self.area.map(f64::from), self.ratio.map(|r| f64::from(r).ln()));
        (0..DRAWS).find_map(|_| {
            let pixels = (height * width) as f64 * stream.range(area[0], area[1]);
            let aspect = stream.range(ratio[0], ratio[1]).exp();
            let (rows, columns) =
                ((pixels * aspect).sqrt().round() as usize, (pixels / aspect).sqrt().round() as usize);
            (rows <= height && columns <= width && rows * columns > 0).then(|| {
                let top = stream.below((height - rows) as u64 + 1) as usize;
                let left = stream.below((width - columns) as u64 + 1) as usize;
                [top, left, rows, columns]
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn erased_rectangles_have_the_share_that_was_asked_for_and_so_many_images_have_one() {
        let erase = Erase::usual(0.25);
        let (mut erased, mut least, mut most) = (0, 1.0f64, 0.0f64);
        for i in 0..4000 {
            let mut image = vec![[1.0f32; 3]; 40 * 30];
            erase.apply(&mut image, 30, [5.0, 6.0, 7.0], &mut Key::new(1, &[i]).stream());
            let share = image.iter().filter(|&&p| p == [5.0, 6.0, 7.0]).count() as f64 / 1200.0;
            if share > 0.0 {
                (erased, least, most) = (erased + 1, least.min(share), most.max(share));
            }
        }
        assert!((900..1100).contains(&erased), "{erased} of 4000");
        assert!((0.01..0.04).contains(&least) && (0.3..0.36).contains(&most), "{least} to {most}");
    }
}
