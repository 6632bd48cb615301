//! What the networks share that are torchvision's: its names of layers, their order, and how weights start. So its
//! weights fit, and figures compare.

use ocelli_core::ops::Linear;
use ocelli_core::{Error, Graph, Init, Op, Value};

/// PyTorch's own start of weights and biases: uniform in ±1/√fan-in.
pub(super) fn plain() -> Init {
    Init::UniformFanIn { a: 1.0, power: 0.5 }
}

/// A linear layer that starts as PyTorch's.
pub(super) fn plain_linear(features: usize) -> Linear {
    Linear::new(features).init(plain()).bias_init(plain())
}

/// A linear layer that starts small, as those after convolutions that start [`rectified`].
pub(super) fn small_linear(features: usize) -> Linear {
    Linear::new(features).init(Init::Normal { std: 0.01 })
}

/// He's normal by fan-out: how convolutions start that rectifiers follow.
pub(super) fn rectified() -> Init {
    Init::He { uniform: false, slope: 0.0, fan_out: true }
}

/// Layers one after another, each named `name` and its number.
pub(super) fn sequential(
    graph: &mut Graph,
    name: &str,
    layers: impl IntoIterator<Item = Op>,
    x: Value,
) -> Result<Value, Error> {
    let mut layers = layers.into_iter().enumerate();
    layers.try_fold(x, |x, (number, layer)| graph.add(&format!("{name}.{number}"), layer, [x]))
}
