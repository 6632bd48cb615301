//! The network layer by layer, and how its layers fared.

use super::chart::sparkline;
use super::html::{Page, text};
use super::number::{NOTHING, count, or_nothing, percent, si, significant};
use super::scale::Scale;
use super::{HealthRow, LayerHealth, Report};

/// From this share of dead or saturated units on, a layer is worth a look.
const ALARMING: f64 = 0.5;

/// The table of layers with its sums.
pub(super) fn network(page: &mut Page, report: &Report) {
    let layers = &report.layers;
    let parameters: u64 = layers.iter().map(|layer| layer.parameters).fold(0, u64::saturating_add);
    let flops: u64 = layers.iter().map(|layer| layer.flops).fold(0, u64::saturating_add);
    let sees = layers.iter().any(|layer| layer.receptive_field.is_some());
    write!(
        page,
        "<p>Shapes are channels × height × width of one image. FLOPs are those of the forward pass for one image, \
         a multiply-add counting two.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Layers\"><table class=\"numbers\"><thead><tr>\
         <th scope=\"col\">Layer</th><th scope=\"col\" class=\"words\">Operation</th><th scope=\"col\">Output</th>\
         <th scope=\"col\">Parameters</th><th scope=\"col\">FLOPs</th>{}</tr></thead><tbody>\n",
        if sees { "<th scope=\"col\">Receptive field</th>" } else { "" },
    );
    for layer in layers {
        let shape: Vec<String> = layer.output.iter().map(usize::to_string).collect();
        write!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td {}</td><td {}</td>",
            text(&layer.name),
            text(&layer.op),
            shape.join("×"),
            Part(layer.parameters, parameters, count),
            Part(layer.flops, flops, si),
        );
        if sees {
            let side =
                layer.receptive_field.map_or_else(|| NOTHING.to_owned(), |side| format!("{side}×{side}"));
            write!(page, "<td>{side}</td>");
        }
        writeln!(page, "</tr>");
    }
    writeln!(
        page,
        "</tbody><tfoot><tr><th scope=\"row\">Total</th><td></td><td></td><td>{}</td><td>{}</td>{}</tr></tfoot>\
         </table></div>",
        count(parameters),
        si(flops),
        if sees { "<td></td>" } else { "" },
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
    let all = || report.health.iter().flat_map(|layer| &layer.epochs);
    let shares: Vec<_> = SHARES.iter().filter(|(_, column)| all().any(|row| column(row).is_some())).collect();
    write!(
        page,
        "<p>Over the epochs, and at the last one. Gradient norms of all layers share one logarithmic axis, so that heights can be \
         compared down the column; shares run from 0 to 100%.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Health of layers\"><table class=\"numbers health\">\
         <thead><tr><th scope=\"col\">Layer</th><th scope=\"col\" colspan=\"2\">Gradient norm</th>"
    );
    for (heading, _) in &shares {
        write!(page, "<th scope=\"col\" colspan=\"2\">{heading}</th>");
    }
    writeln!(page, "</tr></thead><tbody>");
    let norms = Scale::logarithmic(all().filter_map(|row| row.gradient_norm));
    let mut fractions = Scale::linear([0.0, 1.0], 2);
    fractions.cut(0.0, 1.0);
    for layer in &report.health {
        write!(page, "<tr><th scope=\"row\">{}</th>", text(&layer.layer));
        trend(
            page,
            layer,
            "gradient norm",
            |row| row.gradient_norm,
            &norms,
            |v| significant(v, 3),
            f64::INFINITY,
        );
        for (heading, column) in &shares {
            trend(page, layer, heading, *column, &fractions, |v| percent(v, 1), ALARMING);
        }
        writeln!(page, "</tr>");
    }
    writeln!(page, "</tbody></table></div>");
}

type Column = fn(&HealthRow) -> Option<f64>;

const SHARES: [(&str, Column); 2] = [("Dead units", |row| row.dead), ("Saturated", |row| row.saturated)];

/// A line over the epochs and the last value, in two cells.
fn trend(
    page: &mut Page,
    layer: &LayerHealth,
    what: &str,
    column: Column,
    scale: &Scale,
    show: fn(f64) -> String,
    alarming: f64,
) {
    let values: Vec<Option<f64>> = layer.epochs.iter().map(column).collect();
    let measured = || values.iter().flatten().copied();
    let Some(last) = measured().next_back() else {
        write!(page, "<td></td><td class=\"zero\">{NOTHING}</td>");
        return;
    };
    let label =
        format!("{}, {what}: from {} to {}", layer.layer, or_nothing(measured().next(), show), show(last),);
    write!(page, "<td class=\"trend\">");
    sparkline(page, &values, scale, &label);
    // NaN is alarming too, and compares false with everything.
    let alarm = !last.is_finite() || last >= alarming;
    let (class, mark) = if alarm { (" class=\"alarm\"", "▲ ") } else { ("", "") };
    write!(page, "</td><td{class}>{mark}{}</td>", text(&show(last)));
}
