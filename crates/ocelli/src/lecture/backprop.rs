//! The lecture's worked example of back-propagation, number by number.

use std::sync::Arc;

use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{Graph, Loss, Params, Targets};

use super::numbers::largest_difference;
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::explain::{Matrix, Trace, draw, trace};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "backprop",
    title: "One step of back-propagation, number by number",
    part: Part::Backpropagation,
    checklist: &[71, 77, 79, 80],
    about: "The lecture works one step out by hand: two inputs, two tanh units, one linear output, no biases, and the cost \
½(x₅ − y)². Forward, each layer computes its output from its input. Backward, each turns the gradient of its output into the \
gradient of its input, and on the way into that of its weights. Then every weight moves against its gradient.\n\n\
The same network is built here from the library's ops, and one step is traced in `f64`. The example is chosen well: with the \
gradient of the weights laid out the wrong way round, w₁₄ would come out as 0.202 and w₂₃ as −3.034. \
`ocelli explain trace MODEL IMAGE` traces any model in the same way.",
    equations: &[
        "C = \\frac{1}{2}(x_5 − y)^2, \\quad \\frac{∂C}{∂x_5} = x_5 − y",
        "\\frac{∂C}{∂x_{i−1}} = \\frac{∂C}{∂x_i} W_i, \\quad \\frac{∂C}{∂W_i} = x_{i−1} \\frac{∂C}{∂x_i}",
        "W_i ← W_i − η (\\frac{∂C}{∂W_i})^T",
    ],
    source: file!(),
    run,
};

/// η.
const RATE: f64 = 0.2;

/// The example's network and weights, traced for one step.
pub(super) fn worked_example() -> Result<Trace, Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [2])?;
    let a = graph.add("W0", Linear::new(2).without_bias(), [x])?;
    let h = graph.add("tanh", Tanh {}, [a])?;
    graph.add("W1", Linear::new(1).without_bias(), [h])?;
    let graph = Arc::new(graph);
    let mut params = Params::zeroed(graph.layout())?;
    for (name, values) in [("W0.weight", &[1.0, -3.0, 0.2, 1.0][..]), ("W1.weight", &[1.0, -1.0])] {
        params.set(graph.layout().find(name).expect("invariant: a layer of that name"), values);
    }
    trace(&graph, &params, &[&[1.0, 0.1]], Targets::Values(&[0.5]), &Loss::Euclidean, RATE)
}

fn run(_: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let traced = worked_example()?;
    let [x, a, h, output] = [0, 1, 2, 3].map(|i| &traced.layers[i]);
    let (w0, w1) = (&a.params[0], &output.params[0]);
    let lecture: [(&str, &[f64], &[f64]); 11] = [
        ("sums a₃, a₄", &a.value, &[0.7, 0.3]),
        ("hidden x₃, x₄", &h.value, &[0.604368, 0.291313]),
        ("output x₅", &output.value, &[0.313055]),
        ("∂C/∂x₅", &output.gradient, &[-0.186945]),
        ("∂C/∂x₃, ∂C/∂x₄", &h.gradient, &[-0.186945, 0.186945]),
        ("∂C/∂a₃, ∂C/∂a₄", &a.gradient, &[-0.118661, 0.171080]),
        ("∂C/∂W₀, row by row", &w0.gradient, &[-0.118661, -0.011866, 0.171080, 0.017108]),
        ("∂C/∂W₁", &w1.gradient, &[-0.112983, -0.054459]),
        ("W₀ after the step", &w0.after, &[1.023732, -2.997627, 0.165784, 0.996578]),
        ("W₁ after the step", &w1.after, &[1.022597, -0.989108]),
        ("cost before and after", &[traced.cost, traced.cost_after], &[0.0174742, 0.0075886]),
    ];
    let mut table = Table::new("Every number of the step", ["quantity", "found", "lecture", "difference"]);
    let mut worst: f64 = 0.0;
    for (name, found, expected) in lecture {
        let difference = largest_difference(found, expected);
        worst = worst.max(difference);
        let list = |values: &[f64]| values.iter().map(|v| format!("{v:.6}")).collect::<Vec<_>>().join(", ");
        table.row([name.to_owned(), list(found), list(expected), format!("{difference:.0e}")]);
    }
    finding.check("largest difference from the lecture's numbers", worst, Expected::AtMost(1e-6));
    let printed: Vec<String> = w0.after.iter().chain(&w1.after).map(|w| format!("{w:.2}")).collect();
    finding.holds(
        "the new weights as printed: 1.02, −3.0, 0.17, 1.0, 1.02, −0.99",
        printed == ["1.02", "-3.00", "0.17", "1.00", "1.02", "-0.99"],
    );
    let slope = h.value.iter().map(|x| 1.0 - x * x);
    let through: Vec<f64> = h.gradient.iter().zip(slope).map(|(g, slope)| g * slope).collect();
    finding.check(
        "through tanh: ∂C/∂a − ∂C/∂x·(1 − x²)",
        largest_difference(&through, &a.gradient),
        Expected::AtMost(1e-16),
    );
    let (g, weights) = (Matrix::row(&a.gradient), Matrix::new(2, 2, w0.before.clone()));
    finding.check(
        "to the input: ∂C/∂x − ∂C/∂a·W₀",
        largest_difference(&g.times(&weights)?.data, &x.gradient),
        Expected::AtMost(1e-16),
    );
    // x·g is the scalar by the matrix in the mathematics' layout, its transpose what is taken off W.
    let outer = Matrix::column(&x.value).times(&g)?.transposed();
    finding.check(
        "to the weights: (∂C/∂W₀)ᵀ − (x·∂C/∂a)ᵀ",
        largest_difference(&outer.data, &w0.gradient),
        Expected::AtMost(1e-16),
    );
    finding.check(
        "cost after the step over cost before",
        traced.cost_after / traced.cost,
        Expected::AtMost(0.5),
    );
    finding.table(table);
    finding.drawing(
        "network",
        "The network before and after the step. Blue: what is computed forward. Orange: what is carried backward, the \
         derivative of the cost by the number beside it. Edges are as wide as their weight is large, violet where it is negative.",
        draw(&traced),
    );
    Ok(finding)
}
