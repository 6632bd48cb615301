//! VGG (Simonyan and Zisserman 2015), as torchvision has it.

use ocelli_core::ops::{AdaptiveAvgPool2d, BatchNorm, Conv2d, Dropout, Flatten, MaxPool2d, Relu};
use ocelli_core::{Error, Graph, Op};

use super::Wanted;
use super::torchvision::{rectified, sequential, small_linear};
use crate::recipe::Recipe;

/// Maps of the 3×3 convolutions before each 2×2 maximum.
type Stages = [&'static [usize]; 5];

/// The paper's table 1: the configurations of 11, 13, 16 and 19 layers.
pub(super) const A: Stages = [&[64], &[128], &[256, 256], &[512, 512], &[512, 512]];
/// Two convolutions in each stage.
pub(super) const B: Stages = [&[64, 64], &[128, 128], &[256, 256], &[512, 512], &[512, 512]];
/// Three in each of the last three stages.
pub(super) const D: Stages = [&[64, 64], &[128, 128], &[256; 3], &[512; 3], &[512; 3]];
/// Four.
pub(super) const E: Stages = [&[64, 64], &[128, 128], &[256; 4], &[512; 4], &[512; 4]];

/// 3×3 convolutions with ReLU in five stages, each of which halves the image, an average to 7×7, and linear layers of
/// 4096 with dropout. For 1,000 classes A has 132,863,336 parameters, B 133,047,848, D 138,357,544 and E 143,667,240.
/// With batch normalisation after each convolution, which keeps its bias, there are 5,504 (A) to 11,008 (E) more.
pub(super) fn build(wanted: &Wanted, stages: &Stages, normalised: bool) -> Result<Graph, Error> {
    wanted.at_least(32)?;
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    let mut features: Vec<Op> = Vec::new();
    for stage in stages {
        for &maps in *stage {
            features.push(Conv2d::new(maps, 3).padding(1).init(rectified()).into());
            if normalised {
                features.push(BatchNorm::default().into());
            }
            features.push(Relu {}.into());
        }
        features.push(MaxPool2d::new(2).into());
    }
    x = sequential(&mut graph, "features", features, x)?;
    x = graph.add("avgpool", AdaptiveAvgPool2d::new(7), [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    let classifier = [
        small_linear(4096).into(),
        Relu {}.into(),
        Dropout { rate: 0.5 }.into(),
        small_linear(4096).into(),
        Relu {}.into(),
        Dropout { rate: 0.5 }.into(),
        small_linear(wanted.classes).into(),
    ];
    sequential(&mut graph, "classifier", classifier, x)?;
    Ok(graph)
}

/// The paper's rate and decay are AlexNet's.
pub(super) fn recipe() -> Recipe {
    super::alexnet::recipe()
}
