//! Kernels that treat every element alike.

use super::math::Math;
use super::{multiply_add, write_all};
use crate::unary::{TANH_HEIGHT, TANH_SLOPE};
use crate::{Element, Unary, Write};

/// Has `$body` compiled for the function `$f` that each [`Unary`] is; `T` and `FMA` are meant where it stands.
macro_rules! with_value {
    ($unary:expr, $f:ident => $body:expr) => {
        match $unary {
            $crate::Unary::Sigmoid => {
                let $f = |a: T| a.sigmoid::<FMA>();
                $body
            }
            $crate::Unary::Tanh => {
                let $f = |a: T| a.hyperbolic_tangent::<FMA>();
                $body
            }
            $crate::Unary::ScaledTanh => {
                let (height, slope) = (T::of($crate::unary::TANH_HEIGHT), T::of($crate::unary::TANH_SLOPE));
                let $f = |a: T| height * (slope * a).hyperbolic_tangent::<FMA>();
                $body
            }
            $crate::Unary::Relu => {
                let $f = $crate::unary::relu::<T>;
                $body
            }
            $crate::Unary::LeakyRelu(slope) => {
                let $f = |a: T| $crate::unary::leaky_relu(slope, a);
                $body
            }
            $crate::Unary::Relu6 => {
                let $f = $crate::unary::relu6::<T>;
                $body
            }
        }
    };
}

/// As [`with_value`], for the derivative as a function of the value.
macro_rules! with_derivative {
    ($unary:expr, $f:ident => $body:expr) => {
        match $unary {
            $crate::Unary::Sigmoid | $crate::Unary::Tanh | $crate::Unary::ScaledTanh => {
                let (c, b, a) = $crate::common::elementwise::polynomial($unary);
                let multiply_add = $crate::common::multiply_add::<T, FMA>;
                let $f = |y: T| multiply_add(multiply_add(a, y, b), y, c);
                $body
            }
            $crate::Unary::Relu => {
                let $f = $crate::unary::relu_derivative::<T>;
                $body
            }
            $crate::Unary::LeakyRelu(slope) => {
                let $f = |y: T| $crate::unary::leaky_relu_derivative(slope, y);
                $body
            }
            $crate::Unary::Relu6 => {
                let $f = $crate::unary::relu6_derivative::<T>;
                $body
            }
        }
    };
}
pub(crate) use with_derivative;

/// c, b and a of f′ = c + b·y + a·y², which the three functions that bend have.
#[inline(always)]
pub(crate) fn polynomial<T: Element>(unary: Unary<T>) -> (T, T, T) {
    match unary {
        Unary::Sigmoid => (T::ZERO, T::ONE, -T::ONE),
        Unary::Tanh => (T::ONE, T::ZERO, -T::ONE),
        _ => (T::of(TANH_SLOPE * TANH_HEIGHT), T::ZERO, T::of(-TANH_SLOPE / TANH_HEIGHT)),
    }
}

/// y = f(x).
#[inline(always)]
pub(crate) fn unary_forward<T: Math, const FMA: bool>(unary: Unary<T>, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "unary_forward: y is as long as x");
    with_value!(unary, f => y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x)));
}

/// y = f(y).
#[inline(always)]
pub(crate) fn unary_in_place<T: Math, const FMA: bool>(unary: Unary<T>, y: &mut [T]) {
    with_value!(unary, f => y.iter_mut().for_each(|y| *y = f(*y)));
}

/// dx = f′·dy, with f′ from the function's value y.
#[inline(always)]
pub(crate) fn unary_backward<T: Math, const FMA: bool>(
    unary: Unary<T>,
    y: &[T],
    dy: &[T],
    dx: &mut [T],
    write: Write,
) {
    assert_eq!(y.len(), dy.len(), "unary_backward: dy is as long as y");
    assert_eq!(y.len(), dx.len(), "unary_backward: dx is as long as y");
    with_derivative!(unary, f => write_all(dx, write, y.iter().zip(dy).map(|(&y, &dy)| dy * f(y))));
}

/// dy = f′·dy, with f′ from the function's value y.
#[inline(always)]
pub(crate) fn unary_backward_in_place<T: Math, const FMA: bool>(unary: Unary<T>, y: &[T], dy: &mut [T]) {
    assert_eq!(y.len(), dy.len(), "unary_backward_in_place: dy is as long as y");
    with_derivative!(unary, f => dy.iter_mut().zip(y).for_each(|(dy, &y)| *dy *= f(y)));
}

/// y = a + b.
#[inline(always)]
pub(crate) fn add<T: Element>(a: &[T], b: &[T], y: &mut [T]) {
    assert!(a.len() == b.len() && a.len() == y.len(), "add: three slices of one length");
    y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = a + b);
}

/// y += x.
#[inline(always)]
pub(crate) fn accumulate<T: Element>(x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "accumulate: y is as long as x");
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
}

/// y += share·(x − y). Where y is x it stays so, which a sum of two products would not grant.
#[inline(always)]
pub(crate) fn approach<T: Element, const FMA: bool>(share: T, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "approach: y is as long as x");
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = multiply_add::<T, FMA>(share, x - *y, *y));
}

/// y = α·x, or added.
#[inline(always)]
pub(crate) fn scale<T: Element>(alpha: T, x: &[T], y: &mut [T], write: Write) {
    assert_eq!(x.len(), y.len(), "scale: y is as long as x");
    write_all(y, write, x.iter().map(|&x| alpha * x));
}

/// y = α·y.
#[inline(always)]
pub(crate) fn scale_in_place<T: Element>(alpha: T, y: &mut [T]) {
    y.iter_mut().for_each(|y| *y = alpha * *y);
}

/// y = a·b elementwise, or added.
#[inline(always)]
pub(crate) fn multiply<T: Element>(a: &[T], b: &[T], y: &mut [T], write: Write) {
    assert!(a.len() == b.len() && a.len() == y.len(), "multiply: three slices of one length");
    write_all(y, write, a.iter().zip(b).map(|(&a, &b)| a * b));
}
