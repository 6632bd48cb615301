//! AlexNet (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"), as torchvision has it.

use ocelli_core::ops::{AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, MaxPool2d, Relu};
use ocelli_core::schedule::{Curve, Schedule};
use ocelli_core::{Error, Graph, Optimizer};

use super::Wanted;
use super::torchvision::{plain, plain_linear, sequential};
use crate::{Augmentation, Recipe};

/// The net of 2012 in one tower, without response normalisation: convolutions 11×11-64 of stride 4, 5×5-192, and
/// 3×3 with 384, 256 and 256 maps, overlapping maxima after the first, second and last, an average to 6×6, and linear
/// layers of 4096 with dropout: 61,100,840 parameters for 1,000 classes.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(63)?;
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    let conv =
        |maps, kernel: usize| Conv2d::new(maps, kernel).padding(kernel / 2).init(plain()).bias_init(plain());
    let pool = || MaxPool2d::new(3).stride(2).into();
    let features = [
        conv(64, 11).stride(4).padding(2).into(),
        Relu {}.into(),
        pool(),
        conv(192, 5).into(),
        Relu {}.into(),
        pool(),
        conv(384, 3).into(),
        Relu {}.into(),
        conv(256, 3).into(),
        Relu {}.into(),
        conv(256, 3).into(),
        Relu {}.into(),
        pool(),
    ];
    x = sequential(&mut graph, "features", features, x)?;
    x = graph.add("avgpool", AdaptiveAvgPool2d::new(6), [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    let classifier = [
        Dropout { rate: 0.5 }.into(),
        plain_linear(4096).into(),
        Relu {}.into(),
        Dropout { rate: 0.5 }.into(),
        plain_linear(4096).into(),
        Relu {}.into(),
        plain_linear(wanted.classes).into(),
    ];
    sequential(&mut graph, "classifier", classifier, x)?;
    Ok(graph)
}

/// The rate, momentum and decay of 2012, with a warm-up and half a cosine wave in place of steps by hand.
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 30,
        batch: 64,
        rate: 0.01,
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        augmentation: Augmentation::Auto,
        schedule: Schedule::from(Curve::Cosine { to: 0.0 }).warmed_up(1.0),
        ..Recipe::default()
    }
}
