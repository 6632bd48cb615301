//! A figure: rows of panels on one sheet.

use super::STYLE;
use super::html::{Page, text};

/// Room around the sheet and between panels.
const MARGIN: f64 = 14.0;
const GAP: f64 = 22.0;

/// A part of a figure: it knows its size and draws itself with its upper left corner at `(x, y)`.
pub(crate) trait Panel {
    /// Width and height.
    fn size(&self) -> [f64; 2];
    /// Appends itself to the drawing.
    fn draw(&self, page: &mut Page, x: f64, y: f64);
}

/// Panels in rows, from left to right and from top to bottom.
pub(crate) struct Sheet {
    title: String,
    rows: Vec<Vec<Box<dyn Panel>>>,
    gap: f64,
}

impl Sheet {
    /// An empty sheet; `title` says what is shown, for those who do not see it.
    pub(crate) fn new(title: &str) -> Sheet {
        Sheet { title: title.to_owned(), rows: vec![Vec::new()], gap: GAP }
    }

    /// Adds a panel on the right of the last row.
    pub(crate) fn add(mut self, panel: impl Panel + 'static) -> Sheet {
        self.rows.last_mut().expect("a sheet has a row").push(Box::new(panel));
        self
    }

    /// Begins a new row.
    pub(crate) fn row(mut self) -> Sheet {
        self.rows.push(Vec::new());
        self
    }

    /// Adds these panels in rows of `columns`, beginning a new one where the last is not empty.
    pub(crate) fn grid<P: Panel + 'static>(
        mut self,
        columns: usize,
        panels: impl IntoIterator<Item = P>,
    ) -> Sheet {
        for (i, panel) in panels.into_iter().enumerate() {
            if i % columns.max(1) == 0 && self.rows.last().is_some_and(|row| !row.is_empty()) {
                self = self.row();
            }
            self = self.add(panel);
        }
        self
    }

    /// With panels so far apart, for many small ones.
    pub(crate) fn gap(self, gap: f64) -> Sheet {
        Sheet { gap, ..self }
    }

    /// Draws it.
    pub(crate) fn draw(&self) -> Drawing {
        let mut body = Page::default();
        let (mut width, mut y) = (0.0f64, MARGIN);
        for row in self.rows.iter().filter(|row| !row.is_empty()) {
            let mut x = MARGIN;
            let mut height = 0.0f64;
            for panel in row {
                let [w, h] = panel.size();
                panel.draw(&mut body, x, y);
                x += w + self.gap;
                height = height.max(h);
            }
            width = width.max(x - self.gap + MARGIN);
            y += height + self.gap;
        }
        let height = y - self.gap + MARGIN;
        Drawing { title: self.title.clone(), size: [width.ceil(), height.ceil()], body: body.finish() }
    }
}

/// A drawing: SVG without its head.
#[derive(Clone, Debug)]
pub struct Drawing {
    title: String,
    size: [f64; 2],
    body: String,
}

impl Drawing {
    /// As the text of an SVG file that needs nothing else.
    pub fn svg(&self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.element(true))
    }

    /// As an element of a page that has [`STYLE`] in its head.
    pub(crate) fn inline(&self) -> String {
        self.element(false)
    }

    fn element(&self, alone: bool) -> String {
        let mut page = Page::default();
        let [width, height] = self.size;
        writeln!(
            page,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"drawing\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            text(&self.title)
        );
        if alone {
            // Inside a page its paper shows; a file by itself brings its own.
            write!(
                page,
                "<style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n"
            );
        }
        writeln!(page, "{}</svg>", self.body);
        page.finish()
    }
}

/// About how wide a text is at that font size: drawings are laid out without knowing the font.
pub(crate) fn width_of(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_needs_no_custom_properties() {
        assert!(!STYLE.contains("var("), "programs that print figures do not know them");
    }

    struct Square(f64);

    impl Panel for Square {
        fn size(&self) -> [f64; 2] {
            [self.0, self.0]
        }
        fn draw(&self, page: &mut Page, x: f64, y: f64) {
            write!(page, "<rect x=\"{x}\" y=\"{y}\"/>");
        }
    }

    #[test]
    fn panels_stand_in_rows_and_the_sheet_encloses_them() {
        let drawing = Sheet::new("a < b").grid(2, [Square(10.0), Square(20.0), Square(30.0)]).draw();
        assert_eq!(drawing.size, [14.0 + 10.0 + 22.0 + 20.0 + 14.0, 14.0 + 20.0 + 22.0 + 30.0 + 14.0]);
        let svg = drawing.svg();
        assert!(svg.contains("aria-label=\"a &lt; b\"") && svg.contains("<style>"), "{svg}");
        assert!(
            svg.contains("<rect x=\"46\" y=\"14\"/>") && svg.contains("<rect x=\"14\" y=\"56\"/>"),
            "{svg}"
        );
        assert!(!drawing.inline().contains("<style>"));
    }
}
