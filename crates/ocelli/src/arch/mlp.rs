//! Fully connected networks: the linear classifier and the multilayer perceptron.

use ocelli_core::ops::{Flatten, Linear, Relu};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph};

use super::Wanted;
use crate::recipe::Recipe;

/// One linear layer.
pub(super) fn perceptron(wanted: &Wanted) -> Result<Graph, Error> {
    layers(wanted, &[])
}

/// Linear layers with ReLU between them: "3 layers" are 2 hidden ones and the output.
pub(super) fn mlp(wanted: &Wanted) -> Result<Graph, Error> {
    layers(wanted, if wanted.widths.is_empty() { &[512, 512] } else { &wanted.widths })
}

fn layers(wanted: &Wanted, widths: &[usize]) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("flatten", Flatten {}, [x])?;
    for (number, &width) in widths.iter().enumerate() {
        x = graph.add(&format!("fc{}", number + 1), Linear::new(width), [x])?;
        x = graph.add(&format!("relu{}", number + 1), Relu {}, [x])?;
    }
    graph.add(&format!("fc{}", widths.len() + 1), Linear::new(wanted.classes), [x])?;
    Ok(graph)
}

pub(super) fn perceptron_recipe() -> Recipe {
    Recipe { epochs: 10, rate: 0.05, ..Recipe::default() }
}

pub(super) fn mlp_recipe() -> Recipe {
    Recipe { epochs: 20, rate: 0.05, ..Recipe::default() }.curve(Curve::Cosine { to: 0.0 })
}
