//! The network layer by layer, and how its layers fared.

use super::chart::{Show, sparkline};
use super::html::{Page, scroll_box, text};
use super::number::{NOTHING, count, percent, si, significant};
use super::scale::Scale;
use super::{HealthRow, LayerHealth, LayerRow, Report};

/// From this share of dead or saturated units on, a layer is worth a look.
const ALARMING: f64 = 0.5;

/// The table of layers with its sums.
pub(super) fn network(page: &mut Page, report: &Report) {
    writeln!(
        page,
        "<p>Shapes are channels × height × width of one image. FLOPs are those of the forward pass for one image, \
         a multiply-add counting two.</p>"
    );
    scroll_box(page, "Layers", |page| layer_table(page, &report.layers));
}

fn layer_table(page: &mut Page, layers: &[LayerRow]) {
    let parameters: u64 = layers.iter().map(|layer| layer.parameters).fold(0, u64::saturating_add);
    let flops: u64 = layers.iter().map(|layer| layer.flops).fold(0, u64::saturating_add);
    writeln!(
        page,
        "<table class=\"numbers\"><thead><tr><th scope=\"col\">Layer</th><th scope=\"col\" class=\"words\">Operation</th>\
         <th scope=\"col\">Output</th><th scope=\"col\">Parameters</th><th scope=\"col\">FLOPs</th>\
         <th scope=\"col\">Receptive field</th></tr></thead><tbody>"
    );
    for layer in layers {
        let shape: Vec<String> = layer.output.iter().map(usize::to_string).collect();
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td {}</td><td {}</td><td>{}</td></tr>",
            text(&layer.name),
            text(&layer.op),
            shape.join("×"),
            Part(layer.parameters, parameters, count),
            Part(layer.flops, flops, si),
            layer
                .receptive_field
                .map_or_else(|| NOTHING.to_owned(), |[height, width]| format!("{height}×{width}")),
        );
    }
    write!(
        page,
        "</tbody><tfoot><tr><th scope=\"row\">Total</th><td></td><td></td><td>{}</td><td>{}</td><td></td></tr></tfoot></table>",
        count(parameters),
        si(flops),
    );
}

/// A number with a bar for its share of the total: attributes and content of a cell.
struct Part(u64, u64, fn(u64) -> String);

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let &Self(part, total, show) = self;
        if part == 0 {
            return write!(f, "class=\"zero\">0");
        }
        write!(f, "class=\"bar\" style=\"--share:{:.4}\">{}", part as f64 / total as f64, show(part))
    }
}

/// One row per layer: gradient norm, dead and saturated units, over the epochs and at the end.
pub(super) fn health(page: &mut Page, report: &Report) {
    writeln!(
        page,
        "<p>Over the epochs, and at the last one. Gradient norms of all layers share one logarithmic axis, so that heights \
         can be compared down the column; shares run from 0 to 100%.</p>"
    );
    scroll_box(page, "Health of layers", |page| health_table(page, &report.health));
}

fn health_table(page: &mut Page, layers: &[LayerHealth]) {
    let all = || layers.iter().flat_map(|layer| &layer.epochs);
    let shares: Vec<_> = SHARES.iter().filter(|(_, column)| all().any(|row| column(row).is_some())).collect();
    write!(
        page,
        "<table class=\"numbers health\"><thead><tr><th scope=\"col\">Layer</th>\
         <th scope=\"col\" colspan=\"2\">Gradient norm</th>"
    );
    for (heading, _) in &shares {
        write!(page, "<th scope=\"col\" colspan=\"2\">{heading}</th>");
    }
    writeln!(page, "</tr></thead><tbody>");
    let norms = Scale::logarithmic(all().filter_map(|row| row.gradient_norm));
    let mut fractions = Scale::linear([0.0, 1.0], 2);
    fractions.cut(0.0, 1.0);
    for layer in layers {
        write!(page, "<tr><th scope=\"row\">{}</th>", text(&layer.layer));
        let norm = Trend { what: "gradient norm", column: |row| row.gradient_norm, alarming: f64::INFINITY };
        norm.write(page, layer, &norms, |v| significant(v, 3));
        for &(what, column) in &shares {
            let share = Trend { what, column: *column, alarming: ALARMING };
            share.write(page, layer, &fractions, |v| percent(v, 1));
        }
        writeln!(page, "</tr>");
    }
    write!(page, "</tbody></table>");
}

type Column = fn(&HealthRow) -> Option<f64>;

const SHARES: [(&str, Column); 2] = [("Dead units", |row| row.dead), ("Saturated", |row| row.saturated)];

/// One quantity of a layer over the epochs.
struct Trend {
    what: &'static str,
    column: Column,
    /// From this value on it is marked.
    alarming: f64,
}

impl Trend {
    /// A line over the epochs and the last value, in two cells.
    fn write(&self, page: &mut Page, layer: &LayerHealth, scale: &Scale, show: Show) {
        let values: Vec<Option<f64>> = layer.epochs.iter().map(self.column).collect();
        let mut measured = values.iter().flatten().copied();
        let Some(first) = measured.next() else {
            write!(page, "<td></td><td class=\"zero\">{NOTHING}</td>");
            return;
        };
        let last = measured.next_back().unwrap_or(first);
        let label = format!("{}, {}: from {} to {}", layer.layer, self.what, show(first), show(last));
        write!(page, "<td class=\"trend\">");
        sparkline(page, &values, scale, &label);
        // NaN is alarming too, and compares false with everything.
        let alarm = !last.is_finite() || last >= self.alarming;
        let (class, mark) = if alarm { (" class=\"alarm\"", "▲ ") } else { ("", "") };
        write!(page, "</td><td{class}>{mark}{}</td>", text(&show(last)));
    }
}
