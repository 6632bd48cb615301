//! The networks that have a name: each in one file, and one line in [`ARCHITECTURES`].
//!
//! A network is a function that adds nodes to a graph; its recipe is how it is best trained.

mod alexnet;
mod alexnet2012;
mod automatic;
mod cifar4;
mod digits;
mod dragonfly;
mod lenet;
mod lenet5;
mod mlp;
mod mnist;
mod mobilenet;
mod refnet1;
mod resnet;
mod resnet9;
mod torchvision;
mod vgg;

pub use automatic::automatic;
use ocelli_core::{Graph, Op, Shape, Value};

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

type Build = fn(&Wanted) -> Result<Graph, ocelli_core::Error>;

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
    build: Build,
    recipe: fn() -> Recipe,
}

/// Every network that has a name.
pub const ARCHITECTURES: &[Architecture] = &[
    Architecture::new(
        "perceptron",
        "one linear layer and softmax: the linear classifier",
        [1, 28, 28],
        mlp::perceptron,
        mlp::perceptron_recipe,
    ),
    Architecture::new(
        "mlp",
        "fully connected layers with ReLU, two hidden ones of 512 unless told otherwise",
        [1, 28, 28],
        mlp::mlp,
        mlp::mlp_recipe,
    )
    .with_widths(),
    Architecture::new(
        "lenet",
        "LeNet as today's tutorials have it: 6 and 16 maps, tanh, average pooling, 120-84",
        [1, 28, 28],
        lenet::build,
        lenet::recipe,
    ),
    Architecture::new(
        "lenet5",
        "LeNet-5 exactly as published in 1998, with its own way of learning",
        [1, 32, 32],
        lenet5::build,
        lenet5::recipe,
    )
    .of_fixed_size(),
    Architecture::new(
        "digits",
        "a small convolutional network for the embedded 8×8 digits",
        [1, 8, 8],
        digits::build,
        digits::recipe,
    ),
    Architecture::new(
        "mnist",
        "a small modern convolutional network for 28×28 grey pictures",
        [1, 28, 28],
        mnist::build,
        mnist::recipe,
    ),
    Architecture::new(
        "cifar4",
        "the small convolutional network of 2012 for 32×32 colour pictures",
        [3, 32, 32],
        cifar4::build,
        cifar4::recipe,
    ),
    Architecture::new(
        "resnet9",
        "a residual network for 32×32 colour pictures that learns in few epochs",
        [3, 32, 32],
        resnet9::build,
        resnet9::recipe,
    ),
    Architecture::new(
        "dragonfly",
        "our own for photographs of 64 to 160 pixels, shaped for processors",
        [3, 128, 128],
        |wanted| dragonfly::build(wanted, &dragonfly::FULL),
        dragonfly::recipe,
    ),
    Architecture::new(
        "dragonfly-s",
        "the same at under half of its cost: for few photographs, or little time",
        [3, 128, 128],
        |wanted| dragonfly::build(wanted, &dragonfly::SMALL),
        dragonfly::recipe,
    ),
    Architecture::new(
        "refnet1",
        "the reference network of the MiniPlaces challenge: three convolutions, LRN, dropout",
        [3, 128, 128],
        refnet1::build,
        refnet1::recipe,
    ),
    Architecture::new(
        "alexnet-2012",
        "AlexNet exactly as published: two groups, LRN, its own start and recipe",
        [3, 224, 224],
        alexnet2012::build,
        alexnet2012::recipe,
    ),
    Architecture::new(
        "alexnet",
        "AlexNet in one tower: five convolutions, three linear layers, dropout",
        [3, 224, 224],
        alexnet::build,
        alexnet::recipe,
    ),
    Architecture::new(
        "vgg11",
        "VGG of eleven layers: 3×3 convolutions alone, three linear layers, dropout",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::A, false),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg13",
        "VGG of thirteen layers",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::B, false),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg16",
        "VGG of sixteen layers",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::D, false),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg19",
        "VGG of nineteen layers",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::E, false),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg11-bn",
        "vgg11 with batch normalisation after each convolution",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::A, true),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg13-bn",
        "vgg13 with batch normalisation after each convolution",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::B, true),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg16-bn",
        "vgg16 with batch normalisation after each convolution",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::D, true),
        vgg::recipe,
    ),
    Architecture::new(
        "vgg19-bn",
        "vgg19 with batch normalisation after each convolution",
        [3, 224, 224],
        |wanted| vgg::build(wanted, &vgg::E, true),
        vgg::recipe,
    ),
    Architecture::new(
        "resnet18",
        "ResNet of 18 layers: residual blocks with batch normalisation",
        [3, 224, 224],
        |wanted| resnet::build(wanted, [2, 2, 2, 2], resnet::basic),
        resnet::recipe,
    ),
    Architecture::new(
        "resnet34",
        "ResNet of 34 layers: twice as deep",
        [3, 224, 224],
        |wanted| resnet::build(wanted, [3, 4, 6, 3], resnet::basic),
        resnet::recipe,
    ),
    Architecture::new(
        "resnet50",
        "ResNet of 50 layers: blocks of 1×1, 3×3 and 1×1 convolutions",
        [3, 224, 224],
        |wanted| resnet::build(wanted, [3, 4, 6, 3], resnet::bottleneck),
        resnet::recipe,
    ),
    Architecture::new(
        "mobilenet-v2",
        "MobileNetV2: inverted residuals, few parameters and operations",
        [3, 224, 224],
        mobilenet::build,
        mobilenet::recipe,
    ),
];

impl Architecture {
    const fn new(
        name: &'static str,
        about: &'static str,
        input: [usize; 3],
        build: Build,
        recipe: fn() -> Recipe,
    ) -> Architecture {
        Architecture { name, about, input, fixed_input: false, takes_widths: false, build, recipe }
    }

    const fn of_fixed_size(self) -> Architecture {
        Architecture { fixed_input: true, ..self }
    }

    const fn with_widths(self) -> Architecture {
        Architecture { takes_widths: true, ..self }
    }

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

/// Adds layers one after another, each with its name.
fn chain<const N: usize>(
    graph: &mut Graph,
    layers: [(&str, Op); N],
    x: Value,
) -> Result<Value, ocelli_core::Error> {
    layers.into_iter().try_fold(x, |x, (name, layer)| graph.add(name, layer, [x]))
}
