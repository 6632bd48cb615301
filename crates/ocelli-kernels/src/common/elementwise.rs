//! Kernels that treat every element alike.

use super::math::Math;
use super::{multiply_add, write_all};
use crate::unary::{
    TANH_HEIGHT, TANH_SLOPE, leaky_relu, leaky_relu_derivative, relu, relu_derivative, relu6,
    relu6_derivative,
};
use crate::{Element, Unary, Write};

/// y = f(x).
#[inline(always)]
pub(crate) fn unary_forward<T: Math, const FMA: bool>(unary: Unary<T>, x: &[T], y: &mut [T]) {
    debug_assert_eq!(x.len(), y.len(), "unary_forward: y is as long as x");
    match unary {
        Unary::Sigmoid => map(x, y, |a| a.sigmoid::<FMA>()),
        Unary::Tanh => map(x, y, |a| a.hyperbolic_tangent::<FMA>()),
        Unary::ScaledTanh => {
            let (height, slope) = (T::of(TANH_HEIGHT), T::of(TANH_SLOPE));
            map(x, y, |a| height * (slope * a).hyperbolic_tangent::<FMA>());
        }
        Unary::Relu => map(x, y, relu),
        Unary::LeakyRelu(slope) => map(x, y, |a| leaky_relu(slope, a)),
        Unary::Relu6 => map(x, y, relu6),
    }
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
    debug_assert_eq!(y.len(), dy.len(), "unary_backward: dy is as long as y");
    debug_assert_eq!(y.len(), dx.len(), "unary_backward: dx is as long as y");
    match unary {
        Unary::Sigmoid | Unary::Tanh | Unary::ScaledTanh => {
            // All three have f′ = c + b·y + a·y².
            let (c, b, a) = match unary {
                Unary::Sigmoid => (T::ZERO, T::ONE, -T::ONE),
                Unary::Tanh => (T::ONE, T::ZERO, -T::ONE),
                _ => (T::of(TANH_SLOPE * TANH_HEIGHT), T::ZERO, T::of(-TANH_SLOPE / TANH_HEIGHT)),
            };
            chain(y, dy, dx, write, |y| multiply_add::<T, FMA>(multiply_add::<T, FMA>(a, y, b), y, c));
        }
        Unary::Relu => chain(y, dy, dx, write, relu_derivative),
        Unary::LeakyRelu(slope) => chain(y, dy, dx, write, |y| leaky_relu_derivative(slope, y)),
        Unary::Relu6 => chain(y, dy, dx, write, relu6_derivative),
    }
}

#[inline(always)]
fn map<T: Element>(x: &[T], y: &mut [T], f: impl Fn(T) -> T) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x));
}

#[inline(always)]
fn chain<T: Element>(y: &[T], dy: &[T], dx: &mut [T], write: Write, derivative: impl Fn(T) -> T) {
    write_all(dx, write, y.iter().zip(dy).map(|(&y, &dy)| dy * derivative(y)));
}

/// y = a + b.
#[inline(always)]
pub(crate) fn add<T: Element>(a: &[T], b: &[T], y: &mut [T]) {
    debug_assert!(a.len() == b.len() && a.len() == y.len(), "add: three slices of one length");
    y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = a + b);
}

/// y += x.
#[inline(always)]
pub(crate) fn accumulate<T: Element>(x: &[T], y: &mut [T]) {
    debug_assert_eq!(x.len(), y.len(), "accumulate: y is as long as x");
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
}

/// y = α·x, or added.
#[inline(always)]
pub(crate) fn scale<T: Element>(alpha: T, x: &[T], y: &mut [T], write: Write) {
    debug_assert_eq!(x.len(), y.len(), "scale: y is as long as x");
    write_all(y, write, x.iter().map(|&x| alpha * x));
}

/// y = a·b elementwise, or added.
#[inline(always)]
pub(crate) fn multiply<T: Element>(a: &[T], b: &[T], y: &mut [T], write: Write) {
    debug_assert!(a.len() == b.len() && a.len() == y.len(), "multiply: three slices of one length");
    write_all(y, write, a.iter().zip(b).map(|(&a, &b)| a * b));
}
