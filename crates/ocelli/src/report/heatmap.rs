//! The confusion matrix as a heat map: a table for few classes, a drawing for many, a picture for very many.

use super::Picture;
use super::confusion::Matrix;
use super::html::{Page, text};
use super::number::count;
use super::picture::data_uri;

/// Up to so many classes the matrix is a table with a count in every cell.
const TABLE: usize = 20;
/// Up to so many it is a drawing with names beside it.
const NAMED: usize = 40;
/// Up to so many it is a drawing with one shape per count; beyond, a picture.
const DRAWING: usize = 120;
/// From this strength of colour on, text on it takes the colour of the page.
const STRONG: f64 = 0.73;
/// Width of a letter in em; over a word it is rarely more.
const LETTER: f64 = 0.6;

/// The matrix; `names` are those of its classes.
pub(super) fn heatmap(page: &mut Page, names: &[String], matrix: &Matrix<'_>) {
    match matrix.n {
        n if n <= TABLE => table(page, names, matrix),
        n if n <= NAMED => Drawing::new(names, matrix).write(page),
        n if n <= DRAWING => dense(page, names, matrix),
        _ => picture(page, matrix),
    }
}

/// How much colour a cell of that strength gets: what is not zero can be seen.
fn opacity(strength: f64) -> f64 {
    0.08 + 0.92 * strength
}

/// The style classes of a cell.
fn kind(matrix: &Matrix<'_>, truth: usize, predicted: usize) -> &'static str {
    match (truth == predicted, matrix.strength(truth, predicted) > STRONG) {
        (true, true) => "hit strong",
        (true, false) => "hit",
        (false, true) => "miss strong",
        (false, false) => "miss",
    }
}

fn table(page: &mut Page, names: &[String], matrix: &Matrix<'_>) {
    // Long names stand upright over narrow columns.
    let upright = names.iter().any(|name| name.chars().count() > 7);
    write!(
        page,
        "<table class=\"{}\"><thead><tr><td class=\"corner\">predicted →<br>true ↓</td>",
        if upright { "matrix upright" } else { "matrix" },
    );
    for name in names {
        write!(page, "<th scope=\"col\" title=\"{0}\"><span>{0}</span></th>", text(name));
    }
    writeln!(page, "</tr></thead><tbody>");
    for (truth, name) in names.iter().enumerate() {
        write!(page, "<tr><th scope=\"row\" title=\"{0}\"><span>{0}</span></th>", text(name));
        for predicted in 0..matrix.n {
            let images = matrix.at(truth, predicted);
            if images == 0 {
                write!(page, "<td></td>");
                continue;
            }
            write!(
                page,
                "<td class=\"{}\" style=\"--strength:{:.0}%\">{}</td>",
                kind(matrix, truth, predicted),
                100.0 * opacity(matrix.strength(truth, predicted)),
                count(images),
            );
        }
        writeln!(page, "</tr>");
    }
    write!(page, "</tbody></table>");
}

/// A drawing whose cells shrink as the classes grow in number, with counts where all of them can be read.
struct Drawing<'a> {
    names: &'a [String],
    matrix: &'a Matrix<'a>,
    /// Side of a cell in pixels.
    cell: f64,
    /// Size of letters.
    font: f64,
    /// Room for names, left of the cells and above them.
    margin: f64,
}

impl<'a> Drawing<'a> {
    fn new(names: &'a [String], matrix: &'a Matrix<'a>) -> Self {
        let cell = (960.0 / matrix.n as f64).floor().clamp(9.0, 30.0);
        let font = (cell - 1.0).min(11.0);
        let letters = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let margin = (letters as f64 * LETTER * font).clamp(20.0, 120.0).ceil() + 6.0;
        Self { names, matrix, cell, font, margin }
    }

    fn write(&self, page: &mut Page) {
        let &Self { cell, font, margin, matrix, .. } = self;
        let side = cell * matrix.n as f64;
        writeln!(
            page,
            "<svg class=\"matrix\" width=\"{0}\" height=\"{0}\" viewBox=\"0 0 {0} {0}\" font-size=\"{font}\" role=\"img\" \
             aria-labelledby=\"matrix-t matrix-d\">\n<title id=\"matrix-t\">Confusion matrix of {1} classes</title>\n\
             <desc id=\"matrix-d\">The tables that follow give the most frequent confusions and the figures of every class.\
             </desc>\n<rect class=\"frame\" x=\"{margin}\" y=\"{margin}\" width=\"{side}\" height=\"{side}\"/>",
            margin + side + 2.0,
            matrix.n,
        );
        self.write_names(page);
        self.write_cells(page);
        write!(page, "</svg>");
    }

    /// Rows are named to their left, columns above, reading upwards.
    fn write_names(&self, page: &mut Page) {
        let end = self.margin - 5.0;
        for (place, &class) in self.matrix.order.iter().enumerate() {
            let along = self.margin + (place as f64 + 0.5) * self.cell;
            let name = shortened(&self.names[class], end, self.font);
            for (x, y, turn, anchor) in [(end, along, "", "end"), (along, end, " rotate(-90)", "start")] {
                writeln!(
                    page,
                    "<text transform=\"translate({x} {y}){turn}\" text-anchor=\"{anchor}\" dy=\"0.35em\">{}</text>",
                    text(&name),
                );
            }
        }
    }

    fn write_cells(&self, page: &mut Page) {
        let &Self { cell, font, margin, matrix, .. } = self;
        let digits = matrix.counts.iter().max().map_or(0, |most| most.to_string().len());
        let counts_fit = (digits + 1) as f64 * LETTER * font <= cell;
        let place = places(matrix);
        for (truth, predicted, images) in matrix.entries() {
            let (x, y) = (margin + place[predicted] as f64 * cell, margin + place[truth] as f64 * cell);
            write!(
                page,
                "<g class=\"{}\"><title>{}: {}</title><rect x=\"{x}\" y=\"{y}\" width=\"{cell}\" height=\"{cell}\" \
                 fill-opacity=\"{:.2}\"/>",
                kind(matrix, truth, predicted),
                text(&answer(self.names, truth, predicted)),
                count(images),
                opacity(matrix.strength(truth, predicted)),
            );
            if counts_fit {
                let (x, y) = (x + cell / 2.0, y + cell / 2.0);
                write!(
                    page,
                    "<text x=\"{x}\" y=\"{y}\" dy=\"0.35em\" text-anchor=\"middle\">{images}</text>"
                );
            }
            writeln!(page, "</g>");
        }
    }
}

/// In which row and column each class stands.
fn places(matrix: &Matrix<'_>) -> Vec<usize> {
    let mut places = vec![0; matrix.n];
    matrix.order.iter().enumerate().for_each(|(place, &class)| places[class] = place);
    places
}

fn answer(names: &[String], truth: usize, predicted: usize) -> String {
    let (name, taken) = (&names[truth], &names[predicted]);
    if truth == predicted { format!("{name} recognised") } else { format!("{name} taken for {taken}") }
}

/// A drawing that is as wide as there is room, one unit a class. What a cell stands for is told by the pointer, for names
/// beside it would be too small to read.
fn dense(page: &mut Page, names: &[String], matrix: &Matrix<'_>) {
    let (n, place) = (matrix.n, places(matrix));
    writeln!(
        page,
        "<svg class=\"matrix dense\" viewBox=\"0 0 {n} {n}\" role=\"img\" aria-labelledby=\"matrix-t matrix-d\">\n\
         <title id=\"matrix-t\">Confusion matrix of {n} classes</title>\n\
         <desc id=\"matrix-d\">The tables that follow give the most frequent confusions and the figures of every class.</desc>\n\
         <rect class=\"frame\" width=\"{n}\" height=\"{n}\"/>",
    );
    for (truth, predicted, images) in matrix.entries() {
        writeln!(
            page,
            "<g class=\"{}\"><title>{}: {}</title><rect x=\"{}\" y=\"{}\" width=\"1\" height=\"1\" fill-opacity=\"{:.2}\"/></g>",
            if truth == predicted { "hit" } else { "miss" },
            text(&answer(names, truth, predicted)),
            count(images),
            place[predicted],
            place[truth],
            opacity(matrix.strength(truth, predicted)),
        );
    }
    write!(page, "</svg>");
}

/// One pixel per cell, transparent where it is zero, so that it suits light and dark pages.
fn picture(page: &mut Page, matrix: &Matrix<'_>) {
    // The middle between the colours of light and dark pages in the style sheet.
    const HIT: [u8; 3] = [0x3b, 0x82, 0xc4];
    const MISS: [u8; 3] = [0xd9, 0x6b, 0x1f];
    let mut pixels = vec![0; matrix.counts.len() * 4];
    let place = places(matrix);
    for (truth, predicted, _) in matrix.entries() {
        let [red, green, blue] = if truth == predicted { HIT } else { MISS };
        let alpha = (255.0 * opacity(matrix.strength(truth, predicted))).round() as u8;
        let at = (place[truth] * matrix.n + place[predicted]) * 4;
        pixels[at..at + 4].copy_from_slice(&[red, green, blue, alpha]);
    }
    let n = matrix.n;
    if let Some(uri) = data_uri(&Picture { width: n, height: n, channels: 4, pixels }) {
        writeln!(
            page,
            "<img class=\"matrix\" \
             src=\"{uri}\" alt=\"Heat map of {n} true classes by {n} predicted ones; the tables that follow give the figures\" \
             width=\"{0}\" height=\"{0}\">",
            n * 960_usize.div_ceil(n),
        );
    }
}

/// As much of a name as fits into `width` at the given font size.
fn shortened(name: &str, width: f64, font: f64) -> String {
    let room = (width / (LETTER * font)) as usize;
    if name.chars().count() <= room {
        name.to_owned()
    } else {
        name.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_with_an_ellipsis() {
        assert_eq!(shortened("cat", 60.0, 10.0), "cat");
        assert_eq!(shortened("very long name of a class", 60.0, 10.0), "very long…");
    }
}
