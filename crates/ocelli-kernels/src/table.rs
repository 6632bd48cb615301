//! The tables of kernels: one per number type and instruction set, and one more where products may round.

use std::ops::Range;

use crate::{
    AdamStep, Conv2d, Direction, Element, Finish, Gemm, Isa, Pool2d, Precision, SgdStep, Unary, Write,
};

/// Passes the list of the kernels that multiply matrices, each with its arguments and the function that it is, to a macro; and
/// then what follows in the call.
///
/// The functions' parameters are meant where the macro is called: `T` the number type, `FUSED` whether there is a
/// fused multiply-add, `products` the module of the matrix products, convolutions and poolings, `Unit` what multiplies there and
/// `Vectors` the vectors beside it.
macro_rules! for_each_product {
    ($callback:ident($($args:tt)*) $($others:tt)*) => { $callback! { ($($args)*)
        /// C = A·B, or added; see [`Gemm`]. (gemm, a, b, c, scratch of [`Gemm::scratch`])
        gemm(gemm: &Gemm, a: &[T], b: &[T], c: &mut [T], scratch: &mut [T]) = products::gemm::gemm::<Unit>;

        /// Packs a convolution's weights as one of its passes reads them: the pieces `pieces` of
        /// [`Conv2d::packed_pieces`], into the elements [`Conv2d::packed_range`] of all. (conv, direction, w, pieces, packed)
        conv_pack(conv: &Conv2d, direction: Direction, w: &[T], pieces: Range<usize>, packed: &mut [T]) = products::convolution::pack::<Unit>;

        /// y = bias + x ∗ w for a batch of x.len() / input_len samples; see [`Conv2d`]. An empty bias is none.
        /// `packed` are the weights as `conv_pack` leaves them, or empty: they are then packed on the way. Then `finish` is
        /// applied, with the bits of the kernel of that name. (conv, x, w, packed, bias, finish, y, scratch of
        /// [`Conv2d::forward_scratch`])
        conv_forward(
            conv: &Conv2d, x: &[T], w: &[T], packed: &[T], bias: &[T], finish: Finish<'_, T>, y: &mut [T],
            scratch: &mut [T],
        ) = products::convolution::forward::<Unit, FUSED>;

        /// The gradient of the input: dx\[iy, ix, c\] = Σ dy\[oy, ox, o\]·w\[o, ky, kx, c\] over all outputs and taps that
        /// read it. `packed` as in `conv_forward`. (conv, dy, w, packed, dx, write, scratch)
        conv_backward_input(
            conv: &Conv2d, dy: &[T], w: &[T], packed: &[T], dx: &mut [T], write: Write, scratch: &mut [T],
        ) = products::convolution::backward_input::<Unit>;

        /// The gradient of the weights of the output channels `outputs`: dw\[o, ky, kx, c\] = Σ dy\[oy, ox, o\]·x\[iy, ix, c\]
        /// over samples and pixels. `dw` holds the rows of `outputs` alone. (conv, x, dy, dw, outputs, write, scratch)
        conv_backward_weights(
            conv: &Conv2d, x: &[T], dy: &[T], dw: &mut [T], outputs: Range<usize>, write: Write, scratch: &mut [T],
        ) = products::convolution::backward_weights::<Unit>;

        $($others)*
    } };
}

/// The same for the list of all kernels.
macro_rules! for_each_kernel {
    ($callback:ident($($args:tt)*)) => { for_each_product! { $callback($($args)*)
        /// y = each window's maximum; argmax = the offset ky·kw + kx of its first occurrence, or empty where it is
        /// not wanted. NaN counts as the greatest value. (pool, x, y, argmax)
        max_pool_forward(pool: &Pool2d, x: &[T], y: &mut [T], argmax: &mut [T]) = products::pool::max_pool_forward::<Vectors>;

        /// dx of each window's maximum = Σ dy. (pool, argmax, dy, dx, write)
        max_pool_backward(pool: &Pool2d, argmax: &[T], dy: &[T], dx: &mut [T], write: Write) = products::pool::max_pool_backward::<Vectors>;

        /// y = each window's sum / [`Pool2d::divisor`]. (pool, x, y)
        average_pool_forward(pool: &Pool2d, x: &[T], y: &mut [T]) = products::pool::average_pool_forward::<Vectors>;

        /// dx = Σ dy / divisor over the windows that hold the pixel. (pool, dy, dx, write)
        average_pool_backward(pool: &Pool2d, dy: &[T], dx: &mut [T], write: Write) = products::pool::average_pool_backward::<Vectors>;

        /// y = f(x). (unary, x, y)
        unary_forward(unary: Unary<T>, x: &[T], y: &mut [T]) = elementwise::unary_forward::<T, FUSED>;

        /// y = f(y). (unary, y)
        unary_in_place(unary: Unary<T>, y: &mut [T]) = elementwise::unary_in_place::<T, FUSED>;

        /// dx = f′·dy with f′ from the value y; see [`Unary::derivative_from_output`]. (unary, y, dy, dx, write)
        unary_backward(unary: Unary<T>, y: &[T], dy: &[T], dx: &mut [T], write: Write) = elementwise::unary_backward::<T, FUSED>;

        /// dy = f′·dy with f′ from the value y. (unary, y, dy)
        unary_backward_in_place(unary: Unary<T>, y: &[T], dy: &mut [T]) = elementwise::unary_backward_in_place::<T, FUSED>;

        /// y = x + bias over rows of bias.len() channels. (bias, x, y)
        add_bias(bias: &[T], x: &[T], y: &mut [T]) = columns::add_bias::<T>;

        /// y += bias over rows of bias.len() channels. (bias, y)
        add_bias_in_place(bias: &[T], y: &mut [T]) = columns::add_bias_in_place::<T>;

        /// Each channel's sum over the rows of sums.len() channels. (x, sums, write)
        column_sums(x: &[T], sums: &mut [T], write: Write) = columns::column_sums::<T>;

        /// Each channel's mean over the rows and its sum of squared deviations from it, in one pass over memory;
        /// both 0 where there are no rows. (x, mean, m2)
        column_moments(x: &[T], mean: &mut [T], m2: &mut [T]) = moments::column_moments::<T, FUSED>;

        /// y = f(scale·x + shift + addend), each channel with its own scale and shift. An empty addend is none, and no
        /// function is the identity. (scale, shift, x, addend, unary, y)
        column_affine(
            scale: &[T], shift: &[T], x: &[T], addend: &[T], unary: Option<Unary<T>>, y: &mut [T],
        ) = normalise::column_affine::<T, FUSED>;

        /// y = f(scale·y + shift + addend); see [`Finish`]. (finish, y)
        finish(finish: &Finish<'_, T>, y: &mut [T]) = normalise::finish::<T, FUSED>;

        /// Each channel's sum of dy·x over the rows. (dy, x, sums, write)
        column_dots(dy: &[T], x: &[T], sums: &mut [T], write: Write) = columns::column_dots::<T, FUSED>;

        /// Each channel's sums of g·x̂ (dots) and of g (sums) over the rows, with x̂ = inverse·x + centre.
        /// (inverse, centre, x, g, dots, sums)
        normalised_sums(
            inverse: &[T], centre: &[T], x: &[T], g: &[T], dots: &mut [T], sums: &mut [T],
        ) = normalise::normalised_sums::<T, FUSED>;

        /// The same with g = f′·dy, f′ from the value y; leaves g in dy. (unary, y, inverse, centre, x, dy, dots, sums)
        activated_sums(
            unary: Unary<T>, y: &[T], inverse: &[T], centre: &[T], x: &[T], dy: &mut [T], dots: &mut [T], sums: &mut [T],
        ) = normalise::activated_sums::<T, FUSED>;

        /// dx = slope·g + towards·(x − middle) + offset, each channel with its own four, or added.
        /// (the four, x, g, dx, write)
        normalised_backward(
            constants: [&[T]; 4], x: &[T], g: &[T], dx: &mut [T], write: Write,
        ) = normalise::normalised_backward::<T, FUSED>;

        /// The same over g. (the four, x, g)
        normalised_backward_in_place(
            constants: [&[T]; 4], x: &[T], g: &mut [T],
        ) = normalise::normalised_backward_in_place::<T, FUSED>;

        /// y = a + b. (a, b, y)
        add(a: &[T], b: &[T], y: &mut [T]) = elementwise::add::<T>;

        /// y += x. (x, y)
        accumulate(x: &[T], y: &mut [T]) = elementwise::accumulate::<T>;

        /// y += share·(x − y): y goes this share of the way to x. (share, x, y)
        approach(share: T, x: &[T], y: &mut [T]) = elementwise::approach::<T, FUSED>;

        /// y = α·x, or added. (alpha, x, y, write)
        scale(alpha: T, x: &[T], y: &mut [T], write: Write) = elementwise::scale::<T>;

        /// y = α·y. (alpha, y)
        scale_in_place(alpha: T, y: &mut [T]) = elementwise::scale_in_place::<T>;

        /// y = a·b elementwise, or added. (a, b, y, write)
        multiply(a: &[T], b: &[T], y: &mut [T], write: Write) = elementwise::multiply::<T>;

        /// Local response normalisation: d = k + α/n·Σ x² over `size` channels around each, y = x·d^−β.
        /// (size, alpha_over_n, beta, k, channels, x, y, denominators)
        local_response_forward(
            size: usize, alpha_over_n: T, beta: T, k: T, channels: usize, x: &[T], y: &mut [T], denominators: &mut [T],
        ) = response::local_response_forward::<T>;

        /// Its gradient. (size, alpha_over_n, beta, channels, x, y, denominators, dy, dx, write, scratch of `channels`)
        local_response_backward(
            size: usize, alpha_over_n: T, beta: T, channels: usize, x: &[T], y: &[T], denominators: &[T], dy: &[T],
            dx: &mut [T], write: Write, scratch: &mut [T],
        ) = response::local_response_backward::<T>;

        /// One step of [`SgdStep`]. (step, params, grads, velocity; empty where the momentum is 0)
        sgd(step: &SgdStep<T>, params: &mut [T], grads: &[T], velocity: &mut [T]) = optimise::sgd::<T, FUSED>;

        /// One step of [`AdamStep`]. (step, params, grads, first, second)
        adam(step: &AdamStep<T>, params: &mut [T], grads: &[T], first: &mut [T], second: &mut [T]) = optimise::adam::<T, FUSED>;
    } };
}

macro_rules! declare {
    (() $($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:expr;)*) => {
        /// The kernels of one number type for one instruction set.
        ///
        /// The fields are plain functions: `(kernels.gemm)(&gemm, a, b, c, scratch)`. A slice of the wrong length
        /// is a bug of the caller, reported by a panic that names it.
        #[derive(Debug)]
        pub struct Kernels<T: Element> {
            /// The instruction set that they need.
            pub isa: Isa,
            /// What products may round to. A table without such products serves for any precision, and says `F32`.
            pub precision: Precision,
            $($(#[$doc])* pub $name: fn($($type),*),)*
        }

        impl<T: Element> Kernels<T> {
            /// The names of all kernels, so that what walks the table can say which one it left out.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
        }
    };
}

for_each_kernel!(declare());

/// A table of functions as they stand.
macro_rules! plain {
    (($isa:expr) $($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:expr;)*) => {
        Kernels { isa: $isa, precision: Precision::F32, $($name: $body),* }
    };
}

/// A table of functions compiled with CPU features, which the instruction set must include; those of another table where the
/// list leaves some out.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! featured {
    (($isa:expr, $precision:expr, $features:literal $(, ..$others:expr)?)
     $($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:expr;)*) => {
        Kernels {
            isa: $isa,
            precision: $precision,
            $($name: {
                #[target_feature(enable = $features)]
                fn featured($($arg: $type),*) {
                    $body($($arg),*)
                }
                fn kernel($($arg: $type),*) {
                    // SAFETY: a table is handed out only where `Isa::available` has found its features.
                    unsafe { featured($($arg),*) }
                }
                kernel
            },)*
            $(..$others)?
        }
    };
}

/// A module with one table.
macro_rules! table {
    ($name:ident, $t:ty, $unit:ty, $vectors:ty, $products:ident, $fused:expr, $kind:ident($($args:tt)*)) => {
        table!(for_each_kernel: $name, $t, $unit, $vectors, $products, $fused, $kind($($args)*));
    };
    ($list:ident: $name:ident, $t:ty, $unit:ty, $vectors:ty, $products:ident, $fused:expr, $kind:ident($($args:tt)*)) => {
        #[allow(unsafe_code)]
        mod $name {
            use super::*;
            #[allow(unused_imports)]
            use crate::common::{columns, elementwise, moments, normalise, optimise, response};
            use crate::$products as products;

            type T = $t;
            type Unit = $unit;
            #[allow(dead_code)]
            type Vectors = $vectors;
            #[allow(dead_code)]
            const FUSED: bool = $fused;

            pub(super) static TABLE: Kernels<T> = $list!($kind($($args)*));
        }
    };
}

table!(portable_f32, f32, f32, f32, scalar, cfg!(target_arch = "aarch64"), plain(Isa::Portable));
table!(portable_f64, f64, f64, f64, scalar, cfg!(target_arch = "aarch64"), plain(Isa::Portable));

/// The tables of the architecture beside the portable ones, from slow to fast.
#[cfg(target_arch = "x86_64")]
mod native {
    use super::*;

    table!(
        avx2_f32,
        f32,
        crate::simd::Avx2,
        crate::simd::Avx2,
        simd,
        true,
        featured(Isa::Avx2, Precision::F32, "avx2,fma")
    );
    table!(avx2_f64, f64, f64, f64, scalar, true, featured(Isa::Avx2, Precision::F32, "avx2,fma"));
    table!(
        avx512_f32,
        f32,
        crate::simd::Avx512,
        crate::simd::Avx512,
        simd,
        true,
        featured(Isa::Avx512, Precision::F32, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
    );
    table!(
        avx512_f64,
        f64,
        f64,
        f64,
        scalar,
        true,
        featured(Isa::Avx512, Precision::F32, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
    );

    table!(
        amx_f32,
        f32,
        crate::amx::Matrix<3>,
        crate::simd::Avx512,
        simd,
        true,
        featured(Isa::Amx, Precision::F32, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
    );

    // What does not multiply matrices is the same whatever they round to.
    table!(
        for_each_product: amx_bf16,
        f32,
        crate::amx::Matrix<1>,
        crate::simd::Avx512,
        simd,
        true,
        featured(Isa::Amx, Precision::Bf16, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl", ..amx_f32::TABLE)
    );

    table!(
        for_each_product: avx512_bf16,
        f32,
        crate::simd::Bf16,
        crate::simd::Avx512,
        simd,
        true,
        featured(
            Isa::Avx512,
            Precision::Bf16,
            "avx512bf16,avx2,fma,avx512f,avx512bw,avx512dq,avx512vl",
            ..avx512_f32::TABLE
        )
    );

    pub(super) static F32: [&Kernels<f32>; 3] = [&avx2_f32::TABLE, &avx512_f32::TABLE, &amx_f32::TABLE];
    pub(super) static BF16: [&Kernels<f32>; 2] = [&avx512_bf16::TABLE, &amx_bf16::TABLE];
    pub(super) static F64: [&Kernels<f64>; 2] = [&avx2_f64::TABLE, &avx512_f64::TABLE];

    /// Whether the CPU has products of bf16 beside an instruction set that it has.
    pub(super) fn rounds(isa: Isa) -> bool {
        match isa {
            Isa::Avx512 => crate::simd::bf16_available(),
            Isa::Amx => true,
            _ => false,
        }
    }
}

/// The tables of the architecture beside the portable ones.
#[cfg(target_arch = "aarch64")]
mod native {
    use super::*;

    table!(
        neon_f32,
        f32,
        crate::simd::Neon,
        crate::simd::Neon,
        simd,
        true,
        featured(Isa::Neon, Precision::F32, "neon")
    );
    table!(neon_f64, f64, f64, f64, scalar, true, featured(Isa::Neon, Precision::F32, "neon"));

    pub(super) static F32: [&Kernels<f32>; 1] = [&neon_f32::TABLE];
    pub(super) static BF16: [&Kernels<f32>; 0] = [];
    pub(super) static F64: [&Kernels<f64>; 1] = [&neon_f64::TABLE];

    /// No table here rounds.
    pub(super) fn rounds(_: Isa) -> bool {
        false
    }
}

/// This architecture has the portable tables alone.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod native {
    use super::*;

    pub(super) static F32: [&Kernels<f32>; 0] = [];
    pub(super) static BF16: [&Kernels<f32>; 0] = [];
    pub(super) static F64: [&Kernels<f64>; 0] = [];

    /// No table here rounds.
    pub(super) fn rounds(_: Isa) -> bool {
        false
    }
}

/// The best `f32` kernels that the CPU can run and `isa` includes, of those whose products round to no less than `precision`.
pub(crate) fn f32_kernels(isa: Isa, precision: Precision) -> &'static Kernels<f32> {
    let exact = best(&native::F32, isa).unwrap_or(&portable_f32::TABLE);
    let rounding = if precision == Precision::Bf16 { best(&native::BF16, isa) } else { None };
    // A better instruction set without such products does the exact ones faster.
    rounding.filter(|table| table.isa.includes(exact.isa)).unwrap_or(exact)
}

/// The best `f64` kernels that the CPU can run and `isa` includes. They are exact whatever else is allowed.
pub(crate) fn f64_kernels(isa: Isa, _precision: Precision) -> &'static Kernels<f64> {
    best(&native::F64, isa).unwrap_or(&portable_f64::TABLE)
}

/// The last of `tables` that the CPU can run and `isa` includes.
fn best<T: Element>(tables: &[&'static Kernels<T>], isa: Isa) -> Option<&'static Kernels<T>> {
    tables.iter().rev().find(|table| isa.includes(table.isa) && available(table)).copied()
}

/// Whether the CPU can run a table. Not all that have its instruction set have the products that round.
fn available<T: Element>(table: &Kernels<T>) -> bool {
    table.isa.available() && (table.precision == Precision::F32 || native::rounds(table.isa))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_needs_no_more_than_was_asked_for_and_is_the_best_available() {
        for asked in Isa::ALL {
            let runs = |isa: &Isa| asked.includes(*isa) && isa.available();
            let best = Isa::ALL.into_iter().rfind(runs).unwrap();
            for precision in Precision::ALL {
                let table = f32_kernels(asked, precision);
                assert_eq!(table.isa, best);
                let rounds = precision == Precision::Bf16 && native::rounds(best);
                assert_eq!(table.precision, if rounds { precision } else { Precision::F32 });
                // Matrix units have no f64.
                let best = if best == Isa::Amx { Isa::Avx512 } else { best };
                assert_eq!(f64_kernels(asked, precision).isa, best);
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[allow(unpredictable_function_pointer_comparisons)]
    fn rounding_tables_share_what_does_not_multiply_matrices() {
        for (exact, rounding) in native::F32[1..].iter().zip(&native::BF16) {
            assert_eq!(exact.isa, rounding.isa);
            assert!(exact.adam == rounding.adam && exact.column_dots == rounding.column_dots);
            assert!(exact.gemm != rounding.gemm);
        }
    }
}
