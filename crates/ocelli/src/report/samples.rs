//! Pictures with what the network takes them for, as in figure 4 of Krizhevsky, Sutskever and Hinton 2012.

use super::html::{Page, text};
use super::mistakes::image;
use super::number::percent;
use super::{Report, Sample, class_name};

/// A card per picture: it, its true class, and a bar for each of the most probable ones.
pub(super) fn samples(page: &mut Page, report: &Report) {
    let found = if all_are_shown(report) { "comes first" } else { "is among them" };
    writeln!(
        page,
        "<p>{} {} that chance chose, with the most probable classes. Of {}, the right class \
         (<span class=\"swatch hit\"></span>) {found}.</p>\n<ul class=\"samples\">",
        report.samples.len(),
        report.occasion.images(),
        report.samples.iter().filter(|sample| is_right(report, sample)).count(),
    );
    for sample in &report.samples {
        card(page, report, sample);
    }
    writeln!(page, "</ul>");
}

/// Whether all classes are among the guesses, so that the right one always is.
fn all_are_shown(report: &Report) -> bool {
    report.samples.iter().any(|sample| sample.guesses.len() >= report.classes.len())
}

/// Whether the right class is among the guesses; where all classes are, whether it comes first.
fn is_right(report: &Report, sample: &Sample) -> bool {
    let counted = if all_are_shown(report) { 1 } else { sample.guesses.len() };
    sample.guesses.iter().take(counted).any(|guess| guess.class == sample.truth)
}

fn card(page: &mut Page, report: &Report, sample: &Sample) {
    let truth = class_name(report, sample.truth);
    let found = is_right(report, sample);
    write!(page, "<li><figure>");
    image(page, &sample.picture, &format!("An image of {truth}"));
    write!(
        page,
        "<figcaption><p class=\"truth{}\" title=\"{}\">{}</p>\n<ol>",
        if found { "" } else { " absent" },
        text(&sample.name),
        text(&truth),
    );
    for guess in &sample.guesses {
        let probability = f64::from(guess.probability);
        let share = if probability.is_finite() { probability.clamp(0.0, 1.0) } else { 0.0 };
        write!(
            page,
            "<li{} style=\"--share:{share:.3}\"><span title=\"{1}\">{1}</span> <small>{2}</small></li>",
            if guess.class == sample.truth { " class=\"right\"" } else { "" },
            text(&class_name(report, guess.class)),
            percent(probability, if share < 0.1 { 1 } else { 0 }),
        );
    }
    writeln!(page, "</ol></figcaption></figure></li>");
}
