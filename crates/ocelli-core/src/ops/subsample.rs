//! LeNet-5's trainable subsampling.

use ocelli_kernels::{Element, Write};
use serde::{Deserialize, Serialize};

use super::defaults::{is_zero, zero};
use super::pool::Sliding;
use super::sides::{self, Sides};
use super::{BackwardInput, BackwardParams, Curvature, Forward, Operation, Reads, Signature};
use crate::graph::Node;
use crate::init::{Fan, Init};
use crate::{ParamSpec, Role, Shape};

/// y = a_c · Σ window + b_c: the sum of each window, scaled and shifted per channel (LeCun et al. 1998, section II.B).
/// LeNet-5 squashes the result with a layer of its own, `scaled_tanh`.
///
/// Shapes: C×H×W to C×⌊H/k⌋×⌊W/k⌋ with windows of k×k side by side; what no whole window covers is not read.
/// Parameters: `coefficient` C (starts by `init`, U(±2.4/k²) unless told otherwise), `bias` C (starts at 0).
///
/// Gradients: ∂C/∂x = a_c·g for every pixel of the window, ∂C/∂a_c = Σ g·(window's sum), ∂C/∂b_c = Σ g. Forward saves
/// the windows' means, as many elements as the output. Cost: C·H·W multiply-adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsample {
    /// Height and width of the window, k.
    #[serde(with = "sides")]
    pub kernel: [usize; 2],
    /// How the coefficients start.
    #[serde(default = "lenet", skip_serializing_if = "is_lenet")]
    pub init: Init,
    /// How b starts.
    #[serde(default = "zero", skip_serializing_if = "is_zero")]
    pub bias_init: Init,
}

/// LeNet-5's initialiser: U(±2.4/fan-in).
fn lenet() -> Init {
    Init::UniformFanIn { a: 2.4, power: 1.0 }
}

fn is_lenet(init: &Init) -> bool {
    *init == lenet()
}

impl Subsample {
    /// Windows of this size, side by side.
    pub fn new(kernel: impl Into<Sides>) -> Subsample {
        Subsample { kernel: kernel.into().0, init: lenet(), bias_init: zero() }
    }

    /// With another start for the coefficients.
    pub fn init(self, init: Init) -> Subsample {
        Subsample { init, ..self }
    }

    /// With another start for b.
    pub fn bias_init(self, bias_init: Init) -> Subsample {
        Subsample { bias_init, ..self }
    }

    fn sliding(&self) -> Sliding {
        let (kernel, padding) = (self.kernel, [0, 0]);
        Sliding { kernel, stride: kernel, padding, ceil_mode: false, count_padding: false }
    }

    /// Pixels of a window.
    fn area<T: Element>(&self) -> T {
        T::of((self.kernel[0] * self.kernel[1]) as f64)
    }

    /// dx of each pixel = factor_c·dy of its window, or added. The kernels share dy out as a mean would, so
    /// `factors` are given times the window's area.
    fn spread<T: Element>(&self, pass: BackwardInput<'_, T>, factor: impl Fn(T) -> T) {
        let pool = self.sliding().geometry_of(pass.node);
        let channels = pool.input[2];
        let (factors, rest) = pass.scratch.split_at_mut(channels);
        let (zeros, scaled) = rest.split_at_mut(channels);
        let scaled = &mut scaled[..pool.output_len()];
        factors.iter_mut().zip(pass.params.get(0)).for_each(|(to, &a)| *to = factor(a) * self.area());
        zeros.fill(T::ZERO);
        let samples = pass.output_gradient.chunks_exact(pool.output_len());
        for (dy, dx) in samples.zip(pass.input_gradient.chunks_exact_mut(pool.input_len())) {
            (pass.kernels.column_affine)(factors, zeros, dy, &[], None, scaled);
            (pass.kernels.average_pool_backward)(&pool, scaled, dx, pass.write);
        }
    }
}

impl Operation for Subsample {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let signature = self.sliding().signature(inputs)?;
        let (output, area) = (signature.output, self.kernel[0] * self.kernel[1]);
        let fan = Fan { inputs: area, outputs: 1 };
        let shape = Shape::from([output.channels()]);
        let param = |name, role, init: &Init| ParamSpec { name, shape, role, init: init.clone(), fan };
        Ok(Signature {
            params: vec![
                param("coefficient", Role::Coefficient, &self.init),
                param("bias", Role::Bias, &self.bias_init),
            ],
            saved: output.len(),
            param_reads: Reads::SAVED,
            scratch: 2 * output.channels() + output.len(),
            macs: (output.len() as u64).saturating_mul(area as u64),
            ..signature
        })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let pool = self.sliding().geometry_of(pass.node);
        let (factors, means) = pass.scratch.split_at_mut(pool.input[2]);
        (pass.kernels.scale)(self.area(), pass.params.get(0), factors, Write::Set);
        let mut saved = pass.saved.chunks_exact_mut(pool.output_len());
        let samples = pass.inputs.get(0).chunks_exact(pool.input_len());
        for (x, y) in samples.zip(pass.output.chunks_exact_mut(pool.output_len())) {
            let means = saved.next().unwrap_or(&mut means[..y.len()]);
            (pass.kernels.average_pool_forward)(&pool, x, means);
            (pass.kernels.column_affine)(factors, pass.params.get(1), means, &[], None, y);
        }
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.spread(pass, |a| a);
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let [coefficient, bias, ..] = pass.gradients;
        (pass.kernels.column_dots)(pass.output_gradient, pass.saved, coefficient, Write::Set);
        let area = self.area();
        coefficient.iter_mut().for_each(|sum| *sum *= area);
        (pass.kernels.column_sums)(pass.output_gradient, bias, Write::Set);
    }
}

/// h of x is a_c²·h, of a_c Σ h·(window's sum)², of b_c Σ h.
impl Curvature for Subsample {
    fn curvature_scratch(&self, node: &Node) -> usize {
        node.signature().scratch
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        self.spread(pass, |a| a * a);
    }

    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let [coefficient, bias, ..] = pass.gradients;
        let (kernels, len) = (pass.kernels, pass.node.shape().len());
        let squared = &mut pass.scratch[..len];
        coefficient.fill(T::ZERO);
        for (means, h) in pass.saved.chunks_exact(len).zip(pass.output_gradient.chunks_exact(len)) {
            (kernels.multiply)(means, means, squared, Write::Set);
            (kernels.column_dots)(h, squared, coefficient, Write::Add);
        }
        let area: T = self.area();
        coefficient.iter_mut().for_each(|sum| *sum *= area * area);
        (kernels.column_sums)(pass.output_gradient, bias, Write::Set);
    }
}
