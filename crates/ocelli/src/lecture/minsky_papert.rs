//! What a single threshold unit cannot compute.

use super::programming::{Separation, separate};
use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::figure::{Mark, Plot, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "minsky-papert",
    title: "The limit: AND is separable, XOR is not",
    part: Part::History,
    checklist: &[11],
    about: "A threshold unit can compute a Boolean function only if a plane separates the inputs with output 1 from those \
with output 0 (Minsky and Papert 1969). Whether one does is a linear program, and it answers either way: with the plane, \
or with a proof that there is none. By Farkas’ lemma such a proof is weights of the inputs under which the conditions add \
up to 0 ≥ 1. For XOR they are all the same: what both ends of one diagonal need, both ends of the other forbid.\n\n\
Asked for every Boolean function of up to four inputs, the program finds as many threshold functions as are known.",
    equations: &[
        "y_i (w · x_i + b) ≥ 1 \\quad \"for all i, or\" \\quad Σ_i λ_i y_i x_i = 0, \\quad Σ_i λ_i y_i = 0, \\quad λ ≥ 0, \\quad Σ_i λ_i = 1",
    ],
    source: file!(),
    run,
};

fn run(_: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let mut table =
        Table::new("functions of two inputs", ["function", "separable", "plane, or weights of the proof"]);
    let named = [
        ("AND", 0b1000),
        ("OR", 0b1110),
        ("NAND", 0b0111),
        ("NOR", 0b0001),
        ("XOR", 0b0110),
        ("XNOR", 0b1001),
    ];
    for (name, function) in named {
        let (points, signs) = truth(2, function);
        let found = separate(&points, &signs);
        let (word, numbers) = match &found {
            Separation::Plane(w) => ("yes", format!("w = ({}, {}), b = {}", w[0], w[1], w[2])),
            Separation::Proof(weights) => {
                ("no", format!("λ = ({})", weights.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")))
            }
        };
        table.row([name.to_owned(), word.to_owned(), numbers]);
        let separable = matches!(found, Separation::Plane(_));
        let what = if name.starts_with('X') {
            format!("{name} is not separable")
        } else {
            format!("{name} is separable")
        };
        finding.holds(what, separable != name.starts_with('X'));
    }
    for (inputs, known) in [(1, 4), (2, 14), (3, 104), (4, 1882)] {
        let plural = if inputs == 1 { "" } else { "s" };
        let what =
            format!("threshold functions among the {} of {inputs} input{plural}", 1u64 << (1 << inputs));
        finding.said(what, count(inputs) as f64, Expected::Exactly(f64::from(known)), "Muroga 1971");
    }
    finding.table(table);
    finding.figure("planes", PLANES, planes());
    Ok(finding)
}

const PLANES: &str = "The planes, here lines, that the program finds for AND and OR. For XOR there is none: the middle of \
the square lies between two inputs of either kind.";

/// The inputs of a Boolean function, and +1 or −1 for its outputs: bit i of `function` is the output for input i.
fn truth(inputs: u32, function: u32) -> (Vec<Vec<f64>>, Vec<f64>) {
    let point = |i: u32| (0..inputs).map(|bit| f64::from(i >> bit & 1)).collect();
    let sign = |i: u32| if function >> i & 1 == 1 { 1.0 } else { -1.0 };
    ((0..1 << inputs).map(point).collect(), (0..1 << inputs).map(sign).collect())
}

/// How many Boolean functions of so many inputs a threshold unit can compute.
fn count(inputs: u32) -> usize {
    let functions = 1u64 << (1 << inputs);
    let separable = |function: u64| {
        let (points, signs) = truth(inputs, function as u32);
        matches!(separate(&points, &signs), Separation::Plane(_))
    };
    // A function and its complement are separable together.
    2 * (0..functions / 2).filter(|&function| separable(function)).count()
}

fn planes() -> Sheet {
    let mut sheet = Sheet::new("AND, OR and XOR");
    for (name, function) in [("AND", 0b1000), ("OR", 0b1110), ("XOR", 0b0110)] {
        let (points, signs) = truth(2, function);
        let of = |sign: f64| {
            let chosen = points.iter().zip(&signs).filter(move |(_, s)| **s == sign);
            chosen.map(|(p, _)| [p[0], p[1]]).collect::<Vec<_>>()
        };
        let mut plot = Plot::new(name, "x₁", "x₂")
            .size(260.0, 260.0)
            .x_limits(-0.5, 1.5)
            .y_limits(-0.5, 1.5)
            .colored("1", Mark::Dots, 0, of(1.0))
            .colored("0", Mark::Rings, 1, of(-1.0));
        plot = match separate(&points, &signs) {
            Separation::Plane(w) => {
                // w₀x + w₁y + b = 0.
                let y = |x: f64| -(w[0] * x + w[2]) / w[1];
                let line = (0..=200).map(|i| -0.5 + f64::from(i) / 100.0).map(|x| [x, y(x)]);
                plot.colored("the plane", Mark::Line, 2, line.filter(|p| (-0.5..=1.5).contains(&p[1])))
            }
            Separation::Proof(_) => plot
                .colored("", Mark::Dashed, 0, [[1.0, 0.0], [0.0, 1.0]])
                .colored("", Mark::Dashed, 1, [[0.0, 0.0], [1.0, 1.0]])
                .label([0.5, 0.5], "no plane", 5),
        };
        sheet = sheet.add(plot);
    }
    sheet
}
