//! The small convolutional network for CIFAR-10 of Krizhevsky's cuda-convnet (2012): four layers with weights.

use ocelli_core::ops::{AvgPool2d, Conv2d, Flatten, MaxPool2d, Relu};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Optimizer};

use super::Wanted;
use super::torchvision::plain_linear;
use crate::recipe::Recipe;

/// Three 5×5 convolutions of 32, 32 and 64 maps that keep the size, each with a ReLU and a 3×3 pooling of stride 2, the
/// maximum and then twice the average, and a linear layer: 89,578 parameters for 3×32×32 and 10 classes.
///
/// The last windows hang over the image, as in the original: 32, 16, 8 and 4 pixels a side. Convolutions start by He's
/// normal, which came later, the linear layer lower, so that the first losses are those of guessing.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(8)?;
    let conv = |maps| Conv2d::new(maps, 5).padding(2);
    let average = || AvgPool2d::new(3).stride(2).ceil_mode();
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("conv1", conv(32), [x])?;
    x = graph.add("pool1", MaxPool2d::new(3).stride(2).ceil_mode(), [x])?;
    x = graph.add("relu1", Relu {}, [x])?;
    x = graph.add("conv2", conv(32), [x])?;
    x = graph.add("relu2", Relu {}, [x])?;
    x = graph.add("pool2", average(), [x])?;
    x = graph.add("conv3", conv(64), [x])?;
    x = graph.add("relu3", Relu {}, [x])?;
    x = graph.add("pool3", average(), [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", plain_linear(wanted.classes), [x])?;
    Ok(graph)
}

/// SGD along half a cosine wave; the original's learning rates are for its own scale of pixels and weights.
pub(super) fn recipe() -> Recipe {
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
    Recipe { epochs: 30, batch: 64, rate: 0.01, optimizer, ..Recipe::default() }
        .curve(Curve::Cosine { to: 0.0 })
}
