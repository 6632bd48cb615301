//! The same seed gives the same bits.

use super::trained::{Job, train_on};
use super::{Context, Experiment, Finding, Part, Table};
use crate::train::NetSpec;
use crate::{Engine, Error};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "same-bits",
    title: "The same seed, the same bits",
    part: Part::Training,
    checklist: &[53],
    about: "Training starts from random weights and takes the samples in random order. Yet it is an experiment, and an experiment \
that cannot be done again is none. All random numbers here follow from a seed; work is divided by the plan and not by the number \
of threads, and sums are added in the plan’s order: so the same seed gives the same weights to the last bit, on one thread or on \
several. Another seed gives others: figures should name theirs, or be means over several.",
    equations: &[],
    source: file!(),
    run,
};

fn run(context: &Context) -> Result<Finding, Error> {
    let splits = context.digits()?;
    let mut finding =
        Finding { data: format!("{} embedded digits, two epochs", splits.train.len()), ..Finding::default() };
    let mut table =
        Table::new("Digests of all weights", ["run", "seed", "threads", "SHA-256 begins", "held-out error"]);
    let mut digests = Vec::new();
    let seed = context.seed();
    let runs = [
        ("first", seed, 1),
        ("again", seed, 1),
        ("on two threads", seed, 2),
        ("another seed", seed.wrapping_add(1), 1),
    ];
    for (name, seed, threads) in runs {
        let engine = Engine::new(threads, context.engine().isa())?;
        let job = Job {
            splits: &splits,
            net: NetSpec::new("digits", Vec::new()),
            change: &|recipe| recipe.epochs = 2,
            seed,
        };
        let outcome = train_on(&engine, &job, &|line| context.tell(line))?.outcome;
        table.row([
            name.to_owned(),
            seed.to_string(),
            threads.to_string(),
            outcome.weights_sha256[..16].to_owned(),
            format!("{:.2} %", 100.0 * (1.0 - outcome.val.top1)),
        ]);
        digests.push(outcome.weights_sha256);
    }
    finding.holds("the same seed again: the same bits", digests[1] == digests[0]);
    finding.holds("on two threads: the same bits", digests[2] == digests[0]);
    finding.holds("another seed: other bits", digests[3] != digests[0]);
    finding.table(table);
    Ok(finding)
}
