//! Activation functions whose derivative follows from their value.

use crate::Element;

/// An elementwise activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary<T> {
    /// 1 / (1 + e^−a).
    Sigmoid,
    /// tanh a.
    Tanh,
    /// 1.7159 tanh(2a/3), LeCun's: f(±1) = ±1 (LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998).
    ScaledTanh,
    /// max(0, a).
    Relu,
    /// a where a > 0, else slope·a. The slope must not be negative.
    LeakyRelu(T),
    /// min(max(0, a), 6).
    Relu6,
}

/// The height of [`Unary::ScaledTanh`].
pub(crate) const TANH_HEIGHT: f64 = 1.7159;
/// The slope inside [`Unary::ScaledTanh`].
pub(crate) const TANH_SLOPE: f64 = 2.0 / 3.0;

impl<T: Element> Unary<T> {
    /// Whether it is no line with kinks, so that a value takes an exponential and a division.
    pub fn bends(self) -> bool {
        matches!(self, Unary::Sigmoid | Unary::Tanh | Unary::ScaledTanh)
    }

    /// The function's value at `a`. NaN gives NaN.
    pub fn value(self, a: T) -> T {
        match self {
            Unary::Sigmoid => T::ONE / (T::ONE + (-a).exp()),
            Unary::Tanh => a.tanh(),
            Unary::ScaledTanh => T::of(TANH_HEIGHT) * (T::of(TANH_SLOPE) * a).tanh(),
            Unary::Relu => relu(a),
            Unary::LeakyRelu(slope) => leaky_relu(slope, a),
            Unary::Relu6 => relu6(a),
        }
    }

    /// The derivative at the point where the function's value is `y`.
    ///
    /// At kinks: ReLU′(0) = 0, leaky ReLU′(0) = slope, ReLU6′(0) = ReLU6′(6) = 0.
    #[inline(always)]
    pub fn derivative_from_output(self, y: T) -> T {
        match self {
            Unary::Sigmoid => y * (T::ONE - y),
            Unary::Tanh => T::ONE - y * y,
            Unary::ScaledTanh => T::of(TANH_SLOPE * TANH_HEIGHT) - T::of(TANH_SLOPE / TANH_HEIGHT) * y * y,
            Unary::Relu => relu_derivative(y),
            Unary::LeakyRelu(slope) => leaky_relu_derivative(slope, y),
            Unary::Relu6 => relu6_derivative(y),
        }
    }
}

// Each compares so that NaN falls into the last branch and so comes out as NaN.

#[inline(always)]
pub(crate) fn relu<T: Element>(a: T) -> T {
    if a <= T::ZERO { T::ZERO } else { a }
}

#[inline(always)]
pub(crate) fn relu_derivative<T: Element>(y: T) -> T {
    if y <= T::ZERO { T::ZERO } else { T::ONE }
}

#[inline(always)]
pub(crate) fn leaky_relu<T: Element>(slope: T, a: T) -> T {
    if a <= T::ZERO { slope * a } else { a }
}

#[inline(always)]
pub(crate) fn leaky_relu_derivative<T: Element>(slope: T, y: T) -> T {
    if y <= T::ZERO { slope } else { T::ONE }
}

#[inline(always)]
pub(crate) fn relu6<T: Element>(a: T) -> T {
    let below = if a <= T::ZERO { T::ZERO } else { a };
    if below >= T::of(6.0) { T::of(6.0) } else { below }
}

#[inline(always)]
pub(crate) fn relu6_derivative<T: Element>(y: T) -> T {
    let above = if y <= T::ZERO { T::ZERO } else { T::ONE };
    if y >= T::of(6.0) { T::ZERO } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Unary<f64>; 6] =
        [Unary::Sigmoid, Unary::Tanh, Unary::ScaledTanh, Unary::Relu, Unary::LeakyRelu(0.1), Unary::Relu6];

    #[test]
    fn derivatives_agree_with_central_differences() {
        for unary in ALL {
            for a in [-7.3, -1.1, -0.2, 0.4, 1.7, 5.5, 6.4] {
                let h = 1e-6;
                let slope = (unary.value(a + h) - unary.value(a - h)) / (2.0 * h);
                let derivative = unary.derivative_from_output(unary.value(a));
                assert!((slope - derivative).abs() < 1e-8, "{unary:?} at {a}: {slope} {derivative}");
            }
        }
    }

    #[test]
    fn kinks_have_the_derivative_of_their_lower_side_and_nan_passes() {
        assert_eq!(Unary::Relu.derivative_from_output(0.0), 0.0);
        assert_eq!(Unary::LeakyRelu(0.1).derivative_from_output(0.0), 0.1);
        assert_eq!(Unary::<f64>::Relu6.derivative_from_output(6.0), 0.0);
        assert_eq!(Unary::<f64>::Relu6.derivative_from_output(0.0), 0.0);
        for unary in ALL {
            assert!(unary.value(f64::NAN).is_nan(), "{unary:?}");
        }
    }

    #[test]
    fn scaled_tanh_maps_one_to_one() {
        assert!((Unary::<f64>::ScaledTanh.value(1.0) - 1.0).abs() < 1e-4);
    }
}
