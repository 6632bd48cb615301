//! Where Winograd's minimal filtering pays, and the room that it needs.

use super::{Correlation, LANES};
use crate::{Conv2d, Direction};

/// Points that a tile of 4×4 inputs, a filter and a tile of 2×2 outputs are evaluated at.
pub(crate) const POINTS: usize = 16;

/// Fewest channels on either side: a vector.
const FEWEST: usize = LANES;
/// Products of a point that pay for the transforms: channels times channels.
const PRODUCTS: usize = 1 << 10;
/// Fewest columns of outputs: of fewer, too much of the tiles is thrown away.
const COLUMNS: usize = 4;
/// Weights up to this many, channels times channels, stay in a core's cache from call to call.
const NEAR: usize = 1 << 14;
/// Tiles of a call that pay for fetching more weights than that.
const TILES: usize = 12;

/// Fewest terms of a weight's gradient: in sums of fewer, what the transforms round outweighs that the sums are shorter.
const PIXELS: usize = 256;

/// Cycles in which a channel of a pixel is transformed, in one direction.
const TRANSFORM: f64 = 1.0;
/// Share of the rate of products that sums over tiles reach: their operands are used once.
const SUMS_RATE: f64 = 0.8;

/// Elements of transformed inputs at a time.
const INPUTS: usize = 3 << 15;
/// Elements of transformed inputs, gradients and sums of the weights' gradient at a time, about each.
const SUMS: usize = 1 << 16;

impl Conv2d {
    /// Whether a pass, forward or to the input, is one of 3×3 windows that tiles of 2×2 outputs save work for.
    ///
    /// Not by the rows of outputs: those of an image may be computed a few at a time, with the same packed weights.
    pub(crate) fn is_for_winograd(&self, direction: Direction) -> bool {
        let columns = match direction {
            Direction::Forward => self.output[1],
            Direction::BackwardInput => self.input[1],
        };
        let tiles = self.samples * columns.div_ceil(2) * columns.div_ceil(2);
        let products = self.group_inputs() * self.group_outputs();
        self.could_be_for_winograd() && columns >= COLUMNS && (products <= NEAR || tiles >= TILES)
    }

    /// Whether the gradient of the weights is.
    pub(crate) fn is_for_winograd_weights(&self) -> bool {
        let [rows, columns, _] = self.output;
        self.could_be_for_winograd()
            && rows.min(columns) >= COLUMNS
            && self.samples * rows * columns >= PIXELS
    }

    /// Whether it may be for some number of samples.
    pub(super) fn could_be_for_winograd(&self) -> bool {
        let [inputs, outputs] = [self.group_inputs(), self.group_outputs()];
        self.kernel == [3, 3]
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
    /// Elements of scratch for a pass: a block of packed weights, and what tiles take.
    pub(super) fn winograd_scratch(&self) -> usize {
        self.columns() * POINTS * self.inputs + self.winograd().scratch()
    }

    /// Elements of 16 columns of packed weights.
    pub(crate) fn winograd_packed(&self) -> usize {
        POINTS * self.inputs * LANES
    }

    /// What the passes forward and to the input treat at a time.
    pub(crate) fn winograd(&self) -> Tiles {
        let row = odd_lines(self.inputs);
        let tiles = (INPUTS / (POINTS * row)).clamp(16, 64);
        Tiles { tiles, row, plane: tiles * row + LANES, inputs: self.inputs }
    }

    /// Cycles for all outputs, at so many multiply-adds a cycle.
    pub(crate) fn winograd_cost(&self, rate: f64) -> f64 {
        let outputs = self.outputs.next_multiple_of(LANES);
        let pixels = self.y.count * self.x.count.next_multiple_of(2);
        let transforms = TRANSFORM * (self.inputs + outputs) as f64;
        pixels as f64 * ((4 * self.inputs * outputs) as f64 / rate + transforms)
    }

    /// Cycles for a pixel's part in the gradient of the weights.
    pub(crate) fn winograd_sums_cost(&self, rate: f64) -> f64 {
        let [inputs, outputs] = [self.inputs, self.outputs].map(|n| n.next_multiple_of(LANES));
        let at = self.winograd_sums();
        let transforms = inputs * outputs.div_ceil(at.outputs) + outputs * inputs.div_ceil(at.inputs);
        (4 * inputs * outputs) as f64 / (SUMS_RATE * rate) + TRANSFORM * transforms as f64
    }

    /// What the gradient of the weights treats at a time.
    pub(crate) fn winograd_sums(&self) -> Sums {
        let side = 64;
        let [inputs, outputs] = [self.inputs, self.outputs].map(|n| n.next_multiple_of(LANES).min(side));
        let tiles = SUMS / (POINTS * side) / 8 * 8;
        Sums { tiles, inputs, outputs }
    }
}

/// Tiles of the passes forward and to the input that are treated at a time, and where what belongs to them lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    pub(crate) tiles: usize,
    /// Elements from one tile's channels to the next's.
    pub(crate) row: usize,
    /// Elements from one point to the next.
    pub(crate) plane: usize,
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
        self.zeros() + POINTS * (self.plane + self.products(super::PANEL.next_multiple_of(2 * LANES)))
    }
}

/// What the gradient of the weights treats at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub(crate) tiles: usize,
    /// Input channels, whole vectors.
    pub(crate) inputs: usize,
    /// Output channels, whole vectors.
    pub(crate) outputs: usize,
}

impl Sums {
    /// Elements from one tile's channels to the next's.
    pub(crate) fn row(channels: usize) -> usize {
        odd_lines(channels)
    }

    /// Elements from one point to the next.
    pub(crate) fn plane(&self, channels: usize) -> usize {
        self.tiles * Sums::row(channels) + LANES
    }

    /// Elements from one point's sums to the next's.
    pub(crate) fn sums(&self) -> usize {
        self.outputs * self.inputs + LANES
    }

    fn scratch(&self) -> usize {
        let transformed = self.plane(self.inputs) + self.plane(self.outputs);
        self.inputs.max(self.outputs) + POINTS * (transformed + self.sums())
    }
}

/// Room for so many elements that is an odd number of cache lines, so that neighbours' lines fall into different sets.
fn odd_lines(elements: usize) -> usize {
    (elements.div_ceil(LANES) | 1) * LANES
}
