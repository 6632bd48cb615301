//! A modern small network for 28×28 grey pictures.

use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Relu};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Loss, Optimizer};

use super::Wanted;
use super::digits::block;
use crate::recipe::{Augmentation, Recipe};

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

pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 20,
        batch: 64,
        rate: 0.1,
        loss: Loss::CrossEntropy { label_smoothing: 0.05 },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        augmentation: Augmentation::Light,
        ..Recipe::default()
    }
    .curve(Curve::OneCycle { peak_at: 0.25, start_divisor: 25.0, end_divisor: 1e3 })
}
