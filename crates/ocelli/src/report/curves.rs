//! Learning curves: loss, accuracy, learning rate, and the figures behind them.

use super::chart::{Chart, Goal, Series, Show, ShowTick, epoch, line_chart};
use super::html::{Page, tall_box, text};
use super::number::{count, or_nothing, percent, percent_tick, significant, tick};
use super::scale::{Scale, drawable, thin};
use super::{EpochRow, PaceRow, Report};

/// Rows of the table of epochs; more are thinned.
const ROWS: usize = 1000;
/// From this ratio of the largest to the smallest value on, a logarithmic axis shows more than a linear one.
const RATIO: f64 = 100.0;

type Column = fn(&EpochRow) -> Option<f64>;

/// A chart of this section: name and style class of each line, and where its values stand.
struct Plot {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    goal: Goal,
    lines: &'static [(&'static str, &'static str, Column)],
    scale: fn(&[f64]) -> Scale,
    show: Show,
    show_tick: ShowTick,
}

const PLOTS: [Plot; 3] = [
    Plot {
        id: "loss",
        title: "Loss",
        unit: "mean per image",
        goal: Goal::Lowest,
        lines: &[("training", "train", |r| r.train_loss), ("held-out", "held", |r| r.val_loss)],
        scale: |values| Scale::fitting(values, RATIO, 5),
        show: |v| significant(v, 4),
        show_tick: tick,
    },
    Plot {
        id: "accuracy",
        title: "Accuracy",
        unit: "top-1",
        goal: Goal::Highest,
        lines: &[
            ("training", "train", |r| r.train_top1),
            ("held-out", "held", |r| r.val_top1),
            ("held-out, top-5", "extra", |r| r.val_top5),
        ],
        scale: accuracy_scale,
        show: |v| percent(v, 2),
        show_tick: percent_tick,
    },
    Plot {
        id: "rate",
        title: "Learning rate",
        unit: "last step of each epoch",
        goal: Goal::Neither,
        lines: &[("learning rate", "train", |r| r.learning_rate)],
        scale: |values| Scale::fitting(values, RATIO, 5),
        show: |v| significant(v, 4),
        show_tick: tick,
    },
];

/// The charts and the table of epochs.
pub(super) fn curves(page: &mut Page, report: &Report) {
    // A row at no place in time has none on paper.
    let rows: Vec<&EpochRow> = report.curves.iter().filter(|row| drawable(row.epoch)).collect();
    let epochs: Vec<f64> = rows.iter().map(|row| row.epoch).collect();
    writeln!(page, "<div class=\"charts\">");
    for plot in &PLOTS {
        let series = plot.lines.iter().map(|&(name, class, column)| {
            let values: Vec<_> = rows.iter().copied().map(column).collect();
            Series { name, class, values }
        });
        let series: Vec<_> = series.filter(|s| s.values.iter().any(Option::is_some)).collect();
        if series.is_empty() {
            continue;
        }
        let values: Vec<f64> = series.iter().flat_map(|s| s.values.iter().flatten().copied()).collect();
        let scale = (plot.scale)(&values);
        let axis = if scale.is_logarithmic() { ", logarithmic axis" } else { "" };
        let &Plot { id, title, goal, show, show_tick, .. } = plot;
        let (unit, best) = (format!("{}{axis}", plot.unit), report.best_epoch);
        let chart =
            Chart { id, title, unit: &unit, epochs: &epochs, series, best, scale, goal, show, show_tick };
        line_chart(page, &chart);
    }
    gradient_norm(page, report);
    pace(page, report);
    writeln!(page, "</div>");
    table(page, &rows, report.best_epoch);
}

/// The norm of the whole gradient, from those of the layers: the root of the sum of their squares.
fn gradient_norm(page: &mut Page, report: &Report) {
    let Some(first) = report.health.first() else { return };
    let rows = first.epochs.iter().enumerate().filter(|(_, row)| drawable(row.epoch));
    let (places, epochs): (Vec<usize>, Vec<f64>) = rows.map(|(i, row)| (i, row.epoch)).unzip();
    let norm = |i: usize| {
        let layers = report.health.iter().filter_map(|layer| layer.epochs.get(i)?.gradient_norm);
        layers.map(|norm| norm * norm).reduce(|sum, square| sum + square).map(f64::sqrt)
    };
    let values: Vec<_> = places.into_iter().map(norm).collect();
    if values.iter().all(Option::is_none) {
        return;
    }
    let scale = Scale::fitting(&values.iter().flatten().copied().collect::<Vec<_>>(), RATIO, 5);
    let unit = if scale.is_logarithmic() { "all layers, logarithmic axis" } else { "all layers" };
    let chart = Chart {
        id: "gradient",
        title: "Gradient norm",
        unit,
        epochs: &epochs,
        series: vec![Series { name: "gradient norm", class: "train", values }],
        best: report.best_epoch,
        scale,
        goal: Goal::Neither,
        show: |v| significant(v, 4),
        show_tick: tick,
    };
    line_chart(page, &chart);
}

/// How fast training went, and how much of the time it waited for images.
fn pace(page: &mut Page, report: &Report) {
    let rows: Vec<&PaceRow> = report.pace.iter().filter(|row| drawable(row.epoch)).collect();
    let epochs: Vec<f64> = rows.iter().map(|row| row.epoch).collect();
    for Pace { id, title, unit, column, show, show_tick } in PACES {
        let values: Vec<_> = rows.iter().map(|row| column(row)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let scale = from_zero(&values.iter().flatten().copied().collect::<Vec<_>>());
        let series = vec![Series { name: title, class: "train", values }];
        let (best, goal) = (None, Goal::Neither);
        line_chart(
            page,
            &Chart { id, title, unit, epochs: &epochs, series, best, scale, goal, show, show_tick },
        );
    }
}

/// A chart of how fast training went.
struct Pace {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    column: fn(&PaceRow) -> Option<f64>,
    show: Show,
    show_tick: ShowTick,
}

const PACES: [Pace; 2] = [
    Pace {
        id: "speed",
        title: "Speed",
        unit: "training images per second",
        column: |row| row.images_per_second,
        show: |v| significant(v, 4),
        show_tick: tick,
    },
    Pace {
        id: "waiting",
        title: "Waiting",
        unit: "share of the time without images",
        column: |row| row.waiting,
        show: |v| percent(v, 2),
        show_tick: percent_tick,
    },
];

/// An axis that begins at zero, for quantities whose ratios matter.
fn from_zero(values: &[f64]) -> Scale {
    Scale::linear(values.iter().copied().chain([0.0]), 5)
}

/// An axis for fractions of 1, which never shows more than 100%.
fn accuracy_scale(values: &[f64]) -> Scale {
    let mut scale = Scale::linear(values.iter().copied(), 5);
    scale.cut(0.0, 1.0);
    scale
}

/// Columns of the table of epochs: heading, value, how it is written.
const COLUMNS: [(&str, Column, Show); 6] = [
    ("Learning rate", |r| r.learning_rate, |v| significant(v, 3)),
    ("Loss, training", |r| r.train_loss, |v| significant(v, 4)),
    ("Loss, held-out", |r| r.val_loss, |v| significant(v, 4)),
    ("Top-1, training", |r| r.train_top1, |v| percent(v, 2)),
    ("Top-1, held-out", |r| r.val_top1, |v| percent(v, 2)),
    ("Top-5, held-out", |r| r.val_top5, |v| percent(v, 2)),
];

/// The figures behind the charts, folded away.
fn table(page: &mut Page, rows: &[&EpochRow], best_epoch: Option<f64>) {
    let columns: Vec<_> =
        COLUMNS.iter().filter(|(_, column, _)| rows.iter().any(|r| column(r).is_some())).collect();
    let kept = thin(rows.len(), ROWS, &[&|i| rows[i].val_loss.filter(|&v| drawable(v))]);
    writeln!(page, "<details><summary>The figures, epoch by epoch</summary>");
    tall_box(page, "Figures by epoch", |page| {
        write!(page, "<table class=\"numbers\"><thead><tr><th scope=\"col\">Epoch</th>");
        for (heading, ..) in &columns {
            write!(page, "<th scope=\"col\">{heading}</th>");
        }
        writeln!(page, "</tr></thead><tbody>");
        for row in kept.iter().map(|&i| rows[i]) {
            let best = best_epoch == Some(row.epoch);
            let (class, mark) = if best { (" class=\"best\"", " <b>best</b>") } else { ("", "") };
            write!(page, "<tr{class}><th scope=\"row\">{}{mark}</th>", epoch(row.epoch));
            for (_, column, show) in &columns {
                write!(page, "<td>{}</td>", text(&or_nothing(column(row), show)));
            }
            writeln!(page, "</tr>");
        }
        write!(page, "</tbody></table>");
    });
    if kept.len() < rows.len() {
        let (kept, all) = (count(kept.len() as u64), count(rows.len() as u64));
        writeln!(page, "<p class=\"note\">{kept} of {all} rows are shown.</p>");
    }
    writeln!(page, "</details>");
}
