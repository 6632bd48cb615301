//! ReLU against tanh, to the same training error.

use ocelli_core::ops::{AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Relu, Tanh};
use ocelli_core::{Graph, Op};

use super::learner::{CROSS_ENTROPY, Learner, MOMENTUM, Samples};
use super::numbers::mean;
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};
use crate::spread::spread;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "relu-race",
    title: "ReLU and tanh race",
    part: Part::Units,
    checklist: &[40],
    about: "Figure 1 of the AlexNet paper: a convolutional network of four layers reaches 25 % training error on CIFAR-10 \
six times sooner with rectifiers than with tanh. Learning rates were chosen for each, and nothing was regularised.\n\n\
Here the same race: three convolutions of 5×5, pooling of 3×3 in steps of 2 after each, a linear layer, momentum 0.9. The \
learning rate of each is the quickest of a ladder of five, each three times the one below; then five starts race with it. Given \
CIFAR-10 (`--data`), 20,000 of its images are raced on, to 25 %; otherwise the embedded digits, to 2 %.\n\n\
Do not expect a factor of six: weights start with the variance that each layer’s width asks for (He et al. 2015), and \
there is momentum, so that tanh takes larger rates than it could in 2012.",
    equations: &["\"ratio\" = \\frac{\"epochs of tanh\"}{\"epochs of ReLU\"}"],
    source: file!(),
    run,
};

/// Where the race is run.
struct Course {
    train: Samples<f32>,
    shape: [usize; 3],
    /// Training error that ends it.
    goal: f64,
    /// Epochs after which it is given up.
    most: f64,
    /// Epochs between two looks at the error.
    stride: f64,
    /// Learning rates, the likely ones first: the others are given up sooner.
    rates: &'static [f64],
    maps: [usize; 3],
}

/// Images on which the training error is measured, of those that are trained on.
const LOOKED_AT: usize = 500;
const BATCH: usize = 64;
const STARTS: u64 = 5;

/// Training error after so many epochs.
type Curve = Vec<[f64; 2]>;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let course = course(context, &mut finding)?;
    let mut ladder = course.rates.to_vec();
    ladder.sort_by(f64::total_cmp);
    let ladder = ladder.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
    let mut table = Table::new(
        &format!("the race, each with the quickest learning rate of {ladder}"),
        ["unit", "learning rate", "epochs to the goal, each start"],
    );
    let mut plot =
        Plot::new("the race", "epochs", "training error").size(520.0, 310.0).rule_y(course.goal, "the goal");
    let mut times = Vec::new();
    for (color, (name, op)) in
        [("ReLU", Op::from(Relu {})), ("tanh", Op::from(Tanh {}))].into_iter().enumerate()
    {
        let (rate, first) = quickest(context, &course, &op)?;
        let others = (1..STARTS).map(|start| race(context, &course, &op, rate, start, course.most));
        let curves = std::iter::once(Ok(first)).chain(others).collect::<Result<Vec<Curve>, Error>>()?;
        let finished: Vec<f64> =
            curves.iter().map(|curve| finish(curve, course.goal).unwrap_or(course.most)).collect();
        let shown: Vec<String> = finished.iter().map(|epochs| format!("{epochs:.2}")).collect();
        table.row([name.to_owned(), rate.to_string(), shown.join(", ")]);
        for (start, curve) in curves.into_iter().enumerate() {
            plot = plot.colored(if start == 0 { name } else { "" }, Mark::Line, color, curve);
        }
        finding.check(
            format!("{name}: starts that reach the goal"),
            finished.iter().filter(|e| **e < course.most).count() as f64,
            Expected::Exactly(STARTS as f64),
        );
        times.push(finished);
    }
    // Every start against every other one: the ratio and how far it spreads.
    let ratios: Vec<f64> =
        times[1].iter().flat_map(|tanh| times[0].iter().map(move |relu| tanh / relu)).collect();
    let (low, high) =
        ratios.iter().fold((f64::INFINITY, 0.0f64), |(low, high), &r| (low.min(r), high.max(r)));
    let said = "about 6 on CIFAR-10 in the paper";
    let ratio = mean(&times[1]) / mean(&times[0]);
    if ratio < 1.0 {
        finding.remark(
            "Here tanh is the quicker one. The networks of the paper were deeper, their weights started small whatever the layer, and \
             biases at 1; with a start that suits each unit and momentum, a small network does not need rectifiers to begin \
             learning.",
        );
    }
    finding.said(
        "epochs of tanh over those of ReLU, means of five starts",
        ratio,
        // With today's starts (He et al. 2015) and momentum it is whatever it is.
        Expected::Anything,
        said,
    );
    finding.check("the lowest ratio of any start of tanh to any of ReLU", low, Expected::Anything);
    finding.check("the highest such ratio", high, Expected::Anything);
    finding.table(table);
    let caption = "Training error of five starts with rectifiers and five with tanh, each with the learning rate that suits it best.";
    finding.figure("race", caption, Sheet::new("ReLU against tanh").add(plot));
    Ok(finding)
}

fn course(context: &Context, finding: &mut Finding) -> Result<Course, Error> {
    if let Some(path) = context.real("cifar10") {
        let splits = context.open(&path)?;
        finding.data = "20,000 images of CIFAR-10".to_owned();
        let train = standardised(Samples::pixels(&*splits.train, 20_000)?);
        let rates = &[0.01, 0.03, 0.1, 0.003, 0.001];
        return Ok(Course {
            train,
            shape: splits.train.image_shape(),
            goal: 0.25,
            most: 40.0,
            stride: 0.5,
            rates,
            maps: [32, 32, 64],
        });
    }
    let splits = context.digits()?;
    finding.data = "the embedded digits, 8×8".to_owned();
    let train = standardised(Samples::pixels(&*splits.train, usize::MAX)?);
    let rates = &[0.1, 0.3, 1.0, 0.03, 0.01];
    Ok(Course {
        train,
        shape: splits.train.image_shape(),
        goal: 0.02,
        most: 30.0,
        stride: 0.25,
        rates,
        maps: [8, 8, 16],
    })
}

/// With mean 0 and variance 1 over all pixels.
fn standardised(mut samples: Samples<f32>) -> Samples<f32> {
    let n = samples.x.len() as f64;
    let mean = samples.x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = samples.x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / variance.sqrt();
    samples.x.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
    samples
}

fn network(course: &Course, op: &Op) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", course.shape)?;
    for (layer, maps) in course.maps.into_iter().enumerate() {
        x = graph.add(&format!("conv{layer}"), Conv2d::new(maps, 5).padding(2), [x])?;
        x = graph.add(&format!("unit{layer}"), op.clone(), [x])?;
        let pool: Op = match layer {
            0 => MaxPool2d::new(3).stride(2).padding(1).into(),
            _ => AvgPool2d::new(3).stride(2).padding(1).into(),
        };
        x = graph.add(&format!("pool{layer}"), pool, [x])?;
    }
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("classifier", Linear::new(10), [x])?;
    Ok(graph)
}

/// The rate with which the first start is quickest, and how it fares: what reaches the goal first has run to its end. A rate is
/// given up as soon as another was quicker.
fn quickest(context: &Context, course: &Course, op: &Op) -> Result<(f64, Curve), Error> {
    let (mut best, mut time): (Option<(f64, Curve)>, f64) = (None, course.most);
    for &rate in course.rates {
        let curve = race(context, course, op, rate, 0, time)?;
        let finished = finish(&curve, course.goal).filter(|epochs| *epochs < time);
        // Where none reaches the goal, the first one stands for all.
        if finished.is_some() || best.is_none() {
            time = finished.unwrap_or(time);
            best = Some((rate, curve));
        }
    }
    Ok(best.expect("invariant: a course has rates"))
}

/// Trains until the goal, or for at most so many epochs, and tells how it ended.
fn race(
    context: &Context,
    course: &Course,
    op: &Op,
    rate: f64,
    start: u64,
    most: f64,
) -> Result<Curve, Error> {
    let curve = train(context, course, op, rate, start, most)?;
    let end = match finish(&curve, course.goal) {
        Some(epochs) => format!("reached the goal after {epochs:.2} epochs"),
        None => format!("given up after {:.1} epochs", curve[curve.len() - 1][0]),
    };
    context.tell(&format!("{}, learning rate {rate}, start {}: {end}", op.name(), start + 1));
    Ok(curve)
}

/// The training error on the way.
fn train(
    context: &Context,
    course: &Course,
    op: &Op,
    rate: f64,
    start: u64,
    most: f64,
) -> Result<Curve, Error> {
    let seed = context.key(&[40, start]).word(0).into();
    let mut learner =
        Learner::<f32>::new(context.engine(), network(course, op)?, CROSS_ENTROPY, MOMENTUM, BATCH, seed)?;
    // Spread, as images may stand class by class.
    let looked_at = course.train.chosen(&spread(LOOKED_AT, course.train.count()).collect::<Vec<_>>());
    let per_look = ((course.train.count() as f64 * course.stride / BATCH as f64).round() as usize).max(1);
    let mut order: Vec<usize> = Vec::new();
    let (mut curve, mut seen, mut epoch) = (vec![[0.0, 1.0 - learner.accuracy(&looked_at)]], 0usize, 0);
    loop {
        for _ in 0..per_look {
            if order.len() < BATCH {
                order = (0..course.train.count()).collect();
                context.key(&[40, start, epoch]).stream().shuffle(&mut order);
                epoch += 1;
            }
            let batch = order.split_off(order.len() - BATCH);
            let cost = learner.step(&course.train.chosen(&batch), rate);
            if !cost.is_finite() {
                // Too fast a rate: it has lost.
                return Ok(curve);
            }
            seen += BATCH;
        }
        let epochs = seen as f64 / course.train.count() as f64;
        curve.push([epochs, 1.0 - learner.accuracy(&looked_at)]);
        if finish(&curve, course.goal).is_some() || epochs >= most {
            return Ok(curve);
        }
    }
}

/// When the curve first crosses the goal, on a straight line between two looks.
fn finish(curve: &[[f64; 2]], goal: f64) -> Option<f64> {
    let [before, after]: [[f64; 2]; 2] = curve.windows(2).find(|pair| pair[1][1] <= goal)?.try_into().ok()?;
    let share: f64 = (before[1] - goal) / (before[1] - after[1]).max(f64::MIN_POSITIVE);
    Some(before[0] + share.clamp(0.0, 1.0) * (after[0] - before[0]))
}
