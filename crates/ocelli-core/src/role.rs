//! What a range of parameters is for, and so how training treats it.

use serde::{Deserialize, Serialize};

/// The part that a range of parameters plays in its layer.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Multiplies inputs and is summed over them: matrices and filters.
    Weight,
    /// Added to a weighted sum.
    Bias,
    /// Multiplies a normalised value (γ of batch normalisation).
    Scale,
    /// Added to a normalised value (β of batch normalisation).
    Shift,
    /// The learned slope of PReLU (He et al. 2015).
    Slope,
    /// Multiplies a window's sum in LeNet-5's subsampling layers.
    Coefficient,
    /// The fixed target code of a radial basis unit (LeNet-5's output).
    Prototype,
    /// Running mean of batch normalisation.
    RunningMean,
    /// Running variance of batch normalisation.
    RunningVariance,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 9] = [
        Role::Weight,
        Role::Bias,
        Role::Scale,
        Role::Shift,
        Role::Slope,
        Role::Coefficient,
        Role::Prototype,
        Role::RunningMean,
        Role::RunningVariance,
    ];

    /// Whether the optimiser moves it. Prototypes stay fixed; running statistics follow the data instead.
    pub const fn trainable(self) -> bool {
        match self {
            Role::Weight | Role::Bias | Role::Scale | Role::Shift | Role::Slope | Role::Coefficient => true,
            Role::Prototype | Role::RunningMean | Role::RunningVariance => false,
        }
    }

    /// Whether weight decay pulls it to 0. Only weights: decay on PReLU's slope "tends to push a_i to zero,
    /// and thus biases PReLU toward ReLU" (He et al. 2015, section 2.1), and offsets and scales need no such
    /// limit.
    pub const fn decays(self) -> bool {
        matches!(self, Role::Weight)
    }

    /// Whether it is added to something, and so multiplies no input: biases and shifts. Training may give them a learning rate of
    /// their own.
    pub const fn is_offset(self) -> bool {
        matches!(self, Role::Bias | Role::Shift)
    }

    /// Its name, as files write it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Weight => "weight",
            Role::Bias => "bias",
            Role::Scale => "scale",
            Role::Shift => "shift",
            Role::Slope => "slope",
            Role::Coefficient => "coefficient",
            Role::Prototype => "prototype",
            Role::RunningMean => "running_mean",
            Role::RunningVariance => "running_variance",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trainable_roles_decay_and_the_slope_of_prelu_does_not() {
        assert!(Role::ALL.iter().all(|role| role.trainable() || !role.decays()));
        assert!(Role::Weight.decays() && Role::Slope.trainable() && !Role::Slope.decays());
    }

    #[test]
    fn files_write_a_role_by_its_name() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{}\"", role.name()));
        }
    }
}
