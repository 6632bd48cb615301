//! The non-linearities: their values, slopes and ends.

use std::sync::Arc;

use ocelli_core::ops::{LeakyRelu, Prelu, Relu, Sigmoid, Tanh};
use ocelli_core::{
    Batch, Criterion, GradientCheck, Graph, Loss, Mode, Op, Params, PlanOptions, RandomState, Reduction,
    Targets,
};

use super::numbers::largest_difference;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "activations",
    title: "Non-linearities",
    part: Part::Units,
    checklist: &[36, 37, 38, 41, 42],
    about: "Without a non-linearity between them, layers collapse into one. The lecture’s are the sigmoid, which squashes \
to (0, 1) and whose slope vanishes at its ends; tanh, the same curve stretched and centred at 0; the rectifier, which is \
flat on one side and never saturates on the other; and the leaky rectifier, which keeps a little slope for what is \
negative, here 0.02. The parametric rectifier (He et al. 2015) learns that slope, one for a layer or one for each channel; \
the lecture’s slides call it “probabilistic ReLU”, and network files may do so too.\n\n\
Values and slopes here are those of the library’s ops, the slopes by back-propagation.",
    equations: &[
        "σ(a) = \\frac{1}{1 + e^{-a}}, \\quad \\tanh a = 2 σ(2a) - 1",
        "\"ReLU\"(a) = \\max(0, a), \\quad \"leaky\"(a) = \\max(0, a) + α \\min(0, a), \\quad \\frac{∂f}{∂α} = \\min(0, a)",
    ],
    source: file!(),
    run,
};

/// The slope of the leaky rectifier.
const LEAK: f64 = 0.02;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let of = |op: Op, at: &[f64]| curve(context, op, at);
    let at: Vec<f64> = (-3000..=3000).map(|i| f64::from(i) / 100.0).collect();
    let (sigmoid, slopes) = of(Sigmoid {}.into(), &at)?;
    let inside = sigmoid.iter().all(|y| 0.0 < *y && *y < 1.0);
    finding.holds("sigmoid lies inside (0, 1) for |a| ≤ 30", inside);
    finding.check("sigmoid at 0", sigmoid[3000], Expected::Exactly(0.5));
    finding.check("its slope at 0", slopes[3000], Expected::Exactly(0.25));
    finding.check("its slope at a = 10", slopes[4000], Expected::AtMost(1e-4));
    finding.check("its slope at a = −10", slopes[2000], Expected::AtMost(1e-4));
    let (ends, slopes) = of(Sigmoid {}.into(), &[-1e3, 1e3])?;
    let finite = ends.iter().chain(&slopes).all(|v| v.is_finite());
    finding.holds("no overflow at ±1000", finite && ends[0] < 1e-300 && ends[1] == 1.0);

    let (tanh, _) = of(Tanh {}.into(), &at)?;
    let (doubled, _) = of(Sigmoid {}.into(), &at.iter().map(|a| 2.0 * a).collect::<Vec<_>>())?;
    let scaled: Vec<f64> = doubled.iter().map(|s| 2.0 * s - 1.0).collect();
    let error = largest_difference(&tanh, &scaled);
    finding.check("tanh a against 2σ(2a) − 1, largest difference", error, Expected::AtMost(1e-15));

    let (relu, slopes) = of(Relu {}.into(), &at)?;
    let error = largest_difference(&relu, &at.iter().map(|a| a.max(0.0)).collect::<Vec<_>>());
    finding.check("ReLU against max(0, a), largest difference", error, Expected::Exactly(0.0));
    finding.check("ReLU's slope at 0", slopes[3000], Expected::Exactly(0.0));
    finding.holds(
        "ReLU's slope is 1 above 0 and 0 below",
        slopes[3001..].iter().all(|s| *s == 1.0) && slopes[..3000].iter().all(|s| *s == 0.0),
    );
    let (leaky, slopes) = of(LeakyRelu { slope: LEAK }.into(), &at)?;
    finding.check("leaky ReLU, α = 0.02, at a = −10", leaky[2000], Expected::Near(-0.2, 1e-15));
    finding.check("its slope below 0 is +α", slopes[1000], Expected::Exactly(LEAK));

    parametric(&mut finding)?;
    finding.figure("curves", CURVES, drawing(context)?);
    Ok(finding)
}

const CURVES: &str =
    "The non-linearities and their slopes. The leak is drawn as 0.1 instead of 0.02, so that it can be seen.";

fn parametric(finding: &mut Finding) -> Result<(), Error> {
    for (shared, kind) in [(true, "one for the layer"), (false, "one per channel")] {
        let mut graph = Graph::new();
        let x = graph.input("x", [3, 4, 4])?;
        graph.add("prelu", Prelu { shared, start: 0.25 }, [x])?;
        let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
        let report = GradientCheck::new(criterion, Mode::Train).layers(&graph, 3)?;
        let checked: usize = report.layers.iter().map(|layer| layer.params.checked).sum();
        finding.check(
            format!("PReLU, {kind}: slopes for three channels"),
            checked as f64,
            Expected::Exactly(if shared { 1.0 } else { 3.0 }),
        );
        let what = format!("PReLU, {kind}: largest relative error of its gradients against differences");
        finding.check(what, report.largest_error(), Expected::AtMost(1e-6));
    }
    let alias: Result<Op, _> = serde_json::from_str("{\"op\":\"probabilistic_relu\"}");
    finding.holds(
        "“probabilistic_relu” in a network file is PReLU",
        alias.is_ok_and(|op| op == Prelu::default().into()),
    );
    Ok(())
}

/// An op's values at some places, and its slopes there, both by the executor.
pub(super) fn curve(context: &Context, op: Op, at: &[f64]) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let mut graph = Graph::new();
    let input = graph.input("a", [at.len()])?;
    graph.add("y", op, [input])?;
    let graph = Arc::new(graph);
    let params = Params::initialised(graph.layout(), 0)?;
    let options = PlanOptions { input_gradients: true, reuse: false, fuse: false, ..PlanOptions::train(1) };
    let mut executor = context.engine().executor::<f64>(&graph, options)?;
    let values = executor.forward(&params, &[at], 1).to_vec();
    // ½(y − t)² has the gradient 1 where t = y − 1; what rounding makes of that 1 is divided out below.
    let targets: Vec<f64> = values.iter().map(|y| y - 1.0).collect();
    let batch = Batch { inputs: &[at], targets: Some(Targets::Values(&targets)), count: 1 };
    let criterion = Criterion { loss: Loss::Euclidean, reduction: Reduction::Mean };
    executor.differentiate(&params, &batch, &criterion, RandomState::default());
    let seeds = values.iter().zip(&targets).map(|(y, t)| y - t);
    let slopes = executor.value_gradient(input).expect("the input's gradient was asked for");
    Ok((values.clone(), slopes.iter().zip(seeds).map(|(slope, seed)| slope / seed).collect()))
}

fn drawing(context: &Context) -> Result<Sheet, Error> {
    let at: Vec<f64> = (-400..=400).map(|i| f64::from(i) / 100.0).collect();
    let ops: [(&str, Op); 4] = [
        ("sigmoid", Sigmoid {}.into()),
        ("tanh", Tanh {}.into()),
        ("ReLU", Relu {}.into()),
        ("leaky ReLU", LeakyRelu { slope: 5.0 * LEAK }.into()),
    ];
    let mut values = Plot::new("values", "a", "h(a)").y_limits(-1.5, 4.0);
    let mut slopes = Plot::new("slopes", "a", "h′(a)").y_limits(-0.1, 1.2);
    for (name, op) in ops {
        let (y, slope) = curve(context, op, &at)?;
        let points = |of: &[f64]| at.iter().zip(of).map(|(a, v)| [*a, *v]).collect::<Vec<_>>();
        // What jumps is drawn as two pieces.
        let pieces = |points: Vec<[f64; 2]>| {
            points.iter().map(|p| if p[0] == 0.0 { [0.0, f64::NAN] } else { *p }).collect::<Vec<_>>()
        };
        values = values.series(name, Mark::Line, points(&y));
        let jumps = name.ends_with("ReLU");
        slopes = slopes.series(name, Mark::Line, if jumps { pieces(points(&slope)) } else { points(&slope) });
    }
    Ok(Sheet::new("Non-linearities and their slopes").add(values).add(slopes))
}
