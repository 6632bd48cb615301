//! MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018), as torchvision has it.

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Dropout, Flatten, GlobalAvgPool, Relu6};
use ocelli_core::{Error, Graph, Init, Optimizer, Value};

use super::Wanted;
use super::torchvision::{conv, sequential, small_linear};
use crate::recipe::Recipe;

/// The paper's table 2: expansion, maps, number of blocks, and the stride of the first of them.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// A 3×3 convolution of stride 2, 17 blocks, a 1×1 convolution to 1280 maps, the average over the image, and a linear
/// layer: 3,504,872 parameters for 1,000 classes. It takes images of any size.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = rectify(&mut graph, "features.0", conv(32, 3).stride(2), x)?;
    let mut number = 1;
    for [expansion, maps, blocks, first_stride] in STAGES {
        for stride in std::iter::once(first_stride).chain(std::iter::repeat_n(1, blocks - 1)) {
            x = block(&mut graph, &format!("features.{number}"), expansion, maps, stride, x)?;
            number += 1;
        }
    }
    x = rectify(&mut graph, &format!("features.{number}"), conv(1280, 1), x)?;
    x = graph.add("avgpool", GlobalAvgPool {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    let classifier = [Dropout { rate: 0.2 }.into(), small_linear(wanted.classes).into()];
    sequential(&mut graph, "classifier", classifier, x)?;
    Ok(graph)
}

/// The inverted residual: a 1×1 convolution to `expansion` times as many channels, a 3×3 convolution of each channel by
/// itself, and a 1×1 convolution down to `maps` that nothing rectifies; plus x where the shape stays.
fn block(
    graph: &mut Graph,
    name: &str,
    expansion: usize,
    maps: usize,
    stride: usize,
    x: Value,
) -> Result<Value, Error> {
    let channels = graph.node(x).shape().channels();
    let (wide, mut y, mut number) = (expansion * channels, x, 0);
    if expansion != 1 {
        y = rectify(graph, &format!("{name}.conv.0"), conv(wide, 1), y)?;
        number = 1;
    }
    y = rectify(graph, &format!("{name}.conv.{number}"), depthwise(wide).stride(stride), y)?;
    y = graph.add(&format!("{name}.conv.{}", number + 1), conv(maps, 1), [y])?;
    y = graph.add(&format!("{name}.conv.{}", number + 2), BatchNorm::default(), [y])?;
    match stride == 1 && channels == maps {
        true => graph.add(&format!("{name}.add"), Add {}, [x, y]),
        false => Ok(y),
    }
}

/// A convolution, batch normalisation and ReLU6.
fn rectify(graph: &mut Graph, name: &str, conv: Conv2d, x: Value) -> Result<Value, Error> {
    sequential(graph, name, [conv.into(), BatchNorm::default().into(), Relu6 {}.into()], x)
}

/// A 3×3 convolution of each channel by itself. Its fan-out is 9, but torchvision counts that of all channels together.
fn depthwise(channels: usize) -> Conv2d {
    conv(channels, 3).groups(channels).init(Init::Normal { std: (2.0 / (9.0 * channels as f64)).sqrt() })
}

/// That of the residual network, with the paper's small weight decay.
pub(super) fn recipe() -> Recipe {
    Recipe {
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 4e-5 },
        ..super::resnet::recipe()
    }
}
