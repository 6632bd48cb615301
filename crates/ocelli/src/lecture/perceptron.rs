//! Rosenblatt's perceptron and the bound on its mistakes.

use ocelli_core::ops::Linear;
use ocelli_core::{Graph, Init, Loss};

use super::learner::{Learner, SGD, Samples};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "perceptron",
    title: "The perceptron and its mistakes",
    part: Part::History,
    checklist: &[9],
    about: "Rosenblatt’s perceptron (1958) looks at one example at a time. If it is on the right side, nothing happens; \
otherwise the example is added to the weights, or taken away. On separable data it makes at most (R/γ)² mistakes in all, \
where R is the length of the longest example and γ the margin that some plane through the origin keeps from all of them \
(Novikoff 1962), whatever the order and however many examples there are.\n\n\
In the rule below, target t and answer y are 1 or 0. It is gradient descent: a linear unit under a hinge loss whose margin \
is the smallest number above 0, one example per step, with η = 1.",
    equations: &["w ← w + η (t - y) x, \\quad \"mistakes\" ≤ (\\frac{R}{γ})^2"],
    source: file!(),
    run,
};

/// The rule as a loss: max(0, m − y·f) with the smallest m, so that the gradient is −y·x where y·f ≤ 0 and 0 elsewhere.
pub(super) const RULE: Loss = Loss::Hinge { margin: f64::MIN_POSITIVE, squared: false };

/// Separable data: points within the unit ball that keep `margin` away from a random plane through the origin.
struct Cloud {
    samples: Samples<f64>,
    plane: Vec<f64>,
    bound: f64,
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let mut points = Vec::new();
    let mut worst = 0.0f64;
    let mut unlearned = 0;
    for (d, dims) in [2, 5, 20, 100].into_iter().enumerate() {
        for (m, margin) in [0.2, 0.1, 0.05, 0.02].into_iter().enumerate() {
            let cloud = cloud(context, [d as u64, m as u64], dims, margin, 200);
            let (mistakes, done) = learn(context, &cloud, dims)?;
            worst = worst.max(mistakes / cloud.bound);
            unlearned += usize::from(!done);
            points.push((d, dims, [cloud.bound, mistakes]));
        }
    }
    finding.check("data sets", points.len() as f64, Expected::Anything);
    finding.check("mistakes as a share of (R/γ)², the largest of all sets", worst, Expected::AtMost(1.0));
    finding.check(
        "data sets that were not learned without a mistake",
        unlearned as f64,
        Expected::Exactly(0.0),
    );
    finding.figure("bound", BOUND, drawing(context, &points)?);
    Ok(finding)
}

const BOUND: &str = "Left: a line learned in two dimensions, and the margin that the points keep from the line that they \
were labelled by (dashed). Right: mistakes until every example was right, beside the bound, for 200 examples in 2 to 100 \
dimensions.";

fn cloud(context: &Context, words: [u64; 2], dims: usize, margin: f64, count: usize) -> Cloud {
    let mut stream = context.key(&[9, words[0], words[1]]).stream();
    let unit = |x: Vec<f64>| {
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        x.into_iter().map(move |x| x / norm).collect::<Vec<f64>>()
    };
    let plane = unit((0..dims).map(|_| stream.normal()).collect());
    let (mut x, mut signs) = (Vec::new(), Vec::new());
    let (mut longest, mut closest) = (0.0f64, f64::INFINITY);
    while signs.len() < count {
        let point = unit((0..dims).map(|_| stream.normal()).collect());
        let radius = stream.uniform().sqrt();
        let mut point: Vec<f64> = point.into_iter().map(|x| x * radius).collect();
        let side: f64 = point.iter().zip(&plane).map(|(x, w)| x * w).sum();
        // Pushed away from the plane: in many dimensions nearly all points are close to it.
        point.iter_mut().zip(&plane).for_each(|(x, w)| *x += margin * side.signum() * w);
        longest = longest.max(point.iter().map(|x| x * x).sum::<f64>().sqrt());
        closest = closest.min(side.abs() + margin);
        signs.push(side.signum());
        x.extend(point);
    }
    Cloud { samples: Samples::values(x, dims, signs, 1), plane, bound: (longest / closest).powi(2) }
}

/// A linear unit that starts at 0, without a bias.
fn unit(context: &Context, dims: usize) -> Result<Learner<f64>, Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [dims])?;
    graph.add("w", Linear::new(1).without_bias().init(Init::Constant { value: 0.0 }), [x])?;
    Learner::new(context.engine(), graph, RULE, SGD, 1, context.seed())
}

/// Mistakes until a pass without one, and whether there was one within as many passes as the bound allows.
fn learn(context: &Context, cloud: &Cloud, dims: usize) -> Result<(f64, bool), Error> {
    let mut perceptron = unit(context, dims)?;
    let each: Vec<Samples<f64>> = (0..cloud.samples.count()).map(|i| cloud.samples.chosen(&[i])).collect();
    let mut mistakes = 0.0;
    // Every pass but the last has a mistake.
    for _ in 0..=cloud.bound as usize {
        let wrong = each.iter().filter(|sample| perceptron.step(sample, 1.0) > 0.0).count();
        if wrong == 0 {
            return Ok((mistakes, true));
        }
        mistakes += wrong as f64;
    }
    Ok((mistakes, false))
}

fn drawing(context: &Context, points: &[(usize, usize, [f64; 2])]) -> Result<Sheet, Error> {
    let cloud = cloud(context, [9, 9], 2, 0.12, 90);
    let mut perceptron = unit(context, 2)?;
    for _ in 0..=cloud.bound as usize {
        for i in 0..cloud.samples.count() {
            perceptron.step(&cloud.samples.chosen(&[i]), 1.0);
        }
    }
    let signs = match &cloud.samples.wanted {
        super::learner::Wanted::Values(signs, _) => signs.clone(),
        super::learner::Wanted::Classes(_) => Vec::new(),
    };
    let of = |sign: f64| {
        let chosen = signs.iter().enumerate().filter(move |(_, s)| **s == sign).map(|(i, _)| i);
        chosen.map(|i| [cloud.samples.x[2 * i], cloud.samples.x[2 * i + 1]]).collect::<Vec<_>>()
    };
    // The line w·x = offset, across the picture.
    let line = |w: &[f64], offset: f64| {
        let n = w[0].hypot(w[1]);
        let (a, b) = (w[0] / n, w[1] / n);
        [-3.0, 3.0].map(|t: f64| [a * offset - b * t, b * offset + a * t])
    };
    let clipped = |ends: [[f64; 2]; 2]| {
        let at = |t: f64| [0, 1].map(|axis| ends[0][axis] + t * (ends[1][axis] - ends[0][axis]));
        (0..=600)
            .map(|i| at(f64::from(i) / 600.0))
            .filter(|p| p.iter().all(|v| v.abs() <= 1.25))
            .collect::<Vec<_>>()
    };
    let w = perceptron.params.data()[..2].to_vec();
    let plane = Plot::new("learned in two dimensions", "x₁", "x₂")
        .size(310.0, 300.0)
        .x_limits(-1.25, 1.25)
        .y_limits(-1.25, 1.25)
        .colored("+1", Mark::Dots, 0, of(1.0))
        .colored("−1", Mark::Rings, 1, of(-1.0))
        .colored("learned", Mark::Line, 2, clipped(line(&w, 0.0)))
        .colored("margin", Mark::Dashed, 5, clipped(line(&cloud.plane, 0.12)))
        .colored("", Mark::Dashed, 5, clipped(line(&cloud.plane, -0.12)));
    let mut plot =
        Plot::new("mistakes and their bound", "(R/γ)²", "mistakes").size(400.0, 300.0).log_x().log_y();
    let ends = points
        .iter()
        .fold([f64::INFINITY, 0.0f64], |[low, high], (_, _, [x, _])| [low.min(*x), high.max(*x)]);
    plot = plot.colored("the bound", Mark::Dashed, 5, ends.map(|x| [x, x]));
    for color in 0..4 {
        let mine: Vec<_> = points.iter().filter(|(d, ..)| *d == color).collect();
        let name = format!("{} dimensions", mine[0].1);
        plot = plot.colored(
            &name,
            Mark::Dots,
            color,
            mine.iter().map(|(_, _, point)| [point[0], point[1].max(1.0)]),
        );
    }
    Ok(Sheet::new("The perceptron and its bound").add(plane).add(plot))
}
