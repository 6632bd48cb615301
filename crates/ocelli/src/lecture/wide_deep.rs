//! Wide against deep at equal numbers of parameters.

use ocelli_core::ops::Linear;

use super::learner::{ADAM, CROSS_ENTROPY, Learner, Samples, stack};
use super::numbers::mean;
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "wide-deep",
    title: "Wide or deep, at equal cost",
    part: Part::Units,
    checklist: &[52],
    about: "The same number of parameters can make one wide hidden layer or many narrow ones. Here networks of 1 to 8 \
hidden layers get 20,000 parameters each and the same training. On images as small as these, width is as good as depth, \
and very deep thin networks are harder to train; depth pays where there is structure to compose, as convolutional networks \
show.",
    equations: &["N(w, d) = (n + 1) w + (d - 1)(w + 1) w + (w + 1) m = \"constant\""],
    source: file!(),
    run,
};

const BUDGET: usize = 20_000;
const DEPTHS: [usize; 5] = [1, 2, 3, 5, 8];
const SEEDS: u64 = 3;
const EPOCHS: u64 = 20;

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let (splits, name) = context.digits_or_mnist()?;
    finding.data = name.to_owned();
    let (train, val) =
        (Samples::<f32>::pictures(&*splits.train, 10_000)?, Samples::pictures(&*splits.val, 10_000)?);
    let mut table = Table::new(
        "networks of about 20,000 parameters",
        ["hidden layers", "units each", "parameters", "top-1, mean of 3 seeds", "lowest", "highest"],
    );
    let (mut means, mut lows, mut highs) = (Vec::new(), Vec::new(), Vec::new());
    let mut furthest = 0.0f64;
    for depth in DEPTHS {
        let width = width_for(train.len, depth);
        let mut accuracies = Vec::new();
        let mut parameters = 0;
        for seed in 0..SEEDS {
            let mut learner = network(context, train.len, depth, width, seed)?;
            parameters = learner.parameters();
            for epoch in 0..EPOCHS {
                learner.epoch(&train, 1e-3, epoch);
            }
            accuracies.push(learner.accuracy(&val));
        }
        furthest = furthest.max((parameters as f64 / BUDGET as f64 - 1.0).abs());
        let (low, high) =
            accuracies.iter().fold((1.0f64, 0.0f64), |(low, high), &a| (low.min(a), high.max(a)));
        let percent = |a: f64| format!("{:.1} %", 100.0 * a);
        table.row([
            depth.to_string(),
            width.to_string(),
            crate::figure::number::count(parameters as u64),
            percent(mean(&accuracies)),
            percent(low),
            percent(high),
        ]);
        means.push([depth as f64, mean(&accuracies)]);
        lows.push([depth as f64, low]);
        highs.push([depth as f64, high]);
    }
    finding.check("parameters: furthest from 20,000, as a share of it", furthest, Expected::AtMost(0.02));
    let worst = means.iter().map(|point| point[1]).fold(1.0, f64::min);
    finding.check("accuracy of the least good depth, mean of seeds", worst, Expected::AtLeast(0.85));
    let (best, one) = (means.iter().map(|point| point[1]).fold(0.0, f64::max), means[0][1]);
    finding.check(
        "accuracy of one hidden layer below that of the best depth",
        best - one,
        Expected::AtMost(0.03),
    );
    finding.table(table);
    let plot = Plot::new("held-out accuracy at 20,000 parameters", "hidden layers", "top-1")
        .size(480.0, 280.0)
        .colored(
            "from the lowest to the highest",
            Mark::Band,
            0,
            lows.into_iter().chain(highs.into_iter().rev()),
        )
        .colored("mean of three seeds", Mark::Line, 0, means.clone())
        .colored("", Mark::Dots, 0, means);
    finding.figure(
        "accuracy",
        "Networks of equally many parameters, from one wide hidden layer to eight narrow ones.",
        Sheet::new("Wide against deep").add(plot),
    );
    Ok(finding)
}

/// The width whose parameters come closest to the budget.
fn width_for(inputs: usize, depth: usize) -> usize {
    let parameters = |w: usize| (inputs + 1) * w + (depth - 1) * (w + 1) * w + (w + 1) * 10;
    (1..BUDGET).min_by_key(|&w| parameters(w).abs_diff(BUDGET)).expect("widths")
}

fn network(
    context: &Context,
    inputs: usize,
    depth: usize,
    width: usize,
    seed: u64,
) -> Result<Learner<f32>, Error> {
    let graph = stack(inputs, depth, width, Linear::new)?;
    let seed = context.key(&[52, seed]).word(0).into();
    Learner::new(context.engine(), graph, CROSS_ENTROPY, ADAM, 32, seed)
}
