//! The settings of one optimiser step over flat slices.

/// One step of stochastic gradient descent with momentum, PyTorch's form (`torch.optim.SGD`, dampening 0):
///
/// g′ = g + decay·w;  v ← momentum·v + g′;  w ← w − rate·(nesterov ? g′ + momentum·v : v)
///
/// PyTorch seeds v with the first g′, which is what v = 0 gives here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep<T> {
    /// The learning rate.
    pub rate: T,
    /// How much of the velocity is kept; 0 needs no velocity.
    pub momentum: T,
    /// Look ahead along the velocity (Sutskever et al. 2013).
    pub nesterov: bool,
    /// Weight decay: the factor of ½‖w‖² in the cost.
    pub decay: T,
}

/// One step of Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019), PyTorch's form:
///
/// g′ = g + decay·w (not decoupled), or w ← w − rate·decay·w (decoupled);
/// m ← β₁m + (1−β₁)g′;  v ← β₂v + (1−β₂)g′²;
/// w ← w − (rate / correction1) · m / (√(v / correction2) + ε)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep<T> {
    /// The learning rate.
    pub rate: T,
    /// Decay of the mean of gradients.
    pub beta1: T,
    /// Decay of the mean of squared gradients.
    pub beta2: T,
    /// Added to the root, against division by 0.
    pub epsilon: T,
    /// Weight decay.
    pub decay: T,
    /// Decay the weights themselves (AdamW) instead of adding to the gradient.
    pub decoupled: bool,
    /// 1 − β₁ᵗ at step t = 1, 2, ….
    pub correction1: T,
    /// 1 − β₂ᵗ.
    pub correction2: T,
}
