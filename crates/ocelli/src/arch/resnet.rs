//! Residual networks (He, Zhang, Ren and Sun 2016), as torchvision has them.

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Flatten, GlobalAvgPool, MaxPool2d, Relu};
use ocelli_core::schedule::{Curve, Schedule};
use ocelli_core::{Error, Graph, Loss, Optimizer, Value};

use super::Wanted;
use super::torchvision::{conv, normalise, plain_linear, rectify};
use crate::{Augmentation, Recipe};

/// Adds a block that makes an image of so many maps, with this stride.
type Block = fn(&mut Graph, &str, usize, usize, Value) -> Result<Value, Error>;

/// A 7×7 convolution and a 3×3 maximum, each of stride 2, then four stages of so many blocks with 64, 128, 256 and 512
/// maps, of which all but the first halve the image; the average over the image, and a linear layer. It takes images of
/// any size.
///
/// For 1,000 classes `[2, 2, 2, 2]` blocks of [`basic`] kind have 11,689,512 parameters, `[3, 4, 6, 3]` of them
/// 21,797,672, and as many of [`bottleneck`] kind 25,557,032.
pub(super) fn build(wanted: &Wanted, blocks: [usize; 4], block: Block) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("conv1", conv(64, 7).stride(2), [x])?;
    x = graph.add("bn1", BatchNorm::default(), [x])?;
    x = graph.add("relu", Relu {}, [x])?;
    x = graph.add("maxpool", MaxPool2d::new(3).stride(2).padding(1), [x])?;
    for (stage, blocks) in blocks.into_iter().enumerate() {
        for number in 0..blocks {
            let stride = if stage > 0 && number == 0 { 2 } else { 1 };
            x = block(&mut graph, &format!("layer{}.{number}", stage + 1), 64 << stage, stride, x)?;
        }
    }
    x = graph.add("avgpool", GlobalAvgPool {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", plain_linear(wanted.classes), [x])?;
    Ok(graph)
}

/// x plus what two 3×3 convolutions make of it, rectified.
pub(super) fn basic(
    graph: &mut Graph,
    name: &str,
    maps: usize,
    stride: usize,
    x: Value,
) -> Result<Value, Error> {
    let y = rectify(graph, name, 1, conv(maps, 3).stride(stride), x)?;
    residual(graph, name, 2, conv(maps, 3), stride, y, x)
}

/// x plus what a 1×1 convolution to `maps`, a 3×3 one and a 1×1 one to four times as many make of it, rectified. The
/// stride is the 3×3 convolution's, which is more accurate than the paper's place for it (torchvision's "v1.5").
pub(super) fn bottleneck(
    graph: &mut Graph,
    name: &str,
    maps: usize,
    stride: usize,
    x: Value,
) -> Result<Value, Error> {
    let y = rectify(graph, name, 1, conv(maps, 1), x)?;
    let y = rectify(graph, name, 2, conv(maps, 3).stride(stride), y)?;
    residual(graph, name, 3, conv(4 * maps, 1), stride, y, x)
}

/// The block's last convolution of y, plus x, rectified. Where the shape changes, a 1×1 convolution brings x to it.
fn residual(
    graph: &mut Graph,
    name: &str,
    number: usize,
    last: Conv2d,
    stride: usize,
    y: Value,
    x: Value,
) -> Result<Value, Error> {
    let maps = last.channels;
    let y = normalise(graph, name, number, last, y)?;
    let mut shortcut = x;
    if stride != 1 || graph.node(x).shape().channels() != maps {
        shortcut = graph.add(&format!("{name}.downsample.0"), conv(maps, 1).stride(stride), [x])?;
        shortcut = graph.add(&format!("{name}.downsample.1"), BatchNorm::default(), [shortcut])?;
    }
    let sum = graph.add(&format!("{name}.add"), Add {}, [y, shortcut])?;
    graph.add(&format!("{name}.relu{number}"), Relu {}, [sum])
}

/// SGD with a warm-up and half a cosine wave (He et al. 2019); 0.1 per 256 images (Goyal et al. 2017).
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 30,
        batch: 64,
        rate: 0.025,
        loss: Loss::CrossEntropy { label_smoothing: 0.1 },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        augmentation: Augmentation::Auto,
        schedule: Schedule::from(Curve::Cosine { to: 0.0 }).warmed_up(1.0),
        ..Recipe::default()
    }
}
