//! LeNet as today's tutorials build it: the shape of LeNet-5 with plain layers.

use ocelli_core::ops::{AvgPool2d, Conv2d, Flatten, Linear, Tanh};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Init, Optimizer};

use super::Wanted;
use crate::recipe::Recipe;

/// conv 5×5-6 (padding 2), tanh, average 2, conv 5×5-16, tanh, average 2, 120, 84, n: 61,706 parameters for
/// 1×28×28 and 10 classes.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    let xavier = || Init::Xavier { uniform: true };
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("conv1", Conv2d::new(6, 5).padding(2).init(xavier()), [x])?;
    x = graph.add("tanh1", Tanh {}, [x])?;
    x = graph.add("pool1", AvgPool2d::new(2), [x])?;
    x = graph.add("conv2", Conv2d::new(16, 5).init(xavier()), [x])?;
    x = graph.add("tanh2", Tanh {}, [x])?;
    x = graph.add("pool2", AvgPool2d::new(2), [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    x = graph.add("fc1", Linear::new(120).init(xavier()), [x])?;
    x = graph.add("tanh3", Tanh {}, [x])?;
    x = graph.add("fc2", Linear::new(84).init(xavier()), [x])?;
    x = graph.add("tanh4", Tanh {}, [x])?;
    graph.add("fc3", Linear::new(wanted.classes).init(xavier()), [x])?;
    Ok(graph)
}

/// Reaches 99 % on MNIST without augmentation.
pub(super) fn recipe() -> Recipe {
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
    Recipe { epochs: 20, batch: 64, rate: 0.03, optimizer, ..Recipe::default() }
        .curve(Curve::Cosine { to: 0.0 })
}
