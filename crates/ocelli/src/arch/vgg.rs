//! VGG (Simonyan and Zisserman 2015), as torchvision has it.

use ocelli_core::ops::{AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, MaxPool2d, Relu};
use ocelli_core::{Error, Graph, Op};

use super::Wanted;
use super::torchvision::{rectified, sequential, small_linear};
use crate::recipe::Recipe;

/// Maps of the 3×3 convolutions before each 2×2 maximum: configuration A of the paper.
const STAGES: [&[usize]; 5] = [&[64], &[128], &[256, 256], &[512, 512], &[512, 512]];

/// Eight 3×3 convolutions with ReLU in five stages, each of which halves the image, an average to 7×7, and linear
/// layers of 4096 with dropout: 132,863,336 parameters for 1,000 classes.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    wanted.at_least(32)?;
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    let mut features: Vec<Op> = Vec::new();
    for stage in STAGES {
        for &maps in stage {
            features.push(Conv2d::new(maps, 3).padding(1).init(rectified()).into());
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
