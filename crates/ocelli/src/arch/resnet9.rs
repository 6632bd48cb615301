//! A residual network of nine layers for small colour pictures, cheap to train.

use ocelli_core::ops::{
    Add, BatchNorm, Bias, Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, Relu, Scale,
};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Init, Loss, Optimizer, Value};

use super::Wanted;
use super::torchvision::plain;
use crate::{Augmentation, Recipe};

/// The first convolution.
const STEM: &str = "stem.conv";

/// Maps of the stages, and how many 3×3 convolutions their residual branches have.
const STAGES: [(usize, usize); 3] = [(64, 1), (256, 1), (256, 2)];

/// A 3×3 convolution to 32 maps with filters made from the images, three stages of a 3×3 convolution, a 2×2 maximum and a residual
/// branch, the average over the image, and a linear layer whose outputs are divided by 8: 2,568,320 parameters and 161 million
/// multiply-adds for 3×32×32 and 10 classes.
///
/// The plan is that of Page's ResNet-9 (2018), which pools after convolutions instead of striding and scales the logits
/// down, without its widest layers, as Jordan (2024) has it; his are also whitening filters that stay as they are, convolutions that
/// begin as the identity, and the rate of what batch normalisation adds. He starts from 2×2 filters without padding, so that images
/// of 32 pixels become 31, 15, 7 and 3; 32, 16, 8 and 4 take as long where convolutions are computed in tiles of 2×2.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(16)?;
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add(STEM, Conv2d::new(32, 3).padding(1).without_bias(), [x])?;
    x = graph.add("stem.bias", Bias::default(), [x])?;
    x = graph.add("stem.relu", Relu {}, [x])?;
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
    Conv2d::new(maps, 3).padding(1).without_bias().init(Init::Identity)
}

/// Sixteen epochs in which the rate rises for a fifth and falls to 0, of pictures that grow, with much label smoothing and a strong
/// decay.
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 16,
        batch: 128,
        grow_from: Some(0.75),
        whiten: Some(STEM.to_string()),
        freeze: Some(STEM.to_string()),
        rate: 0.2,
        offset_rate: 64.0,
        loss: Loss::CrossEntropy { label_smoothing: 0.2 },
        optimizer: Optimizer::Sgd { momentum: 0.85, nesterov: true, weight_decay: 1.3e-3 },
        augmentation: Augmentation::Auto,
        ..Recipe::default()
    }
    .curve(Curve::OneCycle { peak_at: 0.2, start_divisor: 10.0, end_divisor: 1e3 })
}
