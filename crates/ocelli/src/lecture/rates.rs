//! The learning rate over the epochs: schedules, changes by hand, and the log of both.

use ocelli_core::Schedule;
use ocelli_core::schedule::{Curve, Piece};

use super::trained::{Job, train};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};
use crate::train::{EpochRecord, NetSpec};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "rates",
    title: "The learning rate, by schedule and by hand",
    part: Part::Backpropagation,
    checklist: &[70],
    about: "A large learning rate gets near soon and then jumps about; a small one creeps. So the rate is lowered on the way: by a \
schedule, or by hand when the error stops falling, as AlexNet’s authors divided theirs by ten three times. Whichever it is, a run \
notes the rate that each epoch had in its `metrics.jsonl`, a line per epoch, so that what was done can be seen afterwards and done again.\n\n\
Here the same network learns the embedded digits with a constant rate, along a cosine, in steps, and with a list of rates as one \
would set them by hand; the noted rates are held against the schedule.",
    equations: &["θ ← θ − η_t \\frac{∂E}{∂θ}, \\quad η_t = η_0 \\frac{1}{2}(1 + \\cos(π t/T))"],
    source: file!(),
    run,
};

const EPOCHS: u64 = 12;
const RATE: f64 = 0.06;

fn schedules() -> [(&'static str, Schedule); 4] {
    let by_hand =
        [(5.0, 0.06), (3.0, 0.015), (4.0, 0.003)].map(|(epochs, rate)| Piece { epochs, rate }).to_vec();
    [
        ("constant", Curve::Constant.into()),
        ("cosine", Curve::Cosine { to: 0.0 }.into()),
        ("÷10 after 6 and 9", Curve::Milestones { at: vec![6.0, 9.0], factor: 0.1 }.into()),
        ("by hand", Curve::List { pieces: by_hand }.into()),
    ]
}

fn run(context: &Context) -> Result<Finding, Error> {
    let splits = context.digits()?;
    let mut finding =
        Finding { data: format!("{} embedded digits", splits.train.len()), ..Finding::default() };
    let mut rates = Plot::new("What was noted", "epochs", "learning rate η").log_y().y_limits(1e-4, 0.1);
    let mut losses = Plot::new("What came of it", "epochs", "training loss").log_y();
    let mut table = Table::new("After twelve epochs", ["schedule", "training loss", "held-out error"]);
    let mut worst: f64 = 0.0;
    for (name, schedule) in schedules() {
        let change = |recipe: &mut crate::Recipe| {
            (recipe.epochs, recipe.rate, recipe.batch) = (EPOCHS, RATE, 16);
            recipe.schedule = schedule.clone();
        };
        let job = Job {
            splits: &splits,
            net: NetSpec::new("mlp", vec![32]),
            change: &change,
            seed: context.seed(),
        };
        let done = train(context, &job)?;
        let noted = noted(&done.metrics)?;
        let steps = splits.train.len().div_ceil(16) as f64;
        for (epoch, [rate, _]) in noted.iter().enumerate() {
            // An epoch notes the rate of its last step.
            let wanted = schedule.rate(RATE, epoch as f64 + 1.0 - 1.0 / steps, EPOCHS as f64);
            worst = worst.max((rate - wanted).abs() / RATE);
        }
        let along =
            |k: usize| noted.iter().enumerate().map(move |(epoch, line)| [epoch as f64 + 1.0, line[k]]);
        rates = rates.series(name, Mark::Line, along(0).collect::<Vec<_>>());
        losses = losses.series(name, Mark::Line, along(1).collect::<Vec<_>>());
        table.row([
            name.to_owned(),
            format!("{:.4}", noted[noted.len() - 1][1]),
            format!("{:.2} %", 100.0 * (1.0 - done.outcome.val.top1)),
        ]);
        finding.check(format!("epochs noted: {name}"), noted.len() as f64, Expected::Exactly(EPOCHS as f64));
    }
    finding.check("noted rate − that of the schedule, share of η₀, largest", worst, Expected::AtMost(1e-12));
    finding.table(table);
    finding.figure(
        "schedules",
        "Left: the learning rates that the runs noted, epoch by epoch. Right: the training loss with each.",
        Sheet::new("Learning rates and losses by epoch").add(rates).add(losses),
    );
    Ok(finding)
}

/// Rate and training loss of each epoch.
fn noted(metrics: &[EpochRecord]) -> Result<Vec<[f64; 2]>, Error> {
    let of = |record: &EpochRecord| Some([record.row.learning_rate?, record.row.train_loss?]);
    let lines: Option<Vec<[f64; 2]>> = metrics.iter().map(of).collect();
    lines
        .filter(|lines| !lines.is_empty())
        .ok_or_else(|| Error::Bad("metrics.jsonl does not note rate and loss of each epoch".to_string()))
}
