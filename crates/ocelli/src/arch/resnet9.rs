//! A residual network of nine layers for small colour pictures, cheap to train.

use ocelli_core::ops::{Add, BatchNorm, Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Relu, Scale};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Loss, Optimizer, Value};

use super::Wanted;
use super::torchvision::plain;
use crate::{Augmentation, Recipe};

/// Maps of the stages, and how many 3×3 convolutions their residual branches have.
const STAGES: [(usize, usize); 3] = [(64, 1), (256, 1), (256, 2)];

/// A 2×2 convolution without padding to 32 maps, three stages of a 3×3 convolution, a 2×2 maximum and a residual branch,
/// the average over the image, and a linear layer whose outputs are divided by 8: 2,567,872 parameters and 128 million
/// multiply-adds for 3×32×32 and 10 classes.
///
/// The plan is that of Page's ResNet-9 (2018), which pools after convolutions instead of striding and scales the logits
/// down; sizes are those that Jordan (2024) found to cost least: after the first convolution 31 pixels a side, then 15, 7 and
/// 3, so that the wide layers see few pixels, and the widest layers of the former are left out.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(16)?;
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("stem.conv", Conv2d::new(32, 2).without_bias(), [x])?;
    x = rectify(&mut graph, "stem", x)?;
    for (stage, (maps, depth)) in STAGES.into_iter().enumerate() {
        let name = format!("stage{}", stage + 1);
        x = graph.add(&format!("{name}.conv"), conv(maps), [x])?;
        // Before the normalisation, which then sees a quarter of the pixels.
        x = graph.add(&format!("{name}.pool"), MaxPool2d::new(2), [x])?;
        x = rectify(&mut graph, &name, x)?;
        x = residual(&mut graph, &name, maps, depth, x)?;
    }
    x = graph.add("pool", GlobalAvgPool {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    x = graph.add("fc", Linear::new(wanted.classes).without_bias().init(plain()), [x])?;
    graph.add("scale", Scale { factor: 0.125 }, [x])?;
    Ok(graph)
}

/// x plus so many 3×3 convolutions, each normalised and rectified, of x.
fn residual(graph: &mut Graph, name: &str, maps: usize, depth: usize, x: Value) -> Result<Value, Error> {
    let mut y = x;
    for number in 1..=depth {
        let name = format!("{name}.residual.{number}");
        y = graph.add(&format!("{name}.conv"), conv(maps), [y])?;
        y = rectify(graph, &name, y)?;
    }
    graph.add(&format!("{name}.add"), Add {}, [x, y])
}

fn rectify(graph: &mut Graph, name: &str, x: Value) -> Result<Value, Error> {
    let x = graph.add(&format!("{name}.norm"), BatchNorm::default(), [x])?;
    graph.add(&format!("{name}.relu"), Relu {}, [x])
}

/// A 3×3 convolution that keeps the size.
fn conv(maps: usize) -> Conv2d {
    Conv2d::new(maps, 3).padding(1).without_bias()
}

/// Sixteen epochs in which the rate rises for a fifth and falls to 0, label smoothing, and a strong decay.
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 16,
        batch: 128,
        rate: 0.2,
        loss: Loss::CrossEntropy { label_smoothing: 0.1 },
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
        augmentation: Augmentation::Auto,
        ..Recipe::default()
    }
    .curve(Curve::OneCycle { peak_at: 0.2, start_divisor: 10.0, end_divisor: 1e3 })
}
