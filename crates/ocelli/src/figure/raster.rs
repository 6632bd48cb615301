//! Images inside a figure: values or pixels with a heading.

use super::html::{Page, text};
use super::picture::data_uri;
use super::sheet::Panel;
use crate::report::Picture;

/// Height of the heading above an image, and of the note below.
const LINE: f64 = 18.0;

/// An image with a heading.
pub(crate) struct Raster {
    title: String,
    note: String,
    picture: Picture,
    width: f64,
    smooth: bool,
    color: Option<usize>,
}

impl Raster {
    /// An image of 1 to 4 channels per pixel, H·W·C.
    pub(crate) fn pixels(title: &str, pixels: Vec<u8>, [height, width, channels]: [usize; 3]) -> Raster {
        assert_eq!(pixels.len(), height * width * channels, "the samples of an image");
        let picture = Picture { width, height, channels, pixels };
        Raster {
            title: title.to_owned(),
            note: String::new(),
            picture,
            width: width as f64,
            smooth: false,
            color: None,
        }
    }

    /// Values as greys: `low` is black, `high` white, what lies beyond is cut off.
    pub(crate) fn grey(
        title: &str,
        values: &[f64],
        [height, width]: [usize; 2],
        [low, high]: [f64; 2],
    ) -> Raster {
        let level = |&v: &f64| (255.0 * share(v, low, high)).round() as u8;
        Raster::pixels(title, values.iter().map(level).collect(), [height, width, 1])
    }

    /// Values of both signs as greys, 0 mid-grey and the largest magnitude black or white.
    pub(crate) fn signed(title: &str, values: &[f64], size: [usize; 2]) -> Raster {
        let most = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let most = if most > 0.0 { most } else { 1.0 };
        Raster::grey(title, values, size, [-most, most])
    }

    /// Values from −1 to 1 as colours: blue below 0, white at 0, orange above.
    pub(crate) fn diverging(title: &str, values: &[f64], [height, width]: [usize; 2]) -> Raster {
        const BELOW: [f64; 3] = [43.0, 109.0, 176.0];
        const ABOVE: [f64; 3] = [217.0, 107.0, 31.0];
        let pixel = |&v: &f64| {
            let (end, strength) = (if v < 0.0 { BELOW } else { ABOVE }, share(v.abs(), 0.0, 1.0));
            end.map(|end| (250.0 + (end - 250.0) * strength).round() as u8)
        };
        Raster::pixels(title, values.iter().flat_map(pixel).collect(), [height, width, 3])
    }

    /// As wide as this on the sheet.
    pub(crate) fn width(self, width: f64) -> Raster {
        Raster { width, ..self }
    }

    /// Enlarged smoothly, for photographs, instead of showing each pixel as a square.
    pub(crate) fn smooth(self) -> Raster {
        Raster { smooth: true, ..self }
    }

    /// With a line of text below.
    pub(crate) fn note(self, note: &str) -> Raster {
        Raster { note: note.to_owned(), ..self }
    }

    /// In a frame of that colour of [`Plot`](super::Plot).
    pub(crate) fn framed(self, color: usize) -> Raster {
        Raster { color: Some(color), ..self }
    }

    /// With these pixels made nearly black, or white.
    pub(crate) fn marked(mut self, pixels: &[(usize, bool)]) -> Raster {
        let channels = self.picture.channels;
        for &(pixel, dark) in pixels {
            self.picture.pixels[pixel * channels..][..channels].fill(if dark { 30 } else { 255 });
        }
        self
    }

    fn height(&self) -> f64 {
        self.width * self.picture.height as f64 / self.picture.width as f64
    }

    fn above(&self) -> f64 {
        if self.title.is_empty() { 0.0 } else { LINE }
    }
}

/// Where a value lies from `low` (0) to `high` (1), cut off there. What is no number lies at 0.
fn share(value: f64, low: f64, high: f64) -> f64 {
    if high > low && !value.is_nan() { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
}

/// Pixels of the file for each of the sheet, at least about, where pixels are shown as squares: what enlarges them further may do so
/// smoothly, whatever the style asks for.
const CRISP: f64 = 3.0;

/// With each pixel as a square of `times` by `times`.
fn enlarged(picture: &Picture, times: usize) -> Picture {
    let Picture { width, height, channels, ref pixels } = *picture;
    let mut large = Vec::with_capacity(pixels.len() * times * times);
    for row in pixels.chunks_exact((width * channels).max(1)) {
        let start = large.len();
        row.chunks_exact(channels).for_each(|pixel| (0..times).for_each(|_| large.extend_from_slice(pixel)));
        let end = large.len();
        (1..times).for_each(|_| large.extend_from_within(start..end));
    }
    Picture { width: width * times, height: height * times, channels, pixels: large }
}

impl Panel for Raster {
    fn size(&self) -> [f64; 2] {
        [self.width, self.above() + self.height() + if self.note.is_empty() { 0.0 } else { LINE }]
    }

    fn draw(&self, page: &mut Page, x: f64, y: f64) {
        let (width, height, top) = (self.width, self.height(), y + self.above());
        if !self.title.is_empty() {
            writeln!(
                page,
                "<text class=\"strong\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                y + 12.0,
                text(&self.title)
            );
        }
        let squares = if self.smooth { 1 } else { (CRISP * width / self.picture.width as f64) as usize };
        let picture = if squares > 1 { &enlarged(&self.picture, squares) } else { &self.picture };
        if let Some(uri) = data_uri(picture) {
            let class = if self.smooth { "" } else { " class=\"pixels\"" };
            writeln!(
                page,
                "<image{class} x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 preserveAspectRatio=\"none\" href=\"{uri}\"/>"
            );
        }
        if let Some(color) = self.color {
            writeln!(
                page,
                "<g class=\"c{color}\"><rect class=\"curve\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"/></g>"
            );
        }
        if !self.note.is_empty() {
            writeln!(page, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", top + height + 14.0, text(&self.note));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_squares() {
        let picture = Picture { width: 2, height: 2, channels: 2, pixels: vec![1, 2, 3, 4, 5, 6, 7, 8] };
        let large = enlarged(&picture, 2);
        assert_eq!((large.width, large.height, large.channels), (4, 4, 2));
        let rows = [[1, 2, 1, 2, 3, 4, 3, 4], [5, 6, 5, 6, 7, 8, 7, 8]];
        assert_eq!(large.pixels, [rows[0], rows[0], rows[1], rows[1]].concat());
    }

    #[test]
    fn values_become_greys_and_colours() {
        let grey = Raster::grey("", &[-1.0, 0.0, 1.0, 9.0, f64::NAN], [1, 5], [0.0, 1.0]);
        assert_eq!(grey.picture.pixels, [0, 0, 255, 255, 0]);
        assert_eq!(Raster::signed("", &[-2.0, 0.0, 2.0], [1, 3]).picture.pixels, [0, 128, 255]);
        assert_eq!(Raster::signed("", &[0.0, -0.0], [1, 2]).picture.pixels, [128, 128], "0 is mid-grey");
        let colors = Raster::diverging("", &[-1.0, 0.0, 1.0], [1, 3]).picture.pixels;
        assert_eq!(colors, [43, 109, 176, 250, 250, 250, 217, 107, 31]);
    }
}
