//! How the forward steps of evaluation are cut.
//!
//! A batch of many samples is cut by samples, whose parts need no barrier between them. One of few samples would leave
//! workers idle: its steps are cut *within* each sample, by rows of the image or by channels, as the op says; and so are
//! layers with so many weights that reading them is the work, whatever the batch: each part then reads its own. Steps that
//! are not worth a barrier stay whole. All of this follows from the graph, the batch and the options.

use super::{Cut, Mode, PlanOptions};
use crate::ops::{Axis, ChannelCut, row_parts};
use crate::{Graph, Node, Value};

/// Work that makes a part within a sample worth having, in multiply-adds.
const WORK_PER_SECTION: u64 = 1 << 18;
/// What reading a weight from memory costs, in multiply-adds, if it is used once.
const WORK_PER_WEIGHT: u64 = 8;
/// What reading or writing a number of an image costs.
const WORK_PER_ELEMENT: u64 = 8;

/// Pixels that a part by rows has at least: two tiles of the matrix unit.
const PIXELS_PER_SECTION: usize = 32;

/// From so many weights on, a layer that uses each once per sample is cut by channels whatever the batch.
const MANY_WEIGHTS: u64 = 1 << 20;

/// Into how many parts steps may be cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Those by samples.
    pub(super) parts: usize,
    /// The most of any kind.
    pub(super) most: usize,
}

/// How the forward step of `value` is cut, and into how many parts.
pub(super) fn of_forward(graph: &Graph, options: &PlanOptions, value: Value, limits: Limits) -> (Cut, usize) {
    let (node, most) = (graph.node(value), limits.most);
    let whole = (Cut::Samples, limits.parts);
    let Some(axis) = node.op().and_then(|op| op.axis(node, options.batch)) else { return whole };
    if options.mode != Mode::Evaluate || options.curvature {
        return whole;
    }
    let weights = weights(node);
    let heavy =
        matches!(axis, Axis::Channels { .. }) && weights >= MANY_WEIGHTS && node.signature().macs <= weights;
    if options.batch >= most && !(heavy && most > 1) {
        return whole;
    }
    let wanted = wanted(options, work(graph, options, value), most);
    let channels = node.shape().channels();
    let (cut, parts) = match axis {
        Axis::Rows(rows) => (Cut::Rows(rows), parts_by_rows(graph, options, value, rows, wanted)),
        Axis::Channels { grain, least } => {
            let parts = match options.parts {
                Some(_) => wanted.min(channels / grain),
                None => even(wanted.min(channels / (grain * least))),
            };
            (Cut::Channels(ChannelCut { channels, grain, parts }), parts)
        }
    };
    if parts > 1 && (parts > whole.1 || heavy) { (cut, parts) } else { whole }
}

/// How a forward step is cut that computes these layers, the last of them row by row.
pub(super) fn of_layers(
    graph: &Graph,
    options: &PlanOptions,
    layers: &[Value],
    limits: Limits,
) -> (Cut, usize) {
    let whole = (Cut::Samples, limits.parts);
    let last = *layers.last().expect("invariant: there are layers");
    let [_, rows, _] = graph.node(last).shape().image().expect("invariant: layers with rows");
    if options.batch >= limits.most {
        return whole;
    }
    let work = layers.iter().map(|&layer| work(graph, options, layer)).fold(0, u64::saturating_add);
    let parts = parts_by_rows(graph, options, last, rows, wanted(options, work, limits.most));
    if parts > limits.parts { (Cut::Rows(rows), parts) } else { whole }
}

/// How many parts so much work deserves.
fn wanted(options: &PlanOptions, work: u64, most: usize) -> usize {
    match options.parts {
        Some(_) => most,
        None => (work / WORK_PER_SECTION).clamp(1, most as u64) as usize,
    }
}

/// Parts by rows where so many are wanted.
fn parts_by_rows(graph: &Graph, options: &PlanOptions, value: Value, rows: usize, wanted: usize) -> usize {
    let shape = graph.node(value).shape();
    let parts = wanted.min(row_parts(rows));
    match options.parts {
        Some(_) => parts,
        None => even(parts.min(shape.len() / shape.channels() / PIXELS_PER_SECTION)),
    }
}

/// The largest power of two up to this: as the numbers of threads mostly are, so that all have as much to do.
fn even(parts: usize) -> usize {
    1 << parts.max(1).ilog2()
}

/// Elements of the parameters.
fn weights(node: &Node) -> u64 {
    let weights = node.signature().params.iter().map(|spec| spec.shape.len() as u64);
    weights.fold(0, u64::saturating_add)
}

/// What a forward step costs, in multiply-adds.
fn work(graph: &Graph, options: &PlanOptions, value: Value) -> u64 {
    let node = graph.node(value);
    let inputs = node.input_shapes().iter().map(|shape| shape.len());
    let elements = inputs.fold(node.shape().len(), usize::saturating_add) as u64;
    let of_sample = node.signature().macs.saturating_add(elements.saturating_mul(WORK_PER_ELEMENT));
    of_sample
        .saturating_mul(options.batch as u64)
        .saturating_add(weights(node).saturating_mul(WORK_PER_WEIGHT))
}
