//! One neuron, a layer of them, and how a bias is a weight.

use std::sync::Arc;

use ocelli_core::ops::Linear;
use ocelli_core::{Batch, Criterion, Graph, Loss, Params, PlanOptions, RandomState, Reduction, Targets};

use super::numbers::largest_difference;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "neuron",
    title: "A neuron, and a layer of them",
    part: Part::Units,
    checklist: &[33, 34, 35],
    about: "A neuron weighs its inputs, adds them up and adds a bias. Written as the lecture writes it, the bias is one \
more weight, w₀, of an input that is always 1: the same output, and the same gradient.\n\n\
A layer is m neurons with the same n inputs: one product of an m×n matrix with a vector. That its sizes fit is checked as \
the layer is added to a network, and the error names the layer and the sizes.",
    equations: &[
        "a = Σ_{i=1}^{n} w_i x_i + b = Σ_{i=0}^{n} w_i x_i, \\quad x_0 = 1, \\quad w_0 = b",
        "a = Wx + b, \\quad W ∈ R^{m×n}",
    ],
    source: file!(),
    run,
};

/// Inputs of the neuron.
const INPUTS: usize = 7;
/// Samples that it is shown.
const SAMPLES: usize = 16;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let mut stream = context.key(&[33]).stream();
    let mut draw = |n: usize| (0..n).map(|_| stream.normal()).collect::<Vec<f64>>();
    let (x, w, b, targets) = (draw(SAMPLES * INPUTS), draw(INPUTS), draw(1), draw(SAMPLES));

    let biased = Neuron::new(context, INPUTS, true)?.run(&[&w, &b], &x, &targets);
    let sum = |x: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b[0];
    let by_loop: Vec<f64> = x.chunks_exact(INPUTS).map(sum).collect();
    let error = largest_difference(&by_loop, &biased.outputs);
    finding.check("neuron against a loop, largest difference", error, Expected::AtMost(1e-14));

    let ones: Vec<f64> =
        x.chunks_exact(INPUTS).flat_map(|x| [1.0].into_iter().chain(x.iter().copied())).collect();
    let weights: Vec<f64> = b.iter().chain(&w).copied().collect();
    let bare = Neuron::new(context, INPUTS + 1, false)?.run(&[&weights], &ones, &targets);
    finding.check(
        "bias as w₀: outputs, largest difference",
        largest_difference(&biased.outputs, &bare.outputs),
        Expected::AtMost(1e-14),
    );
    let gradient: Vec<f64> = biased.gradients[1].iter().chain(&biased.gradients[0]).copied().collect();
    finding.check(
        "bias as w₀: gradients, largest difference",
        largest_difference(&gradient, &bare.gradients[0]),
        Expected::AtMost(1e-14),
    );

    let mut graph = Graph::new();
    let input = graph.input("x", [4])?;
    graph.add("a", Linear::new(3), [input])?;
    let shape = graph.layout().entries()[0].spec.shape;
    finding.check(
        "W of a layer from 4 inputs to 3 units: rows",
        shape.sizes()[0] as f64,
        Expected::Exactly(3.0),
    );
    finding.check(
        "W of a layer from 4 inputs to 3 units: columns",
        shape.sizes()[1] as f64,
        Expected::Exactly(4.0),
    );
    let image = graph.input("image", [3, 8, 8])?;
    let refusal = graph.add("fc", Linear::new(3), [image]).err().map(|e| e.to_string()).unwrap_or_default();
    finding.holds(
        "an image where a vector is needed is refused, with layer and sizes named",
        refusal.contains("'fc'") && refusal.contains("3×8×8"),
    );
    finding.remark(format!("The refusal: `{}`", refusal.replace('\n', " ")));
    Ok(finding)
}

/// A network of one neuron.
struct Neuron {
    executor: ocelli_core::Executor<f64>,
    params: Params<f64>,
}

/// What it computes.
struct Computed {
    outputs: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

impl Neuron {
    fn new(context: &Context, inputs: usize, bias: bool) -> Result<Neuron, Error> {
        let mut graph = Graph::new();
        let x = graph.input("x", [inputs])?;
        let op = Linear::new(1);
        graph.add("a", if bias { op } else { op.without_bias() }, [x])?;
        let graph = Arc::new(graph);
        let params = Params::zeroed(graph.layout())?;
        Ok(Neuron { executor: context.engine().executor(&graph, PlanOptions::train(SAMPLES))?, params })
    }

    fn run(mut self, weights: &[&[f64]], x: &[f64], targets: &[f64]) -> Computed {
        let layout = Arc::clone(self.params.layout());
        for (entry, values) in layout.entries().iter().zip(weights) {
            self.params.set(entry, values);
        }
        let batch = Batch { inputs: &[x], targets: Some(Targets::Values(targets)), count: targets.len() };
        let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
        self.executor.differentiate(&self.params, &batch, &criterion, RandomState::default());
        let gradients = layout.entries().iter().map(|entry| self.executor.gradients().get(entry).into_data());
        Computed { gradients: gradients.collect(), outputs: self.executor.output().to_vec() }
    }
}
