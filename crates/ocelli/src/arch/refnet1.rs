//! refNet1, the reference network of the MiniPlaces challenge (Zhou 2015).

use ocelli_core::ops::{Conv2d, Dropout, Flatten, LocalResponseNorm, MaxPool2d, Relu};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Optimizer};

use super::torchvision::{small, small_linear};
use super::{Wanted, chain};
use crate::{Augmentation, Recipe};

/// Convolutions 8×8-64 of stride 2, 5×5-96 in two groups and 3×3-128, overlapping maxima after each, response
/// normalisation before the first two, and linear layers of 512, with dropout, and n: 2,611,076 parameters for 100 classes
/// of images of 126 to 129 pixels.
///
/// Weights start from N(0, 0.01), biases at 0. The original cuts 126×126 pixels out of 128×128; both leave 6×6 maps.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(36)?;
    let mut graph = Graph::new();
    let x = graph.input("image", wanted.input)?;
    let conv = |maps, kernel| Conv2d::new(maps, kernel).init(small());
    let pool = || MaxPool2d::new(3).stride(2).into();
    let layers = [
        ("conv1", conv(64, 8).stride(2).into()),
        ("relu1", Relu {}.into()),
        ("norm1", norm().into()),
        ("pool1", pool()),
        ("conv2", conv(96, 5).padding(2).groups(2).into()),
        ("relu2", Relu {}.into()),
        ("norm2", norm().into()),
        ("pool2", pool()),
        ("conv3", conv(128, 3).padding(1).into()),
        ("relu3", Relu {}.into()),
        ("pool3", pool()),
        ("flatten", Flatten {}.into()),
        ("fc4", small_linear(512).into()),
        ("relu4", Relu {}.into()),
        ("drop4", Dropout { rate: 0.5 }.into()),
        ("fc5", small_linear(wanted.classes).into()),
    ];
    chain(&mut graph, layers, x)?;
    Ok(graph)
}

/// The original's k = 1, n = 5 and β = 0.75, and an α of 10⁻⁴ that is divided by n.
fn norm() -> LocalResponseNorm {
    LocalResponseNorm::new(5).alpha(1e-4).beta(0.75).k(1.0)
}

/// The original's: shifted and mirrored pictures, and 60 epochs in which the rate falls evenly by orders of magnitude from
/// 0.01 to 0.0001.
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 60,
        batch: 128,
        rate: 0.01,
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 },
        augmentation: Augmentation::CropFlip,
        ..Recipe::default()
    }
    .curve(Curve::Exponential { factor: 0.925 })
}
