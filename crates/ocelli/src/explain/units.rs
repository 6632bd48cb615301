//! A small network drawn unit by unit, as the lecture draws its worked example.

use super::draw::short;
use super::trace::{LayerTrace, Trace};
use crate::figure::html::{Page, text};
use crate::figure::{Panel, width_of};

/// Units of a layer, layers, and edges with a label, that can be told apart in a drawing.
const MOST_UNITS: usize = 8;
const MOST_COLUMNS: usize = 6;
const MOST_LABELS: usize = 9;

/// Distances between columns and rows of units, and a unit's radius.
const ACROSS: f64 = 290.0;
const DOWN: f64 = 150.0;
const RADIUS: f64 = 24.0;
/// Room on the left, above and below the middles of the outermost units, and for the cost on the right.
const LEFT: f64 = 60.0;
const ABOVE: f64 = 86.0;
const BELOW: f64 = 66.0;
const RIGHT: f64 = 210.0;

/// The units of a network that is a chain of linear layers and non-linearities.
pub(super) struct UnitGraph {
    columns: Vec<Column>,
    cost: [String; 3],
}

/// The units of a layer, with what is applied to their sums.
struct Column {
    /// The layer's sums a, where they are not the values themselves.
    sums: Option<LayerTrace>,
    /// Its values x.
    values: LayerTrace,
    /// The linear layer that computes the sums; the first column has none.
    linear: Option<LayerTrace>,
}

impl UnitGraph {
    /// The units of a traced network, if it is such a chain and small enough to be drawn so.
    pub(super) fn of(trace: &Trace) -> Option<UnitGraph> {
        let mut columns: Vec<Column> = Vec::new();
        for (i, layer) in trace.layers.iter().enumerate() {
            let chained = match i.checked_sub(1) {
                None => layer.reads.is_empty(),
                Some(before) => layer.reads == [trace.layers[before].layer.clone()],
            };
            if !chained || layer.shape.len() != 1 || layer.value.len() > MOST_UNITS {
                return None;
            }
            match layer.op {
                "input" => columns.push(Column { sums: None, values: layer.clone(), linear: None }),
                "linear" => {
                    columns.push(Column { sums: None, values: layer.clone(), linear: Some(layer.clone()) });
                }
                "sigmoid" | "tanh" | "scaled_tanh" | "relu" | "leaky_relu" | "relu6" => {
                    let column = columns.last_mut().filter(|c| c.linear.is_some() && c.sums.is_none())?;
                    column.sums = Some(std::mem::replace(&mut column.values, layer.clone()));
                }
                _ => return None,
            }
        }
        let target = trace.target.iter().map(|&y| short(y)).collect::<Vec<_>>().join(", ");
        let cost = [
            format!("target y = {target}"),
            format!("cost C = {}", short(trace.cost)),
            format!("after the step {}", short(trace.cost_after)),
        ];
        (columns.len() <= MOST_COLUMNS).then_some(UnitGraph { columns, cost })
    }

    fn tallest(&self) -> usize {
        self.columns.iter().map(|column| column.values.value.len()).max().unwrap_or(1)
    }

    /// The middle of a unit.
    fn middle(&self, column: usize, unit: usize) -> [f64; 2] {
        let (tallest, units) = (self.tallest(), self.columns[column].values.value.len());
        let offset = (tallest - units) as f64 / 2.0;
        [LEFT + ACROSS * column as f64, ABOVE + DOWN * (offset + unit as f64)]
    }

    /// How many units stand in the columns before: the lecture numbers them through.
    fn number(&self, column: usize, unit: usize) -> usize {
        self.columns[..column].iter().map(|column| column.values.value.len()).sum::<usize>() + unit + 1
    }

    fn edges(&self, page: &mut Page, [x0, y0]: [f64; 2]) {
        for (c, column) in self.columns.iter().enumerate() {
            let Some(weights) = column.linear.as_ref().and_then(|linear| linear.params.first()) else {
                continue;
            };
            let inputs = self.columns[c - 1].values.value.len();
            let most =
                weights.before.iter().fold(0.0, |most: f64, w| most.max(w.abs())).max(f64::MIN_POSITIVE);
            for (k, (before, (gradient, after))) in
                weights.before.iter().zip(weights.gradient.iter().zip(&weights.after)).enumerate()
            {
                let ([x1, y1], [x2, y2]) = (self.middle(c - 1, k % inputs), self.middle(c, k / inputs));
                let length = (x2 - x1).hypot(y2 - y1);
                let (ux, uy) = ((x2 - x1) / length, (y2 - y1) / length);
                let [x1, y1, x2, y2] = [
                    x0 + x1 + ux * RADIUS,
                    y0 + y1 + uy * RADIUS,
                    x0 + x2 - ux * RADIUS,
                    y0 + y2 - uy * RADIUS,
                ];
                let (color, width) = (if *before < 0.0 { 3 } else { 5 }, 0.75 + 1.75 * before.abs() / most);
                writeln!(
                    page,
                    "<g class=\"c{color}\"><path class=\"curve\" style=\"stroke-width:{width:.2}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/></g>"
                );
                if weights.before.len() <= MOST_LABELS {
                    // Nearer to where edges begin than to where they meet.
                    let (x, y) = (x1 + 0.36 * (x2 - x1), y1 + 0.36 * (y2 - y1));
                    let label = format!("w {} → {}", short(*before), short(*after));
                    write_label(page, x, y - 3.0, 5, &label);
                    write_label(page, x, y + 12.0, 1, &format!("∂C/∂w {}", short(*gradient)));
                }
            }
        }
    }

    fn unit(&self, page: &mut Page, [x0, y0]: [f64; 2], c: usize, unit: usize) {
        let column = &self.columns[c];
        let [x, y] = self.middle(c, unit);
        let (x, y) = (x0 + x, y0 + y);
        let (name, of) = (self.number(c, unit), column.values.op);
        let function = if matches!(of, "input" | "linear") { "" } else { of };
        let up = if function.is_empty() { 4.0 } else { -1.0 };
        writeln!(
            page,
            "<g class=\"c0\"><circle class=\"rings\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\"/></g>\
             <text class=\"title\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"font-size:10px\">{}</text>",
            y + up,
            y + 12.0,
            text(function),
        );
        let below = y + RADIUS + 15.0;
        write_label(page, x, below, 0, &format!("x {}", short(column.values.value[unit])));
        write_label(page, x, below + 15.0, 1, &format!("∂C/∂x {}", short(column.values.gradient[unit])));
        let mut above = y - RADIUS - 7.0;
        if let Some(sums) = &column.sums {
            write_label(page, x, above, 1, &format!("∂C/∂a {}", short(sums.gradient[unit])));
            write_label(page, x, above - 15.0, 0, &format!("a {}", short(sums.value[unit])));
            above -= 30.0;
        }
        if let Some(bias) = column.linear.as_ref().and_then(|linear| linear.params.get(1)) {
            let change = format!("b {} → {}", short(bias.before[unit]), short(bias.after[unit]));
            write_label(page, x, above, 5, &change);
        }
    }
}

/// Text on a halo, so that it can stand on edges.
fn write_label(page: &mut Page, x: f64, y: f64, color: usize, label: &str) {
    writeln!(
        page,
        "<g class=\"c{color}\"><text class=\"label\" style=\"font-weight:400\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text></g>",
        text(label)
    );
}

impl Panel for UnitGraph {
    fn size(&self) -> [f64; 2] {
        let widest = self.cost.iter().map(|line| width_of(line, 12.0)).fold(0.0, f64::max);
        let width = LEFT + ACROSS * (self.columns.len() - 1) as f64 + RIGHT.max(widest + 70.0);
        [width, ABOVE + DOWN * (self.tallest() - 1) as f64 + BELOW]
    }

    fn draw(&self, page: &mut Page, x: f64, y: f64) {
        self.edges(page, [x, y]);
        for (c, column) in self.columns.iter().enumerate() {
            for unit in 0..column.values.value.len() {
                self.unit(page, [x, y], c, unit);
            }
        }
        let last = self.columns.len() - 1;
        let right = x + LEFT + ACROSS * last as f64 + RADIUS + 36.0;
        let middle = y + ABOVE + DOWN * (self.tallest() - 1) as f64 / 2.0;
        for (line, words) in self.cost.iter().enumerate() {
            writeln!(
                page,
                "<text class=\"strong\" x=\"{right:.1}\" y=\"{:.1}\">{}</text>",
                middle - 12.0 + 17.0 * line as f64,
                text(words)
            );
        }
    }
}
