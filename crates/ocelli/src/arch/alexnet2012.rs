//! AlexNet as published (Krizhevsky, Sutskever and Hinton 2012).

use ocelli_core::ops::{Conv2d, Dropout, Flatten, LocalResponseNorm, MaxPool2d, Relu};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Init, Optimizer};

use super::torchvision::{small, small_linear};
use super::{Wanted, chain};
use crate::{Augmentation, Recipe};

/// Five convolutions, of which the second, fourth and fifth are split into two groups, as they were over two graphics
/// cards; response normalisation after the first two; overlapping maxima after both normalisations and the last
/// convolution; linear layers of 4096, 4096 and n, with dropout after the first two: 60,965,224 parameters for 1,000
/// classes.
///
/// Weights start from N(0, 0.01), biases at 1 in the second, fourth and fifth convolution and in the hidden linear layers, so
/// that rectifiers have something to pass on, and at 0 in the others. The paper's images of 224 pixels give its 55×55
/// maps with two pixels of padding, which it does not mention; images of 227 give as much after the first maximum.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(63)?;
    let mut graph = Graph::new();
    let x = graph.input("image", wanted.input)?;
    let layers = [
        ("conv1", conv(96, 11).stride(4).padding(2).into()),
        ("relu1", Relu {}.into()),
        ("norm1", norm().into()),
        ("pool1", pool().into()),
        ("conv2", conv(256, 5).groups(2).bias_init(one()).into()),
        ("relu2", Relu {}.into()),
        ("norm2", norm().into()),
        ("pool2", pool().into()),
        ("conv3", conv(384, 3).into()),
        ("relu3", Relu {}.into()),
        ("conv4", conv(384, 3).groups(2).bias_init(one()).into()),
        ("relu4", Relu {}.into()),
        ("conv5", conv(256, 3).groups(2).bias_init(one()).into()),
        ("relu5", Relu {}.into()),
        ("pool5", pool().into()),
        ("flatten", Flatten {}.into()),
        ("fc6", small_linear(4096).bias_init(one()).into()),
        ("relu6", Relu {}.into()),
        ("drop6", Dropout { rate: 0.5 }.into()),
        ("fc7", small_linear(4096).bias_init(one()).into()),
        ("relu7", Relu {}.into()),
        ("drop7", Dropout { rate: 0.5 }.into()),
        ("fc8", small_linear(wanted.classes).into()),
    ];
    chain(&mut graph, layers, x)?;
    Ok(graph)
}

fn conv(maps: usize, kernel: usize) -> Conv2d {
    Conv2d::new(maps, kernel).padding(kernel / 2).init(small())
}

/// The paper's k = 2, n = 5, α = 10⁻⁴ and β = 0.75. Here α is divided by n, there it is not.
fn norm() -> LocalResponseNorm {
    LocalResponseNorm::new(5).alpha(5e-4).beta(0.75).k(2.0)
}

fn pool() -> MaxPool2d {
    MaxPool2d::new(3).stride(2)
}

fn one() -> Init {
    Init::Constant { value: 1.0 }
}

/// The paper's: its crops, mirroring and shifts of colours, batches of 128, plain momentum, and a rate of 0.01 that is divided
/// by 10 three times in 90 epochs. When, the paper decided by watching the validation error; evenly here.
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 90,
        batch: 128,
        rate: 0.01,
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 },
        augmentation: Augmentation::Lecture,
        ..Recipe::default()
    }
    .curve(Curve::Milestones { at: vec![25.0, 50.0, 75.0], factor: 0.1 })
}
