//! What of a graph is planned, and into how many parts a batch is cut.

use super::PlanOptions;
use crate::{Error, Graph, Value};

/// A batch is cut into at most this many parts. More would let more threads work at once, but make each matrix
/// product thinner and each layer's partial gradients more.
pub(super) const MAX_PARTS: usize = 8;

/// Multiply-adds that make a part worth having.
const MACS_PER_PART: u64 = 1 << 20;

/// Into how many parts a batch is cut: by the work that it is, unless the options say.
pub(super) fn parts(graph: &Graph, used: &[bool], options: &PlanOptions) -> Result<usize, Error> {
    let wanted = match options.parts {
        Some(0) => return Err(Error::Options("a batch cannot be cut into 0 parts".to_string())),
        Some(parts) => parts.min(options.batch),
        None => {
            let macs = graph.values().filter(|v| used[v.0]).map(|v| graph.node(v).signature().macs);
            let macs = macs.fold(0, u64::saturating_add).saturating_mul(options.batch as u64);
            ((macs / MACS_PER_PART) as usize).clamp(1, MAX_PARTS.min(options.batch))
        }
    };
    // Every part has at least one sample of a full batch: 9 samples in 8 parts are 5 parts of 2.
    Ok(options.batch.div_ceil(options.batch.div_ceil(wanted)))
}

/// Which values the output is computed from.
pub(super) fn reaching(graph: &Graph, output: Value) -> Vec<bool> {
    let mut used = vec![false; graph.nodes().len()];
    used[output.0] = true;
    for value in graph.values().rev().filter(|v| v.0 <= output.0) {
        if used[value.0] {
            graph.node(value).inputs().iter().for_each(|v| used[v.0] = true);
        }
    }
    used
}

/// Which values depend on something whose gradient is wanted.
pub(super) fn wanting_gradient(graph: &Graph, options: &PlanOptions) -> Vec<bool> {
    let mut wants = vec![false; graph.nodes().len()];
    for value in graph.values() {
        let node = graph.node(value);
        wants[value.0] = match node.op() {
            None => options.input_gradients,
            Some(_) => node.trained_len() > 0 || node.inputs().iter().any(|v| wants[v.0]),
        };
    }
    wants
}
