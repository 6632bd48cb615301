//! Whether probabilities mean what they say: the reliability diagram, and how many guesses have which probability.

use super::html::{Page, scroll_box, text};
use super::number::{count, or_nothing, percent};
use super::{CalibrationBin, Report};

const WIDTH: f64 = 480.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 22.0;
const TOP: f64 = 14.0;
/// Where the diagram ends below.
const BOTTOM: f64 = 330.0;
/// Between which heights the shares of images are drawn.
const SHARES: (f64, f64) = (352.0, 412.0);
const HEIGHT: f64 = 452.0;

/// The diagram and the figures behind it.
pub(super) fn calibration(page: &mut Page, report: &Report) {
    let bins = &report.calibration;
    let images: u64 = bins.iter().map(|bin| bin.images).sum();
    let mean = |value: fn(&CalibrationBin) -> Option<f64>| {
        bins.iter().filter_map(|bin| Some(bin.images as f64 * value(bin)?)).sum::<f64>()
            / images.max(1) as f64
    };
    let (confidence, accuracy) = (mean(|bin| bin.confidence), mean(|bin| bin.accuracy));
    writeln!(
        page,
        "<p>A network is calibrated if guesses that it calls 70% probable are right 70% of the time. Its first guesses are called \
         <b>{}</b> probable on average, and <b>{}</b> of them are right: {}. The expected calibration error, the mean \
         distance between bars and diagonal, is <b>{}</b>.</p>",
        percent(confidence, 1),
        percent(accuracy, 1),
        verdict(confidence - accuracy),
        or_nothing(report.summary.calibration_error, |v| percent(v, 2)),
    );
    writeln!(page, "<div class=\"charts\">");
    diagram(page, bins, images);
    writeln!(page, "</div>");
    figures(page, bins);
}

/// In words, if the difference is worth any.
fn verdict(excess: f64) -> &'static str {
    match excess {
        excess if excess > 0.01 => "it is too sure of itself",
        excess if excess < -0.01 => "it is surer than it says",
        _ => "on the whole it knows how sure it can be",
    }
}

fn x(share: f64) -> f64 {
    LEFT + share * (RIGHT - LEFT)
}

fn y(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

fn diagram(page: &mut Page, bins: &[CalibrationBin], images: u64) {
    write!(
        page,
        "<figure class=\"chart reliability\">\n<figcaption><h3>Reliability</h3> <span>share of right guesses, by their probability</span>\
         </figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"reliability-t reliability-d\">\n\
         <title id=\"reliability-t\">Share of right guesses by their probability</title>\n\
         <desc id=\"reliability-d\">The table that follows gives the figures.</desc>\n"
    );
    axes(page);
    let most = bins.iter().map(|bin| bin.images).max().unwrap_or(0).max(1);
    for (place, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.images > 0) {
        bar(page, (place, bins.len()), bin, most, images);
    }
    writeln!(page, "<path class=\"ideal\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>", x(0.0), y(0.0), x(1.0), y(1.0));
    writeln!(page, "</svg>\n</figure>");
}

fn axes(page: &mut Page) {
    writeln!(page, "<g class=\"axes\">");
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let label = percent(share, 0);
        writeln!(
            page,
            "<path d=\"M{LEFT} {0:.1}H{RIGHT}\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{label}</text>\
             <text x=\"{3:.1}\" y=\"{4}\" text-anchor=\"middle\">{label}</text>",
            y(share),
            LEFT - 8.0,
            y(share) + 4.0,
            x(share),
            SHARES.1 + 18.0,
        );
    }
    writeln!(
        page,
        "<path d=\"M{LEFT} {0}H{RIGHT}\"/><text x=\"{1}\" y=\"{2}\" text-anchor=\"end\">images</text>\
         <text x=\"{3}\" y=\"{4}\" text-anchor=\"middle\">probability of the first guess</text>\n</g>",
        SHARES.1,
        LEFT - 8.0,
        SHARES.1,
        f64::midpoint(LEFT, RIGHT),
        HEIGHT - 6.0,
    );
}

/// A bin: how many are right, what the gap to their probability is, and how many there are.
fn bar(page: &mut Page, (place, bins): (usize, usize), bin: &CalibrationBin, most: u64, all: u64) {
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    let (Some(confidence), Some(accuracy)) = (finite(bin.confidence), finite(bin.accuracy)) else { return };
    let (left, right) = (x(place as f64 / bins as f64) + 1.0, x((place + 1) as f64 / bins as f64) - 1.0);
    let width = right - left;
    let (high, low) = (confidence.max(accuracy), confidence.min(accuracy));
    let shares = bin.images as f64 / most as f64 * (SHARES.1 - SHARES.0);
    let says = format!(
        "{} guesses, {} of all: called {} probable on average, {} right",
        count(bin.images),
        percent(bin.images as f64 / all.max(1) as f64, 1),
        percent(confidence, 1),
        percent(accuracy, 1),
    );
    writeln!(
        page,
        "<g class=\"bin\"><title>{}</title><rect class=\"right\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>\
         <rect class=\"gap\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>\
         <rect class=\"share\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{shares:.1}\"/></g>",
        text(&says),
        y(accuracy),
        y(0.0) - y(accuracy),
        y(high),
        y(low) - y(high),
        SHARES.1 - shares,
    );
}

fn figures(page: &mut Page, bins: &[CalibrationBin]) {
    writeln!(page, "<details><summary>The figures, bin by bin</summary>");
    scroll_box(page, "Figures by probability", |page| {
        writeln!(
            page,
            "<table class=\"numbers narrow\"><thead><tr><th scope=\"col\">Probability</th><th scope=\"col\">Images</th>\
             <th scope=\"col\">Mean probability</th><th scope=\"col\">Right</th></tr></thead><tbody>"
        );
        for (place, bin) in bins.iter().enumerate() {
            let end = |place: usize| percent(place as f64 / bins.len() as f64, 0);
            writeln!(
                page,
                "<tr><th scope=\"row\">{} to {}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                end(place),
                end(place + 1),
                count(bin.images),
                or_nothing(bin.confidence, |v| percent(v, 1)),
                or_nothing(bin.accuracy, |v| percent(v, 1)),
            );
        }
        write!(page, "</tbody></table>");
    });
    writeln!(page, "</details>");
}
