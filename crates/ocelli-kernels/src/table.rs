//! The table of kernels of one instruction set.

use std::ops::Range;

use crate::common::{columns, elementwise, optimise, pool, response};
use crate::scalar::{convolution, gemm};
use crate::{AdamStep, Conv2d, Element, Gemm, Isa, Pool2d, SgdStep, Unary, Write};

/// Declares the table and a macro that fills one, from one list of kernels.
macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?);)*) => {
        /// The kernels of one number type for one instruction set.
        ///
        /// The fields are plain functions: `(kernels.gemm)(&gemm, a, b, c, scratch)`.
        #[derive(Debug)]
        pub struct Kernels<T: Element> {
            /// The instruction set that they need.
            pub isa: Isa,
            $($(#[$doc])* pub $name: fn($($type),*),)*
        }
    };
}

kernels! {
    /// C = A·B, or added; see [`Gemm`]. (gemm, a, b, c, scratch of [`Gemm::scratch`])
    gemm(gemm: &Gemm, a: &[T], b: &[T], c: &mut [T], scratch: &mut [T]);

    /// y = bias + x ∗ w for a batch of x.len() / input_len samples; see [`Conv2d`]. An empty bias is none.
    /// (conv, x, w, bias, y, scratch of [`Conv2d::scratch`])
    conv_forward(conv: &Conv2d, x: &[T], w: &[T], bias: &[T], y: &mut [T], scratch: &mut [T]);

    /// The gradient of the input: dx\[iy, ix, c\] = Σ dy\[oy, ox, o\]·w\[o, ky, kx, c\] over all outputs and taps that
    /// read it. (conv, dy, w, dx, write, scratch)
    conv_backward_input(
        conv: &Conv2d, dy: &[T], w: &[T], dx: &mut [T], write: Write, scratch: &mut [T],
    );

    /// The gradient of the weights of the output channels `outputs`: dw\[o, ky, kx, c\] = Σ dy\[oy, ox, o\]·x\[iy, ix, c\]
    /// over samples and pixels. `dw` holds the rows of `outputs` alone. (conv, x, dy, dw, outputs, write, scratch)
    conv_backward_weights(
        conv: &Conv2d, x: &[T], dy: &[T], dw: &mut [T], outputs: Range<usize>, write: Write, scratch: &mut [T],
    );

    /// y = each window's maximum; argmax = the offset ky·kw + kx of its first occurrence, or empty where it is
    /// not wanted. NaN counts as the greatest value. (pool, x, y, argmax)
    max_pool_forward(pool: &Pool2d, x: &[T], y: &mut [T], argmax: &mut [T]);

    /// dx of each window's maximum = Σ dy. (pool, argmax, dy, dx, write)
    max_pool_backward(pool: &Pool2d, argmax: &[T], dy: &[T], dx: &mut [T], write: Write);

    /// y = each window's sum / [`Pool2d::divisor`]. (pool, x, y)
    average_pool_forward(pool: &Pool2d, x: &[T], y: &mut [T]);

    /// dx = Σ dy / divisor over the windows that hold the pixel. (pool, dy, dx, write)
    average_pool_backward(pool: &Pool2d, dy: &[T], dx: &mut [T], write: Write);

    /// y = f(x). (unary, x, y)
    unary_forward(unary: Unary<T>, x: &[T], y: &mut [T]);

    /// dx = f′·dy with f′ from the value y; see [`Unary::derivative_from_output`]. (unary, y, dy, dx, write)
    unary_backward(unary: Unary<T>, y: &[T], dy: &[T], dx: &mut [T], write: Write);

    /// y = x + bias over rows of bias.len() channels. (bias, x, y)
    add_bias(bias: &[T], x: &[T], y: &mut [T]);

    /// Each channel's sum over the rows of sums.len() channels. (x, sums, write)
    column_sums(x: &[T], sums: &mut [T], write: Write);

    /// Each channel's mean over the rows and its sum of squared deviations from it, in two passes; both 0
    /// where there are no rows. (x, mean, m2)
    column_moments(x: &[T], mean: &mut [T], m2: &mut [T]);

    /// y = scale·x + shift, each channel with its own. (scale, shift, x, y)
    column_affine(scale: &[T], shift: &[T], x: &[T], y: &mut [T]);

    /// Each channel's sum of dy·x over the rows. (dy, x, sums, write)
    column_dots(dy: &[T], x: &[T], sums: &mut [T], write: Write);

    /// y = a + b. (a, b, y)
    add(a: &[T], b: &[T], y: &mut [T]);

    /// y += x. (x, y)
    accumulate(x: &[T], y: &mut [T]);

    /// y = α·x, or added. (alpha, x, y, write)
    scale(alpha: T, x: &[T], y: &mut [T], write: Write);

    /// y = a·b elementwise, or added. (a, b, y, write)
    multiply(a: &[T], b: &[T], y: &mut [T], write: Write);

    /// Local response normalisation: d = k + α/n·Σ x² over `size` channels around each, y = x·d^−β.
    /// (size, alpha_over_n, beta, k, channels, x, y, denominators)
    local_response_forward(
        size: usize, alpha_over_n: T, beta: T, k: T, channels: usize, x: &[T], y: &mut [T], denominators: &mut [T],
    );

    /// Its gradient. (size, alpha_over_n, beta, channels, x, y, denominators, dy, dx, write, scratch of `channels`)
    local_response_backward(
        size: usize, alpha_over_n: T, beta: T, channels: usize, x: &[T], y: &[T], denominators: &[T], dy: &[T],
        dx: &mut [T], write: Write, scratch: &mut [T],
    );

    /// One step of [`SgdStep`]. (step, params, grads, velocity; empty where the momentum is 0)
    sgd(step: &SgdStep<T>, params: &mut [T], grads: &[T], velocity: &mut [T]);

    /// One step of [`AdamStep`]. (step, params, grads, first, second)
    adam(step: &AdamStep<T>, params: &mut [T], grads: &[T], first: &mut [T], second: &mut [T]);
}

/// The portable table of a number type.
macro_rules! portable {
    ($t:ty) => {
        Kernels {
            isa: Isa::Portable,
            gemm: gemm::gemm::<$t>,
            conv_forward: convolution::forward::<$t>,
            conv_backward_input: convolution::backward_input::<$t>,
            conv_backward_weights: convolution::backward_weights::<$t>,
            max_pool_forward: pool::max_pool_forward::<$t>,
            max_pool_backward: pool::max_pool_backward::<$t>,
            average_pool_forward: pool::average_pool_forward::<$t>,
            average_pool_backward: pool::average_pool_backward::<$t>,
            unary_forward: elementwise::unary_forward::<$t, FUSED>,
            unary_backward: elementwise::unary_backward::<$t, FUSED>,
            add_bias: columns::add_bias::<$t>,
            column_sums: columns::column_sums::<$t>,
            column_moments: columns::column_moments::<$t, FUSED>,
            column_affine: columns::column_affine::<$t, FUSED>,
            column_dots: columns::column_dots::<$t, FUSED>,
            add: elementwise::add::<$t>,
            accumulate: elementwise::accumulate::<$t>,
            scale: elementwise::scale::<$t>,
            multiply: elementwise::multiply::<$t>,
            local_response_forward: response::local_response_forward::<$t>,
            local_response_backward: response::local_response_backward::<$t>,
            sgd: optimise::sgd::<$t, FUSED>,
            adam: optimise::adam::<$t, FUSED>,
        }
    };
}

/// Whether any CPU of this architecture fuses multiply and add.
const FUSED: bool = cfg!(target_arch = "aarch64");

static PORTABLE_F32: Kernels<f32> = portable!(f32);
static PORTABLE_F64: Kernels<f64> = portable!(f64);

pub(crate) fn f32_kernels(_isa: Isa) -> &'static Kernels<f32> {
    &PORTABLE_F32
}

pub(crate) fn f64_kernels(_isa: Isa) -> &'static Kernels<f64> {
    &PORTABLE_F64
}
