//! The family F: linear, boosted and a network behind one face, with both errors and two losses.

use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{Criterion, Graph, Loss, Optimizer, Reduction, Targets};

use super::scenes::{OBJECT, PICTURE, Scene, WINDOW, scenes, training_windows};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::baselines::{Boosted, Booster, Descent, Errors, Labelled, Member, Net, error, errors, windows};
use crate::classical::Plane;
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "family",
    title: "Which function? A family F, and how its members are measured",
    part: Part::Training,
    checklist: &[56, 57, 58, 59, 60],
    about: "A detector is a function F(x; θ) of a window, from a family that one has chosen: linear functions, sums of \
decision stumps, networks. The parameters θ are those that make the labels of training windows come out best, as a loss \
counts it: the squared error, which the linear member and the network lower step by step, or the exponential loss, which \
boosting lowers stump by stump.\n\n\
Whatever the member, two errors are told, never one: on the windows that it was fitted to, and on windows of other \
pictures. The first can be made as small as one likes; the second is what was learned.",
    equations: &[
        "E_2 = Σ_t (y_t − F(x_t; θ))^2, \\quad E_{exp} = Σ_t e^{−y_t F(x_t; θ)}",
        "F(x) = Σ_m f_m(x), \\quad f_m(x) = a_m [x_{k_m} > θ_m] + b_m",
    ],
    source: file!(),
    run,
};

/// Pictures to train on and others to measure with, and rounds of boosting.
const PICTURES: usize = 120;
const ROUNDS: usize = 200;

fn run(context: &Context) -> Result<Finding, Error> {
    let (seen, others) = (scenes(context, PICTURES, false)?, scenes(context, PICTURES, true)?);
    let (train, held_out) = (training_windows(context, &seen), training_windows(context, &others));
    let mut finding = Finding {
        data: format!(
            "{} windows of {PICTURES} pictures with embedded digits, and {} of others",
            train.labels.len(),
            held_out.labels.len()
        ),
        ..Finding::default()
    };
    let linear = network(context, &train, 0)?;
    let net = network(context, &train, 24)?;
    let (boosted, rounds) = boost(&train, &held_out);
    let parameters = [linear.parameters(), 4 * ROUNDS, net.parameters()];
    let mut members: [(&str, Box<dyn Member>); 3] = [
        ("linear", Box::new(linear)),
        ("boosted, 200 stumps", Box::new(boosted)),
        ("network, 24 tanh units", Box::new(net)),
    ];
    let mut table = Table::new(
        "The members on both sets of windows",
        [
            "F",
            "parameters",
            "training error",
            "held-out error",
            "squared error per window, held out",
            "exponential loss per window, held out",
        ],
    );
    let mut found = Vec::new();
    for ((name, member), parameters) in members.iter_mut().zip(parameters) {
        let errors = errors(&mut **member, &train, &held_out);
        let scores = member.scores(&held_out.samples);
        table.row([
            (*name).to_owned(),
            parameters.to_string(),
            percent(errors.train),
            percent(errors.held_out),
            format!("{:.3}", mean_loss(&Loss::SquaredError, &scores, &held_out.labels)),
            format!("{:.3}", mean_loss(&Loss::Exponential, &scores, &held_out.labels)),
        ]);
        found.push(errors);
    }
    judge(&mut finding, &found, &rounds, &held_out);
    losses_by_hand(&mut finding);
    finding.table(table);
    finding.figure("losses", LOSSES, losses(&rounds));
    finding.figure("scores", SCORES, score_maps(&others[0], &mut members));
    Ok(finding)
}

const LOSSES: &str = "Left: the losses of one window by how far F is on the right side, y·F. The exponential loss bounds \
the errors from above; the squared error also charges for being too right. Middle: each round of boosting lowers the \
exponential loss on the training windows; on others it comes to rest. Right: both errors by round.";

const SCORES: &str = "One of the held-out pictures, and F at every place of the window (a pixel apart), brighter where it \
is larger. A good member is bright in the middle of the digits that are looked for, whose upper left corners are told \
below the picture, and dark elsewhere.";

fn judge(finding: &mut Finding, found: &[Errors], rounds: &[Round], held_out: &Labelled) {
    let [linear, boosted, net] = [found[0], found[1], found[2]];
    let always_no =
        held_out.labels.iter().filter(|y| **y > 0.0).count() as f64 / held_out.labels.len() as f64;
    finding.check("error of always saying no", always_no, Expected::Between(0.2, 0.3));
    finding.check("held-out error, linear", linear.held_out, Expected::AtMost(0.8 * always_no));
    finding.check("held-out error, boosted", boosted.held_out, Expected::AtMost(0.5 * always_no));
    finding.check(
        "held-out error of the network over that of the linear member",
        net.held_out / linear.held_out,
        Expected::AtMost(0.8),
    );
    finding.check(
        "training error of the boosted member over its held-out error",
        boosted.train / boosted.held_out,
        Expected::AtMost(1.0),
    );
    let rises = rounds.windows(2).filter(|pair| pair[1].train_loss > pair[0].train_loss).count();
    finding.check(
        "rounds in which the exponential loss rises on the training windows",
        rises as f64,
        Expected::Exactly(0.0),
    );
}

/// The two losses of three windows, by hand.
fn losses_by_hand(finding: &mut Finding) {
    let (scores, labels) = ([0.5, -2.0, 1.0], [1.0, -1.0, -1.0]);
    let squares = 3.0 * mean_loss(&Loss::SquaredError, &scores, &labels);
    finding.check(
        "Σ(y − F)² of F = ½, −2, 1 and y = 1, −1, −1",
        squares,
        Expected::Exactly(0.25 + 1.0 + 4.0),
    );
    let powers = 3.0 * mean_loss(&Loss::Exponential, &scores, &labels);
    let by_hand = (-0.5f64).exp() + (-2.0f64).exp() + 1f64.exp();
    finding.check(
        "Σe^(−yF) of the same, less that by hand",
        (powers - by_hand).abs(),
        Expected::AtMost(1e-14),
    );
}

/// The mean loss of scores.
fn mean_loss(loss: &Loss, scores: &[f64], labels: &[f64]) -> f64 {
    let mut costs = vec![0.0; scores.len()];
    loss.evaluate(scores, 1, Targets::Values(labels), &mut costs, None);
    Reduction::Mean.reduce(&costs)
}

/// A network of so many hidden units, none for a linear function, fitted by the squared error.
fn network(context: &Context, train: &Labelled, hidden: usize) -> Result<Net, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("window", [train.width])?;
    if hidden > 0 {
        x = graph.add("hidden", Linear::new(hidden), [x])?;
        x = graph.add("tanh", Tanh {}, [x])?;
    }
    graph.add("F", Linear::new(1), [x])?;
    let how = Descent {
        criterion: Criterion { loss: Loss::SquaredError, reduction: Reduction::Mean },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 },
        rate: 0.004,
        epochs: 30,
        batch: 16,
        seed: context.seed(),
    };
    Net::fit(context.engine(), graph, train, &how)
}

/// A round of boosting.
struct Round {
    train_loss: f64,
    held_out_loss: f64,
    errors: Errors,
}

fn boost(train: &Labelled, held_out: &Labelled) -> (Boosted, Vec<Round>) {
    let mut booster = Booster::new(&train.samples, train.width, &train.labels);
    let (mut seen, mut unseen) = (vec![0.0; train.labels.len()], vec![0.0; held_out.labels.len()]);
    let rounds = (0..ROUNDS).map(|_| {
        let train_loss = booster.round();
        let stump = *booster.found().stumps.last().expect("invariant: a round adds a stump");
        for (scores, set) in [(&mut seen, train), (&mut unseen, held_out)] {
            scores
                .iter_mut()
                .zip(set.samples.chunks_exact(set.width))
                .for_each(|(f, x)| *f += stump.value(x));
        }
        Round {
            train_loss,
            held_out_loss: mean_loss(&Loss::Exponential, &unseen, &held_out.labels),
            errors: Errors { train: error(&seen, &train.labels), held_out: error(&unseen, &held_out.labels) },
        }
    });
    let rounds = rounds.collect();
    (booster.found().clone(), rounds)
}

fn losses(rounds: &[Round]) -> Sheet {
    let margin = |f: fn(f64) -> f64| {
        (-20..=25).map(|i| [f64::from(i) / 10.0, f(f64::from(i) / 10.0)]).collect::<Vec<_>>()
    };
    let by_margin = Plot::new("Losses of one window", "y·F(x)", "loss")
        .y_limits(0.0, 5.0)
        .colored("exponential", Mark::Line, 0, margin(|m| (-m).exp()))
        .colored("squared", Mark::Line, 1, margin(|m| (1.0 - m).powi(2)))
        .colored("wrong or right", Mark::Dashed, 5, [[-2.0, 1.0], [0.0, 1.0], [0.0, 0.0], [2.5, 0.0]]);
    let along = |value: fn(&Round) -> f64| -> Vec<[f64; 2]> {
        rounds.iter().enumerate().map(|(i, round)| [i as f64 + 1.0, value(round)]).collect()
    };
    let loss = Plot::new("Boosting: the loss", "rounds", "mean e^(−y·F)")
        .log_y()
        .colored("training", Mark::Line, 5, along(|r| r.train_loss))
        .colored("held out", Mark::Line, 0, along(|r| r.held_out_loss));
    let errors = Plot::new("Boosting: the errors", "rounds", "share of windows")
        .y_limits(0.0, 0.3)
        .colored("training", Mark::Line, 5, along(|r| r.errors.train))
        .colored("held out", Mark::Line, 0, along(|r| r.errors.held_out));
    Sheet::new("Losses, and boosting round by round")
        .add(by_margin.size(330.0, 280.0))
        .add(loss.size(330.0, 280.0))
        .add(errors.size(330.0, 280.0))
}

/// F at every place of one picture, for each member.
fn score_maps(scene: &Scene, members: &mut [(&str, Box<dyn Member>)]) -> Sheet {
    const STRIDE: usize = 1;
    let places = windows(PICTURE, WINDOW, STRIDE);
    let samples: Vec<f64> = places.iter().flat_map(|place| scene.window(*place)).collect();
    let size = [PICTURE[0] - WINDOW[0] + 1, PICTURE[1] - WINDOW[1] + 1];
    let picture = scene.pixels.map(|ink| 1.0 - ink);
    let boxes = scene.objects.iter().map(|area| format!("({}, {})", area.corner[1], area.corner[0]));
    let note = format!("corners of each {OBJECT} (column, row): {}", boxes.collect::<Vec<_>>().join(", "));
    let map = |(name, member): &mut (&str, Box<dyn Member>)| {
        let scores = member.scores(&samples);
        let most = scores.iter().copied().fold(0.0, f64::max);
        // Placed so that a score stands at the middle of its window, as in the picture.
        let mut map = Plane::from_fn(PICTURE[0], PICTURE[1], |_, _| -1.0);
        map.paste(WINDOW.map(|side| side / 2), &Plane::new(size[0], size[1], scores));
        Raster::grey(&format!("F, {name}"), map.values(), PICTURE, [-1.0, most])
            .width(380.0)
            .note(&format!("black −1 or less, white {most:.2}"))
    };
    let picture = Raster::grey("a picture", picture.values(), PICTURE, [0.0, 1.0]).width(380.0).note(&note);
    let panels = std::iter::once(picture).chain(members.iter_mut().map(map));
    Sheet::new("A picture and the members’ scores").grid(2, panels)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
