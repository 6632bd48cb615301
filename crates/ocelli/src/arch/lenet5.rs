//! LeNet-5, exactly as LeCun, Bottou, Bengio and Haffner published it in 1998.

use ocelli_core::ops::{Conv2d, Flatten, Linear, Rbf, ScaledTanh, Subsample};
use ocelli_core::schedule::Curve;
use ocelli_core::{Error, Graph, Init, Loss, Optimizer, Reduction};

use super::Wanted;
use crate::recipe::{Pixels, Recipe};

/// 32×32 in; C1 6@28×28, S2 6@14×14, C3 16@10×10 by the connection table, S4 16@5×5, C5 120, F6 84, and as many
/// radial basis units as there are classes: 60,000 trained parameters.
///
/// C5 is a convolution whose maps are 1×1. Every S, C and F layer squashes by 1.7159·tanh(2a/3); weights
/// start uniform in ±2.4/fan-in.
pub(super) fn build(wanted: &Wanted) -> Result<Graph, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input("image", wanted.input)?;
    x = graph.add("C1", Conv2d::new(6, 5).init(start()), [x])?;
    x = graph.add("C1.squash", ScaledTanh {}, [x])?;
    x = graph.add("S2", Subsample::new(2), [x])?;
    x = graph.add("S2.squash", ScaledTanh {}, [x])?;
    x = graph.add("C3", Conv2d::new(16, 5).connections(Conv2d::LENET_C3).init(start()), [x])?;
    x = graph.add("C3.squash", ScaledTanh {}, [x])?;
    x = graph.add("S4", Subsample::new(2), [x])?;
    x = graph.add("S4.squash", ScaledTanh {}, [x])?;
    x = graph.add("C5", Conv2d::new(120, 5).init(start()), [x])?;
    x = graph.add("C5.squash", ScaledTanh {}, [x])?;
    x = graph.add("flatten", Flatten {}, [x])?;
    x = graph.add("F6", Linear::new(84).init(start()), [x])?;
    x = graph.add("F6.squash", ScaledTanh {}, [x])?;
    graph.add("output", Rbf::new(wanted.classes), [x])?;
    Ok(graph)
}

fn start() -> Init {
    Init::UniformFanIn { a: 2.4, power: 1.0 }
}

/// The paper's way, one sample at a time: each parameter has its own rate η/(μ + h), and the criterion is the
/// discriminative one.
///
/// The paper's list of η, from 5·10⁻⁴ down to 10⁻⁵ in 20 passes, is too bold here: a step then moves the outputs of C5 by a
/// fifth of the way to what one sample wants, units saturate in the first pass, and the error stays above
/// 1 %. A tenth of it, falling smoothly, reaches the paper's figures (docs/performance.md).
pub(super) fn recipe() -> Recipe {
    Recipe {
        epochs: 20,
        batch: 1,
        rate: 5e-5,
        loss: Loss::Map { rubbish: 1.0 },
        reduction: Reduction::Sum,
        optimizer: Optimizer::DiagonalLm { mu: 0.02, samples: 500 },
        pixels: Pixels::Lenet5,
        ..Recipe::default()
    }
    .curve(Curve::Cosine { to: 1e-6 })
}
