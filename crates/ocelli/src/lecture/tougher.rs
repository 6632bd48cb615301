//! Tougher problems: the network that reads digits, on pictures it was not made for.

use std::sync::Arc;

use ocelli_data::{Dataset, MemoryDataset, Picture, Splits};
use ocelli_kernels::random::Stream;

use super::pictures::{Pictures, ink};
use super::trained::{Change, Job, train_side_by_side};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::baselines::{Affine, warp};
use crate::classical::Plane;
use crate::figure::{Bars, Raster, Sheet};
use crate::train::NetSpec;
use crate::{Error, Recipe};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "tougher",
    title: "Tougher problems for the same network",
    part: Part::History,
    checklist: &[25],
    about: "After digits the lecture asks about tougher problems: things of every shape, in every pose, in front of \
anything. What happens to LeNet-5 there is the reason for everything that came after: more data, deeper networks, AlexNet.\n\n\
The same network with the same recipe is trained on one problem after another. Where at least two of them are given as \
real data (`--data`), these are MNIST, CIFAR-10 (ten kinds of things, 32×32 pixels in colour) and MiniPlaces (a hundred \
kinds of scenes, shrunk to fit). Otherwise the embedded digits are made tougher: moved, turned and scaled; then also laid \
over pieces of a photograph.",
    equations: &[],
    source: file!(),
    run,
};

/// A problem: pictures, passes over them, and what they are called.
struct Problem {
    name: &'static str,
    splits: Splits,
    epochs: u64,
}

fn run(context: &Context) -> Result<Finding, Error> {
    let (problems, embedded) = problems(context)?;
    let mut finding = Finding {
        data: match embedded {
            true => "the embedded digits and a photograph".to_owned(),
            false => problems.iter().map(|problem| problem.name).collect::<Vec<_>>().join(", "),
        },
        ..Finding::default()
    };
    let change = |problem: &Problem| -> Change {
        let epochs = problem.epochs;
        Box::new(move |recipe: &mut Recipe| recipe.epochs = epochs)
    };
    let changes: Vec<Change> = problems.iter().map(change).collect();
    let jobs: Vec<Job> = problems
        .iter()
        .zip(&changes)
        .map(|(problem, change)| Job {
            splits: &problem.splits,
            net: NetSpec::new("lenet5", Vec::new()),
            change,
            seed: context.seed(),
        })
        .collect();
    let runs = train_side_by_side(context, &jobs)?;
    let mut table = Table::new(
        "LeNet-5 by its recipe",
        [
            "problem",
            "classes",
            "training pictures",
            "passes",
            "training error",
            "held-out error",
            "top-5 error",
            "guessing",
        ],
    );
    let mut bars = Bars::new("Held-out error, %").width(460.0).most(100.0);
    let mut errors = Vec::new();
    for (problem, run) in problems.iter().zip(&runs) {
        let (train, outcome) = (&problem.splits.train, &run.outcome);
        let percent = |share: f64| format!("{:.1} %", 100.0 * (1.0 - share));
        table.row([
            problem.name.to_owned(),
            train.classes().len().to_string(),
            train.len().to_string(),
            problem.epochs.to_string(),
            percent(outcome.train.top1),
            percent(outcome.val.top1),
            outcome.val.top5.map_or_else(|| "–".to_owned(), percent),
            percent(1.0 / train.classes().len() as f64),
        ]);
        let error = 100.0 * (1.0 - outcome.val.top1);
        bars = bars.bar(problem.name, error, &format!("{error:.1}"), 0);
        errors.push(error);
    }
    for (pair, names) in errors.windows(2).zip(problems.windows(2)) {
        let what = format!("error on {} over that on {}", names[1].name, names[0].name);
        finding.check(what, pair[1] / pair[0].max(0.1), Expected::AtLeast(1.2));
    }
    for (problem, error) in problems.iter().zip(&errors) {
        let guessing = 100.0 - 100.0 / problem.splits.train.classes().len() as f64;
        finding.check(
            format!("error on {} over that of guessing", problem.name),
            error / guessing,
            Expected::AtMost(0.98),
        );
    }
    finding.table(table);
    finding.figure(
        "problems",
        "Above: the error of the same network on each problem. Below: pictures of each.",
        sheet(bars, &problems)?,
    );
    Ok(finding)
}

/// The real ones that are there, or the embedded ones; and which.
fn problems(context: &Context) -> Result<(Vec<Problem>, bool), Error> {
    const REAL: [(&str, &str, u64); 3] =
        [("MNIST", "mnist", 3), ("CIFAR-10", "cifar10", 6), ("MiniPlaces", "miniplaces", 6)];
    let mut real = Vec::new();
    for (name, folder, epochs) in REAL {
        if let Some(path) = context.real(folder) {
            real.push(Problem { name, splits: context.open(&path)?, epochs });
        }
    }
    if real.len() > 1 {
        return Ok((real, false));
    }
    let digits = context.digits()?;
    let (photograph, _) = context.photograph("chelsea.png")?;
    let moved = made(context, &digits, "digits moved, turned and scaled", bent)?;
    let over = made(context, &digits, "the same over a photograph", |ink, stream| {
        let ink = bent(ink, stream);
        over(&ink, &photograph, stream)
    })?;
    let problem = |name, splits| Problem { name, splits, epochs: 20 };
    let problems = vec![
        problem("digits", digits),
        problem("digits moved, turned and scaled", moved),
        problem("the same over a photograph", over),
    ];
    Ok((problems, true))
}

/// Height and width of the pictures that are made.
const SIDE: usize = 28;

/// The digits, each drawn anew by `draw`, which is given its ink in a picture of 28×28.
fn made(
    context: &Context,
    digits: &Splits,
    name: &str,
    draw: impl Fn(&[f32], &mut Stream) -> Vec<f32>,
) -> Result<Splits, Error> {
    let set = |from: &dyn Dataset, held_out: u64| -> Result<Arc<dyn Dataset>, Error> {
        let preprocess = ocelli_data::Preprocess { size: [SIDE, SIDE], ..ink(from) };
        let samples = Pictures::of(from, &preprocess, usize::MAX)?;
        let pixels = (0..samples.len()).flat_map(|i| {
            let mut stream = context.key(&[25, held_out, i as u64]).stream();
            let drawn = draw(samples.image(i), &mut stream);
            drawn.into_iter().map(|p| (255.0 * p.clamp(0.0, 1.0)).round() as u8).collect::<Vec<_>>()
        });
        let classes = from.classes().to_vec();
        Ok(Arc::new(MemoryDataset::new(name, [1, SIDE, SIDE], pixels.collect(), samples.labels, classes)?))
    };
    Ok(Splits {
        name: name.to_owned(),
        train: set(&*digits.train, 0)?,
        val: set(&*digits.val, 1)?,
        ..digits.clone()
    })
}

/// Moved by up to 5 pixels, turned by up to 40 degrees, half to full size.
fn bent(ink: &[f32], stream: &mut Stream) -> Vec<f32> {
    let size = [SIDE, SIDE];
    let scale = stream.range(0.5, 1.0);
    let turned = warp(ink, size, &Affine::rotation(stream.range(-40.0, 40.0)));
    let scaled = warp(&turned, size, &Affine::scale(scale, scale));
    warp(&scaled, size, &Affine::shift(stream.range(-5.0, 5.0), stream.range(-5.0, 5.0)))
}

/// Ink over a piece of a photograph, bright or dark as it comes.
fn over(ink: &[f32], photograph: &Plane, stream: &mut Stream) -> Vec<f32> {
    let mut below = |n: usize| stream.below(n as u64) as usize;
    let corner = [below(photograph.height() - SIDE), below(photograph.width() - SIDE)];
    let bright = if below(2) == 0 { 0.0 } else { 1.0 };
    let pixel = |(&ink, &behind): (&f32, &f64)| {
        let behind = behind as f32;
        behind + ink * (bright - behind)
    };
    ink.iter().zip(photograph.window(corner, [SIDE, SIDE]).values()).map(pixel).collect()
}

fn sheet(bars: Bars, problems: &[Problem]) -> Result<Sheet, Error> {
    const SHOWN: usize = 9;
    let mut sheet = Sheet::new("The errors on each problem, and pictures of each").add(bars);
    for problem in problems {
        sheet = sheet.row();
        let (train, mut picture) = (&problem.splits.train, Picture::default());
        for i in 0..SHOWN {
            train.read(i * train.len() / SHOWN + 7 * i % 5, &mut picture)?;
            let size = [picture.height, picture.width, picture.channels];
            // Rows line up only if all their pictures have a heading, if an empty one.
            let title = if i == 0 { problem.name } else { "\u{a0}" };
            sheet = sheet.add(Raster::pixels(title, picture.pixels.clone(), size).width(58.0));
        }
    }
    Ok(sheet)
}
