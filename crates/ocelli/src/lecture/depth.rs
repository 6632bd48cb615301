//! Deep networks from plain and from He's starts.

use ocelli_core::Init;
use ocelli_core::ops::Linear;

use super::learner::{CROSS_ENTROPY, Learner, MOMENTUM, Samples, stack};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "depth",
    title: "How deep can it be? It depends on the start",
    part: Part::Units,
    checklist: &[48],
    about: "A rectifier passes on half of what it gets. With weights whose variance is 1/fan-in, as was usual before, each \
layer halves the mean square of its signal, and twenty layers leave a millionth of it. He et al. (2015) draw weights of \
variance 2/((1 + α²)·fan-in) for a slope α below 0, and the signal stays as strong as it was. The same networks of 64 \
units a layer are trained for the same number of steps from either start, deeper and deeper.",
    equations: &[
        "E[x_l^2] = \\frac{1}{2}(1 + α^2) n_l \"Var\"[w_l] E[x_{l-1}^2], \\quad \"He:\" \\quad \"Var\"[w] = \\frac{2}{(1 + α^2) n}",
    ],
    source: file!(),
    run,
};

const UNITS: usize = 64;
const DEPTHS: [usize; 6] = [1, 2, 4, 8, 14, 20];
const EPOCHS: u64 = 12;
const RATE: f64 = 0.003;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let splits = context.digits()?;
    finding.data = "the embedded digits, 8×8".to_owned();
    let (train, val) =
        (Samples::pictures(&*splits.train, usize::MAX)?, Samples::pictures(&*splits.val, usize::MAX)?);
    let train = standardised(&train);
    let val = standardised(&val);
    let he = Init::He { uniform: false, slope: 0.0, fan_out: false };
    // The variance of U(−b, b) is b²/3.
    let plain = Init::UniformFanIn { a: 3f64.sqrt(), power: 0.5 };
    let mut accuracy =
        Plot::new("held-out accuracy after training", "hidden layers", "top-1").y_limits(0.0, 1.0);
    let mut signal =
        Plot::new("strength of the signal at the start", "layer", "root mean square of its output").log_y();
    let mut ends = Vec::new();
    for (color, (name, init)) in [("He: 2/n", he), ("plain: 1/n", plain)].into_iter().enumerate() {
        let mut points = Vec::new();
        for depth in DEPTHS {
            let mut learner = network(context, train.len, depth, &init)?;
            if depth == DEPTHS[DEPTHS.len() - 1] {
                let strengths = strengths(&mut learner, &train, depth);
                ends.push(strengths[depth - 1] / strengths[0]);
                signal = signal.colored(
                    name,
                    Mark::Line,
                    color,
                    strengths.iter().enumerate().map(|(l, s)| [l as f64 + 1.0, *s]),
                );
            }
            for epoch in 0..EPOCHS {
                learner.epoch(&train, RATE, epoch);
            }
            points.push([depth as f64, learner.accuracy(&val)]);
        }
        let (shallow, deep) = (points[0][1], points[points.len() - 1][1]);
        finding.check(format!("{name}: accuracy with 1 hidden layer"), shallow, Expected::AtLeast(0.9));
        let expected = if color == 0 { Expected::AtLeast(0.85) } else { Expected::AtMost(0.5) };
        finding.check(format!("{name}: accuracy with 20 hidden layers"), deep, expected);
        accuracy =
            accuracy.colored(name, Mark::Line, color, points.clone()).colored("", Mark::Dots, color, points);
    }
    finding.said(
        "He: signal after 20 layers over that after the first",
        ends[0],
        Expected::Between(0.1, 10.0),
        "stays as strong as it was",
    );
    finding.said(
        "plain: signal after 20 layers over that after the first",
        ends[1],
        Expected::Between(2f64.powf(-9.5) / 10.0, 2f64.powf(-9.5) * 10.0),
        "19 halvings of the mean square: 1.4e-3",
    );
    finding.figure("sweep", SWEEP, Sheet::new("Depth and the start").add(accuracy).add(signal));
    Ok(finding)
}

const SWEEP: &str = "Left: networks of 1 to 20 hidden layers after the same training. Right: the signal in 20 layers \
before training.";

/// With mean 0 and variance 1 over all pixels.
fn standardised(samples: &Samples<f32>) -> Samples<f32> {
    let n = samples.x.len() as f32;
    let mean = samples.x.iter().sum::<f32>() / n;
    let deviation = (samples.x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt();
    let x = samples.x.iter().map(|x| (x - mean) / deviation).collect();
    Samples { x, ..samples.clone() }
}

fn network(context: &Context, inputs: usize, depth: usize, init: &Init) -> Result<Learner<f32>, Error> {
    let graph = stack(inputs, depth, UNITS, |units| Linear::new(units).init(init.clone()))?;
    Learner::new(context.engine(), graph, CROSS_ENTROPY, MOMENTUM, 32, context.seed())
}

/// The root mean square of each layer's output.
fn strengths(learner: &mut Learner<f32>, samples: &Samples<f32>, depth: usize) -> Vec<f64> {
    let some = samples.chosen(&(0..256).collect::<Vec<_>>());
    let strength = |layer: usize| {
        let node = learner.graph.find(&format!("relu{layer}")).expect("a layer");
        let values = learner.values(&some.x, node);
        (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    };
    (1..=depth).map(strength).collect()
}
