//! Values that a network file may leave out, and whether a value is one of them.

use crate::init::Init;

pub(super) fn yes() -> bool {
    true
}

pub(super) fn is_true(value: &bool) -> bool {
    *value
}

pub(super) fn is_false(value: &bool) -> bool {
    !*value
}

pub(super) fn one() -> usize {
    1
}

pub(super) fn is_one(value: &usize) -> bool {
    *value == 1
}

pub(super) fn ones() -> [usize; 2] {
    [1, 1]
}

pub(super) fn is_ones(value: &[usize; 2]) -> bool {
    *value == [1, 1]
}

pub(super) fn is_zeros(value: &[usize; 2]) -> bool {
    *value == [0, 0]
}

/// The initialiser of weights: He et al. 2015, normal.
pub(super) fn he() -> Init {
    Init::He { uniform: false, slope: 0.0, fan_out: false }
}

pub(super) fn is_he(init: &Init) -> bool {
    *init == he()
}

/// The initialiser of biases.
pub(super) fn zero() -> Init {
    Init::Constant { value: 0.0 }
}

pub(super) fn is_zero(init: &Init) -> bool {
    *init == zero()
}
