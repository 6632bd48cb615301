//! LeNet-5 as it was published: shapes, numbers, its table of connections, its own layers by hand.

use std::sync::Arc;

use ocelli_core::ops::{Conv2d, Rbf, ScaledTanh, Subsample};
use ocelli_core::{Graph, Loss, Params, PlanOptions, Shape, Targets};

use super::{Context, Expected, Experiment, Finding, Part, Table};
use crate::Error;
use crate::arch::{Architecture, Wanted};
use crate::explain::trace;
use crate::figure::{Raster, Sheet};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "lenet5",
    title: "LeNet-5, exactly",
    part: Part::History,
    checklist: &[15, 16, 17, 24],
    about: "LeNet-5 reads a character of 32×32 pixels. Its C layers are convolutions: all units of a map share one kernel, so that what is \
learned at one place is known at all. Its S layers sum 2×2 units, scale the sum by a coefficient that is learned, add a bias and \
squash. C3 is not fully connected to S2: the table below says which maps see which, so that maps are forced to differ. The output is \
ten radial basis units, each the squared distance of F6 to a picture of its digit in ±1; the smallest wins.\n\n\
All of it is one network of the library, `ocelli plan lenet5`, with 60,000 parameters to the last one.",
    equations: &[
        "f(a) = 1.7159 \\tanh(\\frac{2a}{3}), \\quad y_i = Σ_j (x_j − w_{ij})^2",
        "C = y_D + \\log(e^{−j} + Σ_i e^{−y_i})",
    ],
    source: file!(),
    run,
};

/// The network for ten classes.
pub(super) fn lenet5() -> Result<Graph, Error> {
    let wanted = Wanted { input: Shape::from([1, 32, 32]), classes: 10, widths: Vec::new() };
    Architecture::find("lenet5")?.build(&wanted)
}

/// What the paper says of each layer: name, shape, parameters, connections.
const PAPER: [(&str, &str, f64, f64); 6] = [
    ("C1", "6×28×28", 156.0, 122_304.0),
    ("S2", "6×14×14", 12.0, 5_880.0),
    ("C3", "16×10×10", 1_516.0, 151_600.0),
    ("S4", "16×5×5", 32.0, 2_000.0),
    ("C5", "120×1×1", 48_120.0, 48_120.0),
    ("F6", "84", 10_164.0, 10_164.0),
];

fn run(context: &Context) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    let graph = lenet5()?;
    let mut table = Table::new("Layer by layer", ["layer", "shape", "parameters", "connections"]);
    for (name, shape, parameters, connections) in PAPER {
        let node = graph.node(graph.find(name).expect("invariant: LeNet-5 has that layer"));
        let found: usize = node.signature().params.iter().map(|p| p.shape.len()).sum();
        // As the paper counts: a unit's bias is one of its connections.
        let counted = node.signature().macs + node.shape().len() as u64;
        table.row([name.to_owned(), node.shape().to_string(), found.to_string(), counted.to_string()]);
        finding.holds(format!("{name}: the shape is {shape}"), node.shape().to_string() == shape);
        finding.check(format!("{name}: parameters"), found as f64, Expected::Exactly(parameters));
        finding.check(format!("{name}: connections"), counted as f64, Expected::Exactly(connections));
    }
    finding.check("parameters in all", graph.layout().trainable() as f64, Expected::Exactly(60_000.0));
    finding.table(table);
    connections(context, &mut finding)?;
    by_hand(&mut finding)?;
    sharing(context, &mut finding)?;
    finding.figure(
        "connections",
        "Above: which of the six maps of S2 (rows) each of the sixteen maps of C3 (columns) sees. Below: the pictures, 7 wide and 12 high, \
         that the ten output units hold: the codes that F6 is to produce.",
        sheet(&graph)?,
    );
    Ok(finding)
}

/// What the table of C3 leaves out has no effect.
fn connections(context: &Context, finding: &mut Finding) -> Result<(), Error> {
    let mut graph = Graph::new();
    let x = graph.input("S2", [6, 14, 14])?;
    graph.add("C3", Conv2d::new(16, 5).connections(Conv2d::LENET_C3), [x])?;
    let graph = Arc::new(graph);
    let params = Params::<f64>::initialised(graph.layout(), context.seed())?;
    let mut executor = context.engine().executor::<f64>(&graph, PlanOptions::evaluate(1))?;
    let mut stream = context.key(&[16]).stream();
    let base: Vec<f64> = (0..6 * 14 * 14).map(|_| stream.normal()).collect();
    let before = executor.forward(&params, &[&base], 1).to_vec();
    let (mut connected, mut wrong) = (0, 0);
    for map in 0..6 {
        let mut changed = base.clone();
        changed.iter_mut().skip(map).step_by(6).for_each(|x| *x += 100.0);
        let after = executor.forward(&params, &[&changed], 1);
        for (unit, sees) in Conv2d::LENET_C3.iter().enumerate() {
            let same = (0..100).all(|pixel| before[pixel * 16 + unit] == after[pixel * 16 + unit]);
            connected += usize::from(!same);
            wrong += usize::from(same == sees.contains(&map));
        }
    }
    finding.check("pairs of maps of S2 and C3 that are connected", connected as f64, Expected::Exactly(60.0));
    finding.check(
        "pairs in which C3 feels, by a bit, what the table leaves out, or does not feel what it names",
        wrong as f64,
        Expected::Exactly(0.0),
    );
    Ok(())
}

/// Subsampling, squash, radial basis units and criterion on numbers that one can follow.
fn by_hand(finding: &mut Finding) -> Result<(), Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 2, 2])?;
    let sum = graph.add("S", Subsample::new(2), [x])?;
    graph.add("squash", ScaledTanh {}, [sum])?;
    let graph = Arc::new(graph);
    let mut params = Params::zeroed(graph.layout())?;
    params.set(&graph.layout().entries()[0], &[0.5]);
    params.set(&graph.layout().entries()[1], &[-1.0]);
    let traced =
        trace(&graph, &params, &[&[1.0, 2.0, 3.0, 4.0]], Targets::Values(&[0.0]), &Loss::Euclidean, 0.0)?;
    finding.check(
        "S of 1, 2, 3, 4 with coefficient ½ and bias −1",
        traced.layers[1].value[0],
        Expected::Exactly(4.0),
    );
    let squashed = traced.layers[2].value[0];
    let by_hand = 1.7159 * (8.0f64 / 3.0).tanh();
    finding.check("squash of 4, less 1.7159·tanh(8/3)", (squashed - by_hand).abs(), Expected::AtMost(1e-15));

    let mut graph = Graph::new();
    let x = graph.input("x", [2])?;
    graph.add("output", Rbf::new(3), [x])?;
    let graph = Arc::new(graph);
    let mut params = Params::zeroed(graph.layout())?;
    params.set(&graph.layout().entries()[0], &[1.0, 1.0, 1.0, -1.0, -1.0, -1.0]);
    let loss = Loss::Map { rubbish: 1.0 };
    let traced = trace(&graph, &params, &[&[0.5, -1.0]], Targets::Classes(&[2]), &loss, 0.0)?;
    let y = &traced.layers[1].value;
    finding.holds(
        "units at (1, 1), (1, −1), (−1, −1) seen from (½, −1): 4.25, 0.25, 2.25",
        y[..] == [4.25, 0.25, 2.25],
    );
    let sum = (-1.0f64).exp() + y.iter().map(|y| (-y).exp()).sum::<f64>();
    finding.check(
        "MAP criterion of the third class there, less that by hand",
        (traced.cost - (2.25 + sum.ln())).abs(),
        Expected::AtMost(1e-14),
    );
    finding.check("class with the smallest penalty", loss.predicted_class(y) as f64, Expected::Exactly(1.0));
    Ok(())
}

/// A picture moved by a pixel moves the maps of C1 by a pixel and changes nothing else.
fn sharing(context: &Context, finding: &mut Finding) -> Result<(), Error> {
    let graph = Arc::new(lenet5()?);
    let c1 = graph.find("C1").expect("invariant: LeNet-5 has that layer");
    let options = PlanOptions { reuse: false, fuse: false, ..PlanOptions::evaluate(1) };
    let mut executor = context.engine().executor::<f64>(&graph, options)?;
    let params = Params::<f64>::initialised(graph.layout(), context.seed())?;
    let mut stream = context.key(&[24]).stream();
    let mut picture = vec![0.0; 32 * 32];
    (0..24 * 24).for_each(|k| picture[(4 + k / 24) * 32 + 4 + k % 24] = stream.normal());
    let mut maps = |picture: &[f64]| {
        executor.forward(&params, &[picture], 1);
        executor.value(c1).expect("a plan without reuse keeps every value").to_vec()
    };
    let before = maps(&picture);
    let mut moved = vec![0.0; 32 * 32];
    (0..31 * 31).for_each(|k| moved[(k / 31 + 1) * 32 + k % 31 + 1] = picture[k / 31 * 32 + k % 31]);
    let after = maps(&moved);
    let pairs = (0..27 * 27).flat_map(|k| {
        let (from, to) = ((k / 27 * 28 + k % 27) * 6, ((k / 27 + 1) * 28 + k % 27 + 1) * 6);
        (0..6).map(move |c| (from + c, to + c))
    });
    let difference = pairs.map(|(from, to)| (before[from] - after[to]).abs()).fold(0.0, f64::max);
    finding.check(
        "C1 of a picture moved by a pixel − C1 moved by a pixel, largest",
        difference,
        Expected::Exactly(0.0),
    );
    Ok(())
}

fn sheet(graph: &Graph) -> Result<Sheet, Error> {
    // Cells of 7×7 with a line between them.
    const CELL: usize = 8;
    let (rows, columns) = (6 * CELL - 1, 16 * CELL - 1);
    let sees = |k: usize| {
        let (row, column) = (k / columns, k % columns);
        let line = row % CELL == CELL - 1 || column % CELL == CELL - 1;
        let connected = Conv2d::LENET_C3[column / CELL].contains(&(row / CELL));
        if line {
            1.0
        } else if connected {
            0.2
        } else {
            0.88
        }
    };
    let table: Vec<f64> = (0..rows * columns).map(sees).collect();
    let connections =
        Raster::grey("maps 0–5 of S2 ↓, maps 0–15 of C3 →", &table, [rows, columns], [0.0, 1.0]);
    let params = Params::<f64>::initialised(graph.layout(), 0)?;
    let codes = graph.layout().entries().last().expect("invariant: LeNet-5 ends in its units");
    let codes = params.get(codes).into_data();
    let drawn = |(digit, code): (usize, &[f64])| {
        let ink: Vec<f64> = code.iter().map(|bit| -bit).collect();
        Raster::grey(&digit.to_string(), &ink, [12, 7], [-1.0, 1.0]).width(42.0)
    };
    Ok(Sheet::new("The connections of C3, and the codes of the output")
        .add(connections.width(400.0))
        .grid(10, codes.chunks_exact(84).enumerate().map(drawn)))
}
