//! Horizontal bars with a name and a value each.

use super::html::{Page, text};
use super::sheet::{Panel, width_of};

/// Height of a bar with the gap below, and of the heading.
const STEP: f64 = 19.0;
const HEADING: f64 = 22.0;

/// Horizontal bars, from 0 to the largest value.
pub(crate) struct Bars {
    title: String,
    rows: Vec<(String, f64, String, usize)>,
    most: f64,
    width: f64,
}

impl Bars {
    /// No bars yet.
    pub(crate) fn new(title: &str) -> Bars {
        Bars { title: title.to_owned(), rows: Vec::new(), most: 0.0, width: 360.0 }
    }

    /// Adds a bar of this length in a colour of [`Plot`](super::Plot); `shown` is the value as people read it.
    pub(crate) fn bar(mut self, name: &str, value: f64, shown: &str, color: usize) -> Bars {
        let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        self.most = self.most.max(value);
        self.rows.push((name.to_owned(), value, shown.to_owned(), color));
        self
    }

    /// The value whose bar is as long as there is room, if no other is larger.
    pub(crate) fn most(mut self, most: f64) -> Bars {
        self.most = self.most.max(most);
        self
    }

    /// As wide as this, names and values included.
    pub(crate) fn width(self, width: f64) -> Bars {
        Bars { width, ..self }
    }
}

impl Panel for Bars {
    fn size(&self) -> [f64; 2] {
        [self.width, HEADING + STEP * self.rows.len() as f64]
    }

    fn draw(&self, page: &mut Page, x: f64, y: f64) {
        writeln!(
            page,
            "<text class=\"title\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            y + 12.0,
            text(&self.title)
        );
        let widest = |cell: fn(&(String, f64, String, usize)) -> &String| {
            self.rows.iter().map(|row| width_of(cell(row), 12.0)).fold(0.0, f64::max) + 10.0
        };
        let (names, values) = (widest(|row| &row.0), widest(|row| &row.2));
        let room = (self.width - names - values).max(10.0);
        for (i, (name, value, shown, color)) in self.rows.iter().enumerate() {
            let top = y + HEADING + STEP * i as f64;
            let (left, length) = (x + names, room * value / self.most.max(f64::MIN_POSITIVE));
            writeln!(
                page,
                "<g class=\"c{}\"><text class=\"strong\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"13\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
                color % super::plot::COLORS,
                left - 8.0,
                top + 11.0,
                text(name),
                left + length + 6.0,
                top + 11.0,
                text(shown),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_takes_the_room_and_others_their_share() {
        let mut page = Page::default();
        let bars = Bars::new("t").bar("a", 2.0, "2", 0).bar("b", 1.0, "1", 7).bar("c", f64::NAN, "NaN", 1);
        bars.draw(&mut page, 0.0, 0.0);
        let svg = page.finish();
        let lengths: Vec<f64> = svg
            .split("<rect")
            .skip(1)
            .map(|rect| {
                let width = rect.split("width=\"").nth(1).unwrap();
                width.split('"').next().unwrap().parse().unwrap()
            })
            .collect();
        assert!((lengths[1] * 2.0 - lengths[0]).abs() < 0.2 && lengths[2] == 0.0, "{lengths:?}");
        assert!(svg.contains("class=\"c1\"") && !svg.contains("class=\"c7\""));
    }
}
