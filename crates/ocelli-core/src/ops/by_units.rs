//! Ops that can compute some elements of every sample's output, or of its input's gradient, from some of their weights.
//!
//! Where weights are far larger than a batch's activations, reading them is what a pass costs. Cut by samples, every worker
//! reads all of them; cut by units, each reads its own. The plan cuts a pass so where [`ByUnits::units`] says.

use std::ops::Range;

use ocelli_kernels::{Direction, Element, Finish, Gemm, Kernels, Write};

use super::{Linear, Operation, ParamViews};
use crate::arena::Shared;
use crate::graph::Node;

/// The contract of such an op. Both passes treat all samples of the batch in each part.
pub(crate) trait ByUnits: Operation {
    /// How many units the result of a pass has, if it is worth cutting by them in batches of this size.
    fn units(&self, node: &Node, direction: Direction, batch: usize) -> Option<usize>;

    /// Elements of scratch memory that a part needs.
    fn unit_scratch(&self, node: &Node, direction: Direction, batch: usize) -> usize;

    /// Computes some units: the same bits whichever are computed together.
    fn pass_units<T: Element>(&self, pass: UnitPass<'_, T>);
}

/// What a part of such a pass is given.
pub(crate) struct UnitPass<'a, T: Element> {
    /// The node: its shapes and signature.
    pub(crate) node: &'a Node,
    /// The kernels to use.
    pub(crate) kernels: &'static Kernels<T>,
    /// The pass.
    pub(crate) direction: Direction,
    /// Which units are wanted.
    pub(crate) units: Range<usize>,
    /// Samples of a full batch, that the choice of method goes by.
    pub(crate) batch: usize,
    /// The input, or the gradient of the output, for all samples of the batch.
    pub(crate) from: &'a [T],
    /// The parameters.
    pub(crate) params: ParamViews<'a, T>,
    /// Where the units go.
    pub(crate) to: Columns<'a, T>,
    /// Whether to overwrite them or to add to them.
    pub(crate) write: Write,
    /// What to do to the units of a forward pass besides, in place of the ops that follow.
    pub(crate) finish: Finish<'a, T>,
    /// Memory to work in; its content is undefined.
    pub(crate) scratch: &'a mut [T],
}

/// Some columns of a matrix with a row for each sample, of which other parts have other columns.
pub(crate) struct Columns<'a, T> {
    pub(crate) arena: Shared<'a, T>,
    /// Where the matrix starts.
    pub(crate) offset: usize,
    /// Elements of a row.
    pub(crate) width: usize,
}

impl<T: Element> Columns<'_, T> {
    /// Stores rows of the columns from `first` on, `width` each.
    fn store(&self, kernels: &Kernels<T>, rows: &[T], first: usize, width: usize, write: Write) {
        for (sample, row) in rows.chunks_exact(width).enumerate() {
            let start = self.offset + sample * self.width + first;
            let to = self.arena.write(start..start + width);
            match write {
                Write::Set => to.copy_from_slice(row),
                Write::Add => (kernels.accumulate)(row, to),
            }
        }
    }
}

/// Weights from this many elements on do not stay in a core's cache from step to step: 1 MB of f32, with what moves them.
const LARGE: usize = 1 << 18;
/// How many times as large as the activations of a batch they must be, which every worker reads.
const TIMES: usize = 2;
/// Elements of the result that are computed in one go: they stay in the cache.
const BLOCK: usize = 1 << 16;

/// Units that are computed in one go.
fn step(batch: usize) -> usize {
    (BLOCK / batch.max(1)).next_multiple_of(16).max(16)
}

impl ByUnits for Linear {
    fn units(&self, node: &Node, direction: Direction, batch: usize) -> Option<usize> {
        let (m, n) = (self.features, node.input_shapes()[0].len());
        let activations = (m + n).saturating_mul(batch);
        let large = m.saturating_mul(n) >= LARGE.max(activations.saturating_mul(TIMES));
        large.then_some(match direction {
            Direction::Forward => m,
            Direction::BackwardInput => n,
        })
    }

    fn unit_scratch(&self, node: &Node, direction: Direction, batch: usize) -> usize {
        let (m, n) = (self.features, node.input_shapes()[0].len());
        let (all, terms) = if direction == Direction::Forward { (m, n) } else { (n, m) };
        let units = step(batch).min(all);
        units * batch + self.units_product([batch, units, terms], [batch, all], direction, n).scratch::<f32>()
    }

    fn pass_units<T: Element>(&self, pass: UnitPass<'_, T>) {
        let (m, n) = (self.features, pass.node.input_shapes()[0].len());
        let (all, terms) = if pass.direction == Direction::Forward { (m, n) } else { (n, m) };
        let (count, kernels, weights) = (pass.from.len() / terms, pass.kernels, pass.params.get(0));
        let mut first = pass.units.start;
        while first < pass.units.end {
            let units = step(pass.batch).min(pass.units.end - first);
            let (block, scratch) = pass.scratch.split_at_mut(count * units);
            let mut product = self.units_product([count, units, terms], [pass.batch, all], pass.direction, n);
            if self.bias && pass.direction == Direction::Forward {
                let bias = &pass.params.get(1)[first..first + units];
                block.chunks_exact_mut(units).for_each(|row| row.copy_from_slice(bias));
                product.write = Write::Add;
            }
            let start = if pass.direction == Direction::Forward { first * n } else { first };
            (kernels.gemm)(&product, pass.from, &weights[start..], block, scratch);
            if !pass.finish.is_nothing() {
                for (sample, row) in block.chunks_exact_mut(units).enumerate() {
                    (kernels.finish)(&pass.finish.of_columns(sample * all, first..first + units), row);
                }
            }
            pass.to.store(kernels, block, first, units, pass.write);
            first += units;
        }
    }
}

impl Linear {
    /// The product with x, or g, on the left, for weights with rows of `inputs`.
    fn units_product(
        &self,
        [m, n, k]: [usize; 3],
        of: [usize; 2],
        direction: Direction,
        inputs: usize,
    ) -> Gemm {
        let b = if direction == Direction::Forward { [1, inputs] } else { [inputs, 1] };
        Gemm { m, n, k, of, a: [k, 1], b, c_row: n, write: Write::Set }
    }
}
