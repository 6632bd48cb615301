//! What networks share: torchvision's names of layers, their order, and how weights start. So its weights fit, and figures
//! compare.

use ocelli_core::ops::{BatchNorm, Conv2d, Linear, Relu};
use ocelli_core::{Error, Graph, Init, Op, Value};

/// PyTorch's own start of weights and biases: uniform in ±1/√fan-in.
pub(super) fn plain() -> Init {
    Init::UniformFanIn { a: 1.0, power: 0.5 }
}

/// A linear layer that starts as PyTorch's.
pub(super) fn plain_linear(features: usize) -> Linear {
    Linear::new(features).init(plain()).bias_init(plain())
}

/// AlexNet's start of weights: N(0, 0.01).
pub(super) fn small() -> Init {
    Init::Normal { std: 0.01 }
}

/// A linear layer that starts [`small`], as AlexNet's and those after convolutions that start [`rectified`].
pub(super) fn small_linear(features: usize) -> Linear {
    Linear::new(features).init(small())
}

/// He's normal by fan-out: how convolutions start that rectifiers follow.
pub(super) fn rectified() -> Init {
    Init::He { uniform: false, slope: 0.0, fan_out: true }
}

/// A convolution without a bias, which batch normalisation would take away, that keeps the size but for its stride.
pub(super) fn conv(maps: usize, kernel: usize) -> Conv2d {
    Conv2d::new(maps, kernel).padding(kernel / 2).without_bias().init(rectified())
}

/// Convolution number `number` of a block, normalised and rectified.
pub(super) fn rectify(
    graph: &mut Graph,
    name: &str,
    number: usize,
    conv: Conv2d,
    x: Value,
) -> Result<Value, Error> {
    let x = normalise(graph, name, number, conv, x)?;
    graph.add(&format!("{name}.relu{number}"), Relu {}, [x])
}

/// Convolution number `number` of a block, normalised.
pub(super) fn normalise(
    graph: &mut Graph,
    name: &str,
    number: usize,
    conv: Conv2d,
    x: Value,
) -> Result<Value, Error> {
    let x = graph.add(&format!("{name}.conv{number}"), conv, [x])?;
    graph.add(&format!("{name}.bn{number}"), BatchNorm::default(), [x])
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
