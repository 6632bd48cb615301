//! Rectifiers that died.

use ocelli_core::ops::{LeakyRelu, Linear, Relu};
use ocelli_core::{Graph, Loss, Op};

use super::learner::{Learner, SGD, Samples};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "dead-units",
    title: "A rectifier that died, and a leak that revives it",
    part: Part::Units,
    checklist: &[39],
    about: "A rectifier whose input is negative for every example has a gradient of 0 for every example: it cannot learn \
its way back. Here two units have to learn 2|x|, an arm each, and one of them is pushed there by its bias. The same \
network is trained with rectifiers and with leaky ones. Reports of training runs count such units layer by layer.",
    equations: &[
        "a_i < 0 \\quad \"for all examples\" \\quad ⇒ \\quad \\frac{∂E}{∂w} = Σ_i g_i h'(a_i) x_i = 0",
    ],
    source: file!(),
    run,
};

/// Hidden units; the first one is the one that is pushed.
const UNITS: usize = 2;
const EXAMPLES: usize = 64;
const STEPS: usize = 6000;
/// The leak, the lecture's.
const LEAK: f64 = 0.02;
/// Where the bias is pushed: below what any example can lift.
const PUSHED: f64 = -1.5;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let plain = train(context, Relu {}.into())?;
    let leaky = train(context, LeakyRelu { slope: LEAK }.into())?;
    finding.check(
        "ReLU: norm of the pushed unit's gradient, the largest of all steps",
        plain.gradient,
        Expected::Exactly(0.0),
    );
    finding.check(
        "ReLU: examples that lift the pushed unit above 0 in the end",
        plain.answers(),
        Expected::Exactly(0.0),
    );
    finding.check(
        "ReLU: units found dead, as a report counts them",
        plain.dead as f64,
        Expected::AtLeast(1.0),
    );
    finding.check(
        "leaky: norm of the pushed unit's gradient in the first step",
        leaky.first_gradient,
        Expected::AtLeast(1e-6),
    );
    finding.check("leaky: examples that lift it above 0 in the end", leaky.answers(), Expected::AtLeast(1.0));
    finding.check("leaky: units found dead", leaky.dead as f64, Expected::Exactly(0.0));
    let plot = |title: &str, y: &str| Plot::new(title, "step of training", y);
    let answers = plot("the pushed unit", "share of examples with a > 0")
        .y_limits(-0.02, 1.0)
        .series("leaky ReLU", Mark::Line, leaky.curve)
        .series("ReLU", Mark::Line, plain.curve);
    let costs = plot("the cost", "mean of ½(y − t)²")
        .log_y()
        .series("leaky ReLU", Mark::Line, leaky.costs)
        .series("ReLU", Mark::Line, plain.costs);
    let sheet = Sheet::new("A dead rectifier").add(answers).add(costs);
    finding.figure("revival", REVIVAL, sheet);
    Ok(finding)
}

const REVIVAL: &str =
    "Left: the share of the examples for which the pushed unit is above 0. Right: the cost of both networks.";

/// What became of a network.
struct Life {
    first_gradient: f64,
    gradient: f64,
    curve: Vec<[f64; 2]>,
    costs: Vec<[f64; 2]>,
    dead: usize,
}

impl Life {
    fn answers(&self) -> f64 {
        self.curve.last().map_or(0.0, |point| (point[1] * EXAMPLES as f64).round())
    }
}

fn train(context: &Context, op: Op) -> Result<Life, Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [1])?;
    let a = graph.add("hidden", Linear::new(UNITS), [x])?;
    let h = graph.add("h", op, [a])?;
    graph.add("output", Linear::new(1), [h])?;
    let mut learner =
        Learner::<f64>::new(context.engine(), graph, Loss::Euclidean, SGD, EXAMPLES, context.seed())?;
    let bias = learner.graph.layout().find("hidden.bias").expect("a bias").range.start;
    let weight = learner.graph.layout().find("hidden.weight").expect("weights").range.start;
    learner.params.data_mut()[bias] = PUSHED;
    let output = learner.graph.layout().find("output.weight").expect("weights").range.start;
    let data = learner.params.data_mut();
    // The pushed unit looks to the left, the other one to the right.
    data[weight..weight + UNITS].copy_from_slice(&[-1.0, 1.0]);
    data[output..output + UNITS].fill(1.0);

    let mut stream = context.key(&[39]).stream();
    let x: Vec<f64> = (0..EXAMPLES).map(|_| stream.range(-1.0, 1.0)).collect();
    let targets = x.iter().map(|x| 2.0 * x.abs()).collect();
    let samples = Samples::values(x, 1, targets, 1);
    let hidden = learner.graph.find("hidden").expect("a layer");
    let mut life = Life { first_gradient: 0.0, gradient: 0.0, curve: Vec::new(), costs: Vec::new(), dead: 0 };
    for step in 0..=STEPS {
        let (cost, gradients) = learner.gradients(&samples);
        let of_unit = [gradients.data()[weight], gradients.data()[bias]].into_iter();
        let norm = of_unit.map(|g| g * g).sum::<f64>().sqrt();
        life.gradient = life.gradient.max(norm);
        if step == 0 {
            life.first_gradient = norm;
        }
        if step.is_multiple_of(20) {
            let a = learner.values(&samples.x, hidden);
            let active = |unit: usize| a.iter().skip(unit).step_by(UNITS).filter(|a| **a > 0.0).count();
            life.curve.push([step as f64, active(0) as f64 / EXAMPLES as f64]);
            life.costs.push([step as f64, cost]);
            life.dead = (0..UNITS).filter(|&unit| active(unit) == 0).count();
        }
        learner.step(&samples, 0.1);
    }
    Ok(life)
}
