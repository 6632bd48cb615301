//! Residual networks (He, Zhang, Ren and Sun 2016), as torchvision has them.

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Flatten, GlobalAvgPool, MaxPool2d, Relu};
use ocelli_core::schedule::{Curve, Schedule};
use ocelli_core::{Error, Graph, Loss, Optimizer, Value};

use super::Wanted;
use super::torchvision::{plain_linear, rectified};
use crate::recipe::Recipe;

/// A 7×7 convolution and a 3×3 maximum, each of stride 2, then four stages of two blocks with 64, 128, 256 and 512
/// maps, of which all but the first halve the image; the average over the image, and a linear layer: 11,689,512
/// parameters for 1,000 classes. It takes images of any size.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("conv1", conv(64, 7, 2), [x])?;
    x = graph.add("bn1", BatchNorm::default(), [x])?;
    x = graph.add("relu", Relu {}, [x])?;
    x = graph.add("maxpool", MaxPool2d::new(3).stride(2).padding(1), [x])?;
    for (stage, maps) in [64, 128, 256, 512].into_iter().enumerate() {
        for number in 0..2 {
            let stride = if stage > 0 && number == 0 { 2 } else { 1 };
            x = block(&mut graph, &format!("layer{}.{number}", stage + 1), maps, stride, x)?;
        }
    }
    x = graph.add("avgpool", GlobalAvgPool {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", plain_linear(wanted.classes), [x])?;
    Ok(graph)
}

/// x plus what two 3×3 convolutions make of it, rectified. Where the shape changes, a 1×1 convolution brings x to it.
fn block(graph: &mut Graph, name: &str, maps: usize, stride: usize, x: Value) -> Result<Value, Error> {
    let changes = stride != 1 || graph.node(x).shape().channels() != maps;
    let mut y = graph.add(&format!("{name}.conv1"), conv(maps, 3, stride), [x])?;
    y = graph.add(&format!("{name}.bn1"), BatchNorm::default(), [y])?;
    y = graph.add(&format!("{name}.relu1"), Relu {}, [y])?;
    y = graph.add(&format!("{name}.conv2"), conv(maps, 3, 1), [y])?;
    y = graph.add(&format!("{name}.bn2"), BatchNorm::default(), [y])?;
    let mut shortcut = x;
    if changes {
        shortcut = graph.add(&format!("{name}.downsample.0"), conv(maps, 1, stride), [x])?;
        shortcut = graph.add(&format!("{name}.downsample.1"), BatchNorm::default(), [shortcut])?;
    }
    y = graph.add(&format!("{name}.add"), Add {}, [y, shortcut])?;
    graph.add(&format!("{name}.relu2"), Relu {}, [y])
}

/// A convolution without a bias, which batch normalisation would take away, that keeps the size but for its stride.
fn conv(maps: usize, kernel: usize, stride: usize) -> Conv2d {
    Conv2d::new(maps, kernel).stride(stride).padding(kernel / 2).without_bias().init(rectified())
}

/// SGD with a warm-up and half a cosine wave (He et al. 2019); 0.1 per 256 images (Goyal et al. 2017).
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 30,
        batch: 64,
        rate: 0.025,
        loss: Loss::CrossEntropy { label_smoothing: 0.1 },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        schedule: Schedule::from(Curve::Cosine { to: 0.0 }).warmed_up(1.0),
        ..Recipe::default()
    }
}
