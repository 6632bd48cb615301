//! A modern small network for 28×28 grey pictures.

use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Relu};
use ocelli_core::{Error, Graph};

use super::Wanted;
use super::digits::block;
use crate::recipe::Recipe;

/// A 5×5 convolution without padding, 2×2 maxima, two 3×3 convolutions, 2×2 maxima, two more, the average over
/// the image, and a linear layer; batch normalisation and ReLU after each convolution.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("conv1", Conv2d::new(24, 5).without_bias(), [x])?;
    x = graph.add("norm1", BatchNorm::default(), [x])?;
    x = graph.add("relu1", Relu {}, [x])?;
    x = graph.add("pool1", MaxPool2d::new(2), [x])?;
    x = block(&mut graph, 2, 48, x)?;
    x = block(&mut graph, 3, 64, x)?;
    x = graph.add("pool2", MaxPool2d::new(2), [x])?;
    x = block(&mut graph, 4, 96, x)?;
    x = block(&mut graph, 5, 96, x)?;
    x = graph.add("pool3", GlobalAvgPool {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", Linear::new(wanted.classes), [x])?;
    Ok(graph)
}

/// That of the small digits' network, with larger batches and fewer passes over more images.
pub(super) fn recipe() -> Recipe {
    Recipe { epochs: 20, batch: 64, ..super::digits::recipe() }
}
