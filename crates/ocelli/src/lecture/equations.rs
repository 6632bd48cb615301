//! What a layer owes: forward, backward to its input, backward to its weights; each visited once and each checked.

use std::sync::Arc;

use ocelli_core::gradient_check::Agreement;
use ocelli_core::ops::{
    AvgPool2d, BatchNorm, Bias, Conv2d, Flatten, LeakyRelu, Linear, LocalResponseNorm, MaxPool2d, Prelu, Rbf,
    Relu, ScaledTanh, Sigmoid, Softmax, Subsample, Tanh,
};
use ocelli_core::plan::Work;
use ocelli_core::{
    Criterion, GradientCheck, Graph, Loss, Mode, Op, Params, Plan, PlanOptions, Reduction, Targets, Value,
};

use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::explain::{Matrix, layer_jacobians, trace};
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "equations",
    title: "Three equations per layer, and the proof that they are right",
    part: Part::Backpropagation,
    checklist: &[75, 76, 77, 78, 79],
    about: "A layer is given x_{i−1} and computes x_i; is given the gradient g_i of x_i and computes g_{i−1}, and the gradient of its \
weights. Nothing else: so layers can be put together at will, and back-propagation visits each of them once, in the reverse \
order, at about the cost of two more forward passes.\n\n\
A linear layer sends g·W to its input and g with x to its weights. A function applied to each number sends g times its slope at \
that number; with a bias inside, input and bias have the same gradient. tanh′ is 1 − tanh², the rectifier’s slope is 1 above 0 and \
0 at 0 and below. Each op is checked in `f64` against differences of the cost (`ocelli check` does it for any network).",
    equations: &[
        "x_i = F_i(x_{i−1}, W_i), \\quad g_{i−1} = g_i \\frac{∂F_i}{∂x_{i−1}}, \\quad \\frac{∂C}{∂W_i} = g_i \\frac{∂F_i}{∂W_i}",
        "\\tanh′(a) = 1 − \\tanh^2(a), \\quad \\frac{∂h(x + b)}{∂x} = \\frac{∂h(x + b)}{∂b}",
    ],
    source: file!(),
    run,
};

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    gradient_checks(context, &mut finding)?;
    linear(context, &mut finding)?;
    pointwise(context, &mut finding)?;
    visits(&mut finding)?;
    Ok(finding)
}

/// The lecture's layers, one after the other in one network, so that each has a shape.
fn all_kinds() -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", [3, 12, 12])?;
    let layers: [(&str, Op); 17] = [
        ("conv2d", Conv2d::new(4, 3).padding(1).into()),
        ("relu", Relu {}.into()),
        ("local_response_norm", LocalResponseNorm::default().into()),
        ("max_pool2d", MaxPool2d::new(3).stride(2).into()),
        ("batch_norm", BatchNorm::default().into()),
        ("leaky_relu", LeakyRelu { slope: 0.02 }.into()),
        ("avg_pool2d", AvgPool2d::new(2).stride(1).into()),
        ("prelu", Prelu::default().into()),
        ("subsample", Subsample::new(2).into()),
        ("scaled_tanh", ScaledTanh {}.into()),
        ("flatten", Flatten {}.into()),
        ("linear", Linear::new(6).into()),
        ("sigmoid", Sigmoid {}.into()),
        ("bias", Bias::default().into()),
        ("tanh", Tanh {}.into()),
        ("softmax", Softmax {}.into()),
        ("rbf", Rbf::new(4).into()),
    ];
    for (name, op) in layers {
        x = graph.add(name, op, [x])?;
    }
    Ok(graph)
}

fn gradient_checks(context: &Context, finding: &mut Finding) -> Result<(), Error> {
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
    let check = GradientCheck { seed: context.seed(), ..GradientCheck::new(criterion, Mode::Train) };
    let report = check.layers(&all_kinds()?, 3)?;
    let mut table = Table::new(
        "Largest relative error of each op’s gradients",
        ["op", "to its input", "to its parameters", "derivatives compared"],
    );
    let shown = |agreement: &Agreement| match agreement.checked {
        0 => "–".to_owned(),
        _ => format!("{:.0e}", agreement.largest_error),
    };
    for layer in &report.layers {
        let compared = layer.inputs.checked + layer.params.checked;
        table.row([layer.op.to_owned(), shown(&layer.inputs), shown(&layer.params), compared.to_string()]);
    }
    finding.check(
        "largest relative error of a gradient, all ops",
        report.largest_error(),
        Expected::AtMost(1e-6),
    );
    finding.table(table);
    Ok(())
}

fn linear(context: &Context, finding: &mut Finding) -> Result<(), Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [4])?;
    graph.add("linear", Linear::new(3), [x])?;
    let graph = Arc::new(graph);
    let params = Params::initialised(graph.layout(), context.seed())?;
    let mut stream = context.key(&[77]).stream();
    let x: Vec<f64> = (0..4).map(|_| stream.normal()).collect();
    let traced = trace(&graph, &params, &[&x], Targets::Values(&[1.0, 0.0, -1.0]), &Loss::Euclidean, 0.0)?;
    let (input, layer) = (&traced.layers[0], &traced.layers[1]);
    let (g, weight) = (Matrix::row(&layer.gradient), &layer.params[0]);
    let to_input = g.times(&Matrix::new(3, 4, weight.before.clone()))?;
    finding.check(
        "linear: g·W − gradient of the input, largest element",
        to_input.largest_difference(&Matrix::row(&input.gradient)),
        Expected::AtMost(1e-15),
    );
    let to_weights = Matrix::column(&layer.gradient).times(&Matrix::row(&x))?;
    finding.check(
        "linear: g·x − gradient of the weights, largest element",
        to_weights.largest_difference(&Matrix::new(3, 4, weight.gradient.clone())),
        Expected::AtMost(1e-15),
    );
    Ok(())
}

fn pointwise(context: &Context, finding: &mut Finding) -> Result<(), Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [5])?;
    let sum = graph.add("b", Bias::default(), [x])?;
    graph.add("h", Tanh {}, [sum])?;
    let graph = Arc::new(graph);
    let params = Params::initialised(graph.layout(), context.seed())?;
    let x = [-1.5, -0.5, 0.1, 0.7, 2.0];
    let traced = trace(&graph, &params, &[&x], Targets::Values(&[0.3; 5]), &Loss::Euclidean, 0.0)?;
    finding.holds(
        "h(x + b): the gradients of x and b are the same bits",
        traced.layers[0].gradient == traced.layers[1].params[0].gradient,
    );
    let slope = |op: Op, expected: fn(f64) -> f64| -> Result<f64, Error> {
        let mut graph = Graph::new();
        let input = graph.input("x", [5])?;
        let h = graph.add("h", op, [input])?;
        let params = Params::zeroed(graph.layout())?;
        let matrix = layer_jacobians(graph.node(h), &params, &[&x])?.remove(0);
        Ok((0..5).map(|i| (matrix.at(i, i) - expected(x[i])).abs()).fold(0.0, f64::max))
    };
    let tanh = slope(Tanh {}.into(), |a| 1.0 - a.tanh().powi(2))?;
    finding.check("tanh′ − (1 − tanh²), largest", tanh, Expected::AtMost(1e-15));
    let relu = slope(Relu {}.into(), |a| if a > 0.0 { 1.0 } else { 0.0 })?;
    finding.check("ReLU′ − 1[a > 0], largest", relu, Expected::Exactly(0.0));
    Ok(())
}

/// A plan's steps: each layer once forward, once backward to its input, once to its weights.
fn visits(finding: &mut Finding) -> Result<(), Error> {
    let mut graph = Graph::new();
    let x = graph.input("image", [3, 12, 12])?;
    let x = graph.add("conv1", Conv2d::new(8, 3), [x])?;
    let x = graph.add("relu1", Relu {}, [x])?;
    let x = graph.add("conv2", Conv2d::new(8, 3), [x])?;
    let x = graph.add("relu2", Relu {}, [x])?;
    let x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", Linear::new(10), [x])?;
    let graph = Arc::new(graph);
    let options = PlanOptions { fuse: false, input_gradients: true, ..PlanOptions::train(8) };
    let plan = Plan::new(&graph, options)?;
    let steps: Vec<Work> = plan.steps().map(|step| step.work).collect();
    let count = |work: Work| steps.iter().filter(|step| **step == work).count();
    let layers: Vec<Value> = graph.values().filter(|v| graph.node(*v).op().is_some()).collect();
    let once = layers.iter().all(|&v| {
        let weights = usize::from(!graph.node(v).params().is_empty());
        count(Work::Forward(v)) == 1
            && count(Work::BackwardInput(v, 0)) == 1
            && count(Work::BackwardParams(v)) == weights
    });
    finding.holds(
        "each layer is visited once forward, and backward once to its input and once to its weights",
        once,
    );
    let backward: Vec<usize> = steps
        .iter()
        .filter_map(|step| if let Work::BackwardInput(v, _) = step { Some(v.index()) } else { None })
        .collect();
    finding.holds("backward goes in the reverse order", backward.is_sorted_by(|a, b| a > b));
    finding.figure(
        "visits",
        "The steps of one update in the order in which they run. Layers are numbered from the image, 0, to the last linear one, 6.",
        Sheet::new("The steps of an update by layer").add(visited(&steps)),
    );
    Ok(())
}

fn visited(steps: &[Work]) -> Plot {
    let of = |kind: fn(&Work) -> Option<usize>| -> Vec<[f64; 2]> {
        let steps = steps.iter().enumerate();
        steps.filter_map(|(i, step)| Some([i as f64 + 1.0, kind(step)? as f64])).collect()
    };
    let forward = |work: &Work| if let Work::Forward(v) = work { Some(v.index()) } else { None };
    let to_input = |work: &Work| if let Work::BackwardInput(v, _) = work { Some(v.index()) } else { None };
    let to_weights = |work: &Work| if let Work::BackwardParams(v) = work { Some(v.index()) } else { None };
    Plot::new("", "step", "layer")
        .size(520.0, 280.0)
        .x_limits(0.0, steps.len() as f64 + 1.0)
        .y_limits(0.0, 7.0)
        .colored("forward", Mark::Dots, 0, of(forward))
        .colored("backward to the input", Mark::Dots, 1, of(to_input))
        .colored("backward to the weights", Mark::Rings, 2, of(to_weights))
}
