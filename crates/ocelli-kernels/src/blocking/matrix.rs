//! Blocks for matrix units, and which products and convolutions are worth taking there.
//!
//! The sizes are those of Intel's AMX: tiles of 16 rows by 32 terms of bf16. An operand of `f32` is split into parts of bf16,
//! three for products as exact as those of `f32` and one for products of numbers rounded to bf16, so that it takes 2 bytes a
//! part and number.

use super::{Correlation, share};
use crate::{Conv2d, Direction, Gemm};

/// Rows of a tile.
const SIDE: usize = 16;
/// Terms of a tile.
const BLOCK: usize = 32;
/// Parts that an `f32` is split into, in one table of kernels or another. Plans hold for all of them.
pub(crate) const PARTS: [usize; 2] = [3, 1];
/// The most parts.
const MOST_PARTS: usize = PARTS[0];
/// Bytes of a number in the most parts.
const MOST_BYTES: usize = 2 * MOST_PARTS;
/// Bytes of an operand that many tiles of the other one meet: well within a level-2 cache, with room for the other.
const NEAR: usize = 768 << 10;
/// Bytes of the other operand at a time.
const PASSING: usize = 192 << 10;
/// Terms of a matrix product's sums that are taken at a time: sums that go to memory and back cost as much as some 60 terms.
const DEPTH: usize = 512;
/// Numbers of scratch for sums that are put aside.
pub(crate) const ASIDE: usize = 4 * SIDE * SIDE + 4 * SIDE;

/// Numbers of scratch that any product gets by with.
pub(crate) const MOST: usize = (NEAR + PASSING) / 4 + DEPTH / BLOCK + ASIDE + 2 * SIDE;

/// Multiply-adds per cycle of the vector units, such as they are.
const VECTOR_RATE: f64 = 26.0;
/// Columns of a single image with so few pixels that reading the weights is most of the work: vector units take 4 bytes of
/// each, and matrix units 6 where there are three parts.
const FEW_COLUMNS: usize = 4;
const FEW_COLUMNS_OF_ONE_TAP: usize = 16;

/// Cycles of a core.
struct Cycles {
    /// For a pair of tiles: products of 16 cycles each, six of them where there are three parts.
    tiles: f64,
    /// The same where sums run over pixels: both operands are used for one block of weights alone, and its sums go to memory and
    /// back for each few hundred pixels.
    sums: f64,
    /// For packing a number: as it stands, and where terms and sides must be turned.
    packing: f64,
    turning: f64,
    /// For copying a number from where a tap sees it.
    copying: f64,
    /// For a number that is gathered from a window, and packed.
    gathering: f64,
}

impl Cycles {
    /// Where numbers are split into so many parts.
    fn of(parts: usize) -> Cycles {
        match parts {
            1 => {
                Cycles { tiles: 17.0, sums: 17.0, packing: 0.2, turning: 0.3, copying: 0.05, gathering: 1.6 }
            }
            _ => Cycles {
                tiles: 100.0,
                sums: 185.0,
                packing: 0.35,
                turning: 0.7,
                copying: 0.12,
                gathering: 2.2,
            },
        }
    }
}

/// Blocks of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    /// Terms, whole blocks of tiles.
    pub(crate) depth: usize,
    /// Columns of B.
    pub(crate) width: usize,
    /// Rows of A.
    pub(crate) height: usize,
}

/// The blocks of a product of m × k by k × n, of numbers in so many parts.
pub(crate) fn product(m: usize, n: usize, k: usize, parts: usize) -> Blocks {
    let depth = share(k.max(1), DEPTH).next_multiple_of(BLOCK);
    let fitting = |bytes: usize, least: usize| (bytes / (2 * parts * depth) / least * least).max(least);
    Blocks {
        depth,
        width: fitting(NEAR, 4 * SIDE).min(n.next_multiple_of(SIDE)),
        height: fitting(PASSING, 2 * SIDE).min(m.next_multiple_of(SIDE)),
    }
}

/// Numbers of scratch that a product needs, whichever operand is A and however many parts there are: no less than any with
/// smaller sizes.
pub(crate) fn product_scratch(gemm: &Gemm) -> usize {
    if !has_rows(gemm) {
        return 0;
    }
    let depth = gemm.k.clamp(1, DEPTH).next_multiple_of(BLOCK);
    let operand = |sides: usize, near: usize, least: usize| {
        let all = sides.next_multiple_of(SIDE).saturating_mul(MOST_BYTES * depth);
        all.min(near.max(least * MOST_BYTES * depth))
    };
    let bytes = |m: usize, n: usize| operand(m, PASSING, 2 * SIDE) + operand(n, NEAR, 4 * SIDE);
    bytes(gemm.m, gemm.n).max(bytes(gemm.n, gemm.m)) / 4 + DEPTH / BLOCK + ASIDE + 2 * SIDE
}

/// Whether both operands have rows or columns of contiguous numbers, which vectors can load.
fn has_rows(gemm: &Gemm) -> bool {
    gemm.a.contains(&1) && gemm.b.contains(&1) && gemm.k > 1
}

/// Whether B, transposed, is better taken as A: its terms are contiguous, and A's too and fewer.
pub(crate) fn turns(gemm: &Gemm) -> bool {
    gemm.b[0] == 1 && gemm.a[1] == 1 && gemm.of[1] > gemm.of[0]
}

/// Whether a product is worth taking to the matrix unit, of numbers in so many parts: of fewer ones where of more.
///
/// Goes by the sizes of the whole product that it is a part of; of its rows most callers take several parts in one go.
pub(crate) fn is_worth_it(gemm: &Gemm, parts: usize) -> bool {
    if !has_rows(gemm) || gemm.of.iter().any(|&sides| sides < 4) {
        return false;
    }
    let ([rows, n], k) = (gemm.of, gemm.k);
    let m = 2 * rows;
    let cycles = Cycles::of(parts);
    let cost = |straight: bool| if straight { cycles.packing } else { cycles.turning };
    let (a, b) = if turns(gemm) {
        (cost(gemm.a[1] != 1), cost(gemm.b[0] == 1))
    } else {
        (cost(gemm.a[1] == 1), cost(gemm.b[0] != 1))
    };
    let tiles = (m.div_ceil(SIDE) * n.div_ceil(SIDE)) as f64 * k.div_ceil(BLOCK) as f64;
    let packing = (m as f64 * a + n as f64 * b) * k.next_multiple_of(BLOCK) as f64;
    let matrix = tiles * cycles.tiles + packing + 500.0;
    let vector = m as f64 * n.next_multiple_of(SIDE) as f64 * k as f64 / VECTOR_RATE;
    matrix < vector
}

/// In which order the terms of a convolution's sums come, so that they fill blocks of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) taps: usize,
    pub(crate) inputs: usize,
    /// The terms of all taps follow each other; else slab after slab of channels, in each tap after tap, every tap's
    /// channels filled up with zeros to whole blocks.
    pub(crate) gathered: bool,
}

/// Terms of a slab, about.
const SLAB: usize = 576;
/// The most terms that are gathered.
const GATHERED: usize = 1 << 11;

impl Terms {
    pub(crate) fn of(shape: &Correlation) -> Terms {
        let (taps, inputs) = (shape.y.taps * shape.x.taps, shape.inputs);
        let filled_up = inputs.next_multiple_of(BLOCK);
        let gathered = taps > 1 && (filled_up - inputs) * 8 > inputs && taps * inputs <= GATHERED;
        Terms { taps, inputs, gathered }
    }

    /// Blocks of 32 terms in all.
    pub(crate) fn blocks(&self) -> usize {
        match self.gathered {
            true => (self.taps * self.inputs).div_ceil(BLOCK),
            false => self.taps * self.inputs.div_ceil(BLOCK),
        }
    }

    /// Channels of a slab: whole blocks, or all of them.
    pub(crate) fn slab(&self) -> usize {
        match self.gathered {
            true => self.inputs,
            false => (SLAB / self.taps / BLOCK * BLOCK).max(BLOCK).min(self.inputs),
        }
    }

    /// Blocks of a slab of so many channels.
    pub(crate) fn slab_blocks(&self, channels: usize) -> usize {
        match self.gathered {
            true => self.blocks(),
            false => self.taps * channels.div_ceil(BLOCK),
        }
    }
}

/// Some of a batch's pixels: whole samples, or some rows of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) samples: usize,
    pub(crate) rows: usize,
}

impl Correlation {
    /// What is treated at a time where a pixel takes so many bytes.
    fn unit(&self, bytes: usize) -> Unit {
        let (per_row, rows) = (self.x.count.max(1), self.y.count.max(1));
        let pixels = (NEAR / bytes.max(1)).clamp(2 * SIDE, 1 << 11);
        if per_row * rows <= pixels {
            Unit { samples: pixels / (per_row * rows), rows }
        } else {
            Unit { samples: 1, rows: (pixels / per_row).clamp(1, rows) }
        }
    }

    /// What the forward direction treats at a time, of so many samples in so many parts.
    pub(crate) fn matrix_unit(&self, samples: usize, parts: usize) -> Unit {
        let terms = Terms::of(self);
        let unit = self.unit(terms.slab_blocks(terms.slab()) * BLOCK * 2 * parts);
        Unit { samples: unit.samples.min(samples.max(1)), ..unit }
    }

    /// What the gradient of the weights treats at a time, of so many samples in so many parts.
    pub(crate) fn matrix_weights_unit(&self, samples: usize, parts: usize) -> Unit {
        // Gathered rows are numbers of `f32` until they are split, so that fewer parts make no room for more of them.
        let parts = if Terms::of(self).gathered { MOST_PARTS } else { parts };
        let unit = self.unit(self.outputs.min(WEIGHT_ROWS).next_multiple_of(SIDE) * 2 * parts);
        Unit { samples: unit.samples.min(samples.max(1)), ..unit }
    }

    /// Numbers of scratch of one slab of a unit: its window in parts, rows of terms, and tables.
    pub(crate) fn matrix_scratch(&self, samples: usize, parts: usize) -> usize {
        let terms = Terms::of(self);
        let unit = self.matrix_unit(samples, parts);
        let pixels = (unit.samples * unit.rows * self.x.count).next_multiple_of(SIDE);
        let blocks = terms.slab_blocks(terms.slab());
        let window = if terms.gathered {
            self.window(unit.rows).saturating_mul(unit.samples).saturating_add(SIDE * blocks * BLOCK + SIDE)
        } else if terms.taps > 1 {
            let channels = terms.slab().next_multiple_of(BLOCK);
            let window = self.y.reach(unit.rows).saturating_mul(self.x.reach(self.x.count));
            let copies = window.saturating_mul(unit.samples);
            let lines = self.y.step.saturating_mul(shifts::rows(self, unit.rows));
            let shifted = self.x.taps.saturating_mul(lines).saturating_mul(unit.samples);
            let shifted = shifted.saturating_mul(self.x.count).saturating_add(SIDE);
            copies.max(shifted).saturating_mul(channels * parts / 2)
        } else {
            0
        };
        // Rows of terms; offsets of blocks in a row and in the window; places of pixels, of 8 bytes.
        let rows = pixels.saturating_mul(blocks * BLOCK * parts / 2);
        window
            .saturating_add(rows)
            .saturating_add(2 * blocks.next_multiple_of(SIDE) + 2 * pixels + ASIDE + 6 * SIDE)
    }

    /// Numbers of scratch for the gradient of the weights.
    pub(crate) fn matrix_weights_scratch(&self, samples: usize, parts: usize) -> usize {
        let terms = Terms::of(self);
        let unit = self.matrix_weights_unit(samples, parts);
        let pixels = (unit.samples * unit.rows * self.x.count).next_multiple_of(BLOCK);
        let gathered = if terms.gathered {
            let columns = (terms.taps * terms.inputs).next_multiple_of(SIDE);
            let rows = pixels.saturating_mul(columns) + SIDE;
            self.window(unit.rows).saturating_mul(unit.samples).saturating_add(rows)
        } else {
            0
        };
        let left = pixels * self.outputs.min(WEIGHT_ROWS).next_multiple_of(SIDE) * parts / 2;
        let right = pixels * WEIGHT_COLUMNS * parts / 2;
        let tables = pixels.div_ceil(BLOCK).next_multiple_of(SIDE) + 2 * pixels;
        gathered.saturating_add(left + right + tables + ASIDE + WEIGHT_COLUMNS + 6 * SIDE)
    }
}

/// Images shifted by the columns of taps.
pub(crate) mod shifts {
    use super::{Correlation, SIDE};

    /// Whether so many pixels of a sample fill tiles well enough.
    pub(crate) fn suit(pixels: usize) -> bool {
        pixels.next_multiple_of(SIDE) * 8 <= pixels * 9
    }

    /// Rows of each remainder by the stride that `rows` rows of outputs see.
    pub(crate) fn rows(shape: &Correlation, rows: usize) -> usize {
        shape.y.reach(rows).div_ceil(shape.y.step)
    }
}

/// Output channels whose gradients of the weights are summed at a time.
pub(crate) const WEIGHT_ROWS: usize = 256;
/// Weights of an output channel that are summed at a time.
pub(crate) const WEIGHT_COLUMNS: usize = 4 * SIDE;

impl Conv2d {
    /// Whether a pass, forward or to the input, is worth taking to the matrix unit, of numbers in so many parts.
    pub(crate) fn is_for_matrix(&self, direction: Direction, parts: usize) -> bool {
        if self.is_depthwise()
            || self.is_dense()
            || (direction == Direction::BackwardInput && self.is_narrow())
        {
            return false;
        }
        // Not by the rows of outputs: those of an image may be computed a few at a time, with the same packed weights.
        let few = if self.kernel == [1, 1] { FEW_COLUMNS_OF_ONE_TAP } else { FEW_COLUMNS };
        if parts > 1 && self.samples == 1 && self.output[1] <= few {
            return false;
        }
        let [mut matrix, mut vector] = [0.0; 2];
        for (_, shape) in self.phases(direction) {
            if shape.outputs < SIDE / 2 {
                return false;
            }
            let [a, b] = shape.matrix_costs(parts);
            let filtered = parts > 1 && self.is_for_winograd(direction);
            let b = if filtered { shape.winograd_cost(VECTOR_RATE) } else { b };
            (matrix, vector) = (matrix + a, vector + b);
        }
        matrix < vector
    }

    /// Whether the gradient of the weights is worth taking to the matrix unit, of numbers in so many parts.
    pub(crate) fn is_for_matrix_weights(&self, parts: usize) -> bool {
        if self.is_depthwise() || self.is_dense() || self.group_outputs() < SIDE / 2 {
            return false;
        }
        let shape = self.correlation();
        let (terms, all, cycles) = (shape.terms(), shape.outputs, Cycles::of(parts));
        let tiles = (terms.div_ceil(SIDE) * all.div_ceil(SIDE)) as f64 / BLOCK as f64;
        let passes = all.div_ceil(WEIGHT_ROWS) as f64;
        let packing = passes * cycles.packing * terms as f64 + cycles.turning * all as f64;
        let gathering = if Terms::of(&shape).gathered { cycles.gathering * terms as f64 } else { 0.0 };
        let vector = match parts > 1 && self.is_for_winograd_weights() {
            true => shape.winograd_sums_cost(VECTOR_RATE),
            false => terms as f64 * all.next_multiple_of(SIDE) as f64 / VECTOR_RATE,
        };
        tiles * cycles.sums + packing + gathering < vector
    }
}

impl Correlation {
    /// Cycles for a row and column of outputs in the matrix unit and in vectors.
    fn matrix_costs(&self, parts: usize) -> [f64; 2] {
        let (terms, cycles) = (Terms::of(self), Cycles::of(parts));
        let depth = (terms.blocks() * BLOCK) as f64;
        let pixels = (self.y.count * self.x.count) as f64;
        let columns = self.outputs.div_ceil(SIDE);
        let packing = match (terms.gathered, terms.taps) {
            (true, _) => cycles.gathering,
            (_, 1) => cycles.packing,
            _ => cycles.copying,
        };
        let split = if terms.taps > 1 && !terms.gathered { self.inputs as f64 * cycles.packing } else { 0.0 };
        let tiles = columns as f64 * depth / (SIDE * BLOCK) as f64;
        let matrix = tiles * cycles.tiles + packing * depth + split;
        let vector = (columns * SIDE) as f64 * self.terms() as f64 / VECTOR_RATE;
        [pixels * matrix, pixels * vector]
    }

    /// Numbers of `f32` whose room 16 columns of packed weights take in so many parts.
    pub(crate) fn matrix_packed(&self, parts: usize) -> usize {
        Terms::of(self).blocks() * BLOCK * SIDE * parts / 2
    }
}
