//! XOR with and without a hidden layer.

use ocelli_core::ops::{Linear, Tanh};
use ocelli_core::{Graph, Init, Loss};

use super::learner::{ADAM, Learner, Samples, each};
use super::programming::{Separation, separate};
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "xor",
    title: "XOR needs a hidden layer",
    part: Part::History,
    checklist: &[12],
    about: "One layer of threshold units gets at most three of XOR’s four cases right: of all the functions that it can \
compute, none agrees with XOR on more. Two hidden units suffice. Each draws a line, and the output unit asks for what lies \
between them.\n\n\
From 200 random starts for each spread of the weights, Adam lowers half the squared error of the four cases. Small starts \
nearly always find the two lines; from large ones a network is often stuck with three cases right, on a plateau whose way \
down leads to infinite weights.",
    equations: &["y = Σ_j v_j \\tanh(Σ_i w_{ji} x_i + b_j) + c"],
    source: file!(),
    run,
};

/// The four cases, and XOR's answers; −1 stands for false.
const CASES: [[f64; 2]; 4] = [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]];
const ANSWERS: [f64; 4] = [-1.0, 1.0, 1.0, -1.0];
/// Random starts.
const STARTS: usize = 200;
/// Steps of training.
const STEPS: usize = 3000;
const RATE: f64 = 0.01;
/// Standard deviations of the weights at the start.
const WIDTHS: [f64; 3] = [0.02, 0.3, 1.0];

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    finding.check(
        "cases that the best single threshold unit gets right",
        best_single(),
        Expected::Exactly(3.0),
    );
    for std in WIDTHS {
        let learned = each(context.engine(), STARTS, |start| {
            let mut learner = network(context, std, start as u64)?;
            let samples = samples();
            for _ in 0..STEPS {
                learner.step(&samples, RATE);
            }
            Ok(right(&mut learner) == 4)
        })?;
        let share = learned.iter().filter(|learned| **learned).count() as f64 / STARTS as f64;
        let expected = if std == WIDTHS[0] { Expected::AtLeast(0.95) } else { Expected::Anything };
        finding.check(
            format!("starts of standard deviation {std}: share of 2-2-1 networks that learn all four"),
            share,
            expected,
        );
    }
    finding.figure("surface", SURFACE, drawing(context)?);
    Ok(finding)
}

const SURFACE: &str = "A 2-2-1 network that learned XOR: what its two hidden units and its output compute over the plane \
(blue below 0, orange above; dots mark the cases, filled where XOR is true), and how the loss fell from six starts. \
Plateaus are where the units have not yet parted.";

/// The most cases on which a function that a threshold unit can compute agrees with XOR.
fn best_single() -> f64 {
    let points: Vec<Vec<f64>> = CASES.iter().map(|case| case.to_vec()).collect();
    let agreeing = (0u32..16).filter_map(|function| {
        let signs: Vec<f64> = (0..4).map(|i| if function >> i & 1 == 1 { 1.0 } else { -1.0 }).collect();
        let agree = signs.iter().zip(ANSWERS).filter(|(sign, answer)| **sign == *answer).count();
        matches!(separate(&points, &signs), Separation::Plane(_)).then_some(agree)
    });
    agreeing.max().unwrap_or(0) as f64
}

fn samples() -> Samples<f64> {
    Samples::values(CASES.as_flattened().to_vec(), 2, ANSWERS.to_vec(), 1)
}

/// How many cases a network gets right.
fn right(learner: &mut Learner<f64>) -> usize {
    let outputs = learner.outputs(CASES.as_flattened());
    outputs.iter().zip(ANSWERS).filter(|(y, answer)| *y * answer > 0.0).count()
}

fn network(context: &Context, std: f64, start: u64) -> Result<Learner<f64>, Error> {
    let small = Init::Normal { std };
    let mut graph = Graph::new();
    let x = graph.input("x", [2])?;
    let a = graph.add("hidden", Linear::new(2).init(small.clone()).bias_init(small.clone()), [x])?;
    let h = graph.add("tanh", Tanh {}, [a])?;
    graph.add("output", Linear::new(1).init(small), [h])?;
    let seed = context.key(&[12, start]).word(0).into();
    Learner::new(context.engine(), graph, Loss::Euclidean, ADAM, 4, seed)
}

fn drawing(context: &Context) -> Result<Sheet, Error> {
    let mut plot = Plot::new("loss from six starts", "step", "mean of ½(y − t)²")
        .size(330.0, 246.0)
        .log_y()
        .y_limits(1e-6, 1.0);
    let mut shown = None;
    for start in 0..6 {
        let mut learner = network(context, WIDTHS[0], start)?;
        let samples = samples();
        let losses: Vec<[f64; 2]> =
            (0..STEPS).map(|step| [step as f64, learner.step(&samples, RATE)]).collect();
        plot = plot.colored("", Mark::Thin, start as usize, losses);
        if shown.is_none() && right(&mut learner) == 4 {
            shown = Some(learner);
        }
    }
    let mut sheet = Sheet::new("XOR by two hidden units");
    if let Some(mut learner) = shown {
        const SIDE: usize = 120;
        // From −2 to 2, the second input upwards.
        let at = |i: usize| -2.0 + 4.0 * (i as f64 + 0.5) / SIDE as f64;
        let grid: Vec<f64> = (0..SIDE * SIDE).flat_map(|i| [at(i % SIDE), at(SIDE - 1 - i / SIDE)]).collect();
        let node = learner.graph.find("tanh").expect("the hidden units");
        let hidden = learner.values(&grid, node);
        let output = learner.outputs(&grid);
        let of_unit = |unit: usize| hidden.iter().skip(unit).step_by(2).copied().collect::<Vec<_>>();
        for (title, values, note) in [
            ("hidden unit 1", of_unit(0), "x₁ →, x₂ ↑: −2 to 2"),
            ("hidden unit 2", of_unit(1), "blue −1, white 0, orange 1"),
            ("output", output, "● true, ○ false"),
        ] {
            sheet = sheet.add(with_cases(title, &values, SIDE).note(note));
        }
    }
    Ok(sheet.add(plot))
}

/// Values over the plane, with the four cases drawn in.
fn with_cases(title: &str, values: &[f64], side: usize) -> Raster {
    let mut dots = Vec::new();
    for (case, answer) in CASES.iter().zip(ANSWERS) {
        let place = |v: f64| (v + 2.0) / 4.0 * side as f64;
        let (cx, cy) = (place(case[0]), side as f64 - place(case[1]));
        for i in 0..side * side {
            let distance = ((i % side) as f64 + 0.5 - cx).hypot((i / side) as f64 + 0.5 - cy);
            if distance < 5.0 {
                // A dark disc for 1, a dark ring around white for 0.
                dots.push((i, answer > 0.0 || distance > 3.4));
            }
        }
    }
    Raster::diverging(title, values, [side, side]).marked(&dots).width(180.0)
}
