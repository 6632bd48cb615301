//! What is taken for what: the confusion matrix with its largest entries, and the figures of every class.

use std::cmp::Reverse;

use super::html::{Page, scroll_box, tall_box, text};
use super::mistakes::strip;
use super::number::{NOTHING, count, or_nothing, percent};
use super::{Confusion, Report, class_name, heatmap, order};

/// Entries in the list of the most frequent confusions.
const PAIRS: usize = 10;
/// From so many classes on, those that are confused stand together; fewer keep their own order, which readers know.
const ORDERED: usize = 21;

/// The counts with their sums.
pub(super) struct Matrix<'a> {
    pub(super) counts: &'a [u32],
    /// Number of classes.
    pub(super) n: usize,
    /// Which class stands in which row and column.
    pub(super) order: Vec<usize>,
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
        let mut matrix = Self { counts, n, order: (0..n).collect(), rows, columns };
        if n >= ORDERED {
            matrix.order = order::by_similarity(n, |a, b| matrix.share(a, b) + matrix.share(b, a));
        }
        Some(matrix)
    }

    /// Images of a true class with that prediction.
    pub(super) fn at(&self, truth: usize, predicted: usize) -> u64 {
        u64::from(self.counts[truth * self.n + predicted])
    }

    /// Share of the true class's images.
    fn share(&self, truth: usize, predicted: usize) -> f64 {
        self.at(truth, predicted) as f64 / self.rows[truth].max(1) as f64
    }

    /// Strength of the cell's colour, 0 to 1. Mistakes are few: their root keeps them visible.
    pub(super) fn strength(&self, truth: usize, predicted: usize) -> f64 {
        let share = self.share(truth, predicted);
        if truth == predicted { share } else { share.sqrt() }
    }

    /// All entries that are not zero.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
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
         an empty cell is zero.{}</p>\n<div class=\"beside\">",
        if matrix.n >= ORDERED { " Classes that are taken for each other stand side by side." } else { "" },
    );
    scroll_box(page, "Confusion matrix", |page| heatmap::heatmap(page, &report.classes, &matrix));
    pairs(page, report, &matrix);
    writeln!(page, "</div>");
    examples(page, report, &matrix);
}

/// Pictures of the most frequent confusions.
fn examples(page: &mut Page, report: &Report, matrix: &Matrix<'_>) {
    if report.confusions.is_empty() {
        return;
    }
    writeln!(page, "<h3 class=\"above\">Confusions in pictures</h3>\n<ul class=\"families\">");
    for Confusion { truth, predicted, images, examples } in &report.confusions {
        let (name, taken) = (class_name(report, *truth), class_name(report, *predicted));
        // How often the one is taken for the other says more beside how often the other way round.
        let back =
            [*truth, *predicted].iter().all(|&class| class < matrix.n).then(|| matrix.at(*predicted, *truth));
        write!(
            page,
            "<li><h4><b>{}</b> taken for <b>{}</b> <small>{}{}</small></h4>",
            text(&name),
            text(&taken),
            count(*images),
            back.filter(|&back| back > 0)
                .map(|back| format!(", and back {}", count(back)))
                .unwrap_or_default(),
        );
        strip(page, report, examples, false);
        writeln!(page, "</li>");
    }
    writeln!(page, "</ul>");
}

/// The figures of every class.
pub(super) fn classes(page: &mut Page, report: &Report) {
    let Some(matrix) = Matrix::new(report) else {
        contradiction(page, report);
        return;
    };
    writeln!(
        page,
        "<p>Recall is the share of a class’s images that were recognised, which is its top-1 accuracy; {}precision is the \
         share of right ones among the images predicted as it; F1 is the harmonic mean of recall and precision.</p>",
        if has_top5(report) { "top-5 counts those with it among the five most probable; " } else { "" },
    );
    tall_box(page, "Classes", |page| {
        writeln!(
            page,
            "<table class=\"numbers sortable\"><thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Images</th>\
             <th scope=\"col\">Recall (top-1)</th>{}<th scope=\"col\">Precision</th><th scope=\"col\">F1</th>\
             <th scope=\"col\" class=\"words\">Most confused with</th></tr></thead><tbody>",
            if has_top5(report) { "<th scope=\"col\">Top-5</th>" } else { "" },
        );
        for class in 0..matrix.n {
            class_row(page, report, &matrix, class);
        }
        write!(page, "</tbody></table>");
    });
}

/// Whether there is a top-5 accuracy for each class.
fn has_top5(report: &Report) -> bool {
    report.class_top5.len() == report.classes.len() && !report.class_top5.is_empty()
}

fn class_row(page: &mut Page, report: &Report, matrix: &Matrix<'_>, class: usize) {
    let names = &report.classes;
    let (images, recall) = (matrix.rows[class], matrix.recall(class));
    write!(
        page,
        "<tr><th scope=\"row\" title=\"{0}\">{0}</th><td data-value=\"{images}\">{1}</td>",
        text(&names[class]),
        count(images),
    );
    let bar = format!(" class=\"bar\" style=\"--share:{:.4}\"", recall.unwrap_or(0.0));
    let mut shares = vec![(bar.as_str(), recall)];
    if has_top5(report) {
        shares.push(("", report.class_top5[class]));
    }
    shares.extend([("", matrix.precision(class)), ("", matrix.f1(class))]);
    for (attributes, share) in shares {
        let shown = or_nothing(share, |v| percent(v, 1));
        // Classes without a figure are sorted below those with 0%.
        write!(page, "<td{attributes} data-value=\"{}\">{shown}</td>", share.unwrap_or(-1.0));
    }
    let rival = matrix.rival(class);
    let images = rival.map_or(0, |rival| matrix.at(class, rival));
    write!(page, "<td class=\"words\" data-value=\"{images}\">");
    match rival {
        Some(rival) => write!(page, "{} <small>{}</small>", text(&names[rival]), count(images)),
        None => write!(page, "{NOTHING}"),
    }
    writeln!(page, "</td></tr>");
}

/// The most frequent confusions as a table.
fn pairs(page: &mut Page, report: &Report, matrix: &Matrix<'_>) {
    let mut pairs: Vec<_> = matrix.entries().filter(|(truth, predicted, _)| truth != predicted).collect();
    if pairs.is_empty() {
        writeln!(page, "<p>None of the {} was taken for another class.</p>", report.occasion.images());
        return;
    }
    let (wrong, all) = (pairs.iter().map(|pair| pair.2).sum(), matrix.rows.iter().sum());
    // Stable: equal counts stay in the order of classes.
    pairs.sort_by_key(|&(.., images)| Reverse(images));
    writeln!(
        page,
        "<div class=\"pairs\"><h3>Most frequent confusions</h3>\n\
         <p>{} of {} {} were taken for another class.</p>",
        count(wrong),
        count(all),
        report.occasion.images(),
    );
    scroll_box(page, "Most frequent confusions", |page| {
        writeln!(
            page,
            "<table class=\"numbers\"><thead><tr><th scope=\"col\">True class</th>\
             <th scope=\"col\" class=\"words\">Taken for</th><th scope=\"col\">Images</th>\
             <th scope=\"col\">Of the class</th></tr></thead><tbody>"
        );
        for (truth, predicted, images) in pairs.into_iter().take(PAIRS) {
            writeln!(
                page,
                "<tr><th scope=\"row\" title=\"{0}\">{0}</th><td class=\"words\">{1}</td><td>{2}</td><td>{3}</td></tr>",
                text(&report.classes[truth]),
                text(&report.classes[predicted]),
                count(images),
                percent(matrix.share(truth, predicted), 1),
            );
        }
        write!(page, "</tbody></table>");
    });
    writeln!(page, "</div>");
}

fn contradiction(page: &mut Page, report: &Report) {
    writeln!(
        page,
        "<p class=\"note warning\">Not shown: {} classes need a matrix of {0}×{0} counts, and there are {}.</p>",
        report.classes.len(),
        report.confusion.len(),
    );
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
}
