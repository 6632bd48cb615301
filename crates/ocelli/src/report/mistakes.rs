//! The worst mistakes with their pictures: of all images, and class by class.

use super::html::{Page, text};
use super::number::{percent, significant};
use super::picture::photo_uri;
use super::{Mistake, Picture, Report, class_name};

/// Pictures up to this side are small enough that their pixels are worth seeing.
const PIXELATED: usize = 48;

/// Characters of an image's name; its whole stands in the tooltip.
const NAME: usize = 36;

/// A card per mistake, and behind a fold those of each class.
pub(super) fn mistakes(page: &mut Page, report: &Report) {
    if report.mistakes.is_empty() && report.class_mistakes.is_empty() {
        writeln!(page, "<p>No mistakes were kept.</p>");
        return;
    }
    let images = report.occasion.images();
    write!(page, "<p>The {images} with the highest loss, worst first.</p>\n<ul class=\"mistakes\">\n");
    for mistake in &report.mistakes {
        card(page, report, mistake);
    }
    writeln!(page, "</ul>");
    by_class(page, report);
}

fn card(page: &mut Page, report: &Report, mistake: &Mistake) {
    let (truth, predicted) = (class_name(report, mistake.truth), class_name(report, mistake.predicted));
    write!(page, "<li><figure>");
    image(page, &mistake.picture, &taken_for(&truth, &predicted));
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

/// The worst mistakes of each class, folded away: of many classes they are many pictures.
fn by_class(page: &mut Page, report: &Report) {
    if report.class_mistakes.is_empty() {
        return;
    }
    writeln!(page, "<details><summary>The worst mistakes of each class</summary>\n<ul class=\"families\">");
    for family in report.class_mistakes.chunk_by(|a, b| a.truth == b.truth) {
        let truth = class_name(report, family[0].truth);
        write!(page, "<li><h3 title=\"{0}\">{0}</h3>", text(&truth));
        strip(page, report, family, true);
        writeln!(page, "</li>");
    }
    writeln!(page, "</ul></details>");
}

/// Some mistakes in a row, each with how probable its guess was, and `named`, with what it was taken for.
pub(super) fn strip(page: &mut Page, report: &Report, mistakes: &[Mistake], named: bool) {
    write!(page, "<ul class=\"strip\">");
    for mistake in mistakes {
        let (truth, predicted) = (class_name(report, mistake.truth), class_name(report, mistake.predicted));
        write!(page, "<li title=\"{}\"><figure>", text(&mistake.name));
        image(page, &mistake.picture, &taken_for(&truth, &predicted));
        write!(page, "<figcaption>");
        if named {
            write!(page, "<span>{}</span> ", text(&predicted));
        }
        let probability = percent(f64::from(mistake.probability), 0);
        write!(page, "<small>{probability}</small></figcaption></figure></li>");
    }
    write!(page, "</ul>");
}

fn taken_for(truth: &str, predicted: &str) -> String {
    format!("An image of {truth} that was taken for {predicted}")
}

/// The picture, or a frame that says that it is missing; `alt` says in words what it shows.
pub(super) fn image(page: &mut Page, picture: &Picture, alt: &str) {
    match photo_uri(picture) {
        Some(uri) => {
            let small = picture.width.max(picture.height) <= PIXELATED;
            let class = if small { " class=\"pixels\"" } else { "" };
            write!(page, "<img src=\"{uri}\" alt=\"{}\"{class} loading=\"lazy\">", text(alt));
        }
        None => write!(page, "<p class=\"missing\">no picture</p>"),
    }
}

/// The end of a long name: paths differ there.
fn tail(name: &str) -> String {
    let cut = name.chars().count().saturating_sub(NAME);
    if cut == 0 { name.to_owned() } else { ['…'].into_iter().chain(name.chars().skip(cut + 1)).collect() }
}
