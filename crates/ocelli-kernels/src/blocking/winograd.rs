//! Where Winograd's minimal filtering pays, and the room that it needs.

use super::{Correlation, LANES};
use crate::{Conv2d, Direction};

/// Points along each axis at which a tile of 2×2 outputs is evaluated: −1, 0, 1 and ∞.
pub(crate) const SIDE: usize = 4;

/// Taps along an axis that share their points: the first three of a window, or two more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// The first tap.
    pub(crate) tap: usize,
    pub(crate) taps: usize,
    /// The first of its points, of which there is one more than taps: among those of all pieces.
    pub(crate) point: usize,
}

/// Points from one piece's 0, 1 or ∞ to the next one's.
pub(crate) const NEXT: usize = SIDE - 1;

/// The pieces of an odd number of taps.
pub(crate) fn pieces(taps: usize) -> impl Iterator<Item = Piece> {
    let first = Piece { tap: 0, taps: 3, point: 0 };
    let others = (1..taps / 2).map(|i| Piece { tap: 1 + 2 * i, taps: 2, point: 1 + NEXT * i });
    std::iter::once(first).chain(others)
}

/// Points of all pieces along an axis of so many taps.
pub(crate) const fn points(taps: usize) -> usize {
    SIDE + NEXT * (taps / 2 - 1)
}

/// Fewest channels on either side: a vector.
const FEWEST: usize = LANES;
/// Products of a point that pay for the transforms: channels times channels.
const PRODUCTS: usize = 1 << 10;
/// Fewest columns of outputs: of fewer, too much of the tiles is thrown away.
const COLUMNS: usize = 4;
/// Weights up to this many, at all points, stay in a core's cache from call to call.
const NEAR: usize = 1 << 18;
/// Tiles of a call that pay for fetching more weights than that.
const TILES: usize = 12;

/// Fewest terms of a weight's gradient for each tap along an axis and one more: in sums of fewer, what the transforms round outweighs
/// that the sums are shorter.
const PIXELS: usize = 64;

/// Cycles in which a channel of a pixel is transformed, in one direction.
const TRANSFORM: f64 = 1.0;
/// Share of the rate of products that sums over tiles reach: their operands are used once.
const SUMS_RATE: f64 = 0.8;

/// Terms of a word of operands, in one table of kernels or another. Plans hold for all of them.
const TERMS: [usize; 2] = [1, 2];

/// Elements of transformed inputs at a time.
const INPUTS: usize = 3 << 15;
/// Elements of transformed inputs, gradients and sums of the weights' gradient at a time, about each.
const SUMS: usize = 1 << 16;

impl Conv2d {
    /// Whether a pass, forward or to the input, is one of windows that tiles of 2×2 outputs save work for.
    ///
    /// Not by the rows of outputs: those of an image may be computed a few at a time, with the same packed weights.
    pub(crate) fn is_for_winograd(&self, direction: Direction) -> bool {
        let columns = match direction {
            Direction::Forward => self.output[1],
            Direction::BackwardInput => self.input[1],
        };
        let tiles = self.samples.saturating_mul(columns.div_ceil(2) * columns.div_ceil(2));
        self.could_be_for_winograd()
            && columns >= COLUMNS
            && (tiles >= TILES
                || self.correlation().points() * self.group_inputs() * self.group_outputs() <= NEAR)
    }

    /// Whether the gradient of the weights is.
    pub(crate) fn is_for_winograd_weights(&self) -> bool {
        let [rows, columns, _] = self.output;
        self.could_be_for_winograd()
            && self.samples.saturating_mul(rows * columns)
                >= PIXELS * (self.kernel[0].max(self.kernel[1]) + 1)
            && (0..2).all(|axis| self.has_terms_for_all_taps(axis))
    }

    /// Whether every tap sees the image at a good part of the outputs: sums with few terms have the errors of their
    /// neighbours' many.
    fn has_terms_for_all_taps(&self, axis: usize) -> bool {
        let [input, output, taps] = [self.input[axis], self.output[axis], self.kernel[axis]];
        let before = self.padding[axis];
        let after = (output + taps - 1).saturating_sub(input + before);
        output > taps && before.max(after) <= taps / 2
    }

    /// Whether it may be for some number of samples.
    pub(super) fn could_be_for_winograd(&self) -> bool {
        let [inputs, outputs] = [self.group_inputs(), self.group_outputs()];
        self.kernel.iter().all(|taps| [3, 5, 7].contains(taps))
            && self.stride == [1, 1]
            && self.dilation == [1, 1]
            && !self.is_dense()
            && inputs.min(outputs) >= FEWEST
            && inputs * outputs >= PRODUCTS
    }

    /// Elements of scratch that any pass needs, of any number of samples.
    pub(crate) fn winograd_scratch(&self) -> usize {
        if !self.could_be_for_winograd() {
            return 0;
        }
        let passes = [Direction::Forward, Direction::BackwardInput].into_iter();
        let passes =
            passes.flat_map(|direction| self.phases(direction)).map(|(_, shape)| shape.winograd_scratch());
        passes.max().unwrap_or(0).max(self.correlation().winograd_sums().scratch())
    }
}

impl Correlation {
    /// Points at which inputs and weights are evaluated.
    pub(crate) fn points(&self) -> usize {
        points(self.y.taps) * points(self.x.taps)
    }

    /// Elements of scratch for a pass: a block of packed weights, and what tiles take.
    pub(super) fn winograd_scratch(&self) -> usize {
        let tiles = TERMS.map(|terms| self.winograd(terms).scratch());
        self.columns() * self.points() * self.inputs + tiles[0].max(tiles[1])
    }

    /// Elements of 16 columns of packed weights.
    pub(crate) fn winograd_packed(&self) -> usize {
        self.points() * self.inputs * LANES
    }

    /// What the passes forward and to the input treat at a time, in words of so many terms.
    pub(crate) fn winograd(&self, terms: usize) -> Tiles {
        let row = odd_lines(self.inputs.div_ceil(terms));
        let tiles = (INPUTS / (self.points() * row)).clamp(16, 64);
        Tiles { tiles, row, plane: tiles * row + LANES, points: self.points(), inputs: self.inputs }
    }

    /// Cycles for all outputs, at so many multiply-adds a cycle.
    pub(crate) fn winograd_cost(&self, rate: f64) -> f64 {
        let outputs = self.outputs.next_multiple_of(LANES);
        let pixels = self.y.count * self.x.count.next_multiple_of(2);
        let share = self.points() as f64 / (SIDE * SIDE) as f64;
        let transforms = TRANSFORM * (share * self.inputs as f64 + outputs as f64);
        pixels as f64 * (share * (4 * self.inputs * outputs) as f64 / rate + transforms)
    }

    /// Cycles for a pixel's part in the gradient of the weights.
    pub(crate) fn winograd_sums_cost(&self, rate: f64) -> f64 {
        let [inputs, outputs] = [self.inputs, self.outputs].map(|n| n.next_multiple_of(LANES));
        let at = self.winograd_sums();
        let transforms = inputs * outputs.div_ceil(at.outputs) + outputs * inputs.div_ceil(at.inputs);
        let share = self.points() as f64 / (SIDE * SIDE) as f64;
        share * ((4 * inputs * outputs) as f64 / (SUMS_RATE * rate) + TRANSFORM * transforms as f64)
    }

    /// What the gradient of the weights treats at a time.
    pub(crate) fn winograd_sums(&self) -> Sums {
        let side = 64;
        let [inputs, outputs] = [self.inputs, self.outputs].map(|n| n.next_multiple_of(LANES).min(side));
        let words = SUMS / (SIDE * SIDE * side) / 8 * 8;
        Sums { words, inputs, outputs }
    }
}

/// Tiles of the passes forward and to the input that are treated at a time, and where what belongs to them lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    pub(crate) tiles: usize,
    /// Elements from one tile's words of channels to the next's.
    pub(crate) row: usize,
    /// Elements from one point to the next.
    pub(crate) plane: usize,
    points: usize,
    inputs: usize,
}

impl Tiles {
    /// Elements of zeros that stand for pixels outside of the image.
    pub(crate) fn zeros(&self) -> usize {
        self.inputs.next_multiple_of(LANES)
    }

    /// Elements from one point's products to the next's, of so many columns.
    pub(crate) fn products(&self, columns: usize) -> usize {
        self.tiles * columns + LANES
    }

    fn scratch(&self) -> usize {
        let products = self.products(super::PANEL.next_multiple_of(2 * LANES));
        self.zeros() + self.points * self.plane + SIDE * SIDE * products
    }
}

/// What the gradient of the weights treats at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    /// Words of neighbouring tiles.
    pub(crate) words: usize,
    /// Input channels, whole vectors.
    pub(crate) inputs: usize,
    /// Output channels, whole vectors.
    pub(crate) outputs: usize,
}

impl Sums {
    /// Elements from one word of tiles' channels to the next's.
    pub(crate) fn row(channels: usize) -> usize {
        odd_lines(channels)
    }

    /// Elements from one point to the next.
    pub(crate) fn plane(&self, channels: usize) -> usize {
        self.words * Sums::row(channels) + LANES
    }

    /// Elements from one point's sums to the next's.
    pub(crate) fn sums(&self) -> usize {
        self.outputs * self.inputs + LANES
    }

    fn scratch(&self) -> usize {
        let transformed = self.plane(self.inputs) + self.plane(self.outputs);
        self.inputs.max(self.outputs) + SIDE * SIDE * (transformed + self.sums())
    }
}

/// Room for so many elements that is an odd number of cache lines, so that neighbours' lines fall into different sets.
fn odd_lines(elements: usize) -> usize {
    (elements.div_ceil(LANES) | 1) * LANES
}
