//! The chain rule: a network is a composition, and its Jacobian a product.

use std::sync::Arc;

use ocelli_core::ops::{Linear, Sigmoid, Tanh};
use ocelli_core::{Graph, Loss, Params, PlanOptions, Targets};

use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::explain::{LayerTrace, Matrix, jacobian, trace};
use crate::figure::{Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "chain",
    title: "A network is a composition, its derivative a product",
    part: Part::Backpropagation,
    checklist: &[66, 71, 72],
    about: "Layer i computes x_i = F_i(x_{i−1}, W_i). The network is the composition of its layers, so by the chain rule its \
Jacobian is the product of theirs. The derivative of m numbers by n others is an m×n matrix; that of a cost, which is one number, \
is a row. A row times a matrix is a row: that is why back-propagation, which multiplies from the left, carries nothing \
larger than the values themselves, while forward differentiation would carry matrices.\n\n\
Each Jacobian below was made by back-propagation, one pass per row, seeded with the unit rows. Dimensions are checked: a product \
in the wrong order is an error that names them.",
    equations: &[
        "x_n = F_n(F_{n−1}(… F_1(x_0, W_1) …, W_{n−1}), W_n)",
        "\\frac{∂C}{∂x_0} = \\frac{∂C}{∂x_n} \\frac{∂x_n}{∂x_{n−1}} … \\frac{∂x_2}{∂x_1} \\frac{∂x_1}{∂x_0}",
    ],
    source: file!(),
    run,
};

const INPUTS: usize = 6;

/// 6 inputs, 5 tanh units, 4 sigmoids, 3 outputs.
fn network() -> Result<Arc<Graph>, Error> {
    let mut graph = Graph::new();
    let x = graph.input("x0", [INPUTS])?;
    let x = graph.add("W1", Linear::new(5), [x])?;
    let x = graph.add("tanh", Tanh {}, [x])?;
    let x = graph.add("W2", Linear::new(4), [x])?;
    let x = graph.add("sigmoid", Sigmoid {}, [x])?;
    graph.add("W3", Linear::new(3), [x])?;
    Ok(Arc::new(graph))
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let graph = network()?;
    let params = Params::initialised(graph.layout(), context.seed())?;
    let mut stream = context.key(&[66]).stream();
    let input: Vec<f64> = (0..INPUTS).map(|_| stream.normal()).collect();
    let traced =
        trace(&graph, &params, &[&input], Targets::Values(&[1.0, 0.0, -1.0]), &Loss::Euclidean, 0.0)?;
    let layers = &traced.layers[1..];
    let whole = jacobian(&graph, &params, &[&input], graph.output()?)?.remove(0);

    let mut table = Table::new("The chain", ["layer", "its value", "its Jacobian", "of the product so far"]);
    let mut product: Option<Matrix> = None;
    for layer in layers {
        let own = &layer.jacobians[0];
        let so_far = product.as_ref().map_or_else(|| Ok(own.clone()), |before| own.times(before))?;
        let size = |m: &Matrix| format!("{}×{}", m.rows, m.columns);
        table.row([layer.layer.clone(), format!("{} numbers", layer.value.len()), size(own), size(&so_far)]);
        product = Some(so_far);
    }
    let product = product.expect("invariant: the network has layers");
    finding.check(
        "product of the layers’ Jacobians − the network’s, largest element",
        product.largest_difference(&whole),
        Expected::AtMost(1e-15),
    );
    finding.check(
        "the network’s Jacobian − differences of its output, largest element",
        whole.largest_difference(&differences(context, &graph, &params, &input)?),
        Expected::AtMost(1e-8),
    );
    let output = layers.last().expect("invariant: the network has layers");
    let row = Matrix::row(&output.gradient).times(&product)?;
    finding.check(
        "∂C/∂x₀: row times product − back-propagation, largest element",
        row.largest_difference(&Matrix::row(&traced.layers[0].gradient)),
        Expected::AtMost(1e-15),
    );
    finding.check(
        "numbers that back-propagation carries at most",
        widest(&traced.layers),
        Expected::Exactly(6.0),
    );
    let refusal = layers[0].jacobians[0].times(&layers[1].jacobians[0]).err().map(|e| e.to_string());
    let refusal = refusal.unwrap_or_default();
    finding.holds(
        "the wrong order is refused, with both dimensions",
        refusal.contains("5×6") && refusal.contains("5×5"),
    );
    finding.remark(format!("The refusal: `{refusal}`"));
    finding.table(table);
    finding.figure(
        "jacobians",
        "The Jacobians from the last layer to the first, in the order in which they are multiplied, and their product. Each is as \
         many rows high as its layer has outputs; greys are scaled for each by itself, mid-grey is 0. Those of the \
         non-linearities are diagonal: each output depends on one input alone.",
        sheet(layers, &product),
    );
    Ok(finding)
}

/// The most numbers of a gradient on its way back.
fn widest(layers: &[LayerTrace]) -> f64 {
    layers.iter().map(|layer| layer.gradient.len()).max().unwrap_or(0) as f64
}

/// ∂(output)/∂(input) by central differences.
fn differences(
    context: &Context,
    graph: &Arc<Graph>,
    params: &Params<f64>,
    input: &[f64],
) -> Result<Matrix, Error> {
    const STEP: f64 = 1e-5;
    let mut executor = context.engine().executor::<f64>(graph, PlanOptions::evaluate(1))?;
    let mut output = |j: usize, by: f64| {
        let mut moved = input.to_vec();
        moved[j] += by;
        executor.forward(params, &[&moved], 1).to_vec()
    };
    let columns: Vec<f64> = (0..input.len())
        .flat_map(|j| {
            let (above, below) = (output(j, STEP), output(j, -STEP));
            above.into_iter().zip(below).map(|(a, b)| (a - b) / (2.0 * STEP)).collect::<Vec<_>>()
        })
        .collect();
    Ok(Matrix::new(input.len(), columns.len() / input.len(), columns).transposed())
}

fn sheet(layers: &[LayerTrace], product: &Matrix) -> Sheet {
    const CELL: f64 = 17.0;
    let panel = |title: &str, m: &Matrix| {
        Raster::signed(title, &m.data, [m.rows, m.columns])
            .width(CELL * m.columns as f64)
            .note(&format!("{}×{}", m.rows, m.columns))
    };
    let sheet = Sheet::new("The Jacobians of a network’s layers, and their product");
    let sheet =
        layers.iter().rev().fold(sheet, |sheet, layer| sheet.add(panel(&layer.layer, &layer.jacobians[0])));
    sheet.add(panel("their product", product))
}
