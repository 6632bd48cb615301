//! Lines of text inside a figure.

use super::html::{Page, text};
use super::sheet::Panel;

/// Heights of the heading and of a line.
const HEADING: f64 = 20.0;
const LINE: f64 = 16.0;

/// A heading and lines of text below it.
pub(crate) struct Words {
    title: String,
    lines: Vec<String>,
    width: f64,
}

impl Words {
    /// Lines that have so much room; they are not broken.
    pub(crate) fn new(title: &str, lines: &[String], width: f64) -> Words {
        Words { title: title.to_owned(), lines: lines.to_vec(), width }
    }
}

impl Panel for Words {
    fn size(&self) -> [f64; 2] {
        [self.width, HEADING + LINE * self.lines.len() as f64]
    }

    fn draw(&self, page: &mut Page, x: f64, y: f64) {
        writeln!(
            page,
            "<text class=\"title\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            y + 12.0,
            text(&self.title)
        );
        for (i, line) in self.lines.iter().enumerate() {
            let y = y + HEADING + LINE * i as f64 + 11.0;
            writeln!(page, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", text(line));
        }
    }
}
