//! What a report says of a network itself.

use std::sync::Arc;

use ocelli_core::{Graph, Node, Op, Optimizer, Params};

use crate::Error;
use crate::describe::{LayerLine, Subject, describe};
use crate::report::{Filters, LayerRow};

/// The network, layer by layer.
///
/// # Errors
/// A network that cannot be planned.
pub(crate) fn layers(net: &str, graph: &Arc<Graph>) -> Result<Vec<LayerRow>, Error> {
    // Shapes, parameters and operations are those of one image, however it is trained.
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let subject = Subject { net, graph, batch: 1, optimizer: &optimizer, threads: 1, data_bytes: 0 };
    let row = |layer: LayerLine| LayerRow {
        name: layer.name,
        op: layer.op,
        output: layer.output,
        parameters: layer.parameters as u64,
        flops: layer.flops,
        receptive_field: layer.receptive_field,
    };
    Ok(describe(&subject)?.layers.into_iter().map(row).collect())
}

/// The filters of the first convolution that reads the input itself.
pub(crate) fn filters(graph: &Graph, params: &Params<f32>) -> Option<Filters> {
    let reads_input = |n: &Node| n.inputs().iter().all(|v| graph.node(*v).op().is_none());
    let is_first = |n: &&Node| matches!(n.op(), Some(Op::Conv2d(_))) && reads_input(n);
    let node = graph.nodes().iter().find(is_first)?;
    let entry = &graph.layout().entries()[*node.params().first()?];
    let [count, channels, height, width] = *entry.spec.shape.sizes() else { return None };
    let values = params.data()[entry.range.clone()].to_vec();
    Some(Filters { layer: node.name().to_string(), count, height, width, channels, values })
}
