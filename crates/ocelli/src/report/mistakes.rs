//! The worst mistakes with their pictures.

use super::html::{Page, text};
use super::number::{percent, significant};
use super::picture::data_uri;
use super::{Mistake, Report};

/// Pictures up to this side are small enough that their pixels are worth seeing.
const PIXELATED: usize = 96;

/// Characters of an image's name; its whole stands in the tooltip.
const NAME: usize = 36;

/// A card per mistake.
pub(super) fn mistakes(page: &mut Page, report: &Report) {
    if report.mistakes.is_empty() {
        writeln!(page, "<p>No mistakes were kept.</p>");
        return;
    }
    write!(page, "<p>Held-out images with the highest loss, worst first.</p>\n<ul class=\"mistakes\">\n");
    for mistake in &report.mistakes {
        card(page, report, mistake);
    }
    writeln!(page, "</ul>");
}

fn card(page: &mut Page, report: &Report, mistake: &Mistake) {
    let (truth, predicted) = (class(report, mistake.truth), class(report, mistake.predicted));
    write!(page, "<li><figure>");
    match data_uri(&mistake.picture) {
        Some(uri) => {
            let small = mistake.picture.width.max(mistake.picture.height) <= PIXELATED;
            write!(
                page,
                "<img src=\"{uri}\" alt=\"An image of {} that was taken for {}\"{}>",
                text(&truth),
                text(&predicted),
                if small { " class=\"pixels\"" } else { "" },
            );
        }
        None => write!(page, "<p class=\"missing\">no picture</p>"),
    }
    writeln!(
        page,
        "<figcaption><dl><dt>true</dt><dd title=\"{0}\"><span>{0}</span></dd><dt>predicted</dt><dd class=\"predicted\" title=\"{1}\"><span>{1}</span> <small>{2}</small></dd>\
         <dt>loss</dt><dd class=\"loss\">{3}</dd></dl><p class=\"name\" title=\"{4}\">{5}</p></figcaption></figure></li>",
        text(&truth),
        text(&predicted),
        percent(f64::from(mistake.probability), 1),
        significant(f64::from(mistake.loss), 3),
        text(&mistake.name),
        text(&tail(&mistake.name)),
    );
}

/// The end of a long name: paths differ there.
fn tail(name: &str) -> String {
    let cut = name.chars().count().saturating_sub(NAME);
    if cut == 0 { name.to_owned() } else { ['…'].into_iter().chain(name.chars().skip(cut + 1)).collect() }
}

/// The class's name, or its number where it has none.
fn class(report: &Report, index: usize) -> String {
    report.classes.get(index).cloned().unwrap_or_else(|| format!("class {index}"))
}
