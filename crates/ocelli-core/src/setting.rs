//! What the settings of losses, optimisers, schedules and initialisers share: range checks and their error.

use std::fmt::Display;

use serde::{Deserialize, Deserializer};

/// A setting outside the range that its rule is defined for.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("{rule}: {field} is {value}; give {wanted}")]
pub struct SettingError {
    /// The rule that was set up, as configuration files name it.
    pub rule: &'static str,
    /// The setting's name.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What is accepted.
    pub wanted: &'static str,
}

/// Ok if `valid`, else an error that names the rule, the field, its value and what is `wanted`.
pub(crate) fn require(
    valid: bool,
    rule: &'static str,
    field: &'static str,
    value: impl Display,
    wanted: &'static str,
) -> Result<(), SettingError> {
    if valid { Ok(()) } else { Err(SettingError { rule, field, value: value.to_string(), wanted }) }
}

/// Whether a number is above 0 for kernels, which take denormal numbers of f32 for 0, and finite.
pub(crate) fn is_positive(x: f64) -> bool {
    x as f32 >= f32::MIN_POSITIVE && (x as f32).is_finite()
}

/// Reads a variant without settings of an internally tagged enum, refusing fields that it does not have:
/// `deny_unknown_fields` alone lets unit variants swallow anything.
pub(crate) fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}
