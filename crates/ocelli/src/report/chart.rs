//! Line charts as inline SVG: axes with units, grid lines, a legend with figures, the extreme value and the best
//! checkpoint marked, and the values under the pointer — by style sheet alone.

use super::html::{Page, text};
use super::number;
use super::scale::{Scale, drawable, thin};

/// A line chart over epochs.
pub(super) struct Chart<'a> {
    /// Makes the SVG's ids unique within the page.
    pub(super) id: &'a str,
    /// Heading.
    pub(super) title: &'a str,
    /// What stands beside the heading: unit and kind of axis.
    pub(super) unit: &'a str,
    /// Positions of the points, ascending.
    pub(super) epochs: &'a [f64],
    /// The lines.
    pub(super) series: Vec<Series<'a>>,
    /// The epoch with the best held-out accuracy.
    pub(super) best: Option<f64>,
    /// Vertical axis.
    pub(super) scale: Scale,
    /// Which end of the axis is the good one.
    pub(super) goal: Goal,
    /// How values are written.
    pub(super) show: Show,
    /// How ticks are written, given the distance between two of them.
    pub(super) show_tick: ShowTick,
}

/// Writes a value.
pub(super) type Show = fn(f64) -> String;
/// Writes a tick, given the distance between two of them.
pub(super) type ShowTick = fn(f64, f64) -> String;

/// One line of a chart.
pub(super) struct Series<'a> {
    /// Name in the legend.
    pub(super) name: &'a str,
    /// Style class: `train`, `held` or `extra`; the extreme value is marked on the line `held`.
    pub(super) class: &'a str,
    /// One value per epoch.
    pub(super) values: Vec<Option<f64>>,
}

/// Which values of a chart are worth naming.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Small values, as of a loss.
    Lowest,
    /// Large values, as of an accuracy.
    Highest,
    /// Neither, as of a learning rate.
    Neither,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = HEIGHT - 40.0;
/// More points than this on a line cannot be told apart at the width of a page.
const POINTS: usize = 400;
/// More places than this cannot be told apart by a pointer.
const READOUTS: usize = 100;

/// Writes the chart as a `<figure>`.
pub(super) fn line_chart(page: &mut Page, chart: &Chart<'_>) {
    let Chart { id, title, unit, .. } = chart;
    write!(
        page,
        "<figure class=\"chart\">\n<figcaption><h3>{}</h3> <span>{}</span></figcaption>\n",
        text(title),
        text(unit)
    );
    write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
         <title id=\"{id}-t\">{} over epochs</title>\n<desc id=\"{id}-d\">{}</desc>\n",
        text(title),
        text(&description(chart)),
    );
    let across = Across { scale: Scale::tight(chart.epochs.iter().copied(), 6) };
    axes(page, chart, &across);
    best_line(page, chart, &across);
    for series in &chart.series {
        line(page, chart, series, &across);
    }
    extreme_mark(page, chart, &across);
    readouts(page, chart, &across);
    writeln!(page, "</svg>");
    legend(page, chart);
    not_finite_note(page, chart);
    writeln!(page, "</figure>");
}

/// A line without axes, for a table cell; `label` says in words what it shows.
pub(super) fn sparkline(page: &mut Page, values: &[Option<f64>], scale: &Scale, label: &str) {
    const WIDTH: f64 = 140.0;
    const HEIGHT: f64 = 34.0;
    let kept = thin(values.len(), 140, &[&|i| values[i]]);
    let last = values.len().saturating_sub(1).max(1) as f64;
    let at = |i: usize| Some((3.0 + i as f64 / last * (WIDTH - 6.0), values[i].filter(|&v| drawable(v))?));
    let points: Vec<_> = kept
        .into_iter()
        .map(|i| at(i).map(|(x, value)| (x, HEIGHT - 3.0 - scale.place(value) * (HEIGHT - 6.0))))
        .collect();
    write!(
        page,
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{}",
        text(label),
        marks(&points),
    );
    if let Some((x, y)) = points.iter().rev().flatten().next() {
        write!(page, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.2\"/>");
    }
    write!(page, "</svg>");
}

/// The horizontal axis in the SVG's units.
struct Across {
    scale: Scale,
}

impl Across {
    fn x(&self, epoch: f64) -> f64 {
        LEFT + self.scale.place(epoch) * (RIGHT - LEFT)
    }

    /// Where a text near `x` should be anchored so as to stay inside the chart.
    fn anchor(x: f64) -> &'static str {
        match (x - LEFT) / (RIGHT - LEFT) {
            place if place < 0.2 => "start",
            place if place > 0.8 => "end",
            _ => "middle",
        }
    }
}

fn y(chart: &Chart<'_>, value: f64) -> f64 {
    BOTTOM - chart.scale.place(value) * (BOTTOM - TOP)
}

/// The chart in one sentence per line, for those who do not see it.
fn description(chart: &Chart<'_>) -> String {
    let mut sentences = String::new();
    for series in &chart.series {
        let mut drawn = points(chart, series);
        let (Some(first), last) = (drawn.next(), drawn.last()) else { continue };
        let last = last.unwrap_or(first);
        sentences += &format!(
            "{}: {} at epoch {}, {} at epoch {}. ",
            series.name,
            (chart.show)(first.1),
            epoch(first.0),
            (chart.show)(last.1),
            epoch(last.0),
        );
    }
    sentences.trim_end().to_owned()
}

fn axes(page: &mut Page, chart: &Chart<'_>, across: &Across) {
    writeln!(page, "<g class=\"axes\">");
    let step = chart.scale.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    for &tick in &chart.scale.ticks {
        let y = y(chart, tick);
        writeln!(
            page,
            "<path d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            text(&(chart.show_tick)(tick, step)),
        );
    }
    for &tick in &across.scale.ticks {
        let x = across.x(tick);
        writeln!(
            page,
            "<path d=\"M{x:.1} {BOTTOM}v5\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 18.0,
            epoch(tick),
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    write!(page, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">epoch</text>\n</g>\n", HEIGHT - 4.0);
}

fn best_line(page: &mut Page, chart: &Chart<'_>, across: &Across) {
    let Some(best) = chart.best.filter(|&epoch| (0.0..=1.0).contains(&across.scale.place(epoch))) else {
        return;
    };
    let x = across.x(best);
    writeln!(
        page,
        "<g class=\"best\"><path d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{}\">\
         best epoch, {}</text></g>",
        TOP - 8.0,
        Across::anchor(x),
        epoch(best),
    );
}

fn line(page: &mut Page, chart: &Chart<'_>, series: &Series<'_>, across: &Across) {
    let points: Vec<_> = thin(chart.epochs.len(), POINTS, &[&|i| series.values[i]])
        .into_iter()
        // What was not measured is passed over; what cannot be drawn breaks the line.
        .filter_map(|i| series.values[i].map(|value| (chart.epochs[i], value)))
        .map(|(epoch, value)| drawable(value).then(|| (across.x(epoch), y(chart, value))))
        .collect();
    writeln!(page, "<g class=\"line {}\">{}</g>", series.class, marks(&points));
}

/// A path through the points, broken at each `None`; points without neighbours become dots.
fn marks(points: &[Option<(f64, f64)>]) -> String {
    let (mut path, mut dots) = (String::new(), String::new());
    for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
        for (i, (x, y)) in run.iter().flatten().enumerate() {
            let pen = if i == 0 { 'M' } else { 'L' };
            path += &format!("{pen}{x:.1} {y:.1}");
            if run.len() == 1 {
                dots += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
            }
        }
    }
    format!("<path d=\"{path}\"/>{dots}")
}

/// A dot and a number at the best held-out value, or where there is none at the best of the first line.
fn extreme_mark(page: &mut Page, chart: &Chart<'_>, across: &Across) {
    let with_extreme = |series| Some((series, extreme(chart, series)?));
    let held = chart.series.iter().filter(|series| series.class == "held").find_map(with_extreme);
    let Some((series, (epoch, value))) = held.or_else(|| chart.series.iter().find_map(with_extreme)) else {
        return;
    };
    let (x, y) = (across.x(epoch), y(chart, value));
    // On the worse side: on the better one runs the training line. Unless the frame ends there.
    let (above, below) = (y - 9.0, y + 19.0);
    let above_fits = above > TOP + 12.0;
    let label = if chart.goal == Goal::Lowest && above_fits || below > BOTTOM - 3.0 { above } else { below };
    writeln!(
        page,
        "<g class=\"extreme {}\"><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text x=\"{x:.1}\" y=\"{label:.1}\" text-anchor=\"{}\">{}</text></g>",
        series.class,
        Across::anchor(x),
        text(&(chart.show)(value)),
    );
}

/// Invisible columns that show the values under the pointer.
fn readouts(page: &mut Page, chart: &Chart<'_>, across: &Across) {
    let values: Vec<_> = chart.series.iter().map(|series| |i: usize| series.values[i]).collect();
    let values: Vec<&dyn Fn(usize) -> Option<f64>> = values.iter().map(|f| f as _).collect();
    let kept = thin(chart.epochs.len(), READOUTS, &values);
    let xs: Vec<f64> = kept.iter().map(|&i| across.x(chart.epochs[i])).collect();
    for (place, (&i, &x)) in kept.iter().zip(&xs).enumerate() {
        let left = if place == 0 { LEFT } else { f64::midpoint(xs[place - 1], x) };
        let right = xs.get(place + 1).map_or(RIGHT, |&next| f64::midpoint(x, next));
        let shown =
            chart.series.iter().filter_map(|s| Some(format!("{} {}", s.name, (chart.show)(s.values[i]?))));
        let shown: Vec<String> = shown.collect();
        writeln!(
            page,
            "<g class=\"at\"><rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"/>\
             <path d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text x=\"{LEFT}\" y=\"14\">epoch {}: {}</text></g>",
            (right - left).max(0.0),
            BOTTOM - TOP,
            epoch(chart.epochs[i]),
            text(&shown.join(" · ")),
        );
    }
}

fn legend(page: &mut Page, chart: &Chart<'_>) {
    let goal = match chart.goal {
        Goal::Lowest => "lowest",
        Goal::Highest => "highest",
        Goal::Neither => "",
    };
    write!(
        page,
        "<table class=\"legend\"><thead><tr><th scope=\"col\"><span class=\"unseen\">line</span></th><th scope=\"col\">last</th>"
    );
    if chart.goal == Goal::Neither {
        write!(page, "<th scope=\"col\">lowest</th><th scope=\"col\">highest</th>");
    } else {
        write!(page, "<th scope=\"col\">{goal}</th><th scope=\"col\">at epoch</th>");
    }
    writeln!(page, "</tr></thead><tbody>");
    for series in &chart.series {
        let last = points(chart, series).last().map(|(_, value)| value);
        write!(
            page,
            "<tr><th scope=\"row\"><svg class=\"key\" viewBox=\"0 0 24 8\" aria-hidden=\"true\"><g class=\"line {}\">\
             <path d=\"M1 4H23\"/></g></svg>{}</th><td>{}</td>",
            series.class,
            text(series.name),
            text(&number::or_nothing(last, chart.show)),
        );
        let (low, high) = ends(chart, series).unzip();
        let pair = match chart.goal {
            Goal::Neither => {
                [low, high].map(|end| number::or_nothing(end.map(|(_, value)| value), chart.show))
            }
            goal => {
                let end = if goal == Goal::Lowest { low } else { high };
                [
                    number::or_nothing(end.map(|e| e.1), chart.show),
                    number::or_nothing(end.map(|e| e.0), epoch),
                ]
            }
        };
        writeln!(page, "<td>{}</td><td>{}</td></tr>", text(&pair[0]), text(&pair[1]));
    }
    writeln!(page, "</tbody></table>");
}

/// Names what the chart cannot draw.
fn not_finite_note(page: &mut Page, chart: &Chart<'_>) {
    for series in &chart.series {
        let broken: Vec<f64> = (chart.epochs.iter().zip(&series.values))
            .filter(|(_, value)| value.is_some_and(|v| !drawable(v)))
            .map(|(&epoch, _)| epoch)
            .collect();
        if let [first, ..] = broken[..] {
            writeln!(
                page,
                "<p class=\"note warning\">{}: not a finite number at {} of {} points, first at epoch {}.</p>",
                text(series.name),
                number::count(broken.len() as u64),
                number::count(chart.epochs.len() as u64),
                epoch(first),
            );
        }
    }
}

/// Epoch and value.
type Point = (f64, f64);

/// What can be drawn of a series.
fn points<'a>(chart: &'a Chart<'_>, series: &'a Series<'_>) -> impl Iterator<Item = Point> + 'a {
    let values = series.values.iter().map(|value| value.filter(|&v| drawable(v)));
    chart.epochs.iter().zip(values).filter_map(|(&epoch, value)| Some((epoch, value?)))
}

/// The lowest and the highest point of a series; of equal ones the first.
fn ends(chart: &Chart<'_>, series: &Series<'_>) -> Option<(Point, Point)> {
    let low = points(chart, series).reduce(|best, point| if point.1 < best.1 { point } else { best })?;
    let high = points(chart, series).reduce(|best, point| if point.1 > best.1 { point } else { best })?;
    Some((low, high))
}

/// The point that the goal asks for.
fn extreme(chart: &Chart<'_>, series: &Series<'_>) -> Option<Point> {
    let (low, high) = ends(chart, series)?;
    match chart.goal {
        Goal::Lowest => Some(low),
        Goal::Highest => Some(high),
        Goal::Neither => None,
    }
}

/// An epoch without needless decimals.
pub(super) fn epoch(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
