//! Local response normalisation.

use ocelli_kernels::Element;
use serde::{Deserialize, Serialize};

use super::{BackwardInput, BackwardParams, Forward, Operation, Reads, Signature, only_input};
use crate::Shape;
use crate::setting::is_positive;

/// y_c = x_c / d_c^β with d_c = k + α/n · Σ x_j², over the n channels j around c at the same pixel (Krizhevsky,
/// Sutskever and Hinton 2012, section 3.3).
///
/// The window is c − ⌊n/2⌋ to c + ⌊(n − 1)/2⌋, clipped at the first and last channel. As in PyTorch, α is divided by n; the
/// paper's α is not, so its 10⁻⁴ with n = 5 is 5·10⁻⁴ here.
///
/// Shapes: any, to the same. Gradient: ∂C/∂x_i = g_i·d_i^−β − 2αβ/n · x_i · Σ g_j·y_j/d_j over the j whose window holds
/// i. No parameters; backward reads x and y, and forward saves d for it, as many elements as the output. Cost: n
/// multiply-adds per element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// Channels of a window, n.
    #[serde(default = "five")]
    pub size: usize,
    /// α ≥ 0, the weight of the mean of squares.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// β, the exponent.
    #[serde(default = "beta")]
    pub beta: f64,
    /// k > 0, what keeps the denominator away from 0.
    #[serde(default = "two")]
    pub k: f64,
}

fn five() -> usize {
    5
}

fn alpha() -> f64 {
    1e-4
}

fn beta() -> f64 {
    0.75
}

fn two() -> f64 {
    2.0
}

impl Default for LocalResponseNorm {
    fn default() -> LocalResponseNorm {
        LocalResponseNorm { size: five(), alpha: alpha(), beta: beta(), k: two() }
    }
}

impl LocalResponseNorm {
    /// Windows of `size` channels.
    pub fn new(size: usize) -> LocalResponseNorm {
        LocalResponseNorm { size, ..LocalResponseNorm::default() }
    }

    /// With another α.
    pub fn alpha(self, alpha: f64) -> LocalResponseNorm {
        LocalResponseNorm { alpha, ..self }
    }

    /// With another β.
    pub fn beta(self, beta: f64) -> LocalResponseNorm {
        LocalResponseNorm { beta, ..self }
    }

    /// With another k.
    pub fn k(self, k: f64) -> LocalResponseNorm {
        LocalResponseNorm { k, ..self }
    }

    /// Channels of a window, as the kernels take it: from 2C on, a window of C channels holds all of them.
    fn size(&self, channels: usize) -> usize {
        self.size.min(2 * channels)
    }

    fn alpha_over_n<T: Element>(&self) -> T {
        T::of(self.alpha / self.size as f64)
    }

    fn check(&self) -> Result<(), String> {
        let settings = [
            (self.size >= 1, "size", self.size as f64, "at least 1"),
            (self.alpha >= 0.0 && self.alpha.is_finite(), "alpha", self.alpha, "a number that is not negative"),
            (self.beta.is_finite(), "beta", self.beta, "a finite number"),
            (is_positive(self.k), "k", self.k, "a number above 0 within the range of f32"),
        ];
        match settings.iter().find(|(fits, ..)| !fits) {
            None => Ok(()),
            Some((_, name, value, wanted)) => Err(format!("its {name} is {value}; give {wanted}")),
        }
    }
}

impl Operation for LocalResponseNorm {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        self.check()?;
        let shape = only_input(inputs)?;
        Ok(Signature {
            saved: shape.len(),
            input_reads: Reads { input: true, output: true, ..Reads::SAVED },
            // Where nothing is saved, forward still needs a place for a sample's denominators.
            scratch: shape.len(),
            macs: (shape.len() as u64).saturating_mul(self.size.min(shape.channels()) as u64),
            ..Signature::new(shape)
        })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let (shape, forward) = (pass.node.shape(), pass.kernels.local_response_forward);
        let size = self.size(shape.channels());
        let (alpha, beta, k) = (self.alpha_over_n(), T::of(self.beta), T::of(self.k));
        let mut saved = pass.saved.chunks_exact_mut(shape.len());
        let samples = pass.inputs.get(0).chunks_exact(shape.len());
        for (x, y) in samples.zip(pass.output.chunks_exact_mut(shape.len())) {
            let denominators = saved.next().unwrap_or(&mut pass.scratch[..shape.len()]);
            forward(size, alpha, beta, k, shape.channels(), x, y, denominators);
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let channels = pass.node.shape().channels();
        (pass.kernels.local_response_backward)(
            self.size(channels),
            self.alpha_over_n(),
            T::of(self.beta),
            channels,
            pass.inputs.get(0),
            pass.output,
            pass.saved,
            pass.output_gradient,
            pass.input_gradient,
            pass.write,
            &mut pass.scratch[..channels],
        );
    }

    fn backward_params<T: Element>(&self, _: BackwardParams<'_, T>) {
        unreachable!("invariant: a normalisation without parameters")
    }
}
