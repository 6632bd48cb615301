//! The matrix product in matrix units.

use super::grid::{self, From, Grid, Left, Right, To};
use super::unit::Tiles;
use super::{BLOCK, SIDE, TILE, split};
use crate::blocking::matrix;
use crate::simd::finish::Finishing;
use crate::{Gemm, Write};

/// An operand of the product, as it stands in memory.
#[derive(Clone, Copy)]
struct Operand {
    at: *const f32,
    /// From one row of A, or column of B, to the next.
    side: usize,
    /// From one term to the next.
    term: usize,
}

/// # Safety
/// There is a matrix unit; a, b and c are valid for what [`Gemm`] reaches, and scratch for [`Gemm::scratch`] less the
/// alignment. The operands have rows or columns of contiguous numbers (`matrix::is_worth_it`).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn run<const P: usize>(
    gemm: &Gemm,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    scratch: *mut f32,
) {
    let a = Operand { at: a, side: gemm.a[0], term: gemm.a[1] };
    let b = Operand { at: b, side: gemm.b[1], term: gemm.b[0] };
    // Rows of terms are cheaper to take as A than as B, which the smaller one then is.
    let turned = matrix::turns(gemm);
    let (left, right) = if turned { (b, a) } else { (a, b) };
    let (m, n) = if turned { (gemm.n, gemm.m) } else { (gemm.m, gemm.n) };
    let blocks = matrix::product(m, n, gemm.k, P);
    let tile = blocks.depth / BLOCK * P * TILE;
    let bytes: *mut u8 = scratch.cast();
    let packed_left = bytes;
    let packed_right = packed_left.wrapping_add(blocks.height.div_ceil(SIDE) * tile);
    let offsets: *mut u32 = packed_right.wrapping_add(blocks.width.div_ceil(SIDE) * tile).cast();
    let aside: *mut f32 = offsets.wrapping_add((blocks.depth / BLOCK).next_multiple_of(SIDE)).cast();
    // SAFETY: the caller's promise; the scratch holds a block of each operand, an offset for each block of terms, and the
    // sums that are put aside.
    unsafe {
        let _tiles = Tiles::new();
        for block in 0..blocks.depth / BLOCK {
            *offsets.add(block) = (block * P * TILE) as u32;
        }
        for depth in (0..gemm.k).step_by(blocks.depth) {
            let terms = blocks.depth.min(gemm.k - depth);
            let from = if depth == 0 && gemm.write == Write::Set { From::Zero } else { From::Destination };
            for column in (0..n).step_by(blocks.width) {
                let columns = blocks.width.min(n - column);
                right.pack_right::<P>(column, columns, depth, terms, packed_right, tile);
                for row in (0..m).step_by(blocks.height) {
                    let rows = blocks.height.min(m - row);
                    left.pack_left::<P>(row, rows, depth, terms, packed_left, tile);
                    let to = if turned {
                        To::Columns(c.add(column * gemm.c_row + row), gemm.c_row)
                    } else {
                        To::Rows(c.add(row * gemm.c_row + column), gemm.c_row)
                    };
                    let grid = Grid {
                        left: Left { at: packed_left, tile, row: 64, part: TILE, offsets, group: 0 },
                        right: Right { at: packed_right, tile },
                        blocks: terms.div_ceil(BLOCK),
                        groups: 1,
                        m: rows,
                        n: columns,
                        from,
                        to,
                        finish: Finishing::NOTHING,
                        scratch: aside,
                    };
                    grid.run::<P>();
                }
            }
        }
    }
}

/// Numbers of scratch that [`grid`] and the offsets need besides the operands: what `matrix::product_scratch` counts.
const _: () = assert!(grid::SCRATCH <= matrix::ASIDE);

impl Operand {
    /// Packs some rows of A: tiles of row-tile i from i·`tile` bytes on, block after block of terms.
    ///
    /// # Safety
    /// The operand is valid for the rows and terms, `to` for their tiles.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn pack_left<const P: usize>(
        &self,
        row: usize,
        rows: usize,
        depth: usize,
        terms: usize,
        to: *mut u8,
        tile: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.pack::<P>(self.term == 1, row, rows, depth, terms, to, tile) }
    }

    /// The same for columns of B.
    ///
    /// # Safety
    /// As [`Operand::pack_left`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn pack_right<const P: usize>(
        &self,
        column: usize,
        columns: usize,
        depth: usize,
        terms: usize,
        to: *mut u8,
        tile: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.pack::<P>(self.term != 1, column, columns, depth, terms, to, tile) }
    }

    /// Packs sides (rows of A, columns of B), which need to be turned unless they are `straight`.
    ///
    /// # Safety
    /// As [`Operand::pack_left`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn pack<const P: usize>(
        &self,
        straight: bool,
        side: usize,
        sides: usize,
        depth: usize,
        terms: usize,
        to: *mut u8,
        tile: usize,
    ) {
        let from = self.at.wrapping_add(side * self.side + depth * self.term);
        let blocks = terms.div_ceil(BLOCK);
        // SAFETY: the caller's promise, for these sides and terms. Either way what stands side by side is read in one go.
        unsafe {
            if self.term == 1 {
                for i in (0..sides).step_by(SIDE) {
                    let to = to.add(i / SIDE * tile);
                    split::rows::<P>(from.add(i * self.side), self.side, SIDE.min(sides - i), terms, to);
                }
            } else {
                for block in 0..blocks {
                    let from = from.add(block * BLOCK * self.term);
                    let terms = BLOCK.min(terms - block * BLOCK);
                    let row = |t: usize| from.wrapping_add(t * self.term);
                    split::pairs::<P>(row, terms, sides, to.add(block * P * TILE), tile);
                }
            }
            if !straight {
                for i in 0..sides.div_ceil(SIDE) {
                    split::turn(to.add(i * tile), blocks * P);
                }
            }
        }
    }
}
