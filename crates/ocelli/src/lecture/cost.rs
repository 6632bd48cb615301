//! The cost: sum or mean, the gradient of a batch, the Euclidean cost.

use std::sync::Arc;

use ocelli_core::ops::Linear;
use ocelli_core::{
    Batch, Criterion, Executor, Graph, Loss, Params, PlanOptions, RandomState, Reduction, Targets,
};

use super::numbers::largest_difference;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "cost",
    title: "The cost of a batch, and its gradient",
    part: Part::Backpropagation,
    checklist: &[67, 73, 74],
    about: "Training lowers E, the sum of the costs C of all samples, or their mean: the two differ by the number of samples M and \
so by what learning rate suits them. As derivatives are linear, the gradient of E is the sum of the samples’ gradients, \
so that a batch can be cut into parts and the parts shared out. The library’s E is the mean, and the sum on request.\n\n\
For the Euclidean cost, which has a factor of one half, the gradient at the output is simply output minus target. (The \
squared error, which the lecture uses for detectors, has no half, and a gradient twice as large.)",
    equations: &[
        "E = Σ_{m=1}^{M} C(x_n^m, y^m), \\quad \\frac{∂E}{∂θ} = Σ_{m=1}^{M} \\frac{∂C(x_n^m, y^m)}{∂θ}",
        "C = \\frac{1}{2} ‖x_n − y‖^2, \\quad \\frac{∂C}{∂x_n} = (x_n − y)^T",
    ],
    source: file!(),
    run,
};

/// A power of two, so that dividing by it rounds nothing.
const SAMPLES: usize = 16;

/// A neuron of two weights without a bias, so that a gradient is a point in the plane.
struct Neuron {
    params: Params<f64>,
    executor: Executor<f64>,
    inputs: Vec<f64>,
    targets: Vec<f64>,
}

impl Neuron {
    fn new(context: &Context) -> Result<Neuron, Error> {
        let mut graph = Graph::new();
        let x = graph.input("x", [2])?;
        graph.add("w", Linear::new(1).without_bias(), [x])?;
        let graph = Arc::new(graph);
        let options = PlanOptions { reuse: false, fuse: false, ..PlanOptions::train(SAMPLES) };
        let executor = context.engine().executor(&graph, options)?;
        let mut params = Params::zeroed(graph.layout())?;
        params.set(&graph.layout().entries()[0], &[-0.4, 0.9]);
        let mut stream = context.key(&[67]).stream();
        let inputs: Vec<f64> = (0..SAMPLES * 2).map(|_| stream.normal()).collect();
        let truth = |x: &[f64]| 0.8 * x[0] + 0.3 * x[1];
        let targets = inputs.chunks(2).map(|x| truth(x) + 0.3 * stream.normal()).collect();
        Ok(Neuron { params, executor, inputs, targets })
    }

    /// The gradient of E over the samples of this range.
    fn gradient(&mut self, range: std::ops::Range<usize>, loss: Loss, reduction: Reduction) -> [f64; 2] {
        let (inputs, targets) = (&self.inputs[range.start * 2..range.end * 2], &self.targets[range.clone()]);
        let batch = Batch { inputs: &[inputs], targets: Some(Targets::Values(targets)), count: range.len() };
        let criterion = Criterion { loss, reduction };
        self.executor.differentiate(&self.params, &batch, &criterion, RandomState::default());
        let gradients = self.executor.gradients();
        let entry = &gradients.layout().entries()[0];
        let found = gradients.get(entry).into_data();
        [found[0], found[1]]
    }
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let mut neuron = Neuron::new(context)?;
    let sum = neuron.gradient(0..SAMPLES, Loss::Euclidean, Reduction::Sum);
    let mean = neuron.gradient(0..SAMPLES, Loss::Euclidean, Reduction::Mean);
    let ratios = [0, 1].map(|i| sum[i] / mean[i]);
    finding.check(
        "gradient of the sum over that of the mean, smaller",
        ratios[0].min(ratios[1]),
        Expected::Exactly(16.0),
    );
    finding.check("the same, larger", ratios[0].max(ratios[1]), Expected::Exactly(16.0));

    let each: Vec<[f64; 2]> =
        (0..SAMPLES).map(|i| neuron.gradient(i..i + 1, Loss::Euclidean, Reduction::Sum)).collect();
    let total = [0, 1].map(|i| each.iter().map(|g| g[i]).sum::<f64>());
    finding.check(
        "Σ of the samples’ gradients − gradient of the batch",
        largest_difference(&total, &sum),
        Expected::AtMost(1e-14),
    );

    let half = neuron.gradient(0..1, Loss::Euclidean, Reduction::Sum);
    let by_hand = {
        let (x, w) = (&neuron.inputs[..2], [-0.4, 0.9]);
        let difference = w[0] * x[0] + w[1] * x[1] - neuron.targets[0];
        [difference * x[0], difference * x[1]]
    };
    finding.check(
        "(x_n − y)·x − gradient of ½(x_n − y)²",
        largest_difference(&by_hand, &half),
        Expected::AtMost(1e-15),
    );
    let square = neuron.gradient(0..1, Loss::SquaredError, Reduction::Sum);
    finding.check(
        "gradient of the squared error over that of the Euclidean cost",
        square[0] / half[0],
        Expected::Exactly(2.0),
    );
    finding.figure(
        "gradients",
        "The gradients of 16 samples by the two weights of a neuron, each a dot, and their mean, the gradient of E: samples \
         disagree, and a step follows what they have in common.",
        Sheet::new("The gradients of samples and their mean").add(plot(&each, mean)),
    );
    Ok(finding)
}

fn plot(each: &[[f64; 2]], mean: [f64; 2]) -> Plot {
    let mut plot = Plot::new("", "∂C/∂w₁", "∂C/∂w₂").size(430.0, 340.0);
    for (i, &g) in each.iter().enumerate() {
        let name = if i == 0 { "one sample" } else { "" };
        plot = plot.colored("", Mark::Thin, 5, [[0.0, 0.0], g]).colored(name, Mark::Dots, 5, [g]);
    }
    plot.colored("", Mark::Line, 1, [[0.0, 0.0], mean]).colored("mean of all", Mark::Rings, 1, [mean])
}
