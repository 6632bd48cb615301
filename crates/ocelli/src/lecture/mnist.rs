//! LeNet-5 learns digits, as it was trained in 1998.

use super::numbers::mean;
use super::trained::{Job, Trained, train_side_by_side};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::figure::{Mark, Plot, Sheet};
use crate::train::{EpochRecord, NetSpec};
use crate::{Augmentation, Error, Recipe};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "lenet5-digits",
    title: "LeNet-5 learns to read digits",
    part: Part::History,
    checklist: &[19],
    about: "LeNet-5’s authors trained it on MNIST for twenty passes, one picture at a time, with second derivatives, and \
reached 0.95 % error on the test pictures; with training pictures distorted at random (shifted, scaled, squeezed, sheared) \
0.8 %. Their recipe is run here with three seeds, as `ocelli train mnist/ --net lenet5` runs it: with smaller learning \
rates than theirs and, for distorted pictures of MNIST, sixty passes.\n\n\
Given real data (`--data`), this is MNIST, and takes some ten minutes on two cores. Otherwise it is the embedded digits: \
8×8 pixels enlarged to 28×28, and only 1,438 of them to learn from.",
    equations: &["w ← w − \\frac{η}{μ + h} \\frac{∂C}{∂w}, \\quad μ = 0.02"],
    source: file!(),
    run,
};

const SEEDS: u64 = 3;

fn run(context: &Context) -> Result<Finding, Error> {
    let (splits, data) = context.digits_or_mnist()?;
    let real = data == "MNIST";
    let mut finding = Finding {
        data: format!("{data}: {} to train on, {} held out", splits.train.len(), splits.val.len()),
        ..Finding::default()
    };
    let plain = |recipe: &mut Recipe| recipe.epochs = 20;
    let distorted = |recipe: &mut Recipe| {
        recipe.epochs = if real { 60 } else { 20 };
        recipe.augmentation = Augmentation::Distort;
    };
    let changes: [&(dyn Fn(&mut Recipe) + Sync); 2] = [&plain, &distorted];
    let seeds = (0..SEEDS).map(|i| context.seed().wrapping_add(i));
    let jobs: Vec<Job> = changes
        .iter()
        .flat_map(|change| {
            let splits = &splits;
            seeds.clone().map(move |seed| Job {
                splits,
                net: NetSpec::new("lenet5", Vec::new()),
                change: *change,
                seed,
            })
        })
        .collect();
    let runs = train_side_by_side(context, &jobs)?;
    let (plain, distorted) = runs.split_at(SEEDS as usize);
    let mut table =
        Table::new("Errors on the held-out pictures, %", ["training", "seeds", "mean", "1998, on MNIST"]);
    let mut means = Vec::new();
    for (name, runs, paper) in [("as they are", plain, "0.95"), ("distorted", distorted, "0.8")] {
        let errors: Vec<f64> = runs.iter().map(|run| 100.0 * (1.0 - run.outcome.val.top1)).collect();
        let mean = mean(&errors);
        let each = errors.iter().map(|e| format!("{e:.2}")).collect::<Vec<_>>().join(", ");
        table.row([name.to_owned(), each, format!("{mean:.2}"), paper.to_owned()]);
        means.push(mean);
    }
    // Each of the 359 held-out embedded digits is 0.3 %.
    let most = if real { [1.0, 0.85] } else { [4.0, 4.0] };
    let said = |text: &'static str| if real { text } else { "" };
    finding.said(
        "error without distortions, %, mean of three seeds",
        means[0],
        Expected::AtMost(most[0]),
        said("0.95 in 1998"),
    );
    finding.said(
        "error with distortions, %, mean of three seeds",
        means[1],
        Expected::AtMost(most[1]),
        said("0.8 in 1998"),
    );
    finding.table(table);
    finding.figure(
        "learning",
        "Errors on training (dashed) and held-out pictures pass by pass, one seed each. Distorted training pictures are harder than \
         the held-out ones, which are not distorted.",
        Sheet::new("Errors of LeNet-5 by passes over the training pictures").add(curves(&plain[0], "as they are", 0)?).add(
            curves(&distorted[0], "distorted", 1)?,
        ),
    );
    Ok(finding)
}

/// Training and held-out error of a run by epochs.
fn curves(run: &Trained, name: &str, color: usize) -> Result<Plot, Error> {
    let points = |top1: fn(&EpochRecord) -> Option<f64>| -> Result<Vec<[f64; 2]>, Error> {
        let point = |record: &EpochRecord| Some([record.row.epoch, 100.0 * (1.0 - top1(record)?)]);
        let points: Option<Vec<_>> = run.metrics.iter().map(point).collect();
        points
            .ok_or_else(|| Error::Bad("metrics.jsonl does not note both accuracies of each epoch".to_owned()))
    };
    Ok(Plot::new(&format!("Trained on pictures {name}"), "passes", "error, %")
        .y_limits(0.0, 10.0)
        .colored("training", Mark::Dashed, 5, points(|record| record.row.train_top1)?)
        .colored("held out", Mark::Line, color, points(|record| record.row.val_top1)?))
}
