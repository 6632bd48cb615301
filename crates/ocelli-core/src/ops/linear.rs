//! The linear layer: y = W·x + b.

use std::ops::Range;

use ocelli_kernels::{Conv2d as Geometry, Direction, Element, Finish, Gemm, Write};
use serde::{Deserialize, Serialize};

use super::defaults::{he, is_he, is_true, is_zero, yes, zero};
use super::{
    Axis, BackwardInput, BackwardParams, BlockGradients, Curvature, Forward, Operation, Packing, Preparation, Prepare,
    Reads, Section, Sectioned, Signature, only_input, range_of, squares,
};
use crate::graph::Node;
use crate::init::{Fan, Init};
use crate::{Mode, ParamSpec, Role, Shape};

/// y = W·x + b with x of length n, W m×n and y of length m (fully connected, dense).
///
/// Gradients: ∂C/∂x = Wᵀ·g, ∂C/∂W = g·xᵀ, ∂C/∂b = g. An image must be flattened first. Cost: m·n multiply-adds per
/// sample and pass; backward reads x. W starts by `init` (He's normal unless told otherwise), b at 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Output features, m.
    pub features: usize,
    /// Whether there is a b.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub bias: bool,
    /// How W starts.
    #[serde(default = "he", skip_serializing_if = "is_he")]
    pub init: Init,
    /// How b starts.
    #[serde(default = "zero", skip_serializing_if = "is_zero")]
    pub bias_init: Init,
}

impl Linear {
    /// A linear layer with `features` outputs and a bias.
    pub fn new(features: usize) -> Linear {
        Linear { features, bias: true, init: he(), bias_init: zero() }
    }

    /// Without b.
    pub fn without_bias(self) -> Linear {
        Linear { bias: false, ..self }
    }

    /// With another start for W.
    pub fn init(self, init: Init) -> Linear {
        Linear { init, ..self }
    }

    /// With another start for b.
    pub fn bias_init(self, bias_init: Init) -> Linear {
        Linear { bias_init, ..self }
    }

    /// The product with x (samples × n) on the left: C (samples × m) = x·Wᵀ.
    fn product(&self, samples: usize, share: usize, inputs: usize) -> Gemm {
        let (m, n, k) = (samples, self.features, inputs);
        Gemm { m, n, k, of: [share, n], a: [k, 1], b: [1, k], c_row: n, write: Write::Set }
    }

    /// The same as a convolution of one tap over a row of pixels, one for each sample: its kernels read weights packed.
    fn over_row(&self, samples: usize, inputs: usize) -> Geometry {
        Geometry {
            input: [1, samples, inputs],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            // Without a meaning for one tap; it keeps a row of one pixel from being taken for a whole image.
            dilation: [2, 2],
            groups: 1,
            output: [1, samples, self.features],
            // The method is that for several samples, however many pixels there are.
            samples: 2,
        }
    }

    /// ∂C/∂x (samples × n) = g·W, or the same with squared weights.
    fn product_to_input(&self, samples: usize, share: usize, inputs: usize, write: Write) -> Gemm {
        let (m, n, k) = (samples, inputs, self.features);
        Gemm { m, n, k, of: [share, n], a: [k, 1], b: [n, 1], c_row: n, write }
    }

    /// ∂C/∂W (some of its rows × some of its n columns) = gᵀ·x, into rows that are `c_row` apart. The method goes by the
    /// layer, whichever rows are computed together.
    fn product_to_weights(&self, samples: usize, inputs: usize, size: [usize; 2], c_row: usize) -> Gemm {
        /// Rows that most parts have at least.
        const ROWS: usize = 64;
        let ([m, n], k) = (size, samples);
        let of = [self.features.min(ROWS), n];
        Gemm { m, n, k, of, a: [1, self.features], b: [inputs, 1], c_row, write: Write::Set }
    }
}

/// Rows and columns of a block of ∂C/∂W that is computed in one go where all of it is rows×n: no more elements than
/// stay in a core's cache with the weights that they move, and as square as it goes, since each block packs the part of both
/// operands that it reads. The columns do not depend on the rows, so that sums over a row's blocks are the same bits
/// whichever rows are computed together.
fn block(rows: usize, n: usize) -> [usize; 2] {
    /// Elements of a block: half a megabyte of f32.
    const ELEMENTS: usize = 1 << 17;
    const COLUMNS: usize = 1024;
    let columns = n.min(COLUMNS);
    [rows.min((ELEMENTS / columns.max(1)).max(1)), columns]
}

impl Operation for Linear {
    fn infer(&self, inputs: &[Shape]) -> Result<Signature, String> {
        let shape = only_input(inputs)?;
        let (m, n) = (self.features, shape.vector().ok_or_else(|| not_flat(shape))?);
        let output = Shape::try_new(&[m]).ok_or("it needs at least one output feature")?;
        let weight = Shape::try_new(&[m, n]).ok_or_else(|| format!("a weight matrix of {m}×{n} is too large"))?;
        let fan = Fan { inputs: n, outputs: m };
        let mut params = vec![ParamSpec { name: "weight", shape: weight, role: Role::Weight, init: self.init.clone(), fan }];
        if self.bias {
            let init = self.bias_init.clone();
            params.push(ParamSpec { name: "bias", shape: output, role: Role::Bias, init, fan });
        }
        let passes = |samples| {
            [
                self.product(samples, samples, n),
                self.product_to_input(samples, samples, n, Write::Set),
                self.product_to_weights(samples, n, [m, n], n),
            ]
        };
        // Scratch does not grow with the number of samples beyond the blocking of the kernel.
        let products = passes(1 << 12);
        let products = products.iter().map(Gemm::scratch::<f32>);
        let rows = [1, 2, row(n)].map(|samples| if packs(m, n) { self.over_row(samples, n).forward_scratch::<f32>() } else { 0 });
        let scratch = products.chain(rows).max().unwrap_or(0);
        Ok(Signature {
            params,
            param_reads: Reads::INPUT,
            scratch,
            macs: (m * n) as u64,
            param_units: m,
            ..Signature::new(output)
        })
    }

    fn forward<T: Element>(&self, pass: Forward<'_, T>) {
        let (x, kernels) = (pass.inputs.get(0), pass.kernels);
        if !pass.prepared.is_empty() && T::BYTES == 4 {
            let n = pass.node.input_shapes()[0].len();
            let (weights, bias) = (pass.params.get(0), if self.bias { pass.params.get(1) } else { &[] });
            let rows = x.chunks(row(n) * n).zip(pass.output.chunks_mut(row(n) * self.features));
            for (x, y) in rows {
                let conv = self.over_row(x.len() / n, n);
                (kernels.conv_forward)(&conv, x, weights, pass.prepared, bias, Finish::nothing(), y, pass.scratch);
            }
            return;
        }
        let units = match pass.section {
            Section::Channels(units) => units,
            Section::Whole | Section::Rows(_) => 0..self.features,
        };
        let mut product = self.product(pass.samples.len(), pass.share, pass.node.input_shapes()[0].len());
        (product.n, product.of[1], product.c_row) = (units.len(), units.len(), units.len());
        if self.bias {
            let bias = &pass.params.get(1)[units.clone()];
            pass.output.chunks_exact_mut(units.len()).for_each(|y| y.copy_from_slice(bias));
            product.write = Write::Add;
        }
        let weights = &pass.params.get(0)[units.start * product.k..units.end * product.k];
        (kernels.gemm)(&product, x, weights, pass.output, pass.scratch);
    }

    fn backward_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let product = self.product_to_input(pass.samples.len(), pass.share, pass.node.input_shapes()[0].len(), pass.write);
        (pass.kernels.gemm)(&product, pass.output_gradient, pass.params.get(0), pass.input_gradient, pass.scratch);
    }

    fn backward_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let (n, kernels) = (pass.node.input_shapes()[0].len(), pass.kernels);
        let samples = pass.output_gradient.len() / self.features;
        let [weight, bias, ..] = pass.gradients;
        let (g, x, units) = (pass.output_gradient, pass.inputs.get(0), pass.units);
        let [rows, columns] = block(units.len(), n);
        let taken = if pass.apply.is_some() { (rows * columns).max(units.len()) } else { 0 };
        let (taken, scratch) = pass.scratch.split_at_mut(taken);
        for column in (0..n).step_by(columns) {
            for row in (0..units.len()).step_by(rows) {
                let size = [rows.min(units.len() - row), columns.min(n - column)];
                let (g, x, first) = (&g[units.start + row..], &x[column..], units.start + row);
                let Some(apply) = pass.apply else {
                    let product = self.product_to_weights(samples, n, size, n);
                    (kernels.gemm)(&product, g, x, &mut weight[row * n + column..], scratch);
                    continue;
                };
                let product = self.product_to_weights(samples, n, size, size[1]);
                (kernels.gemm)(&product, g, x, taken, scratch);
                // Whole rows follow each other in the parameters too.
                let run = if size[1] == n { size[0] * n } else { size[1] };
                for (i, gradient) in taken[..size[0] * size[1]].chunks_exact(run).enumerate() {
                    apply(0, (first + i) * n + column, gradient);
                }
            }
        }
        match pass.apply {
            _ if !self.bias => {}
            None => sum_columns(g, self.features, units.start, bias),
            Some(apply) => {
                let bias = &mut taken[..units.len()];
                sum_columns(g, self.features, units.start, bias);
                apply(1, units.start, bias);
            }
        }
    }
}

impl BlockGradients for Linear {
    fn block_scratch(&self, node: &Node, _units: usize) -> Option<usize> {
        let [rows, columns] = block(self.features, node.input_shapes()[0].len());
        // The biases follow in the same place.
        Some((rows * columns).max(self.features))
    }

    /// All of them: what all rows share is packed once.
    fn parts_together(&self, _node: &Node, _units: usize) -> usize {
        usize::MAX
    }
}

/// Samples of a batch from which on weights are worth packing for evaluation: of fewer, each is used too seldom.
const PACKED_SAMPLES: usize = 8;
/// The most weights that are: a copy of 16 MB.
const PACKED_WEIGHTS: usize = 1 << 22;
/// Elements of a row of samples that is treated in one go, and the most inputs of one of them.
const ROW: usize = 1 << 17;
const PACKED_INPUTS: usize = ROW / 8;

/// Samples of a row.
fn row(inputs: usize) -> usize {
    (ROW / inputs.max(1)).clamp(1, 128)
}

/// Whether m×n weights may be packed.
fn packs(m: usize, n: usize) -> bool {
    n <= PACKED_INPUTS && m >= GRAIN / 2 && m.saturating_mul(n) <= PACKED_WEIGHTS
}

/// In evaluation weights stay, so that they are packed once. In training the product packs them on the way.
impl Preparation for Linear {
    fn prepared_pieces(&self, node: &Node, packing: &Packing) -> usize {
        let n = node.input_shapes()[0].len();
        let wanted = packing.mode == Mode::Evaluate
            && packing.direction == Direction::Forward
            && packing.channels.is_none()
            && packing.batch >= PACKED_SAMPLES
            && packs(self.features, n);
        if wanted { self.over_row(2, n).packed_pieces::<f32>(Direction::Forward) } else { 0 }
    }

    fn prepared_range(&self, node: &Node, packing: &Packing, pieces: Range<usize>) -> Range<usize> {
        let conv = self.over_row(2, node.input_shapes()[0].len());
        range_of(pieces, |piece| conv.packed_range(packing.direction, piece))
    }

    fn prepare<T: Element>(&self, pass: Prepare<'_, T>) {
        let conv = self.over_row(2, pass.node.input_shapes()[0].len());
        if conv.packed_pieces::<T>(Direction::Forward) > 0 {
            (pass.kernels.conv_pack)(&conv, Direction::Forward, pass.params.get(0), pass.pieces, pass.prepared);
        }
    }
}

/// Output units that stay together: a vector of the widest kind.
const GRAIN: usize = 16;

/// The weights are most of what a few samples read, so they are shared out.
impl Sectioned for Linear {
    fn axis(&self, _: &Node, _: usize) -> Option<Axis> {
        Some(Axis::Channels { grain: GRAIN, least: 1 })
    }

    fn reads_rows(&self, _: &Node, _: Range<usize>) -> Option<Range<usize>> {
        None
    }

    fn section_scratch(&self, node: &Node, _: Section) -> usize {
        node.signature().scratch
    }
}

impl Curvature for Linear {
    fn curvature_scratch(&self, node: &Node) -> usize {
        node.signature().scratch + self.features * node.input_shapes()[0].len()
    }

    fn curvature_input<T: Element>(&self, pass: BackwardInput<'_, T>) {
        let n = pass.node.input_shapes()[0].len();
        let (squared, scratch) = pass.scratch.split_at_mut(n * self.features);
        squares(pass.params.get(0), squared);
        let product = self.product_to_input(pass.samples.len(), pass.share, n, pass.write);
        (pass.kernels.gemm)(&product, pass.output_gradient, squared, pass.input_gradient, scratch);
    }

    fn curvature_params<T: Element>(&self, pass: BackwardParams<'_, T>) {
        let n = pass.node.input_shapes()[0].len();
        let [weight, bias, ..] = pass.gradients;
        weight.fill(T::ZERO);
        for (x, h) in pass.inputs.get(0).chunks_exact(n).zip(pass.output_gradient.chunks_exact(self.features)) {
            for (row, &h) in weight.chunks_exact_mut(n).zip(&h[pass.units.clone()]) {
                row.iter_mut().zip(x).for_each(|(w, &x)| *w += h * x * x);
            }
        }
        if self.bias {
            sum_columns(pass.output_gradient, self.features, pass.units.start, bias);
        }
    }
}

/// sums_j = Σ_rows matrix[row][first + j].
fn sum_columns<T: Element>(matrix: &[T], width: usize, first: usize, sums: &mut [T]) {
    sums.fill(T::ZERO);
    for row in matrix.chunks_exact(width) {
        let row = &row[first..first + sums.len()];
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
    }
}

fn not_flat(shape: Shape) -> String {
    format!("a linear layer takes a vector, not an image of {shape}; put a flatten layer before it")
}
