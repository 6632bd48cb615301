//! The top of the page and its end: tiles, how to reproduce the run, the resolved configuration.

use super::html::{Page, scroll_box, text};
use super::{Occasion, Report, number};

/// Digits of the weights' checksum in its tile.
const SHORT_SHA: usize = 12;

/// Title, what and when, and the tiles.
pub(super) fn header(page: &mut Page, report: &Report) {
    writeln!(page, "<header>");
    eyebrow(page, report.occasion.title());
    write!(
        page,
        "<h1>{}</h1>\n<p class=\"lead\">Network <b>{}</b> on <b>{}</b>{}</p>\n",
        text(&report.run),
        text(&report.net),
        text(&report.data),
        Started(&report.started),
    );
    tiles(page, report);
    writeln!(page, "</header>");
}

/// The line above the title: what kind of page this is.
pub(super) fn eyebrow(page: &mut Page, kind: &str) {
    writeln!(
        page,
        "<p class=\"eyebrow\"><svg viewBox=\"0 0 20 18\" aria-hidden=\"true\"><circle cx=\"10\" cy=\"4\" r=\"3.4\"/>\
         <circle cx=\"4\" cy=\"13.5\" r=\"3.4\"/><circle cx=\"16\" cy=\"13.5\" r=\"3.4\"/></svg>Ocelli {kind}</p>"
    );
}

/// `, started …` where the time is known.
struct Started<'a>(&'a str);

impl std::fmt::Display for Started<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        // 2026-03-01T09:30:00+01:00 is read more easily with a space for the T.
        let shown = self.0.replacen('T', " ", 1);
        write!(f, ", started <time datetime=\"{}\">{}</time>", text(self.0), text(&shown))
    }
}

fn tiles(page: &mut Page, report: &Report) {
    let summary = &report.summary;
    let images: u64 = report.confusion.iter().map(|&count| u64::from(count)).sum();
    let measured = report.occasion.images();
    writeln!(page, "<dl class=\"tiles\">");
    let mut tile = |name: &str, value: String, title: &str| {
        writeln!(page, "<div title=\"{}\"><dt>{name}</dt><dd>{}</dd></div>", text(title), text(&value));
    };
    tile(
        "Top-1",
        number::or_nothing(summary.top1, |v| number::percent(v, 2)),
        &format!("share of the {measured} that were recognised"),
    );
    if let Some(top5) = summary.top5 {
        tile("Top-5", number::percent(top5, 2), "share with the true class among the five most probable");
    }
    tile(
        "Loss",
        number::or_nothing(summary.loss, |v| number::significant(v, 4)),
        &format!("mean over the {measured}"),
    );
    if let Some(error) = summary.calibration_error {
        tile("Calibration error", number::percent(error, 2), "how far probabilities are from what they say");
    }
    if report.occasion == Occasion::Evaluation {
        tile("Images", number::count(images), "images measured");
    }
    tile("Parameters", number::si(summary.parameters), &number::count(summary.parameters));
    tile("Time", number::duration(report.seconds), "wall clock");
    tile("Images/s", rate(summary.images_per_second), "throughput");
    let sha: String = summary.weights_sha256.chars().take(SHORT_SHA).collect();
    if !sha.is_empty() {
        writeln!(
            page,
            "<div title=\"{}\"><dt>Weights, SHA-256</dt><dd class=\"code\">{}</dd></div>",
            text(&summary.weights_sha256),
            text(&sha),
        );
    }
    writeln!(page, "</dl>");
    if report.occasion == Occasion::Training {
        which_model(page, report);
    }
}

/// Whose figures the tiles show.
fn which_model(page: &mut Page, report: &Report) {
    write!(
        page,
        "<p class=\"note\">Top-1, top-5, loss and calibration error are those of the held-out images with the run's model, \
         which is the last epoch's, but with patience, the best epoch's"
    );
    if let Some(best) = report.best_epoch {
        let best = super::chart::epoch(best);
        write!(page, "; the best epoch by held-out top-1, {best}, is kept beside it as best.safetensors");
    }
    writeln!(page, ".</p>");
}

fn rate(value: f64) -> String {
    if value.is_finite() && value >= 100.0 {
        number::count(value.round() as u64)
    } else {
        number::significant(value, 3)
    }
}

/// The command, and what must be the same for the same bits.
pub(super) fn reproduce(page: &mut Page, report: &Report) {
    let environment = &report.environment;
    code(page, "Command", &report.command);
    let same = match report.occasion {
        Occasion::Training => "The same version, instruction set, data and seed give the same weights",
        Occasion::Evaluation => "The same version, instruction set, model and data give the same figures",
    };
    writeln!(page, "<p>{same}, bit for bit, whatever the number of threads.</p>\n<dl class=\"facts\">");
    let threads = environment.threads.to_string();
    let facts = [
        ("Ocelli", environment.version.as_str()),
        ("Instruction set", &environment.isa),
        ("Threads", &threads),
        ("Weights, SHA-256", &report.summary.weights_sha256),
    ];
    for (name, value) in facts {
        let value = if value.is_empty() { number::NOTHING } else { value };
        writeln!(page, "<dt>{name}</dt><dd>{}</dd>", text(value));
    }
    writeln!(page, "</dl>");
}

/// Text as it stands in a terminal or a file.
fn code(page: &mut Page, label: &str, content: &str) {
    scroll_box(page, label, |page| write!(page, "<pre><code>{}</code></pre>", text(content)));
}

/// The configuration as a table of keys and values, and its text.
pub(super) fn configuration(page: &mut Page, report: &Report) {
    if let Ok(table) = report.config_toml.parse::<toml::Table>() {
        let mut rows = Vec::new();
        flatten("", &table, &mut rows);
        scroll_box(page, "Configuration", |page| {
            writeln!(
                page,
                "<table class=\"config\"><thead><tr><th scope=\"col\">Key</th><th scope=\"col\">Value</th></tr></thead><tbody>"
            );
            for (key, value) in rows {
                writeln!(page, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", text(&key), text(&value));
            }
            write!(page, "</tbody></table>");
        });
    }
    write!(page, "<details><summary>As TOML</summary>");
    code(page, "TOML", &report.config_toml);
    writeln!(page, "</details>");
}

/// Leaves of nested tables under their dotted names, plain values before tables.
fn flatten(prefix: &str, table: &toml::Table, rows: &mut Vec<(String, String)>) {
    let (tables, plain): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    for (key, value) in plain {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        rows.push((format!("{prefix}{key}"), shown));
    }
    for (key, value) in tables {
        if let Some(inner) = value.as_table() {
            flatten(&format!("{prefix}{key}."), inner, rows);
        }
    }
}
