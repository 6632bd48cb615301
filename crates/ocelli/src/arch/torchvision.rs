//! What the networks share that are torchvision's: its names of layers, their order, and how weights start. So its
//! weights fit, and figures compare.

use ocelli_core::Init;
use ocelli_core::ops::Linear;

/// PyTorch's own start of weights and biases: uniform in ±1/√fan-in.
pub(super) fn plain() -> Init {
    Init::UniformFanIn { a: 1.0, power: 0.5 }
}

/// A linear layer that starts as PyTorch's.
pub(super) fn plain_linear(features: usize) -> Linear {
    Linear::new(features).init(plain()).bias_init(plain())
}

/// He's normal by fan-out: how convolutions start that rectifiers follow.
pub(super) fn rectified() -> Init {
    Init::He { uniform: false, slope: 0.0, fan_out: true }
}
