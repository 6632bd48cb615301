//! The report of a training run or an evaluation: one HTML file that needs nothing else, neither network nor scripts.
//!
//! Fill a [`Report`] and write the text that [`render`] returns to `report.html`:
//!
//! ```
//! use ocelli::report::{Report, render};
//!
//! let report = Report { run: "lenet5-digits-1".to_owned(), net: "lenet5".to_owned(), ..Report::default() };
//! assert!(render(&report).contains("<h1>lenet5-digits-1</h1>"));
//! ```
//!
//! Styles, charts and pictures are inside.
//! The page follows the reader's choice of light or dark, fits a phone, prints, and can be read by ear; its one script
//! sorts a table and may be switched off.

mod calibration;
mod chart;
mod confusion;
mod content;
mod curves;
mod filters;
mod heatmap;
mod leaderboard;
mod mistakes;
mod network;
mod order;
mod rates;
mod samples;
mod summary;

pub use content::{
    CalibrationBin, Confusion, Environment, EpochRow, Filters, Guess, HealthRow, LayerHealth, LayerRow,
    Mistake, Occasion, PaceRow, Picture, Report, Sample, Summary,
};
pub use leaderboard::render_leaderboard;
pub use rates::render_rates;

use crate::figure::{html, number, picture, scale};
use html::{Page, text};
use sha2::{Digest, Sha256};

/// The style of every page.
pub(crate) const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");

/// The report as the text of one HTML file.
///
/// Every string of `report` is shown as text, whatever it holds, and the page forbids its reader's browser to fetch
/// anything. Parts that contradict each other (a confusion matrix of the wrong size, say) are named in the page
/// rather than refused, for a report is written when the training is over and must not fail.
pub fn render(report: &Report) -> String {
    let mut page = Page::default();
    head(&mut page, &report.run, report.occasion.title());
    write!(page, "<body>\n<main>\n");
    summary::header(&mut page, report);
    let sections = || SECTIONS.iter().filter(|section| (section.present)(report));
    writeln!(page, "<nav aria-label=\"Contents\"><ul>");
    for Section { id, title, .. } in sections() {
        writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    writeln!(page, "</ul></nav>");
    for Section { id, title, write, .. } in sections() {
        write!(page, "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{title}</h2>\n");
        write(&mut page, report);
        writeln!(page, "</section>");
    }
    foot(&mut page, &report.environment.version);
    page.finish()
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    present: fn(&Report) -> bool,
    write: fn(&mut Page, &Report),
}

/// The page in its order.
const SECTIONS: [Section; 11] = [
    Section {
        id: "curves",
        title: "Learning curves",
        present: |r| !r.curves.is_empty(),
        write: curves::curves,
    },
    Section { id: "samples", title: "Guesses", present: |r| !r.samples.is_empty(), write: samples::samples },
    Section {
        id: "confusion",
        title: "Confusion",
        present: |r| !r.confusion.is_empty(),
        write: confusion::confusion,
    },
    Section {
        id: "classes",
        title: "Classes",
        present: |r| !r.confusion.is_empty(),
        write: confusion::classes,
    },
    Section { id: "mistakes", title: "Worst mistakes", present: |_| true, write: mistakes::mistakes },
    Section {
        id: "calibration",
        title: "Calibration",
        present: |r| r.calibration.iter().any(|bin| bin.images > 0),
        write: calibration::calibration,
    },
    Section {
        id: "filters",
        title: "First-layer filters",
        present: |r| r.filters.is_some(),
        write: filters::filters,
    },
    Section { id: "network", title: "Network", present: |r| !r.layers.is_empty(), write: network::network },
    Section {
        id: "health",
        title: "Health of layers",
        present: |r| !r.health.is_empty(),
        write: network::health,
    },
    Section {
        id: "configuration",
        title: "Configuration",
        present: |r| !r.config_toml.is_empty(),
        write: summary::configuration,
    },
    Section { id: "reproduce", title: "How to reproduce", present: |_| true, write: summary::reproduce },
];

/// Everything before the body. The policy lets nothing be fetched, and no script run but the one that is hashed here.
fn head(page: &mut Page, name: &str, kind: &str) {
    let hash = picture::base64(&Sha256::digest(SCRIPT));
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'sha256-{hash}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} – Ocelli {kind}</title>\n<style>\n{STYLE}</style>\n</head>\n",
        text(name),
    );
}

/// Everything after the sections.
fn foot(page: &mut Page, version: &str) {
    write!(page, "</main>\n<footer><p>Written by Ocelli {}.</p></footer>\n", text(version));
    write!(page, "<script>{SCRIPT}</script>\n</body>\n</html>\n");
}

impl Occasion {
    /// What the page is.
    fn title(self) -> &'static str {
        match self {
            Occasion::Training => "training report",
            Occasion::Evaluation => "evaluation",
        }
    }

    /// What the images that were measured are called.
    fn images(self) -> &'static str {
        match self {
            Occasion::Training => "held-out images",
            Occasion::Evaluation => "images",
        }
    }
}

/// The class's name, or its number where it has none.
fn class_name(report: &Report, index: usize) -> String {
    report.classes.get(index).cloned().unwrap_or_else(|| format!("class {index}"))
}
