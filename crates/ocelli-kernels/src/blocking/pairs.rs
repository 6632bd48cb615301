//! Which products and convolutions are worth computing in pairs of bf16 in vector registers: each takes half of the
//! multiply-adds, and all operands have to be rounded and packed first. Winograd's filtering, which rounds what it multiplies, is
//! worth it wherever it is worth it of numbers.

use super::{Correlation, LANES};
use crate::{Conv2d, Direction, Gemm};

/// Sums of fewer terms are left to `f32`.
const LEAST_TERMS: usize = 16;
/// Rows of a whole product, of which most callers take several parts in one go.
const LEAST_ROWS: usize = 4;
/// Rows that each packed number must be multiplied with at least.
const LEAST_USES: usize = 2 * LANES;

/// Whether a product is worth it. Both operands need rows or columns of contiguous numbers.
pub(crate) fn is_worth_it(gemm: &Gemm) -> bool {
    let contiguous = gemm.a.contains(&1) && gemm.b.contains(&1);
    contiguous && gemm.of[0] >= LEAST_ROWS && gemm.of[1] >= LEAST_USES && gemm.k >= LEAST_TERMS
}

impl Conv2d {
    /// Whether a pass, forward or to the input, is worth it. Pairs are those of neighbouring channels.
    pub(crate) fn is_for_pairs(&self, direction: Direction) -> bool {
        self.is_for_winograd(direction) || self.is_for_direct_pairs(direction)
    }

    fn is_for_direct_pairs(&self, direction: Direction) -> bool {
        let [inputs, outputs] = match direction {
            Direction::Forward => [self.group_inputs(), self.group_outputs()],
            Direction::BackwardInput => [self.group_outputs(), self.group_inputs()],
        };
        let special = self.is_depthwise()
            || self.is_dense()
            || match direction {
                Direction::Forward => self.widening(LANES) > 1,
                Direction::BackwardInput => self.is_narrow(),
            };
        !special && inputs.is_multiple_of(2) && inputs >= LEAST_TERMS / 2 && outputs >= LANES
    }

    /// Whether the gradient of the weights is worth it. Pairs are those of neighbouring pixels of a row, or of neighbouring tiles.
    pub(crate) fn is_for_pairs_weights(&self) -> bool {
        self.is_for_winograd_weights() || self.is_for_direct_pairs_weights()
    }

    /// Whether it is, without Winograd's filtering.
    pub(crate) fn is_for_direct_pairs_weights(&self) -> bool {
        let special =
            self.is_depthwise() || self.is_dense() || self.has_short_runs() || self.is_for_winograd_weights();
        !special && self.group_outputs() >= LANES && self.output[1] >= 2
    }
}

impl Correlation {
    /// Elements of scratch for the gradient of the weights: a window, its words, and those of the output's gradient.
    pub(crate) fn pairs_weights_scratch(&self) -> usize {
        let (samples, rows) = (self.samples(), self.rows());
        let window = self.window(rows).saturating_mul(2 * samples);
        window.saturating_add(samples * rows * self.x.count.div_ceil(2) * self.outputs)
    }
}
