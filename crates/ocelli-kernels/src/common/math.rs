//! Transcendental functions without branches, so that loops over them become vector code.

use super::multiply_add;
use crate::Element;

/// The elements' own exponential functions: polynomials for `f32`, the standard library's for `f64`.
///
/// The `f32` versions stay within 3 units in the last place of the exact value wherever that is normal.
pub(crate) trait Math: Element {
    /// e to the power `self`.
    fn exponential<const FMA: bool>(self) -> Self;
    /// Hyperbolic tangent.
    fn hyperbolic_tangent<const FMA: bool>(self) -> Self;

    /// 1 / (1 + e^−self).
    #[inline(always)]
    fn sigmoid<const FMA: bool>(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exponential::<FMA>())
    }
}

impl Math for f64 {
    #[inline(always)]
    fn exponential<const FMA: bool>(self) -> f64 {
        self.exp()
    }

    #[inline(always)]
    fn hyperbolic_tangent<const FMA: bool>(self) -> f64 {
        self.tanh()
    }
}

impl Math for f32 {
    #[inline(always)]
    fn exponential<const FMA: bool>(self) -> f32 {
        // Beyond these bounds the result is 0 or infinite anyway. Written so that NaN stays NaN.
        let above = if self < -104.0 { -104.0 } else { self };
        let x = if above > 89.0 { 89.0 } else { above };
        let (n, tail) = exponential_parts::<FMA>(x);
        // 2ⁿ in two factors: one alone would leave the exponents of f32 at both ends.
        let half = n >> 1;
        (1.0 + tail) * power_of_two(half) * power_of_two(n - half)
    }

    #[inline(always)]
    fn hyperbolic_tangent<const FMA: bool>(self) -> f32 {
        // tanh |a| = t / (t + 2) with t = e^(2|a|) − 1, which loses nothing near 0; from 10 on it rounds to 1.
        let twice = 2.0 * self.abs();
        let x = if twice > 20.0 { 20.0 } else { twice };
        let (n, tail) = exponential_parts::<FMA>(x);
        let scale = power_of_two(n);
        let t = multiply_add::<f32, FMA>(scale, tail, scale - 1.0);
        (t / (t + 2.0)).copysign(self)
    }
}

/// eˣ = 2ⁿ·(1 + tail) with |x − n·ln 2| ≤ ln 2 / 2 (Cody and Waite 1980, with the polynomial of Cephes' `expf`).
#[inline(always)]
fn exponential_parts<const FMA: bool>(x: f32) -> (i32, f32) {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = multiply_add::<f32, FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first with few enough bits that its multiples are exact.
    let r = multiply_add::<f32, FMA>(whole, -0.693_359_4, x);
    let r = multiply_add::<f32, FMA>(whole, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = multiply_add::<f32, FMA>(p, r, c);
    }
    (n, multiply_add::<f32, FMA>(p, r * r, r))
}

/// 2ⁿ for −126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}
