//! The network of the main job: 8×8 digits, in seconds.

use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, Linear, MaxPool2d, Relu};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Loss, Optimizer, Value};

use super::Wanted;
use crate::{Augmentation, Recipe};

/// Two pairs of 3×3 convolutions with batch normalisation and ReLU, 24 and 48 maps, a maximum over 2×2 after
/// each pair, and a linear layer.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    for (pair, maps) in [24, 48].into_iter().enumerate() {
        for half in 0..2 {
            x = block(&mut graph, 2 * pair + half + 1, maps, x)?;
        }
        x = graph.add(&format!("pool{}", pair + 1), MaxPool2d::new(2), [x])?;
    }
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", Linear::new(wanted.classes), [x])?;
    Ok(graph)
}

/// A 3×3 convolution that keeps the size, batch normalisation, ReLU.
pub(super) fn block(graph: &mut Graph, number: usize, maps: usize, x: Value) -> Result<Value, Error> {
    let conv = Conv2d::new(maps, 3).padding(1).without_bias();
    let x = graph.add(&format!("conv{number}"), conv, [x])?;
    let x = graph.add(&format!("norm{number}"), BatchNorm::default(), [x])?;
    graph.add(&format!("relu{number}"), Relu {}, [x])
}

pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 30,
        batch: 32,
        rate: 0.1,
        loss: Loss::CrossEntropy { label_smoothing: 0.05 },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        augmentation: Augmentation::Light,
        ..Recipe::default()
    }
    .curve(Curve::OneCycle { peak_at: 0.25, start_divisor: 25.0, end_divisor: 1e3 })
}
