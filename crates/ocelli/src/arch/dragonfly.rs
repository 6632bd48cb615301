//! Our own network for photographs, shaped for processors and named after the insect that has three ocelli beside its
//! compound eyes.

use ocelli_core::ops::{Add, AvgPool2d, BatchNorm, Flatten, GlobalAvgPool, Relu};
use ocelli_core::schedule::{Curve, Schedule};
use ocelli_core::{Error, Graph, Loss, Optimizer, Value};

use super::Wanted;
use super::torchvision::{conv, plain_linear, rectify};
use crate::{Augmentation, Recipe};

/// How wide and deep it is.
pub(super) struct Size {
    /// Maps of the two convolutions of the stem.
    stem: [usize; 2],
    /// Maps and blocks of the stages.
    stages: [(usize, usize); 3],
}

/// 2,388,356 parameters and 151 million multiply-adds for 3×128×128 and 100 classes.
pub(super) const FULL: Size = Size { stem: [32, 64], stages: [(128, 2), (256, 4), (512, 2)] };

/// 1,270,852 parameters and 64 million multiply-adds: for few images, or little time.
pub(super) const SMALL: Size = Size { stem: [32, 32], stages: [(64, 1), (192, 3), (384, 2)] };

/// Channels of a group: two vectors of 16 numbers, so that the products of a group fill the registers.
const GROUP: usize = 32;

/// Two 3×3 convolutions of stride 2, three stages of residual blocks, each of which halves the image, the average over
/// the image, and a linear layer. It takes images of any size from 17 pixels on; 64 to 160 are what it is for.
///
/// What a processor does best decides its shape. Dense 3×3 convolutions run nearest to the peak but spend nine
/// multiply-adds for each pair of channels; depthwise ones spend almost none and wait for memory. Between them, groups
/// of 32 channels run at three quarters of the peak and cost a fraction (as in the nets that Radosavovic et
/// al. 2020 found best for their operations). Normalising and rectifying cost memory traffic by the pixel, so the image is quartered at once and no
/// block works before 16×16 of 128×128 pixels: most of the work is on 256 and 512 channels, where a value that is read
/// takes part in hundreds of products. Shortcuts that shrink the image average it first (He et al. 2019), so that they see all
/// of it, and the last normalisation of a block starts at 0 (Goyal et al. 2017): at first the network is a shallow one.
pub(super) fn build(wanted: &Wanted, size: &Size) -> Result<Graph, Error> {
    wanted.at_least(17)?;
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    for (number, maps) in size.stem.into_iter().enumerate() {
        x = rectify(&mut graph, "stem", number + 1, conv(maps, 3).stride(2), x)?;
    }
    for (stage, (maps, blocks)) in size.stages.into_iter().enumerate() {
        for number in 0..blocks {
            let stride = if number == 0 { 2 } else { 1 };
            x = block(&mut graph, &format!("stage{}.{number}", stage + 1), maps, stride, x)?;
        }
    }
    x = graph.add("avgpool", GlobalAvgPool {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    graph.add("fc", plain_linear(wanted.classes), [x])?;
    Ok(graph)
}

/// x plus what a 1×1 convolution, a 3×3 one in groups and another 1×1 one make of it, rectified.
fn block(graph: &mut Graph, name: &str, maps: usize, stride: usize, x: Value) -> Result<Value, Error> {
    let mut y = rectify(graph, name, 1, conv(maps, 1), x)?;
    y = rectify(graph, name, 2, conv(maps, 3).stride(stride).groups(maps / GROUP), y)?;
    y = graph.add(&format!("{name}.conv3"), conv(maps, 1), [y])?;
    y = graph.add(&format!("{name}.bn3"), BatchNorm::default().start(0.0), [y])?;
    let mut shortcut = x;
    if stride > 1 {
        let halves = AvgPool2d::new(stride).ceil_mode();
        shortcut = graph.add(&format!("{name}.shortcut.pool"), halves, [shortcut])?;
    }
    if graph.node(x).shape().channels() != maps {
        shortcut = graph.add(&format!("{name}.shortcut.conv"), conv(maps, 1), [shortcut])?;
        shortcut = graph.add(&format!("{name}.shortcut.bn"), BatchNorm::default(), [shortcut])?;
    }
    y = graph.add(&format!("{name}.add"), Add {}, [y, shortcut])?;
    graph.add(&format!("{name}.relu3"), Relu {}, [y])
}

/// SGD with a warm-up and half a cosine wave over forty epochs, pictures that grow from three quarters of their size, which
/// saves a fifth of the time, and the average of the last thousand steps' weights.
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 40,
        batch: 64,
        grow_from: Some(0.75),
        ema: Some(0.999),
        rate: 0.05,
        loss: Loss::CrossEntropy { label_smoothing: 0.1 },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        augmentation: Augmentation::Auto,
        schedule: Schedule::from(Curve::Cosine { to: 0.0 }).warmed_up(1.0),
        ..Recipe::default()
    }
}
