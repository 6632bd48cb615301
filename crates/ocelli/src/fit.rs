//! Whether a network, the pictures that it is given, its loss and its classes belong together.

use ocelli_core::{Loss, Shape};
use ocelli_data::Preprocess;

use crate::Error;
use crate::io::Network;

/// Checks that the network takes one image of the size that `preprocess` makes, and that its outputs tell `classes`
/// classes apart under `loss`.
///
/// # Errors
/// [`Error::Usage`] says what does not fit.
pub(crate) fn check_fit(
    network: &Network,
    preprocess: &Preprocess,
    loss: &Loss,
    classes: usize,
) -> Result<(), Error> {
    preprocess.check()?;
    let graph = &network.graph;
    let inputs: Vec<Shape> = graph.inputs().map(|v| graph.node(v).shape()).collect();
    let made = preprocess.input_shape();
    if !matches!(inputs[..], [shape] if shape.image() == Some(made)) {
        return Err(Error::Usage(format!(
            "network '{}' takes {inputs:?}, but the pictures are prepared as {}",
            network.name,
            Shape::from(made)
        )));
    }
    let width = graph.node(graph.output()?).shape().len();
    loss.check(width, Some(classes)).map_err(|e| Error::Usage(e.to_string()))
}
