//! Bishop's figure 5.3: three tanh units approximate five functions.

use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{Graph, Init, Loss, Params};
use ocelli_kernels::Element;

use super::learner::{Learner, SGD, Samples, each};
use super::numbers::median;
use super::quasi_newton::minimise;
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "bishop",
    title: "What three hidden units can approximate",
    part: Part::Units,
    checklist: &[49],
    about: "Figure 5.3 of Bishop’s Pattern Recognition and Machine Learning (2006), which the lecture shows: networks of \
three tanh units and a linear output, fitted to 50 points of x², sin x, |x| and Heaviside’s step; sin πx is added here. \
Each is the best of twenty random starts, fitted by a quasi-Newton method (BFGS) in f64 until no step leads further down.\n\n\
The figures beside ours come from independent fits of the same kind. Plain gradient descent is far worse.",
    equations: &[
        "y(x) = Σ_{j=1}^{3} v_j \\tanh(w_j x + b_j) + c, \\quad E = \\frac{1}{2N} Σ_n (y(x_n) - f(x_n))^2",
    ],
    source: file!(),
    run,
};

const POINTS: usize = 50;
const UNITS: usize = 3;
const STARTS: usize = 20;
const ITERATIONS: usize = 6000;
/// Places between which the fit is measured, evenly spread.
const DENSE: usize = 2001;

/// A function to approximate.
struct Target {
    name: &'static str,
    f: fn(f64) -> f64,
    /// The root mean square error that independent fits reached at the points, and between them.
    best: f64,
    dense: f64,
}

const TARGETS: [Target; 5] = [
    Target { name: "x²", f: |x| x * x, best: 3.4e-6, dense: 3.8e-6 },
    Target { name: "sin x", f: f64::sin, best: 1.2e-6, dense: 1.2e-6 },
    Target { name: "sin πx", f: |x| (std::f64::consts::PI * x).sin(), best: 4.5e-5, dense: 1.1e-4 },
    Target { name: "|x|", f: f64::abs, best: 1.14e-2, dense: 1.3e-2 },
    Target { name: "H(x)", f: |x| f64::from(u8::from(x >= 0.0)), best: 1.5e-9, dense: 5.5e-2 },
];

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let mut stream = context.key(&[49]).stream();
    let x: Vec<f64> = (0..POINTS).map(|_| stream.range(-1.0, 1.0)).collect();
    let mut table = Table::new(
        "root mean square errors of fits from 20 starts, beside those of independent fits",
        ["f", "best at the points", "independent", "median at the points", "best in between", "independent"],
    );
    let mut plots = Vec::new();
    for target in &TARGETS {
        let fits = each(context.engine(), STARTS, |start| fit(context, target, &x, start as u64))?;
        let best = fits.iter().min_by(|a, b| a.error.total_cmp(&b.error)).expect("starts");
        let (middle, dense) =
            (median(&fits.iter().map(|fit| fit.error).collect::<Vec<_>>()), best.dense(target));
        let power = |v: f64| format!("{v:.1e}");
        table.row([
            target.name.to_owned(),
            power(best.error),
            power(target.best),
            power(middle),
            power(dense),
            power(target.dense),
        ]);
        let expected = if target.name == "|x|" {
            Expected::Near(target.best, 0.1)
        } else {
            Expected::AtMost(3.0 * target.best)
        };
        if target.name == "H(x)" {
            let largest = best.largest(target);
            finding.said(
                "H(x): largest error between the points",
                largest,
                Expected::Between(0.4, 1.0),
                "about 1 at the jump",
            );
        }
        finding.said(
            format!("{}: root mean square error at the points, best start", target.name),
            best.error,
            expected,
            &format!("{} in independent fits", power(target.best)),
        );
        plots.push(drawing(target, &x, best));
    }
    finding.table(table);
    finding.figure("fits", FITS, Sheet::new("Bishop’s figure 5.3").grid(3, plots));
    Ok(finding)
}

const FITS: &str =
    "The points, the fitted network (orange), and what its three hidden units give (dashed), as they are.";

/// A fitted network.
struct Fit {
    error: f64,
    /// x, y and the hidden units at places evenly spread.
    curve: Vec<[f64; 2 + UNITS]>,
}

impl Fit {
    fn largest(&self, target: &Target) -> f64 {
        self.curve.iter().map(|point| (point[1] - (target.f)(point[0])).abs()).fold(0.0, f64::max)
    }

    fn dense(&self, target: &Target) -> f64 {
        let squares = self.curve.iter().map(|point| (point[1] - (target.f)(point[0])).powi(2));
        (squares.sum::<f64>() / self.curve.len() as f64).sqrt()
    }
}

fn fit(context: &Context, target: &Target, x: &[f64], start: u64) -> Result<Fit, Error> {
    let wide = |std| Init::Normal { std };
    let mut graph = Graph::new();
    let input = graph.input("x", [1])?;
    let a = graph.add("hidden", Linear::new(UNITS).init(wide(2.0)).bias_init(wide(1.0)), [input])?;
    let h = graph.add("tanh", Tanh {}, [a])?;
    graph.add("output", Linear::new(1).init(wide(1.0)), [h])?;
    let seed = context.key(&[49, start]).word(0);
    let mut learner = Learner::<f64>::new(context.engine(), graph, Loss::Euclidean, SGD, DENSE, seed.into())?;
    let samples = Samples::values(x.to_vec(), 1, x.iter().map(|&x| (target.f)(x)).collect(), 1);
    let cost = descend(&mut learner, &samples, ITERATIONS);
    let places: Vec<f64> = (0..DENSE).map(|i| -1.0 + 2.0 * i as f64 / (DENSE - 1) as f64).collect();
    let (y, hidden) = (learner.outputs(&places), learner.values(&places, h));
    let point = |i: usize| [places[i], y[i], hidden[UNITS * i], hidden[UNITS * i + 1], hidden[UNITS * i + 2]];
    Ok(Fit { error: (2.0 * cost).sqrt(), curve: (0..DENSE).map(point).collect() })
}

/// Follows the cost of all samples down by BFGS. Returns the cost at the end.
fn descend(learner: &mut Learner<f64>, samples: &Samples<f64>, iterations: usize) -> f64 {
    let start = packed(&learner.params);
    let mut cost = |at: &[f64], gradient: &mut [f64]| {
        spread(at, &mut learner.params);
        let (cost, gradients) = learner.gradients(samples);
        gradient.copy_from_slice(&packed(gradients));
        cost
    };
    let minimum = minimise(&mut cost, start, iterations);
    spread(&minimum.at, &mut learner.params);
    minimum.value
}

/// The trained numbers, without the gaps between them in the arena.
fn packed<T: Element>(params: &Params<T>) -> Vec<T> {
    let entries = params.layout().entries().iter().filter(|entry| entry.spec.role.trainable());
    entries.flat_map(|entry| &params.data()[entry.range.clone()]).copied().collect()
}

/// The inverse of [`packed`].
fn spread<T: Element>(values: &[T], params: &mut Params<T>) {
    let layout = std::sync::Arc::clone(params.layout());
    let mut rest = values;
    for entry in layout.entries().iter().filter(|entry| entry.spec.role.trainable()) {
        let (mine, others) = rest.split_at(entry.range.len());
        params.data_mut()[entry.range.clone()].copy_from_slice(mine);
        rest = others;
    }
}

fn drawing(target: &Target, x: &[f64], fit: &Fit) -> Plot {
    let mut plot = Plot::new(target.name, "x", "").size(280.0, 250.0).x_limits(-1.0, 1.0);
    let column = |at: usize| fit.curve.iter().map(move |point| [point[0], point[at]]).collect::<Vec<_>>();
    for unit in 0..UNITS {
        plot = plot.colored("", Mark::Dashed, 2 + unit, column(2 + unit));
    }
    plot.colored("", Mark::Line, 1, column(1)).colored(
        "",
        Mark::Dots,
        0,
        x.iter().map(|&x| [x, (target.f)(x)]),
    )
}
