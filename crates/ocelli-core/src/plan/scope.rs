//! What of a graph is planned, and into how many parts a batch is cut.

use super::{Mode, PlanOptions};
use crate::{Error, Graph, Node, Value};

/// A batch is cut into at most this many parts. More would let more threads work at once, but make each matrix
/// product thinner and each layer's partial gradients more.
pub(super) const MAX_PARTS: usize = 8;

/// Multiply-adds that make a part worth having, about.
const MACS_PER_PART: u64 = 1 << 20;

/// Into how many parts a batch is cut: by the work that it is, unless the options say.
pub(super) fn parts(graph: &Graph, used: &[bool], options: &PlanOptions) -> Result<usize, Error> {
    let wanted = match options.parts {
        Some(0) => return Err(Error::Options("a batch cannot be cut into 0 parts".to_string())),
        Some(parts) => parts.min(options.batch),
        None => {
            let macs = graph.values().filter(|v| used[v.0]).map(|v| graph.node(v).signature().macs);
            let macs = macs.fold(0, u64::saturating_add).saturating_mul(options.batch as u64);
            let parts = ((macs / MACS_PER_PART) as usize).clamp(1, MAX_PARTS);
            // As the numbers of threads mostly are, so that all have as much to do: of 3 parts two threads have 1 and 2.
            parts.next_power_of_two().min(options.batch)
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

/// Which values depend on something whose gradient is wanted. Of what is `frozen` none is.
pub(super) fn wanting_gradient(graph: &Graph, options: &PlanOptions, frozen: &[bool]) -> Vec<bool> {
    let mut wants = vec![false; graph.nodes().len()];
    for value in graph.values().filter(|v| !frozen[v.0]) {
        let node = graph.node(value);
        wants[value.0] = match node.op() {
            None => options.input_gradients,
            Some(_) => node.trained_len() > 0 || node.inputs().iter().any(|v| wants[v.0]),
        };
    }
    wants
}

/// Which nodes stay as they are: the frozen layer, and what it is computed from.
pub(super) fn frozen(graph: &Graph, options: &PlanOptions) -> Result<Vec<bool>, Error> {
    let Some(last) = options.frozen.filter(|_| options.mode == Mode::Train) else {
        return Ok(vec![false; graph.nodes().len()]);
    };
    if options.input_gradients {
        return Err(Error::Options(
            "nothing is passed back through frozen layers: no input_gradients".into(),
        ));
    }
    let frozen = reaching(graph, last);
    for node in graph.nodes().iter().filter(|node| !frozen[node.index()]) {
        let shares = |other: &&Node| frozen[other.index()] && other.params() == node.params();
        if let Some(other) = graph.nodes().iter().find(shares).filter(|_| !node.params().is_empty()) {
            return Err(Error::Options(format!(
                "layer '{}' has the parameters of '{}', which is frozen with '{}'; freeze both or neither",
                node.name(),
                other.name(),
                graph.node(last).name()
            )));
        }
    }
    Ok(frozen)
}
