//! Plots: lines, points and bands on two axes.

use super::html::{Page, text};
use super::number::{power_tick, tick};
use super::scale::{Scale, drawable, thin};
use super::sheet::{Panel, width_of};

/// How many colours the style sheet has for series.
pub(crate) const COLORS: usize = 6;
/// More points than this on a line cannot be told apart at the width of a page.
const POINTS: usize = 600;
/// Room for the heading, for each line of the legend, and for numbers and names of the axes.
const HEADING: f64 = 22.0;
const LEGEND: f64 = 17.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 10.0;
const BELOW: f64 = 38.0;

/// How the points of a series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A line through them.
    Line,
    /// A thinner line.
    Thin,
    /// A dashed line.
    Dashed,
    /// Dots.
    Dots,
    /// Rings.
    Rings,
    /// The area between the first half of the points and the second, which runs backwards.
    Band,
}

struct Series {
    name: String,
    points: Vec<[f64; 2]>,
    mark: Mark,
    color: usize,
}

/// A plot. Axes span what is drawn unless they are told otherwise.
pub(crate) struct Plot {
    title: String,
    names: [String; 2],
    series: Vec<Series>,
    labels: Vec<([f64; 2], String, usize)>,
    rules: Vec<(usize, f64, String)>,
    logarithmic: [bool; 2],
    limits: [Option<[f64; 2]>; 2],
    size: [f64; 2],
}

impl Plot {
    /// An empty plot of that title and names of the axes, units included.
    pub(crate) fn new(title: &str, x: &str, y: &str) -> Plot {
        Plot {
            title: title.to_owned(),
            names: [x, y].map(str::to_owned),
            series: Vec::new(),
            labels: Vec::new(),
            rules: Vec::new(),
            logarithmic: [false; 2],
            limits: [None; 2],
            size: [400.0, 280.0],
        }
    }

    /// Width and height, everything included.
    pub(crate) fn size(self, width: f64, height: f64) -> Plot {
        Plot { size: [width, height], ..self }
    }

    /// A logarithmic horizontal axis.
    pub(crate) fn log_x(mut self) -> Plot {
        self.logarithmic[0] = true;
        self
    }

    /// A logarithmic vertical axis.
    pub(crate) fn log_y(mut self) -> Plot {
        self.logarithmic[1] = true;
        self
    }

    /// The ends of the horizontal axis; what lies beyond is not drawn.
    pub(crate) fn x_limits(mut self, low: f64, high: f64) -> Plot {
        self.limits[0] = Some([low, high]);
        self
    }

    /// The ends of the vertical axis; what lies beyond is not drawn.
    pub(crate) fn y_limits(mut self, low: f64, high: f64) -> Plot {
        self.limits[1] = Some([low, high]);
        self
    }

    /// Adds a series in the next colour. Without a name it is not in the legend.
    pub(crate) fn series(self, name: &str, mark: Mark, points: impl IntoIterator<Item = [f64; 2]>) -> Plot {
        let color = self.series.len();
        self.colored(name, mark, color, points)
    }

    /// Adds a series in a colour of its own choice: 0 blue, 1 orange, 2 green, 3 violet, 4 ochre, 5 grey.
    pub(crate) fn colored(
        mut self,
        name: &str,
        mark: Mark,
        color: usize,
        points: impl IntoIterator<Item = [f64; 2]>,
    ) -> Plot {
        let points = points.into_iter().collect();
        self.series.push(Series { name: name.to_owned(), points, mark, color: color % COLORS });
        self
    }

    /// Writes a word at a point.
    pub(crate) fn label(mut self, at: [f64; 2], word: &str, color: usize) -> Plot {
        self.labels.push((at, word.to_owned(), color % COLORS));
        self
    }

    /// A dotted vertical line with a word.
    pub(crate) fn rule_x(mut self, at: f64, word: &str) -> Plot {
        self.rules.push((0, at, word.to_owned()));
        self
    }

    /// A dotted horizontal line with a word.
    pub(crate) fn rule_y(mut self, at: f64, word: &str) -> Plot {
        self.rules.push((1, at, word.to_owned()));
        self
    }

    /// The values along an axis.
    fn along(&self, axis: usize) -> impl Iterator<Item = f64> + '_ {
        let rules = self.rules.iter().filter(move |rule| rule.0 == axis).map(|rule| rule.1);
        self.series.iter().flat_map(|series| &series.points).map(move |point| point[axis]).chain(rules)
    }

    /// How much is drawn in an area, which a word would lie over.
    fn crowd(&self, frame: &Frame, [left, right, top, bottom]: [f64; 4]) -> usize {
        /// Points of the line from one point to the next that are looked at.
        const STEPS: usize = 8;
        let inside = |[x, y]: [f64; 2]| (left..right).contains(&x) && (top..bottom).contains(&y);
        let between = |a: [f64; 2], b: [f64; 2]| {
            let at = |i: usize| [0, 1].map(|axis| a[axis] + (b[axis] - a[axis]) * i as f64 / STEPS as f64);
            (0..STEPS).filter(|&i| inside(at(i))).count()
        };
        let pairs = self.series.iter().flat_map(|series| series.points.windows(2));
        pairs.map(|pair| between(frame.at(pair[0]), frame.at(pair[1]))).sum()
    }

    fn scale(&self, axis: usize) -> Scale {
        match (self.limits[axis], self.logarithmic[axis]) {
            (Some(ends), false) => Scale::tight(ends, 5),
            (Some(ends), true) => Scale::logarithmic(ends).strict(),
            (None, true) => Scale::logarithmic(self.along(axis)),
            (None, false) if axis == 0 => Scale::tight(self.along(axis), 6),
            (None, false) => Scale::linear(self.along(axis), 5),
        }
    }

    /// Names of series in lines of the legend, with where each begins.
    fn legend(&self) -> Vec<Vec<(f64, &Series)>> {
        let room = self.size[0] - LEFT - RIGHT;
        let mut lines: Vec<Vec<(f64, &Series)>> = Vec::new();
        let mut end = f64::INFINITY;
        for series in self.series.iter().filter(|series| !series.name.is_empty()) {
            let width = 26.0 + width_of(&series.name, 12.0) + 14.0;
            if end + width > room + 14.0 {
                lines.push(Vec::new());
                end = 0.0;
            }
            lines.last_mut().expect("a line").push((end, series));
            end += width;
        }
        lines
    }
}

/// The frame of a plot in the drawing.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    scales: [Scale; 2],
}

impl Frame {
    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [across, up] = [self.scales[0].place(x), self.scales[1].place(y)];
        [self.left + across * self.width, self.top + (1.0 - up) * self.height]
    }

    /// Whether a point can be drawn and lies in the frame, by a hair at least.
    fn holds(&self, point: [f64; 2]) -> bool {
        let inside = |axis: usize| (-1e-6..=1.0 + 1e-6).contains(&self.scales[axis].place(point[axis]));
        point.iter().all(|&v| drawable(v)) && inside(0) && inside(1)
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn right(&self) -> f64 {
        self.left + self.width
    }
}

impl Panel for Plot {
    fn size(&self) -> [f64; 2] {
        self.size
    }

    fn draw(&self, page: &mut Page, x: f64, y: f64) {
        let legend = self.legend();
        let top = y + if self.title.is_empty() { 6.0 } else { HEADING } + LEGEND * legend.len() as f64;
        let frame = Frame {
            left: x + LEFT,
            top,
            width: self.size[0] - LEFT - RIGHT,
            height: (y + self.size[1] - BELOW - top).max(20.0),
            scales: [self.scale(0), self.scale(1)],
        };
        if !self.title.is_empty() {
            writeln!(
                page,
                "<text class=\"title\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                y + 12.0,
                text(&self.title)
            );
        }
        for (line, entries) in legend.iter().enumerate() {
            let middle = top - LEGEND * (legend.len() - line) as f64 + 2.0;
            for (start, series) in entries {
                key(page, series, frame.left + start, middle);
            }
        }
        axes(page, &frame, &self.names);
        for (axis, at, word) in &self.rules {
            rule(page, &frame, *axis, *at, word, &|area| self.crowd(&frame, area));
        }
        for series in &self.series {
            draw_series(page, &frame, series);
        }
        for (at, word, color) in self.labels.iter().filter(|label| frame.holds(label.0)) {
            let [x, y] = frame.at(*at);
            let anchor = if x > frame.right() - width_of(word, 12.0) - 8.0 { "end" } else { "start" };
            let x = if anchor == "end" { x - 7.0 } else { x + 7.0 };
            writeln!(
                page,
                "<g class=\"c{color}\"><text class=\"label\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text></g>",
                y - 6.0,
                text(word)
            );
        }
    }
}

/// One entry of the legend.
fn key(page: &mut Page, series: &Series, x: f64, y: f64) {
    let ends = [[x, y], [x + 20.0, y]];
    let middle = [[x + 10.0, y]];
    let box_ = [[x, y - 4.0], [x + 20.0, y - 4.0], [x + 20.0, y + 4.0], [x, y + 4.0]];
    let points = match series.mark {
        Mark::Dots | Mark::Rings => &middle[..],
        Mark::Band => &box_[..],
        _ => &ends[..],
    };
    write!(page, "<g class=\"c{}\">", series.color);
    shape(page, series.mark, points);
    writeln!(page, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>", x + 26.0, y + 4.0, text(&series.name));
}

/// Points of the drawing as their mark says.
fn shape(page: &mut Page, mark: Mark, points: &[[f64; 2]]) {
    let dots = |page: &mut Page, class: &str, radius: f64| {
        for [x, y] in points {
            write!(page, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>");
        }
    };
    let mut path = String::new();
    for (i, [x, y]) in points.iter().enumerate() {
        path += &format!("{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
    }
    match mark {
        Mark::Dots => dots(page, "dots", 3.0),
        Mark::Rings => dots(page, "rings", 4.0),
        Mark::Band => write!(page, "<path class=\"band\" d=\"{path}Z\"/>"),
        Mark::Line => write!(page, "<path class=\"curve\" d=\"{path}\"/>"),
        Mark::Thin => write!(page, "<path class=\"curve thin\" d=\"{path}\"/>"),
        Mark::Dashed => write!(page, "<path class=\"curve thin dashed\" d=\"{path}\"/>"),
    }
}

fn draw_series(page: &mut Page, frame: &Frame, series: &Series) {
    let points = &series.points;
    write!(page, "<g class=\"c{}\">", series.color);
    if matches!(series.mark, Mark::Dots | Mark::Rings | Mark::Band) {
        let drawn: Vec<_> = points.iter().filter(|p| frame.holds(**p)).map(|p| frame.at(*p)).collect();
        shape(page, series.mark, &drawn);
    } else {
        let kept = thin(points.len(), POINTS, &[&|i| Some(points[i][1])]);
        // What cannot be drawn breaks the line.
        for run in kept.split(|&i| !frame.holds(points[i])).filter(|run| !run.is_empty()) {
            let run: Vec<_> = run.iter().map(|&i| frame.at(points[i])).collect();
            shape(page, series.mark, &run);
        }
    }
    writeln!(page, "</g>");
}

fn axes(page: &mut Page, frame: &Frame, names: &[String; 2]) {
    let Frame { left, top, width, height, scales } = frame;
    let (right, bottom) = (frame.right(), frame.bottom());
    let number = |scale: &Scale, value: f64| {
        let step = scale.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let number = if scale.is_logarithmic() { power_tick(value) } else { tick(value, step) };
        minus(&number)
    };
    for &value in &scales[1].ticks {
        let [_, y] = frame.at([scales[0].ticks.first().copied().unwrap_or(0.0), value]);
        writeln!(
            page,
            "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            text(&number(&scales[1], value)),
        );
    }
    for &value in &scales[0].ticks {
        let x = left + scales[0].place(value) * width;
        writeln!(
            page,
            "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            text(&number(&scales[0], value)),
        );
    }
    let (middle, centre) = (left + width / 2.0, top + height / 2.0);
    writeln!(
        page,
        "<path class=\"frame\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>\
         <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text transform=\"translate({:.1} {centre:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        bottom + 33.0,
        text(&names[0]),
        left - LEFT + 11.0,
        text(&names[1]),
    );
}

/// A number with the sign that is as wide as a plus.
fn minus(number: &str) -> String {
    number.replace('-', "−")
}

/// A rule with its word, a horizontal one's at the end where less is drawn.
fn rule(page: &mut Page, frame: &Frame, axis: usize, at: f64, word: &str, crowd: &dyn Fn([f64; 4]) -> usize) {
    let place = frame.scales[axis].place(at);
    if !(0.0..=1.0).contains(&place) {
        return;
    }
    let (path, x, y, anchor) = if axis == 0 {
        let x = frame.left + place * frame.width;
        let (beside, anchor) = if place > 0.6 { (x - 5.0, "end") } else { (x + 5.0, "start") };
        (format!("M{x:.1} {:.1}V{:.1}", frame.top, frame.bottom()), beside, frame.top + 12.0, anchor)
    } else {
        let y = frame.top + (1.0 - place) * frame.height;
        let (left, right) = (frame.left + 4.0, frame.right() - 4.0);
        let wide = width_of(word, 12.0);
        let [first, last] =
            [left, right - wide].map(|from| crowd([from - 4.0, from + wide + 4.0, y - 18.0, y]));
        let (beside, anchor) = if first < last { (left, "start") } else { (right, "end") };
        (format!("M{:.1} {y:.1}H{:.1}", frame.left, frame.right()), beside, y - 5.0, anchor)
    };
    writeln!(
        page,
        "<path class=\"rule\" d=\"{path}\"/><text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        text(word)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_rule_stands_where_less_is_drawn() {
        let falling = vec![[0.0, 1.0], [1.0, 0.3], [8.0, 0.26], [10.0, 0.24]];
        let rising: Vec<[f64; 2]> = falling.iter().map(|[x, y]| [10.0 - x, *y]).rev().collect();
        for (curve, anchor) in [(falling, "start"), (rising, "end")] {
            let plot = Plot::new("", "x", "y").rule_y(0.25, "the goal").series("", Mark::Line, curve);
            assert!(drawn(&plot).contains(&format!("text-anchor=\"{anchor}\">the goal<")), "{anchor}");
        }
    }

    fn drawn(plot: &Plot) -> String {
        let mut page = Page::default();
        plot.draw(&mut page, 0.0, 0.0);
        page.finish()
    }

    #[test]
    fn a_line_breaks_where_it_cannot_be_drawn() {
        let points = [[0.0, 1.0], [1.0, f64::NAN], [2.0, 3.0], [3.0, 2.0]];
        let svg = drawn(&Plot::new("t", "x", "y").series("a & b", Mark::Line, points));
        // One of the legend, and the two runs.
        assert_eq!(svg.matches("class=\"curve\"").count(), 3, "{svg}");
        assert!(svg.contains("a &amp; b"));
    }

    #[test]
    fn what_lies_beyond_the_limits_is_not_drawn() {
        let points = [[0.0, 0.0], [0.5, 5.0], [1.0, 1.0]];
        let svg = drawn(&Plot::new("", "x", "y").y_limits(0.0, 1.0).series("", Mark::Dots, points));
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
    }

    #[test]
    fn legends_wrap_into_lines() {
        let mut plot = Plot::new("t", "x", "y");
        for _ in 0..6 {
            plot = plot.series("a rather long name", Mark::Line, [[0.0, 0.0], [1.0, 1.0]]);
        }
        assert!(plot.legend().len() > 1);
        assert!(plot.legend().iter().flatten().all(|(start, _)| *start < 400.0));
    }
}
