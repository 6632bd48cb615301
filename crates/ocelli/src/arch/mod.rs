//! The networks that have a name: each in one file, and one line in [`ARCHITECTURES`].
//!
//! A network is a function that adds nodes to a graph; its recipe is how it is best trained.

mod alexnet;
mod cifar4;
mod digits;
mod lenet;
mod lenet5;
mod mlp;
mod mnist;
mod mobilenet;
mod resnet;
mod torchvision;
mod vgg;

use ocelli_core::{Graph, Shape};

use crate::Error;
use crate::recipe::Recipe;
use crate::suggest::did_you_mean;

/// What a network is built for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// C×H×W of the input.
    pub input: Shape,
    /// How many classes there are.
    pub classes: usize,
    /// Widths of the hidden layers, for networks that take them; empty for their own.
    pub widths: Vec<usize>,
}

impl Wanted {
    /// Refuses images with fewer rows or columns than `side`.
    fn at_least(&self, side: usize) -> Result<(), ocelli_core::Error> {
        match self.input.image() {
            Some([_, height, width]) if height.min(width) < side => Err(ocelli_core::Error::Graph(format!(
                "it takes images of at least {side}×{side} pixels, not of {height}×{width}"
            ))),
            _ => Ok(()),
        }
    }
}

/// A network by name.
pub struct Architecture {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// C×H×W that it is described with where no data say otherwise.
    pub input: [usize; 3],
    /// Whether it takes that height and width whatever the data's are.
    pub fixed_input: bool,
    /// Whether it takes other widths of its hidden layers.
    pub takes_widths: bool,
    build: fn(&Wanted) -> Result<Graph, ocelli_core::Error>,
    recipe: fn() -> Recipe,
}

/// Every network that has a name.
pub const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "perceptron",
        about: "one linear layer and softmax: the linear classifier",
        input: [1, 28, 28],
        fixed_input: false,
        takes_widths: false,
        build: mlp::perceptron,
        recipe: mlp::perceptron_recipe,
    },
    Architecture {
        name: "mlp",
        about: "fully connected layers with ReLU, two hidden ones of 512 unless told otherwise",
        input: [1, 28, 28],
        fixed_input: false,
        takes_widths: true,
        build: mlp::mlp,
        recipe: mlp::mlp_recipe,
    },
    Architecture {
        name: "lenet",
        about: "LeNet as today's tutorials have it: 6 and 16 maps, tanh, average pooling, 120-84",
        input: [1, 28, 28],
        fixed_input: false,
        takes_widths: false,
        build: lenet::build,
        recipe: lenet::recipe,
    },
    Architecture {
        name: "lenet5",
        about: "LeNet-5 exactly as published in 1998, with its own way of learning",
        input: [1, 32, 32],
        fixed_input: true,
        takes_widths: false,
        build: lenet5::build,
        recipe: lenet5::recipe,
    },
    Architecture {
        name: "digits",
        about: "a small convolutional network for the embedded 8×8 digits",
        input: [1, 8, 8],
        fixed_input: false,
        takes_widths: false,
        build: digits::build,
        recipe: digits::recipe,
    },
    Architecture {
        name: "mnist",
        about: "a small modern convolutional network for 28×28 grey pictures",
        input: [1, 28, 28],
        fixed_input: false,
        takes_widths: false,
        build: mnist::build,
        recipe: mnist::recipe,
    },
    Architecture {
        name: "cifar4",
        about: "the small convolutional network of 2012 for 32×32 colour pictures",
        input: [3, 32, 32],
        fixed_input: false,
        takes_widths: false,
        build: cifar4::build,
        recipe: cifar4::recipe,
    },
    Architecture {
        name: "alexnet",
        about: "AlexNet in one tower: five convolutions, three linear layers, dropout",
        input: [3, 224, 224],
        fixed_input: false,
        takes_widths: false,
        build: alexnet::build,
        recipe: alexnet::recipe,
    },
    Architecture {
        name: "vgg11",
        about: "VGG of eleven layers: 3×3 convolutions alone, three linear layers, dropout",
        input: [3, 224, 224],
        fixed_input: false,
        takes_widths: false,
        build: vgg::build,
        recipe: vgg::recipe,
    },
    Architecture {
        name: "resnet18",
        about: "ResNet of 18 layers: residual blocks with batch normalisation",
        input: [3, 224, 224],
        fixed_input: false,
        takes_widths: false,
        build: resnet::build,
        recipe: resnet::recipe,
    },
    Architecture {
        name: "mobilenet-v2",
        about: "MobileNetV2: inverted residuals, few parameters and operations",
        input: [3, 224, 224],
        fixed_input: false,
        takes_widths: false,
        build: mobilenet::build,
        recipe: mobilenet::recipe,
    },
];

impl Architecture {
    /// The network of that name.
    ///
    /// # Errors
    /// An unknown name: the error suggests the nearest one and lists all.
    pub fn find(name: &str) -> Result<&'static Architecture, Error> {
        ARCHITECTURES.iter().find(|a| a.name == name).ok_or_else(|| {
            let names: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
            Error::Usage(format!(
                "no network is named '{name}'{}\n  the networks are {}; one of your own is a file that ends in .toml",
                did_you_mean(name, names.iter().copied()),
                names.join(", ")
            ))
        })
    }

    /// Its graph for these data.
    ///
    /// # Errors
    /// An input too small for it, or widths that it does not take.
    pub fn build(&self, wanted: &Wanted) -> Result<Graph, Error> {
        if !self.takes_widths && !wanted.widths.is_empty() {
            return Err(Error::Usage(format!("--widths is for networks such as mlp, not for {}", self.name)));
        }
        (self.build)(wanted).map_err(|e| Error::Usage(format!("network '{}': {e}", self.name)))
    }

    /// How it is best trained.
    pub fn recipe(&self) -> Recipe {
        (self.recipe)()
    }
}
