//! The page of a learning-rate range test: loss over learning rate, with what is suggested.

use super::STYLE;
use super::html::{Page, scroll_box, text};
use super::number::significant;
use super::scale::{Scale, drawable};
use crate::train::{RatePoint, RateSweep};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = HEIGHT - 44.0;

/// A sweep through the learning rates, as the text of one HTML file that needs nothing else.
pub fn render_rates(sweep: &RateSweep) -> String {
    let mut page = Page::default();
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Learning rates for {0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Learning rates for {0}</h1>\n\
         <p class=\"lead\">Suggested: <b>{1}</b>, a third of the rate at which the loss was lowest, {2}. \
         {3}, {4} images a step; the rate grows by the same factor in each step, on weights that were thrown away.</p>\n",
        text(&sweep.net),
        rate(sweep.suggested),
        rate(sweep.lowest),
        text(&sweep.optimizer),
        sweep.batch,
    );
    chart(&mut page, sweep);
    table(&mut page, &sweep.points);
    write!(page, "</main>\n</body>\n</html>\n");
    page.finish()
}

/// The curve by itself.
fn chart(page: &mut Page, sweep: &RateSweep) {
    let axes = Axes::of(sweep);
    write!(
        page,
        "<figure class=\"chart\">\n<figcaption><h2>Loss</h2> <span>mean per image, over the learning rate</span>\
         </figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Loss over learning rate; lowest \
         at {}, suggested {}\" style=\"max-width:{WIDTH}px\">\n<g class=\"axes\">\n",
        rate(sweep.lowest),
        rate(sweep.suggested),
    );
    for &tick in &axes.down.ticks {
        let y = axes.y(tick);
        writeln!(
            page,
            "<path d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            significant(tick, 3)
        );
    }
    for &tick in &axes.across.ticks {
        let x = axes.x(tick);
        writeln!(
            page,
            "<path d=\"M{x:.1} {BOTTOM}v5\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 18.0,
            rate(tick)
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    writeln!(
        page,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">learning rate</text></g>",
        HEIGHT - 6.0
    );
    // Left and right of their lines, which stand near each other.
    let words = [(sweep.suggested, "suggested", "end", -4.0), (sweep.lowest, "lowest", "start", 4.0)];
    for (value, name, anchor, beside) in words {
        let x = axes.x(value);
        writeln!(
            page,
            "<g class=\"best\"><path d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text x=\"{:.1}\" y=\"{}\" \
             text-anchor=\"{anchor}\">{name} {}</text></g>",
            x + beside,
            TOP - 8.0,
            rate(value)
        );
    }
    axes.line(page, "train", sweep.points.iter().map(|p| (p.rate, p.loss)));
    axes.line(page, "held", sweep.points.iter().map(|p| (p.rate, p.smoothed)));
    writeln!(
        page,
        "</svg>\n<p class=\"note\">The thick line is smoothed, the thin one each step's own.</p></figure>"
    );
}

/// The figures behind the curve.
fn table(page: &mut Page, points: &[RatePoint]) {
    writeln!(page, "<h2>Figures</h2>");
    scroll_box(page, "the steps", |page| {
        write!(page, "<table class=\"numbers\"><thead><tr>");
        for name in ["learning rate", "loss", "smoothed"] {
            write!(page, "<th scope=\"col\">{name}</th>");
        }
        write!(page, "</tr></thead><tbody>");
        for p in points {
            let cells = [rate(p.rate), significant(p.loss, 4), significant(p.smoothed, 4)];
            writeln!(page, "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", cells[0], cells[1], cells[2]);
        }
        write!(page, "</tbody></table>");
    });
}

/// Where rates and losses stand on paper.
struct Axes {
    across: Scale,
    down: Scale,
}

impl Axes {
    /// Losses far above the first one are out of sight: there training breaks.
    fn of(sweep: &RateSweep) -> Axes {
        let first = sweep.points.first().map_or(1.0, |p| p.smoothed);
        let losses =
            sweep.points.iter().flat_map(|p| [p.loss, p.smoothed]).filter(|loss| *loss <= 1.5 * first);
        Axes {
            across: Scale::logarithmic(sweep.points.iter().map(|p| p.rate)),
            down: Scale::linear(losses, 6),
        }
    }

    fn x(&self, rate: f64) -> f64 {
        LEFT + self.across.place(rate) * (RIGHT - LEFT)
    }

    fn y(&self, loss: f64) -> f64 {
        BOTTOM - self.down.place(loss) * (BOTTOM - TOP)
    }

    fn line(&self, page: &mut Page, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let seen = |loss: f64| drawable(loss) && (0.0..=1.0).contains(&self.down.place(loss));
        let mut path = String::new();
        let mut pen = 'M';
        for (rate, loss) in points {
            match seen(loss) {
                true => {
                    path += &format!("{pen}{:.1} {:.1}", self.x(rate), self.y(loss));
                    pen = 'L';
                }
                false => pen = 'M',
            }
        }
        writeln!(page, "<g class=\"line {class}\"><path d=\"{path}\"/></g>");
    }
}

/// A rate in as few signs as tell it.
fn rate(x: f64) -> String {
    if (1e-3..1e4).contains(&x) { significant(x, 2) } else { format!("{x:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_curve_and_what_it_suggests_and_fetches_nothing() {
        let loss = |i: usize| if i < 40 { 2.3 - 0.04 * i as f64 } else { 0.7 + (i as f64 - 40.0) };
        let points = (0..50)
            .map(|i| RatePoint { rate: 1e-6 * 1.4f64.powi(i as i32), loss: loss(i), smoothed: loss(i) })
            .collect::<Vec<_>>();
        let sweep = RateSweep {
            schema: 1,
            net: "<b>net</b>".to_string(),
            optimizer: "sgd".to_string(),
            batch: 64,
            suggested: 0.07,
            lowest: 0.7,
            points,
        };
        let page = render_rates(&sweep);
        assert!(page.contains("&lt;b&gt;net") && !page.contains("<b>net</b>"));
        assert!(page.contains("suggested 0.07") && page.contains("default-src 'none'"));
        assert_eq!(page.matches("class=\"line ").count(), 2);
        assert!(!page.contains("NaN") && !page.contains("http://"));
    }
}
