//! Small networks around an op.

use ocelli_core::ops::{Add, Conv2d, Flatten, Linear};
use ocelli_core::{Graph, Shape, Value};
use ocelli_kernels::random::Stream;

use super::cases::{Case, case, coin, size};
use super::losses::Kind;

/// Input → (a layer with weights) → the op → flatten → linear, in a random case of the op. Half of the time its first
/// input is read by a second branch too, so that both ways of writing a gradient, to set and to add, are used.
pub(crate) fn around(name: &str, loss: Kind, s: &mut Stream) -> Graph {
    let width = if loss == Kind::CrossEntropy { 1 + size(s, 3) } else { size(s, 4) };
    loop {
        let case = case(name, s);
        if let Some(graph) = build(case, width, s) {
            return graph;
        }
    }
}

/// `None` where the case's shapes do not fit its op.
fn build(Case { op, shapes }: Case, width: usize, s: &mut Stream) -> Option<Graph> {
    let mut graph = Graph::new();
    let from: Vec<Value> =
        shapes.iter().enumerate().map(|(i, shape)| source(&mut graph, i, *shape, s)).collect();
    let (branch, first) = (coin(s), coin(s));
    let early = (branch && first).then(|| head(&mut graph, "side", from[0], width));
    let output = graph.add("op", op, &from).ok()?;
    let output = head(&mut graph, "main", output, width);
    let side = early.or_else(|| branch.then(|| head(&mut graph, "side", from[0], width)));
    if let Some(side) = side {
        graph.add("sum", Add {}, [output, side]).unwrap();
    }
    Some(graph)
}

/// An input of this shape, or the output of a layer with weights that has this shape.
fn source(graph: &mut Graph, number: usize, shape: Shape, s: &mut Stream) -> Value {
    let name = format!("x{number}");
    if coin(s) {
        return graph.input(&name, shape).unwrap();
    }
    let layer = format!("before{number}");
    match shape.image() {
        Some([channels, height, width]) => {
            let x = graph.input(&name, [size(s, 3), height, width]).unwrap();
            graph.add(&layer, Conv2d::new(channels, 1), [x]).unwrap()
        }
        None => {
            let x = graph.input(&name, [size(s, 4)]).unwrap();
            graph.add(&layer, Linear::new(shape.len()), [x]).unwrap()
        }
    }
}

/// Flatten and linear.
fn head(graph: &mut Graph, name: &str, from: Value, width: usize) -> Value {
    let flat = graph.add(&format!("{name}.flat"), Flatten {}, [from]).unwrap();
    graph.add(&format!("{name}.linear"), Linear::new(width), [flat]).unwrap()
}
