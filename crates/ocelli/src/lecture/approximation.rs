//! What one layer draws, what two compute, and how bumps add up to a function.

use std::sync::Arc;

use ocelli_core::ops::{Linear, Relu, Tanh};
use ocelli_core::{Graph, Loss, Params, PlanOptions};

use super::learner::{ADAM, Learner, Samples};
use super::numbers::line_through;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "approximation",
    title: "From a line to any function",
    part: Part::Units,
    checklist: &[50, 51],
    about: "Written out, the output of a small network is one long formula, z₅ of the lecture; a network computes the same \
numbers. One layer of it can only draw a line. Two can compute any continuous function on an interval as closely as one \
likes: three rectifiers make a bump, bumps side by side make a function, and the narrower they are, the closer they come.\n\n\
The bumps’ weights are written down here, not learned; at half the width the error is a quarter.",
    equations: &[
        "z_5 = h(w_{35} h(w_{13} x_1 + w_{23} x_2 + b_3) + w_{45} h(w_{14} x_1 + w_{24} x_2 + b_4) + b_5)",
        "\"bump\"(x) = \\frac{1}{d} (\"ReLU\"(x - c + d) - 2 \"ReLU\"(x - c) + \"ReLU\"(x - c - d)), \\quad f(x) ≈ Σ_c f(c) \"bump\"_c(x)",
    ],
    source: file!(),
    run,
};

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let error = formula(context)?;
    finding.check("z₅ by its formula and by a network, largest difference", error, Expected::AtMost(1e-15));
    let line = one_layer(context, &mut finding)?;
    let (fit, errors) = bumps(context, &mut finding)?;
    finding.figure(
        "bumps",
        BUMPS,
        Sheet::new("A line, bumps, and their error").add(line).add(fit).add(errors),
    );
    Ok(finding)
}

const BUMPS: &str = "Left: the line of one trained layer between two classes. Middle: a function and the sum of nine \
bumps, each of three rectifiers. Right: the largest error as the bumps become narrower.";

/// The function that is approximated, on [0, 1].
fn f(x: f64) -> f64 {
    (7.0 * x).sin() * (1.0 - 0.5 * x) + 0.3 * (19.0 * x).cos()
}

/// Largest difference between z₅ by hand and by a network, over random inputs and weights.
fn formula(context: &Context) -> Result<f64, Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [2])?;
    let a = graph.add("a34", Linear::new(2), [x])?;
    let z = graph.add("z34", Tanh {}, [a])?;
    let a = graph.add("a5", Linear::new(1), [z])?;
    graph.add("z5", Tanh {}, [a])?;
    let graph = Arc::new(graph);
    let mut executor = context.engine().executor::<f64>(&graph, PlanOptions::evaluate(1))?;
    let mut stream = context.key(&[50]).stream();
    let mut worst = 0.0f64;
    for _ in 0..100 {
        let mut draw = || stream.normal();
        let [w13, w23, w14, w24, b3, b4, w35, w45, b5] = std::array::from_fn(|_| draw());
        let [x1, x2] = std::array::from_fn(|_| draw());
        let z3 = (w13 * x1 + w23 * x2 + b3).tanh();
        let z4 = (w14 * x1 + w24 * x2 + b4).tanh();
        let z5 = (w35 * z3 + w45 * z4 + b5).tanh();
        let mut params = Params::zeroed(graph.layout())?;
        let values: [&[f64]; 4] = [&[w13, w23, w14, w24], &[b3, b4], &[w35, w45], &[b5]];
        for (entry, values) in graph.layout().entries().iter().zip(values) {
            params.set(entry, values);
        }
        worst = worst.max((executor.forward(&params, &[&[x1, x2]], 1)[0] - z5).abs());
    }
    Ok(worst)
}

/// One layer, trained to tell two clouds apart: where its output is 0 is a line.
fn one_layer(context: &Context, finding: &mut Finding) -> Result<Plot, Error> {
    const COUNT: usize = 80;
    let mut stream = context.key(&[51]).stream();
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for i in 0..COUNT {
        let label = (i % 2) as u32;
        let [cx, cy] = [[-0.45, -0.25], [0.4, 0.35]][i % 2];
        x.extend([cx + 0.28 * stream.normal(), cy + 0.28 * stream.normal()]);
        labels.push(label);
    }
    let samples = Samples::classes(x, 2, labels.clone());
    let mut graph = Graph::new();
    let input = graph.input("x", [2])?;
    graph.add("line", Linear::new(1), [input])?;
    let mut learner =
        Learner::<f64>::new(context.engine(), graph, Loss::BinaryLogistic, ADAM, COUNT, context.seed())?;
    for _ in 0..500 {
        learner.step(&samples, 0.05);
    }
    // A line: the output is the same at the middle of any two places as the mean of theirs.
    let places: Vec<f64> = (0..600).map(|_| stream.range(-2.0, 2.0)).collect();
    let outputs = learner.outputs(&places);
    let middles: Vec<f64> =
        places.chunks_exact(4).flat_map(|p| [f64::midpoint(p[0], p[2]), f64::midpoint(p[1], p[3])]).collect();
    let middles = learner.outputs(&middles);
    let bent = middles
        .iter()
        .zip(outputs.chunks_exact(2))
        .map(|(m, ends)| (m - f64::midpoint(ends[0], ends[1])).abs());
    finding.check(
        "one layer: how far it bends between any two places",
        bent.fold(0.0, f64::max),
        Expected::AtMost(1e-12),
    );
    let [w1, w2, b] = {
        let data = learner.params.data();
        let bias = learner.graph.layout().find("line.bias").expect("a bias").range.start;
        [data[0], data[1], data[bias]]
    };
    let line = (0..=400).map(|i| -1.5 + f64::from(i) * 3.0 / 400.0).map(|x| [x, -(w1 * x + b) / w2]);
    let of = |class: u32| {
        let chosen = labels.iter().enumerate().filter(move |(_, l)| **l == class).map(|(i, _)| i);
        chosen.map(|i| [samples.x[2 * i], samples.x[2 * i + 1]]).collect::<Vec<_>>()
    };
    Ok(Plot::new("one layer draws a line", "x₁", "x₂")
        .size(280.0, 270.0)
        .x_limits(-1.5, 1.5)
        .y_limits(-1.5, 1.5)
        .colored("", Mark::Rings, 0, of(0))
        .colored("", Mark::Dots, 1, of(1))
        .colored("", Mark::Line, 2, line))
}

/// A network of 3(n + 1) rectifiers whose weights make n + 1 bumps of f over [0, 1].
fn bump_network(context: &Context, n: usize) -> Result<Learner<f64>, Error> {
    let units = 3 * (n + 1);
    let mut graph = Graph::new();
    let x = graph.input("x", [1])?;
    let a = graph.add("corners", Linear::new(units), [x])?;
    let h = graph.add("relu", Relu {}, [a])?;
    graph.add("sum", Linear::new(1).without_bias(), [h])?;
    let mut network = Learner::new(context.engine(), graph, Loss::Euclidean, ADAM, 256, context.seed())?;
    let d = 1.0 / n as f64;
    let centre = |i: usize| i as f64 * d;
    let corners: Vec<f64> =
        (0..=n).flat_map(|i| [-1.0, 0.0, 1.0].map(|side| -(centre(i) + side * d))).collect();
    let sums: Vec<f64> =
        (0..=n).flat_map(|i| [1.0, -2.0, 1.0].map(|weight| weight * f(centre(i)) / d)).collect();
    let layout = Arc::clone(network.graph.layout());
    for (entry, values) in layout.entries().iter().zip([&vec![1.0; units], &corners, &sums]) {
        network.params.set(entry, values);
    }
    Ok(network)
}

fn bumps(context: &Context, finding: &mut Finding) -> Result<(Plot, Plot), Error> {
    let places: Vec<f64> = (0..=2000).map(|i| f64::from(i) / 2000.0).collect();
    let mut errors = Vec::new();
    for n in [4, 8, 16, 32, 64, 128, 256] {
        let outputs = bump_network(context, n)?.outputs(&places);
        let worst = outputs.iter().zip(&places).map(|(y, &x)| (y - f(x)).abs()).fold(0.0, f64::max);
        errors.push([1.0 / n as f64, worst]);
    }
    let falls = errors.windows(2).all(|pair| pair[1][1] < pair[0][1]);
    finding.holds("bumps: the error falls each time that they are half as wide", falls);
    let logarithms: Vec<[f64; 2]> = errors[2..].iter().map(|e| e.map(f64::ln)).collect();
    finding.check(
        "bumps: the power of their width that the error follows",
        line_through(&logarithms)[1],
        Expected::Between(1.8, 2.2),
    );
    let outputs = bump_network(context, 8)?.outputs(&places);
    let curve = |y: &dyn Fn(usize) -> f64| {
        (0..places.len()).step_by(4).map(|i| [places[i], y(i)]).collect::<Vec<_>>()
    };
    let fit = Plot::new("nine bumps", "x", "")
        .size(280.0, 270.0)
        .series("f", Mark::Line, curve(&|i| f(places[i])))
        .series("bumps", Mark::Line, curve(&|i| outputs[i]))
        .colored("", Mark::Dots, 1, (0..=8).map(|i| f64::from(i) / 8.0).map(|x| [x, f(x)]));
    let decay = Plot::new("error against width", "width d of a bump", "largest error")
        .size(280.0, 270.0)
        .log_x()
        .log_y()
        .colored("", Mark::Line, 0, errors.clone())
        .colored("", Mark::Dots, 0, errors);
    Ok((fit, decay))
}
