//! The Mark I perceptron: eyes, fixed random wires, and eight units that learn.

use std::sync::Arc;

use ocelli_core::ops::Linear;
use ocelli_core::{Graph, Init, Params, PlanOptions};
use ocelli_kernels::random::Stream;

use super::learner::{Learner, SGD, Samples};
use super::numbers::mean;
use super::perceptron::RULE;
use super::{Context, Expected, Experiment, Finding, Part};
use crate::Error;
use crate::figure::{Mark, Plot, Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "mark-1",
    title: "The Mark I perceptron",
    part: Part::History,
    checklist: &[10],
    about: "Rosenblatt’s machine had 20×20 photocells, 512 association units that were wired to them at random, once and \
for all, and 8 response units whose weights were potentiometers, turned by motors. Here it is again: each association unit \
adds up a few photocells, takes away a few others, and fires above a threshold; only the response units learn, by \
Rosenblatt’s rule.\n\n\
One response unit is taught to tell squares from triangles wherever they stand and however large they are; three others \
whether the figure is on the left, in the upper half, and large. The remaining four are not taught anything, and keep \
their zeros.",
    equations: &[
        "a_j = [Σ_i c_{ji} s_i > θ_j], \\quad c_{ji} ∈ \\{-1, 0, 1\\} \\quad \"fixed\", \\quad r_k = \"sign\"(Σ_j w_{kj} a_j + b_k)",
    ],
    source: file!(),
    run,
};

const SIDE: usize = 20;
const ASSOCIATION: usize = 512;
const RESPONSE: usize = 8;
/// Photocells that excite an association unit, and as many that inhibit it.
const WIRES: usize = 10;
/// Half the side of a figure, in photocells.
const SMALLEST: f64 = 4.0;
const LARGEST: f64 = 7.0;
/// What the response units are taught.
const TAUGHT: [&str; 4] = ["square, not triangle", "on the left", "in the upper half", "large"];
/// Examples seen in all, and how many are held out.
const EXAMPLES: usize = 8000;
const HELD_OUT: usize = 500;

/// A figure on the photocells, and what there is to say of it.
struct Stimulus {
    cells: Vec<f64>,
    truths: Vec<f64>,
}

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let mut stream = context.key(&[10, 0]).stream();
    let wiring = wiring(&mut context.key(&[10, 1]).stream());
    let shown: Vec<Stimulus> = (0..EXAMPLES).map(|_| stimulus(&mut stream)).collect();
    let held: Vec<Stimulus> = (0..HELD_OUT).map(|_| stimulus(&mut stream)).collect();
    let (learned_from, measured_on) =
        (associate(context, &wiring, &shown)?, associate(context, &wiring, &held)?);

    let mut graph = Graph::new();
    let a = graph.input("association", [ASSOCIATION])?;
    graph.add("response", Linear::new(RESPONSE).init(Init::Constant { value: 0.0 }), [a])?;
    let mut machine = Learner::<f64>::new(context.engine(), graph, RULE, SGD, 1, context.seed())?;
    let mut curves: [Vec<[f64; 2]>; 4] = std::array::from_fn(|_| Vec::new());
    for seen in 0..EXAMPLES {
        machine.step(&learned_from.chosen(&[seen]), 1.0);
        if (seen + 1).is_multiple_of(EXAMPLES / 40) {
            let outputs = machine.outputs(&measured_on.x);
            for (k, curve) in curves.iter_mut().enumerate() {
                curve.push([(seen + 1) as f64, right(&outputs, &held, k)]);
            }
        }
    }
    for (what, curve) in TAUGHT.iter().zip(&curves) {
        // The rule never comes to rest on what is not separable: the last quarter is averaged.
        let share = mean(&curve[30..].iter().map(|point| point[1]).collect::<Vec<_>>());
        let least = if *what == TAUGHT[0] { 0.9 } else { 0.75 };
        finding.check(
            format!("share of held-out figures answered rightly: {what}"),
            share,
            Expected::AtLeast(least),
        );
    }
    let weights = machine.params.get(&machine.graph.layout().entries()[0]);
    let moved = |unit: usize| weights.data()[unit * ASSOCIATION..][..ASSOCIATION].iter().any(|w| *w != 0.0);
    finding.check(
        "response units whose weights changed",
        (0..RESPONSE).filter(|&k| moved(k)).count() as f64,
        Expected::Exactly(4.0),
    );
    // Wires to association units are no parameters of what learns.
    finding.check(
        "numbers that learning may change: 8 × 512 weights and 8 biases",
        machine.parameters() as f64,
        Expected::Exactly((RESPONSE * (ASSOCIATION + 1)) as f64),
    );
    finding.figure("learning", LEARNING, drawing(&shown, &wiring, curves));
    Ok(finding)
}

const LEARNING: &str = "Above: figures on the photocells, and the wires of some association units (white excites, black \
inhibits). Below: the share of held-out figures that the taught response units answer rightly, as examples are seen one by \
one.";

/// The share of figures about which a response unit is right.
fn right(outputs: &[f64], held: &[Stimulus], unit: usize) -> f64 {
    let answers = outputs.chunks_exact(RESPONSE).zip(held);
    answers.filter(|(y, stimulus)| y[unit] * stimulus.truths[unit] > 0.0).count() as f64 / held.len() as f64
}

/// A triangle or a square of random size and place, with a few photocells flipped.
fn stimulus(stream: &mut Stream) -> Stimulus {
    let square = stream.below(2) == 0;
    let half = stream.range(SMALLEST, LARGEST);
    let mut place = || stream.range(half, SIDE as f64 - half);
    let (cy, cx) = (place(), place());
    let inside = |y: f64, x: f64| {
        let (dy, dx) = (y - cy, (x - cx).abs());
        // A triangle widens downwards and is as high as the square.
        let wide = if square { half } else { (dy + half) / 2.0 };
        dy.abs() <= half && dx <= wide
    };
    let mut cells: Vec<f64> = (0..SIDE * SIDE)
        .map(|i| f64::from(u8::from(inside((i / SIDE) as f64 + 0.5, (i % SIDE) as f64 + 0.5))))
        .collect();
    for _ in 0..2 {
        let cell = stream.below((SIDE * SIDE) as u64) as usize;
        cells[cell] = 1.0 - cells[cell];
    }
    let middle = SIDE as f64 / 2.0;
    let sign = |is_so: bool| if is_so { 1.0 } else { -1.0 };
    let mut truths = vec![
        sign(square),
        sign(cx < middle),
        sign(cy < middle),
        sign(half > f64::midpoint(SMALLEST, LARGEST)),
    ];
    // A target of 0 teaches nothing: its gradient is 0.
    truths.resize(RESPONSE, 0.0);
    Stimulus { cells, truths }
}

/// For each association unit, its wires to the photocells: 1, 0 or −1.
fn wiring(stream: &mut Stream) -> Vec<f64> {
    let mut wires = vec![0.0; ASSOCIATION * SIDE * SIDE];
    for unit in wires.chunks_exact_mut(SIDE * SIDE) {
        let mut cells: Vec<usize> = (0..SIDE * SIDE).collect();
        stream.shuffle(&mut cells);
        cells[..WIRES].iter().for_each(|&cell| unit[cell] = 1.0);
        cells[WIRES..2 * WIRES].iter().for_each(|&cell| unit[cell] = -1.0);
    }
    wires
}

/// What the association units make of figures: 1 for those that fire.
fn associate(context: &Context, wiring: &[f64], stimuli: &[Stimulus]) -> Result<Samples<f64>, Error> {
    const BATCH: usize = 500;
    let mut graph = Graph::new();
    let cells = graph.input("cells", [SIDE * SIDE])?;
    graph.add("association", Linear::new(ASSOCIATION).without_bias(), [cells])?;
    let graph = Arc::new(graph);
    let mut params = Params::<f64>::zeroed(graph.layout())?;
    params.set(&graph.layout().entries()[0], wiring);
    let mut executor = context.engine().executor(&graph, PlanOptions::evaluate(BATCH))?;
    let mut fired = Vec::new();
    for stimuli in stimuli.chunks(BATCH) {
        let x: Vec<f64> = stimuli.iter().flat_map(|stimulus| &stimulus.cells).copied().collect();
        let sums = executor.forward(&params, &[&x], stimuli.len());
        // Thresholds differ from unit to unit, so that units of like wiring differ.
        let fires = |(i, &sum): (usize, &f64)| f64::from(u8::from(sum > (i % ASSOCIATION % 3) as f64 - 0.5));
        fired.extend(sums.iter().enumerate().map(fires));
    }
    let truths = stimuli.iter().flat_map(|stimulus| &stimulus.truths).copied().collect();
    Ok(Samples::values(fired, ASSOCIATION, truths, RESPONSE))
}

fn drawing(shown: &[Stimulus], wiring: &[f64], curves: [Vec<[f64; 2]>; 4]) -> Sheet {
    let figures =
        shown.iter().take(6).map(|s| Raster::grey("", &s.cells, [SIDE, SIDE], [0.0, 1.0]).width(60.0));
    let wires =
        wiring.chunks_exact(SIDE * SIDE).take(4).map(|w| Raster::signed("", w, [SIDE, SIDE]).width(60.0));
    let plot = Plot::new(
        "what the response units have learned",
        "examples seen",
        "share of held-out figures answered rightly",
    )
    .size(798.0, 290.0)
    .y_limits(0.4, 1.0);
    let plot =
        TAUGHT.iter().zip(curves).fold(plot, |plot, (name, curve)| plot.series(name, Mark::Line, curve));
    Sheet::new("The Mark I perceptron").grid(10, figures.chain(wires)).row().add(plot)
}
