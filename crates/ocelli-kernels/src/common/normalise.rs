//! Batch normalisation, with the sum and the activation that follow it: each pass reads and writes memory once.
//!
//! With x̂ = inverse·x + centre, where inverse = 1/√(σ² + ε) and centre = −μ·inverse, forward is y = f(γ·x̂ + β + shortcut),
//! which is f(scale·x + shift + shortcut) with scale = γ·inverse and shift = β − μ·scale. An f that bends is applied in a pass
//! of its own: a long function that stands in several places is compiled as one that is called, and without vectors.
//!
//! Backward gets ∂C/∂y; with g = f′·∂C/∂y it sums g and g·x̂ over the rows, and then writes ∂C/∂x = slope·g + towards·(x − μ) + offset, three numbers for
//! each channel that follow from these sums.

use super::columns::{Strip, check_rows};
use super::elementwise::{unary_in_place, with_derivative};
use super::math::Math;
use super::multiply_add;
use crate::unary::{leaky_relu, relu, relu6};
use crate::{Element, Finish, Unary, Write};

/// y = f(scale·x + shift + addend); an empty addend is none, and no f is the identity.
#[inline(always)]
pub(crate) fn column_affine<T: Math, const FMA: bool>(
    scale: &[T],
    shift: &[T],
    x: &[T],
    addend: &[T],
    unary: Option<Unary<T>>,
    y: &mut [T],
) {
    check_rows("column_affine", scale.len(), x.len());
    assert_eq!(scale.len(), shift.len(), "column_affine: as many shifts as scales");
    assert_eq!(x.len(), y.len(), "column_affine: y is as long as x");
    assert!(addend.is_empty() || addend.len() == x.len(), "column_affine: the addend is as long as x");
    match unary {
        None => affine::<T, FMA>(scale, shift, x, addend, y, |a| a),
        Some(Unary::Relu) => affine::<T, FMA>(scale, shift, x, addend, y, relu),
        Some(Unary::Relu6) => affine::<T, FMA>(scale, shift, x, addend, y, relu6),
        Some(Unary::LeakyRelu(slope)) => {
            affine::<T, FMA>(scale, shift, x, addend, y, |a| leaky_relu(slope, a))
        }
        Some(bent @ (Unary::Sigmoid | Unary::Tanh | Unary::ScaledTanh)) => {
            affine::<T, FMA>(scale, shift, x, addend, y, |a| a);
            unary_in_place::<T, FMA>(bent, y);
        }
    }
}

#[inline(always)]
fn affine<T: Element, const FMA: bool>(
    scale: &[T],
    shift: &[T],
    x: &[T],
    addend: &[T],
    y: &mut [T],
    f: impl Fn(T) -> T,
) {
    for strip in Strip::all(scale.len()) {
        let (scale, shift) = (strip.repeat(scale), strip.repeat(shift));
        for chunk in strip.chunks(x.len()) {
            let terms = x[chunk.clone()].iter().zip(&scale).zip(&shift);
            let sums = terms.map(|((&x, &scale), &shift)| multiply_add::<T, FMA>(scale, x, shift));
            let y = y[chunk.clone()].iter_mut();
            match addend.get(chunk).filter(|_| !addend.is_empty()) {
                None => y.zip(sums).for_each(|(y, sum)| *y = f(sum)),
                Some(addend) => y.zip(sums.zip(addend)).for_each(|(y, (sum, &more))| *y = f(sum + more)),
            }
        }
    }
}

/// y = f(scale·y + shift + addend); see [`Finish`].
#[inline(always)]
pub(crate) fn finish<T: Math, const FMA: bool>(finish: &Finish<'_, T>, y: &mut [T]) {
    finish.check("finish", finish.affine.map_or(0, |[scale, _]| scale.len()), y.len());
    if let Some([scale, _]) = finish.affine {
        check_rows("finish", scale.len(), y.len());
    }
    match finish.unary {
        _ if finish.is_nothing() => {}
        None => finish_with::<T, FMA>(finish, y, |a| a),
        Some(Unary::Relu) => finish_with::<T, FMA>(finish, y, relu),
        Some(Unary::Relu6) => finish_with::<T, FMA>(finish, y, relu6),
        Some(Unary::LeakyRelu(slope)) => finish_with::<T, FMA>(finish, y, |a| leaky_relu(slope, a)),
        Some(bent @ (Unary::Sigmoid | Unary::Tanh | Unary::ScaledTanh)) => {
            if finish.affine.is_some() || !finish.addend.is_empty() {
                finish_with::<T, FMA>(finish, y, |a| a);
            }
            unary_in_place::<T, FMA>(bent, y);
        }
    }
}

#[inline(always)]
fn finish_with<T: Element, const FMA: bool>(finish: &Finish<'_, T>, y: &mut [T], f: impl Fn(T) -> T) {
    let addend = finish.addend;
    let Some([scale, shift]) = finish.affine else {
        match addend.is_empty() {
            true => y.iter_mut().for_each(|y| *y = f(*y)),
            false => y.iter_mut().zip(addend).for_each(|(y, &more)| *y = f(*y + more)),
        }
        return;
    };
    for strip in Strip::all(scale.len()) {
        let (scale, shift) = (strip.repeat(scale), strip.repeat(shift));
        for chunk in strip.chunks(y.len()) {
            let constants = scale.iter().zip(&shift);
            let y = y[chunk.clone()].iter_mut().zip(constants);
            let affine = |y: T, scale: T, shift: T| multiply_add::<T, FMA>(scale, y, shift);
            match addend.get(chunk).filter(|_| !addend.is_empty()) {
                None => y.for_each(|(y, (&scale, &shift))| *y = f(affine(*y, scale, shift))),
                Some(addend) => {
                    let terms = y.zip(addend);
                    terms.for_each(|((y, (&scale, &shift)), &more)| *y = f(affine(*y, scale, shift) + more));
                }
            }
        }
    }
}

/// Each channel's sums of g and of g·x̂ over the rows, with x̂ = inverse·x + centre.
#[inline(always)]
pub(crate) fn normalised_sums<T: Element, const FMA: bool>(
    inverse: &[T],
    centre: &[T],
    x: &[T],
    g: &[T],
    dots: &mut [T],
    sums: &mut [T],
) {
    check_sums("normalised_sums", [inverse.len(), centre.len(), dots.len(), sums.len()], [x.len(), g.len()]);
    for strip in Strip::all(sums.len()) {
        let (inverse, centre) = (strip.repeat(inverse), strip.repeat(centre));
        strip.sum(x.len(), [&mut *dots, &mut *sums], Write::Set, |[dots, sums], chunk| {
            let terms = x[chunk.clone()].iter().zip(&g[chunk]).zip(inverse.iter().zip(&centre));
            for ((dot, sum), ((&x, &g), (&inverse, &centre))) in dots.iter_mut().zip(sums).zip(terms) {
                *dot = multiply_add::<T, FMA>(g, multiply_add::<T, FMA>(inverse, x, centre), *dot);
                *sum += g;
            }
        });
    }
}

/// As [`normalised_sums`] with g = f′·dy, f′ from the value y; leaves g in dy.
#[inline(always)]
pub(crate) fn activated_sums<T: Math, const FMA: bool>(
    unary: Unary<T>,
    y: &[T],
    inverse: &[T],
    centre: &[T],
    x: &[T],
    dy: &mut [T],
    dots: &mut [T],
    sums: &mut [T],
) {
    check_sums("activated_sums", [inverse.len(), centre.len(), dots.len(), sums.len()], [x.len(), dy.len()]);
    assert_eq!(x.len(), y.len(), "activated_sums: y is as long as x");
    with_derivative!(unary, f => sums_of::<T, FMA>(f, y, inverse, centre, x, dy, dots, sums));
}

#[inline(always)]
fn sums_of<T: Element, const FMA: bool>(
    derivative: impl Fn(T) -> T,
    y: &[T],
    inverse: &[T],
    centre: &[T],
    x: &[T],
    dy: &mut [T],
    dots: &mut [T],
    sums: &mut [T],
) {
    for strip in Strip::all(sums.len()) {
        let (inverse, centre) = (strip.repeat(inverse), strip.repeat(centre));
        strip.sum(x.len(), [&mut *dots, &mut *sums], Write::Set, |[dots, sums], chunk| {
            let values = y[chunk.clone()].iter().zip(&x[chunk.clone()]).zip(inverse.iter().zip(&centre));
            let terms = dy[chunk].iter_mut().zip(values);
            for ((dot, sum), (dy, ((&y, &x), (&inverse, &centre)))) in dots.iter_mut().zip(sums).zip(terms) {
                let g = *dy * derivative(y);
                *dy = g;
                *dot = multiply_add::<T, FMA>(g, multiply_add::<T, FMA>(inverse, x, centre), *dot);
                *sum += g;
            }
        });
    }
}

/// dx = slope·g + towards·(x − middle) + offset, or added. `constants` are the four, each for every channel.
#[inline(always)]
pub(crate) fn normalised_backward<T: Element, const FMA: bool>(
    constants: [&[T]; 4],
    x: &[T],
    g: &[T],
    dx: &mut [T],
    write: Write,
) {
    check_backward("normalised_backward", constants, [x.len(), g.len(), dx.len()]);
    for strip in Strip::all(constants[0].len()) {
        let constants = constants.map(|each| strip.repeat(each));
        for chunk in strip.chunks(x.len()) {
            let terms = through::<T, FMA>(&constants, &x[chunk.clone()]).zip(&g[chunk.clone()]);
            let terms = terms.map(|((slope, rest), &g)| multiply_add::<T, FMA>(slope, g, rest));
            super::write_all(&mut dx[chunk], write, terms);
        }
    }
}

/// As [`normalised_backward`], over g.
#[inline(always)]
pub(crate) fn normalised_backward_in_place<T: Element, const FMA: bool>(
    constants: [&[T]; 4],
    x: &[T],
    g: &mut [T],
) {
    check_backward("normalised_backward_in_place", constants, [x.len(), g.len(), g.len()]);
    for strip in Strip::all(constants[0].len()) {
        let constants = constants.map(|each| strip.repeat(each));
        for chunk in strip.chunks(x.len()) {
            let terms = through::<T, FMA>(&constants, &x[chunk.clone()]);
            for (g, (slope, rest)) in g[chunk].iter_mut().zip(terms) {
                *g = multiply_add::<T, FMA>(slope, *g, rest);
            }
        }
    }
}

/// Of each x its slope, and towards·(x − middle) + offset.
#[inline(always)]
fn through<T: Element, const FMA: bool>(
    [slope, towards, middle, offset]: &[[T; super::columns::SPAN]; 4],
    x: &[T],
) -> impl Iterator<Item = (T, T)> {
    let constants = slope.iter().zip(towards).zip(middle.iter().zip(offset));
    x.iter().zip(constants).map(|(&x, ((&slope, &towards), (&middle, &offset)))| {
        (slope, multiply_add::<T, FMA>(towards, x - middle, offset))
    })
}

#[inline(always)]
fn check_sums(kernel: &str, channels: [usize; 4], lens: [usize; 2]) {
    check_rows(kernel, channels[0], lens[0]);
    assert!(channels.iter().all(|&len| len == channels[0]), "{kernel}: one number for each channel");
    assert_eq!(lens[0], lens[1], "{kernel}: the gradient is as long as x");
}

#[inline(always)]
fn check_backward<T>(kernel: &str, constants: [&[T]; 4], lens: [usize; 3]) {
    check_rows(kernel, constants[0].len(), lens[0]);
    assert!(constants.iter().all(|c| c.len() == constants[0].len()), "{kernel}: one for each channel");
    assert!(lens.iter().all(|&len| len == lens[0]), "{kernel}: gradients as long as x");
}
