//! What is taken for what: the confusion matrix, its largest entries, and the figures of every class.

use super::html::{Page, text};
use super::number::{NOTHING, count, or_nothing, percent};
use super::picture::data_uri;
use super::{Picture, Report};

/// Up to so many classes the matrix is a table with a count in every cell.
const TABLE: usize = 20;
/// Up to so many it is a drawing with one shape per count; beyond, a picture.
const DRAWING: usize = 100;
/// From this strength of colour on, text on it takes the colour of the page.
const STRONG: f64 = 0.73;
/// Width of a letter in em; over a word it is rarely more.
const LETTER: f64 = 0.6;
/// Entries in the list of the most frequent confusions.
const PAIRS: usize = 10;

/// The counts with their sums.
struct Matrix<'a> {
    counts: &'a [u32],
    n: usize,
    /// Images of each true class.
    rows: Vec<u64>,
    /// Images predicted as each class.
    columns: Vec<u64>,
}

impl<'a> Matrix<'a> {
    /// `None` where the counts are not n×n for the n classes.
    fn new(report: &'a Report) -> Option<Self> {
        let (n, counts) = (report.classes.len(), report.confusion.as_slice());
        if n == 0 || n.checked_mul(n) != Some(counts.len()) {
            return None;
        }
        let (mut rows, mut columns) = (vec![0; n], vec![0; n]);
        for (i, &images) in counts.iter().enumerate() {
            rows[i / n] += u64::from(images);
            columns[i % n] += u64::from(images);
        }
        Some(Self { counts, n, rows, columns })
    }

    fn at(&self, truth: usize, predicted: usize) -> u64 {
        u64::from(self.counts[truth * self.n + predicted])
    }

    /// Share of the true class's images.
    fn share(&self, truth: usize, predicted: usize) -> f64 {
        self.at(truth, predicted) as f64 / self.rows[truth].max(1) as f64
    }

    /// Strength of the cell's colour, 0 to 1. Mistakes are few: their root keeps them visible.
    fn strength(&self, truth: usize, predicted: usize) -> f64 {
        let share = self.share(truth, predicted);
        if truth == predicted { share } else { share.sqrt() }
    }

    /// All entries that are not zero.
    fn entries(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        let cells = (0..self.n).flat_map(move |truth| (0..self.n).map(move |predicted| (truth, predicted)));
        cells
            .map(|(truth, predicted)| (truth, predicted, self.at(truth, predicted)))
            .filter(|entry| entry.2 > 0)
    }

    fn recall(&self, class: usize) -> Option<f64> {
        (self.rows[class] > 0).then(|| self.share(class, class))
    }

    fn precision(&self, class: usize) -> Option<f64> {
        let predicted = self.columns[class];
        (predicted > 0).then(|| self.at(class, class) as f64 / predicted as f64)
    }

    /// 2·hits / (images + predictions), the harmonic mean of precision and recall.
    fn f1(&self, class: usize) -> Option<f64> {
        let both = self.rows[class] + self.columns[class];
        (both > 0).then(|| 2.0 * self.at(class, class) as f64 / both as f64)
    }

    /// The class that most of this class's mistakes went to.
    fn rival(&self, class: usize) -> Option<usize> {
        let others = (0..self.n).filter(|&other| other != class && self.at(class, other) > 0);
        others.reduce(|most, other| if self.at(class, other) > self.at(class, most) { other } else { most })
    }
}

/// The matrix as a heat map, and its largest entries off the diagonal.
pub(super) fn confusion(page: &mut Page, report: &Report) {
    let Some(matrix) = Matrix::new(report) else {
        contradiction(page, report);
        return;
    };
    writeln!(
        page,
        "<p>Rows are true classes, columns the predicted ones. <span class=\"swatch hit\"></span> right and \
         <span class=\"swatch miss\"></span> wrong answers, the darker the larger their share of the row; \
         an empty cell is zero.</p>"
    );
    writeln!(page, "<div class=\"beside\">");
    match matrix.n {
        n if n <= TABLE => table(page, report, &matrix),
        n if n <= DRAWING => drawing(page, report, &matrix),
        _ => picture(page, &matrix),
    }
    pairs(page, report, &matrix);
    writeln!(page, "</div>");
}

/// The figures of every class.
pub(super) fn classes(page: &mut Page, report: &Report) {
    let Some(matrix) = Matrix::new(report) else {
        contradiction(page, report);
        return;
    };
    write!(
        page,
        "<p>Recall is the share of a class’s images that were recognised, which is its top-1 accuracy; precision is the \
         share of right ones among the images predicted as it; F1 is their harmonic mean.</p>\n\
         <div class=\"scroll tall\" tabindex=\"0\" role=\"group\" aria-label=\"Classes\"><table class=\"numbers sortable\">\
         <thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Images</th><th scope=\"col\">Recall (top-1)</th>\
         <th scope=\"col\">Precision</th><th scope=\"col\">F1</th><th scope=\"col\" class=\"words\">Most confused with</th>\
         </tr></thead><tbody>\n"
    );
    for class in 0..matrix.n {
        write!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-value=\"{}\">{}</td>",
            text(&report.classes[class]),
            matrix.rows[class],
            count(matrix.rows[class]),
        );
        for (kind, share) in
            [(" class=\"bar\"", matrix.recall(class)), ("", matrix.precision(class)), ("", matrix.f1(class))]
        {
            let value = share.unwrap_or(-1.0);
            let bar = if kind.is_empty() {
                String::new()
            } else {
                format!(" style=\"--share:{:.4}\"", value.max(0.0))
            };
            write!(
                page,
                "<td{kind}{bar} data-value=\"{value}\">{}</td>",
                or_nothing(share, |v| percent(v, 1))
            );
        }
        match matrix.rival(class) {
            Some(rival) => writeln!(
                page,
                "<td class=\"words\" data-value=\"{}\">{} <small>{}</small></td></tr>",
                matrix.at(class, rival),
                text(&report.classes[rival]),
                count(matrix.at(class, rival)),
            ),
            None => writeln!(page, "<td class=\"words\" data-value=\"0\">{NOTHING}</td></tr>"),
        }
    }
    writeln!(page, "</tbody></table></div>");
}

fn contradiction(page: &mut Page, report: &Report) {
    writeln!(
        page,
        "<p class=\"note warning\">Not shown: {} classes need a matrix of {0}×{0} counts, and there are {}.</p>",
        report.classes.len(),
        report.confusion.len(),
    );
}

fn table(page: &mut Page, report: &Report, matrix: &Matrix<'_>) {
    write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Confusion matrix\"><table class=\"{}\">\
         <thead><tr><td class=\"corner\">predicted →<br>true ↓</td>",
        // Long names stand upright over narrow columns.
        if report.classes.iter().any(|name| name.chars().count() > 7) { "matrix upright" } else { "matrix" },
    );
    for class in &report.classes {
        write!(page, "<th scope=\"col\" title=\"{0}\"><span>{0}</span></th>", text(class));
    }
    writeln!(page, "</tr></thead><tbody>");
    for truth in 0..matrix.n {
        write!(
            page,
            "<tr><th scope=\"row\" title=\"{0}\"><span>{0}</span></th>",
            text(&report.classes[truth])
        );
        for predicted in 0..matrix.n {
            let strength = matrix.strength(truth, predicted);
            if matrix.at(truth, predicted) == 0 {
                write!(page, "<td></td>");
                continue;
            }
            let kind = if truth == predicted { "hit" } else { "miss" };
            let strong = if strength > STRONG { " strong" } else { "" };
            write!(
                page,
                "<td class=\"{kind}{strong}\" style=\"--strength:{:.0}%\">{}</td>",
                8.0 + 92.0 * strength,
                count(matrix.at(truth, predicted)),
            );
        }
        writeln!(page, "</tr>");
    }
    writeln!(page, "</tbody></table></div>");
}

/// Half as large cells for twice as many classes; counts and names where they can be read.
fn drawing(page: &mut Page, report: &Report, matrix: &Matrix<'_>) {
    let cell = (960.0 / matrix.n as f64).floor().clamp(9.0, 30.0);
    let side = cell * matrix.n as f64;
    let font = (cell - 1.0).min(11.0);
    let letters = report.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let names = (letters as f64 * LETTER * font).clamp(20.0, 120.0).ceil() + 6.0;
    let digits = matrix.counts.iter().max().map_or(0, |most| most.to_string().len());
    let counts_fit = (digits + 1) as f64 * LETTER * font <= cell;
    write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Confusion matrix\">\
         <svg class=\"matrix\" width=\"{0}\" height=\"{0}\" viewBox=\"0 0 {0} {0}\" font-size=\"{font}\" role=\"img\" \
         aria-labelledby=\"matrix-t matrix-d\">\n<title id=\"matrix-t\">Confusion matrix of {1} classes</title>\n\
         <desc id=\"matrix-d\">The tables below give the most frequent confusions and the figures of every class.</desc>\n\
         <rect class=\"frame\" x=\"{names}\" y=\"{names}\" width=\"{side}\" height=\"{side}\"/>\n",
        names + side + 2.0,
        matrix.n,
    );
    for (class, name) in report.classes.iter().enumerate() {
        let along = names + (class as f64 + 0.5) * cell;
        // A column's name reads upwards.
        for (x, y, turn, anchor) in
            [(names - 5.0, along, "", "end"), (along, names - 5.0, " rotate(-90)", "start")]
        {
            writeln!(
                page,
                "<text transform=\"translate({x} {y}){turn}\" text-anchor=\"{anchor}\" dy=\"0.35em\">{}</text>",
                text(&shortened(name, names - 5.0, font)),
            );
        }
    }
    for (truth, predicted, images) in matrix.entries() {
        let (x, y) = (names + predicted as f64 * cell, names + truth as f64 * cell);
        let strength = matrix.strength(truth, predicted);
        write!(
            page,
            "<g class=\"{}{}\"><title>{}: {}</title><rect x=\"{x}\" y=\"{y}\" width=\"{cell}\" height=\"{cell}\" \
             fill-opacity=\"{:.2}\"/>",
            if truth == predicted { "hit" } else { "miss" },
            if strength > STRONG { " strong" } else { "" },
            text(&answer(report, truth, predicted)),
            count(images),
            0.08 + 0.92 * strength,
        );
        if counts_fit {
            let (x, y) = (x + cell / 2.0, y + cell / 2.0);
            write!(page, "<text x=\"{x}\" y=\"{y}\" dy=\"0.35em\" text-anchor=\"middle\">{images}</text>");
        }
        writeln!(page, "</g>");
    }
    writeln!(page, "</svg></div>");
}

/// One pixel per cell, transparent where it is zero, so that it suits light and dark pages.
fn picture(page: &mut Page, matrix: &Matrix<'_>) {
    // The middle between the colours of light and dark pages in the style sheet.
    const HIT: [u8; 3] = [0x3b, 0x82, 0xc4];
    const MISS: [u8; 3] = [0xd9, 0x6b, 0x1f];
    let mut pixels = vec![0; matrix.counts.len() * 4];
    for (truth, predicted, _) in matrix.entries() {
        let [red, green, blue] = if truth == predicted { HIT } else { MISS };
        let alpha = (255.0 * (0.08 + 0.92 * matrix.strength(truth, predicted))).round() as u8;
        let at = (truth * matrix.n + predicted) * 4;
        pixels[at..at + 4].copy_from_slice(&[red, green, blue, alpha]);
    }
    let n = matrix.n;
    if let Some(uri) = data_uri(&Picture { width: n, height: n, channels: 4, pixels }) {
        writeln!(
            page,
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Confusion matrix\"><img class=\"matrix\" \
             src=\"{uri}\" alt=\"Heat map of {n} true classes by {n} predicted ones; the tables below give the figures\" \
             width=\"{0}\" height=\"{0}\"></div>",
            n * 960_usize.div_ceil(n),
        );
    }
}

fn pairs(page: &mut Page, report: &Report, matrix: &Matrix<'_>) {
    let mut pairs: Vec<_> = matrix.entries().filter(|(truth, predicted, _)| truth != predicted).collect();
    if pairs.is_empty() {
        writeln!(page, "<p>No held-out image was taken for another class.</p>");
        return;
    }
    let wrong: u64 = pairs.iter().map(|entry| entry.2).sum();
    // Stable: equal counts stay in the order of classes.
    pairs.sort_by_key(|&(.., images)| std::cmp::Reverse(images));
    write!(
        page,
        "<div class=\"pairs\"><h3>Most frequent confusions</h3>\n<p>{} of {} held-out images were taken for another class.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Most frequent confusions\">\
         <table class=\"numbers\"><thead><tr><th scope=\"col\">True class</th>\
         <th scope=\"col\" class=\"words\">Taken for</th><th scope=\"col\">Images</th>\
         <th scope=\"col\">Of the class</th></tr></thead><tbody>\n",
        count(wrong),
        count(matrix.rows.iter().sum()),
    );
    for (truth, predicted, images) in pairs.into_iter().take(PAIRS) {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td>{}</td></tr>",
            text(&report.classes[truth]),
            text(&report.classes[predicted]),
            count(images),
            percent(matrix.share(truth, predicted), 1),
        );
    }
    writeln!(page, "</tbody></table></div></div>");
}

fn answer(report: &Report, truth: usize, predicted: usize) -> String {
    let (name, said) = (&report.classes[truth], &report.classes[predicted]);
    if truth == predicted { format!("{name} recognised") } else { format!("{name} taken for {said}") }
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
    fn figures_of_a_class_come_from_its_row_and_column() {
        let report = Report {
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            confusion: vec![8, 2, 0, 1, 4, 0, 0, 0, 0],
            ..Report::default()
        };
        let matrix = Matrix::new(&report).unwrap();
        assert_eq!((matrix.recall(0), matrix.precision(0)), (Some(0.8), Some(8.0 / 9.0)));
        let harmonic = 2.0 / (1.0 / 0.8 + 9.0 / 8.0);
        assert!((matrix.f1(0).unwrap() - harmonic).abs() < 1e-12);
        assert_eq!((matrix.rival(0), matrix.rival(1), matrix.rival(2)), (Some(1), Some(0), None));
        assert_eq!((matrix.recall(2), matrix.precision(2), matrix.f1(2)), (None, None, None));
    }

    #[test]
    fn a_matrix_of_another_size_is_refused() {
        let classes = vec![String::new(); 2];
        assert!(Matrix::new(&Report { classes, confusion: vec![1; 3], ..Report::default() }).is_none());
        assert!(Matrix::new(&Report::default()).is_none());
    }

    #[test]
    fn long_names_are_cut_with_an_ellipsis() {
        assert_eq!(shortened("cat", 60.0, 10.0), "cat");
        assert_eq!(shortened("very long name of a class", 60.0, 10.0), "very long…");
    }
}
