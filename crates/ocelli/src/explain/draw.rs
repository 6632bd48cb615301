//! A trace as a drawing: a small network unit by unit with every number beside what it belongs to, a larger one as maps.

use super::trace::{LayerTrace, ParamTrace, Trace};
use super::units::UnitGraph;
use crate::classical::Plane;
use crate::figure::{Drawing, Raster, Sheet, Words, number};

/// Layers that are drawn as maps; more would be a wall.
const MOST_LAYERS: usize = 64;

/// Channels of a layer that are drawn.
const MOST_MAPS: usize = 64;

/// Draws one step of back-propagation. A chain of a few units is drawn as the lecture draws it: circles with their values and
/// gradients, edges with weights before and after. Anything else is drawn layer by layer: x_i, ∂C/∂x_i, the weights and their
/// gradients as maps, with the figures that say how large they are.
pub fn draw(trace: &Trace) -> Drawing {
    let title = "One step of back-propagation";
    if let Some(graph) = UnitGraph::of(trace) {
        return Sheet::new(title).add(graph).draw();
    }
    let mut sheet = Sheet::new(title).add(Words::new(
        title,
        &[
            format!(
                "{}: C = {} before the step, {} after it",
                trace.loss,
                short(trace.cost),
                short(trace.cost_after)
            ),
            format!(
                "learning rate η = {}; greys: black −, mid-grey 0, white +, up to the figure below",
                short(trace.rate)
            ),
        ],
        560.0,
    ));
    for layer in trace.layers.iter().take(MOST_LAYERS) {
        sheet = with_layer(sheet.row(), layer, trace.rate);
    }
    sheet.draw()
}

/// One row of the sheet.
fn with_layer(sheet: Sheet, layer: &LayerTrace, rate: f64) -> Sheet {
    let mut lines = vec![format!("{}, {}", layer.op, sizes(&layer.shape))];
    for param in layer.params.iter().filter(|param| param.trained) {
        lines.push(format!("‖{}‖ {}", param.name, short(norm(&param.before))));
        lines.push(format!("moved by {}", short(rate * norm(&param.gradient))));
    }
    let mut sheet = sheet
        .add(Words::new(&layer.layer, &lines, 150.0))
        .add(maps("x", &layer.value, &layer.shape))
        .add(maps("∂C/∂x", &layer.gradient, &layer.shape));
    if let Some(weights) = layer.params.iter().find(|param| param.trained && param.shape.len() > 1) {
        sheet = sheet.add(kernels("W", &weights.before, weights)).add(kernels(
            "∂C/∂W",
            &weights.gradient,
            weights,
        ));
    }
    sheet
}

/// A value's channels side by side, or a vector in rows.
fn maps(title: &str, values: &[f64], shape: &[usize]) -> Raster {
    match *shape {
        [channels, height, width] => tiles(title, values, [channels, height, width]),
        _ => tiles(title, values, [1, 1, values.len()]),
    }
}

/// A parameter's kernels, or its matrix as it stands.
fn kernels(title: &str, values: &[f64], param: &ParamTrace) -> Raster {
    match param.shape[..] {
        [o, i, height, width] => tiles(title, values, [o * i, height, width]),
        [rows, columns] => matrix(title, values, [rows, columns]),
        _ => tiles(title, values, [1, 1, values.len()]),
    }
}

/// The most rows and columns of a matrix that are drawn one by one: two pixels of the sheet.
const MOST_CELLS: usize = 260;

/// A matrix as it stands, or the means of its blocks where it is larger than can be seen.
fn matrix(title: &str, values: &[f64], [rows, columns]: [usize; 2]) -> Raster {
    let block = [rows, columns].map(|size| size.div_ceil(MOST_CELLS).max(1));
    if block == [1, 1] {
        return tiles(title, values, [1, rows, columns]);
    }
    let small = [rows.div_ceil(block[0]), columns.div_ceil(block[1])];
    let mean = |at: usize| {
        let (top, left) = (at / small[1] * block[0], at % small[1] * block[1]);
        let (bottom, right) = ((top + block[0]).min(rows), (left + block[1]).min(columns));
        let sum: f64 = (top..bottom)
            .map(|row| values[row * columns + left..row * columns + right].iter().sum::<f64>())
            .sum();
        sum / ((bottom - top) * (right - left)) as f64
    };
    let means: Vec<f64> = (0..small[0] * small[1]).map(mean).collect();
    let most = means.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let note = format!("±{}, means of {}", short(most), sizes(&block));
    sized(Raster::signed(title, &means, small), small).note(&note)
}

/// `count` images in about a square, a pixel apart. One image that is far from square is broken into lines.
fn tiles(title: &str, values: &[f64], [count, height, width]: [usize; 3]) -> Raster {
    let most = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let note = format!("±{}", short(most));
    if count == 1 && (height == 1 || width == 1) {
        let columns = (values.len() as f64).sqrt().ceil() as usize;
        let mut square = values.to_vec();
        square.resize(columns * values.len().div_ceil(columns), 0.0);
        let rows = square.len() / columns;
        return sized(Raster::signed(title, &square, [rows, columns]), [rows, columns]).note(&note);
    }
    let shown = count.min(MOST_MAPS);
    let columns = ((shown * height) as f64 / width as f64).sqrt().ceil().max(1.0) as usize;
    let images = values.chunks_exact(height * width).take(shown);
    let images: Vec<Plane> = images.map(|image| Plane::new(height, width, image.to_vec())).collect();
    let whole = Plane::tiled(&images, columns, usize::from(shown > 1), 0.0);
    let rest = if shown < count { format!(", {shown} of {count}") } else { String::new() };
    sized(Raster::signed(title, whole.values(), whole.size()), whole.size()).note(&format!("{note}{rest}"))
}

/// As large as the row has room for.
fn sized(raster: Raster, [height, width]: [usize; 2]) -> Raster {
    const SIDE: f64 = 130.0;
    raster.width(if height > width { SIDE * width as f64 / height as f64 } else { SIDE })
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn sizes(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// Four digits at most, without those that say nothing.
pub(super) fn short(value: f64) -> String {
    let text = number::significant(value, 4);
    let plain = !text.contains('e') && text.contains('.');
    let text = if plain { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replacen('-', "−", usize::from(value < 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [1.0, -3.0, 0.604_368, -0.118_661, 1e-9].map(short),
            ["1", "−3", "0.6044", "−0.1187", "1.000e-9"]
        );
    }
}
