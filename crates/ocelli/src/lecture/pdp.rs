//! XOR as it was learned in 1986.

use ocelli_core::ops::{Concat, Linear, Sigmoid};
use ocelli_core::{Graph, Init, Loss};

use super::learner::{Learner, MOMENTUM, Samples, each};
use super::numbers::{line_through, mean, median};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "pdp",
    title: "XOR as it was learned in 1986",
    part: Part::History,
    checklist: &[13, 14],
    about: "Rumelhart, Hinton and Williams (1986) let one hidden unit, with direct connections from the inputs to the \
output beside it, learn XOR: 558 sweeps through the four patterns with η = 0.5. In layered networks, they report of \
Chauvin’s runs, more hidden units learn faster: about 280 − 33 log₂ H presentations for H units up to 128, and hardly ever \
a local minimum.\n\n\
Here is the same: logistic units, targets 0 and 1, ½(y − t)², an update after each pattern, η = 0.5 for the one unit and \
0.25 for layers, momentum 0.9 as their other runs had it, and weights that start within ±1. A pattern counts as learned \
when the output is within 0.2 of its target. Their starts are not on record, so only the order of magnitude can be \
compared. H ends at 64: from 128 units on these rates and starts are too large for the one output unit that adds them all \
up.",
    equations: &["P ≈ 280 - 33 \\log_2 H"],
    source: file!(),
    run,
};

const STARTS: usize = 100;
/// Sweeps after which a run counts as stuck.
const SWEEPS: usize = 4000;
/// Hidden units of the layered networks.
const WIDTHS: [usize; 6] = [2, 4, 8, 16, 32, 64];

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let skipping = sweeps(context, 1, true, 0.5)?;
    let learned: Vec<f64> = skipping.iter().flatten().copied().collect();
    finding.check(
        "one hidden unit with direct connections: share of starts that learn",
        share(&skipping),
        Expected::AtLeast(0.9),
    );
    finding.said("its sweeps, median", median(&learned), Expected::Between(55.0, 5580.0), "558 in the paper");

    let mut table = Table::new(
        "layered networks of H hidden units",
        ["H", "share of starts that learn", "sweeps, mean", "280 − 33 log₂ H"],
    );
    let (mut means, mut all) = (Vec::new(), Vec::new());
    for width in WIDTHS {
        let runs = sweeps(context, width, false, 0.25)?;
        let learned: Vec<f64> = runs.iter().flatten().copied().collect();
        let (x, average) = ((width as f64).log2(), mean(&learned));
        let published = 280.0 - 33.0 * x;
        table.row([
            width.to_string(),
            format!("{:.2}", share(&runs)),
            format!("{average:.0}"),
            format!("{published:.0}"),
        ]);
        means.push([width as f64, average]);
        all.extend(learned.iter().map(|&sweeps| [x, sweeps]));
        if width > 2 {
            finding.check(
                format!("H = {width}: share of starts that learn"),
                share(&runs),
                Expected::AtLeast(0.95),
            );
        }
    }
    let [intercept, slope] = line_through(&all);
    finding.said(
        "sweeps ≈ a + b log₂ H over all runs that learn: a",
        intercept,
        Expected::Anything,
        "280 in the report",
    );
    finding.said(
        "b, below 0 where more units learn faster",
        slope,
        Expected::AtMost(0.0),
        "−33 in the report",
    );
    finding.table(table);
    finding.figure("presentations", PRESENTATIONS, drawing(&learned, &means, [intercept, slope]));
    Ok(finding)
}

const PRESENTATIONS: &str = "Left: sweeps that one hidden unit with direct connections takes, start by start in ascending \
order. Right: mean sweeps of layered networks against their hidden units, the line through all runs that learn, and the \
one reported in 1986.";

fn share(runs: &[Option<f64>]) -> f64 {
    runs.iter().flatten().count() as f64 / runs.len() as f64
}

/// Sweeps until each pattern is learned, from every start; nothing for those that never learn.
fn sweeps(context: &Context, width: usize, skips: bool, rate: f64) -> Result<Vec<Option<f64>>, Error> {
    each(context.engine(), STARTS, |start| {
        let mut learner = network(context, width, skips, start as u64)?;
        let x = vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
        let targets = [0.0, 1.0, 1.0, 0.0];
        let all = Samples::values(x, 2, targets.to_vec(), 1);
        let patterns: Vec<Samples<f64>> = (0..4).map(|i| all.chosen(&[i])).collect();
        for sweep in 1..=SWEEPS {
            // Costs are those before each update: half the squared error.
            let costs = patterns.iter().map(|pattern| learner.step(pattern, rate));
            if costs.fold(0.0, f64::max) < 0.5 * 0.2 * 0.2 {
                return Ok(Some(sweep as f64));
            }
        }
        Ok(None)
    })
}

fn network(context: &Context, width: usize, skips: bool, start: u64) -> Result<Learner<f64>, Error> {
    let within = Init::UniformFanIn { a: 1.0, power: 0.0 };
    let layer = |n: usize| Linear::new(n).init(within.clone()).bias_init(within.clone());
    let mut graph = Graph::new();
    let x = graph.input("x", [2])?;
    let a = graph.add("hidden", layer(width), [x])?;
    let h = graph.add("squashed", Sigmoid {}, [a])?;
    let read = if skips { graph.add("both", Concat {}, [x, h])? } else { h };
    let a = graph.add("output", layer(1), [read])?;
    graph.add("answer", Sigmoid {}, [a])?;
    let seed = context.key(&[13, width as u64, u64::from(skips), start]).word(0);
    Learner::new(context.engine(), graph, Loss::Euclidean, MOMENTUM, 1, seed.into())
}

fn drawing(learned: &[f64], means: &[[f64; 2]], [intercept, slope]: [f64; 2]) -> Sheet {
    let mut sorted = learned.to_vec();
    sorted.sort_by(f64::total_cmp);
    let starts = Plot::new("one hidden unit, direct connections", "start, in ascending order", "sweeps")
        .log_y()
        .rule_y(558.0, "558 in 1986")
        .colored("", Mark::Dots, 0, sorted.iter().enumerate().map(|(i, &sweeps)| [i as f64 + 1.0, sweeps]));
    let line = |a: f64, b: f64| WIDTHS.map(|h| [h as f64, a + b * (h as f64).log2()]);
    let widths = Plot::new("layered networks", "hidden units H", "sweeps")
        .log_x()
        .colored("mean of those that learn", Mark::Dots, 0, means.iter().copied())
        .colored("line through all that learn", Mark::Line, 0, line(intercept, slope))
        .colored("280 − 33 log₂ H", Mark::Dashed, 1, line(280.0, -33.0));
    Sheet::new("How long XOR takes to learn").add(starts).add(widths)
}
