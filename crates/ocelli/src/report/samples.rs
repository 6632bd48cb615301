//! Pictures with what the network takes them for, as in figure 4 of Krizhevsky, Sutskever and Hinton 2012.

use super::html::{Page, text};
use super::mistakes::image;
use super::number::percent;
use super::{Report, Sample, class_name};

/// A card per picture: it, its true class, and a bar for each of the most probable ones.
pub(super) fn samples(page: &mut Page, report: &Report) {
    let right = |sample: &&Sample| sample.guesses.iter().any(|guess| guess.class == sample.truth);
    writeln!(
        page,
        "<p>{} {} that chance chose, with the most probable classes. Of {}, the right class \
         (<span class=\"swatch hit\"></span>) is among them.</p>\n<ul class=\"samples\">",
        report.samples.len(),
        report.occasion.images(),
        report.samples.iter().filter(right).count(),
    );
    for sample in &report.samples {
        card(page, report, sample);
    }
    writeln!(page, "</ul>");
}

fn card(page: &mut Page, report: &Report, sample: &Sample) {
    let truth = class_name(report, sample.truth);
    let found = sample.guesses.iter().any(|guess| guess.class == sample.truth);
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
