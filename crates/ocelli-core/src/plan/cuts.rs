//! How the forward steps of evaluation are cut.
//!
//! A batch of many samples is cut by samples, whose parts need no barrier between them. One of few samples would leave
//! workers idle: its steps are cut *within* each sample, by rows of the image or by channels, as the op says; and so are
//! layers with so many weights that reading them is the work, whatever the batch: each part then reads its own. Steps that
//! are not worth a barrier stay whole. All of this follows from the graph, the batch and the options.

use super::{Cut, Mode, PlanOptions};
use crate::ops::{Axis, ChannelCut, row_parts};
use crate::{Graph, Value};

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

/// How the forward step of `value` is cut, and into how many parts; `parts` are those by samples, `most` those that may be.
pub(super) fn of_forward(
    graph: &Graph,
    options: &PlanOptions,
    value: Value,
    parts: usize,
    most: usize,
) -> (Cut, usize) {
    let node = graph.node(value);
    let whole = (Cut::Samples, parts);
    let Some(axis) = node.op().and_then(|op| op.axis(node, options.batch)) else { return whole };
    if options.mode != Mode::Evaluate || options.curvature {
        return whole;
    }
    let weights = node.signature().params.iter().map(|spec| spec.shape.len() as u64);
    let weights = weights.fold(0, u64::saturating_add);
    let heavy =
        matches!(axis, Axis::Channels { .. }) && weights >= MANY_WEIGHTS && node.signature().macs <= weights;
    if options.batch >= most && !(heavy && most > 1) {
        return whole;
    }
    let wanted = match options.parts {
        Some(_) => most,
        None => (work(graph, options, value, weights) / WORK_PER_SECTION).clamp(1, most as u64) as usize,
    };
    let channels = node.shape().channels();
    let parts = match (options.parts, axis) {
        (Some(_), Axis::Rows { rows, .. }) => wanted.min(row_parts(rows)),
        (Some(_), Axis::Channels { grain, .. }) => wanted.min(channels / grain),
        (None, Axis::Rows { rows, .. }) => {
            let pixels = node.shape().len() / channels;
            even(wanted.min(row_parts(rows)).min(pixels / PIXELS_PER_SECTION))
        }
        (None, Axis::Channels { grain, least }) => even(wanted.min(channels / (grain * least))),
    };
    let cut = match axis {
        Axis::Rows { rows, local } => Cut::Rows { rows, local },
        Axis::Channels { grain, .. } => Cut::Channels(ChannelCut { channels, grain, parts }),
    };
    if parts > 1 && (parts > whole.1 || heavy) { (cut, parts) } else { whole }
}

/// The largest power of two up to this: as the numbers of threads mostly are, so that all have as much to do.
fn even(parts: usize) -> usize {
    1 << parts.max(1).ilog2()
}

/// What a forward step costs, in multiply-adds.
fn work(graph: &Graph, options: &PlanOptions, value: Value, weights: u64) -> u64 {
    let node = graph.node(value);
    let inputs = node.input_shapes().iter().map(|shape| shape.len());
    let elements = inputs.fold(node.shape().len(), usize::saturating_add) as u64;
    let of_sample = node.signature().macs.saturating_add(elements.saturating_mul(WORK_PER_ELEMENT));
    of_sample.saturating_mul(options.batch as u64).saturating_add(weights.saturating_mul(WORK_PER_WEIGHT))
}
