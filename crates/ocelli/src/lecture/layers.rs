//! What networks of layers are called, what they cost, and what is not one.

use ocelli_core::ops::{Flatten, Linear, Relu};
use ocelli_core::{Graph, Layer, Shape};

use super::numbers::line_through;
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::arch::{Architecture, Wanted};
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "layers",
    title: "Layers: names, counts and cycles",
    part: Part::Units,
    checklist: &[43, 44, 45, 46],
    about: "Multilayer perceptron, artificial neural network, fully connected network: three names of one graph. “Three \
layers” count the layers that have weights, so two of them are hidden. Between two layers of w units there are w² weights, \
so that the number of parameters grows with the square of the width.\n\n\
A feed-forward network has no cycle. One that has is refused when it is put together, and the refusal names the layers \
around it.",
    equations: &[
        "N(w) = (n + 1) w + (d - 1)(w + 1) w + (w + 1) m \\quad \"for d hidden layers of w units, n inputs, m outputs\"",
    ],
    source: file!(),
    run,
};

fn run(_: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let by_hand = by_hand()?;
    let named = mlp(&[64, 64])?;
    finding.holds(
        "the network called mlp is the fully connected one built by hand",
        named.layers() == by_hand.layers(),
    );
    let weights =
        named.layers().iter().filter(|layer| matches!(layer.op, ocelli_core::Op::Linear(_))).count();
    finding.check("layers with weights of the “three-layer” network", weights as f64, Expected::Exactly(3.0));
    let hidden = named.layers().iter().filter(|layer| matches!(layer.op, ocelli_core::Op::Relu(_))).count();
    finding.check("hidden layers of it", hidden as f64, Expected::Exactly(2.0));
    let refusal = cycle(&mut finding);
    finding.remark(format!("The refusal: `{refusal}`"));
    widths(&mut finding)?;
    Ok(finding)
}

fn mlp(widths: &[usize]) -> Result<Graph, Error> {
    let wanted = Wanted { input: Shape::from([1, 28, 28]), classes: 10, widths: widths.to_vec() };
    Architecture::find("mlp")?.build(&wanted)
}

fn by_hand() -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", [1, 28, 28])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    for layer in 1..=2 {
        x = graph.add(&format!("fc{layer}"), Linear::new(64), [x])?;
        x = graph.add(&format!("relu{layer}"), Relu {}, [x])?;
    }
    graph.add("fc3", Linear::new(10), [x])?;
    Ok(graph)
}

/// What is said of a network in a circle.
fn cycle(finding: &mut Finding) -> String {
    let layer = |name: &str, from: &str| Layer {
        name: name.to_owned(),
        op: Linear::new(4).into(),
        from: vec![from.to_owned()],
        shares: None,
    };
    let layers = [layer("a", "c"), layer("b", "a"), layer("c", "b")];
    let refusal = Graph::from_layers(&[("x", Shape::from([4]))], &layers).err();
    let message = refusal.map(|error| error.to_string()).unwrap_or_default();
    let names_all = ["cycle", "a", "b", "c"].iter().all(|word| message.contains(word));
    finding.holds("a cycle is refused, and its layers are named", names_all);
    message
}

fn widths(finding: &mut Finding) -> Result<(), Error> {
    let mut table = Table::new(
        "parameters of two hidden layers, 784 inputs and 10 outputs",
        ["units", "parameters", "of them between the hidden layers"],
    );
    let (mut points, mut wrong) = (Vec::new(), 0);
    for exponent in 4..=12 {
        let w = 1usize << exponent;
        let counted = mlp(&[w, w])?.layout().trainable();
        wrong += usize::from(counted != 785 * w + (w + 1) * w + (w + 1) * 10);
        let share = 100.0 * (w * w) as f64 / counted as f64;
        table.row([w.to_string(), crate::figure::number::count(counted as u64), format!("{share:.0} %")]);
        points.push([w as f64, counted as f64]);
    }
    finding.check("widths whose parameters are not N(w)", wrong as f64, Expected::Exactly(0.0));
    let logarithms: Vec<[f64; 2]> = points[points.len() - 2..].iter().map(|p| p.map(f64::ln)).collect();
    finding.said(
        "exponent of growth from 2,048 to 4,096 units",
        line_through(&logarithms)[1],
        Expected::Between(1.75, 2.0),
        "quadratic in the limit",
    );
    finding.table(table);
    let square = points.iter().map(|[w, _]| [*w, w * w]);
    let plot = Plot::new("parameters against width", "units of each hidden layer", "parameters")
        .log_x()
        .log_y()
        .series("all parameters", Mark::Line, points.iter().copied())
        .series("between the hidden layers: w²", Mark::Dashed, square);
    finding.figure(
        "width",
        "Parameters of a network of two hidden layers as they widen.",
        Sheet::new("Parameters against width").add(plot),
    );
    Ok(())
}
