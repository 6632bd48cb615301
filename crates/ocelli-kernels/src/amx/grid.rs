//! Products of any size, from tiles: which tiles the micro-kernel takes at a time, and where their sums go.

use std::arch::x86_64::*;

use super::SIDE;
use super::split::lanes;
use super::tile::{Product, Start};
use crate::simd::Avx512;
use crate::simd::finish::Finishing;

/// Numbers of scratch for [`Grid::run`]: the sums of four tiles, and a row of them.
pub(super) const SCRATCH: usize = 4 * SIDE * SIDE + 4 * SIDE;

/// A as the tiles take it; see [`Product`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) at: *const u8,
    pub(super) tile: usize,
    pub(super) row: usize,
    pub(super) part: usize,
    pub(super) offsets: *const u32,
    /// From one group of rows to the next.
    pub(super) group: usize,
}

/// B as the tiles take it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right {
    pub(super) at: *const u8,
    pub(super) tile: usize,
}

/// What the sums start from.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// 0.
    Zero,
    /// A number for each column.
    Row(*const f32),
    /// What is there.
    Destination,
}

/// Where the sums go, which is also where [`From::Destination`] reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// Rows so many numbers apart.
    Rows(*mut f32, usize),
    /// Rows at these places behind the first number.
    Places(*mut f32, *const usize),
    /// Columns so many numbers apart.
    Columns(*mut f32, usize),
}

/// C = start + A·B, `groups`·`m` × `n`, from so many blocks of terms. Each group of m rows starts with a tile of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) left: Left,
    pub(super) right: Right,
    pub(super) blocks: usize,
    pub(super) groups: usize,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) from: From,
    pub(super) to: To,
    /// What is done to the sums; column 0 is its first channel.
    pub(super) finish: Finishing,
    /// [`SCRATCH`] numbers.
    pub(super) scratch: *mut f32,
}

impl Grid {
    /// # Safety
    /// The tiles are configured; the operands are whole tiles that are valid, with every number of A in the rows that C
    /// has and every number of B set; where the sums go is valid for C.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn run<const P: usize>(&self) {
        let (rows, columns) = (self.m.div_ceil(SIDE), self.n.div_ceil(SIDE));
        let (even_rows, even_columns) = (rows & !1, columns & !1);
        // SAFETY: the caller's promise; each tile is computed once.
        unsafe {
            for j in (0..even_columns).step_by(2) {
                for group in 0..self.groups {
                    for i in (0..even_rows).step_by(2) {
                        self.cell::<P>(group, i, j, 2, 2);
                    }
                }
            }
            if rows > even_rows {
                for group in 0..self.groups {
                    for j in (0..columns).step_by(4) {
                        self.cell::<P>(group, even_rows, j, 1, 4.min(columns - j));
                    }
                }
            }
            if columns > even_columns {
                for group in 0..self.groups {
                    for i in (0..even_rows).step_by(4) {
                        self.cell::<P>(group, i, even_columns, 4.min(even_rows - i), 1);
                    }
                }
            }
        }
    }

    /// `rows` × `columns` tiles from tile (i, j) of a group on.
    ///
    /// # Safety
    /// As [`Grid::run`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn cell<const P: usize>(&self, group: usize, i: usize, j: usize, rows: usize, columns: usize) {
        let area = Area {
            row: group * self.m + i * SIDE,
            column: j * SIDE,
            rows: (rows * SIDE).min(self.m - i * SIDE),
            columns: (columns * SIDE).min(self.n - j * SIDE),
        };
        let whole = area.rows == rows * SIDE && area.columns == columns * SIDE;
        let (c, c_row, aside) = match self.to {
            To::Rows(c, row) if whole => (c.wrapping_add(area.row * row + area.column), row * 4, false),
            _ => (self.scratch, columns * 64, true),
        };
        // SAFETY: the caller's promise; the scratch holds four tiles, and a row of their columns behind them.
        unsafe {
            let start = match self.from {
                From::Zero => Start::zero(),
                From::Row(row) if area.columns == columns * SIDE => Start::row(row.add(area.column)),
                From::Row(row) => {
                    let copy = self.scratch.add(4 * SIDE * SIDE);
                    copy.copy_from_nonoverlapping(row.add(area.column), area.columns);
                    Start::row(copy)
                }
                From::Destination => {
                    if aside {
                        self.fetch(&area, columns * SIDE);
                    }
                    Start::there(c, c_row)
                }
            };
            let left = self.left;
            let product = Product {
                a: left.at.add(group * left.group + i * left.tile),
                a_tile: left.tile,
                a_row: left.row,
                a_part: left.part,
                offsets: left.offsets,
                b: self.right.at.add(j * self.right.tile),
                b_tile: self.right.tile,
                blocks: self.blocks,
                start,
                c,
                c_row,
                c_tile: c_row * SIDE,
            };
            // What is only written meanwhile comes near while the product is summed, what is read is called a cell ahead.
            let ahead = if matches!(self.from, From::Destination) { rows * SIDE } else { 0 };
            self.call(&area, ahead);
            product.run::<P>(rows, columns);
            if aside {
                self.put(&area, columns * SIDE);
            }
            if !self.finish.is_nothing() {
                self.finish(&area);
            }
        }
    }

    /// Finishes an area of C.
    ///
    /// # Safety
    /// As [`Grid::run`]; its columns stand as rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn finish(&self, area: &Area) {
        let (at_a_time, step) = match self.to {
            To::Rows(_, step) => (area.rows, step),
            _ => (1, 0),
        };
        for row in (0..area.rows).step_by(at_a_time) {
            // SAFETY: the caller's promise: these are outputs that have just been written.
            unsafe {
                let at = self.row(area.row + row).add(area.column);
                self.finish.rows::<Avx512>(at, at_a_time, step, area.column, area.columns);
            }
        }
    }

    /// Where a row of C starts.
    ///
    /// # Safety
    /// C has the row, and its rows stand as rows.
    #[inline]
    unsafe fn row(&self, row: usize) -> *mut f32 {
        match self.to {
            To::Rows(c, stride) => c.wrapping_add(row * stride),
            // SAFETY: the caller's promise: there is a place for each row.
            To::Places(c, places) => c.wrapping_add(unsafe { *places.add(row) }),
            To::Columns(..) => unreachable!("invariant: its columns stand as rows"),
        }
    }

    /// Has the rows of C that are `ahead` of an area brought near, to be written.
    ///
    /// # Safety
    /// As [`Grid::run`].
    #[inline]
    unsafe fn call(&self, area: &Area, ahead: usize) {
        if matches!(self.to, To::Columns(..)) {
            return;
        }
        let first = area.row + ahead;
        for row in first..(first + area.rows).min(self.groups * self.m) {
            // SAFETY: C has the row.
            let at = unsafe { self.row(row) };
            for column in (0..area.columns).step_by(SIDE) {
                let at = at.wrapping_add(area.column + column);
                // SAFETY: a prefetch changes nothing, wherever it points.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) };
            }
        }
    }

    /// Copies an area of C into the scratch, whose rows are `width` numbers apart.
    ///
    /// # Safety
    /// As [`Grid::run`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn fetch(&self, area: &Area, width: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if let To::Columns(c, column) = self.to {
                for j in 0..area.columns {
                    let c = c.add((area.column + j) * column + area.row);
                    for i in 0..area.rows {
                        *self.scratch.add(i * width + j) = *c.add(i);
                    }
                }
                return;
            }
            for i in 0..area.rows {
                let (c, to) = (self.row(area.row + i).add(area.column), self.scratch.add(i * width));
                for v in (0..area.columns).step_by(SIDE) {
                    _mm512_storeu_ps(to.add(v), _mm512_maskz_loadu_ps(lanes(area.columns - v), c.add(v)));
                }
            }
        }
    }

    /// Copies an area of C from the scratch.
    ///
    /// # Safety
    /// As [`Grid::run`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn put(&self, area: &Area, width: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if let To::Columns(c, column) = self.to {
                return self.put_columns(area, width, c, column);
            }
            for i in 0..area.rows {
                let (c, from) = (self.row(area.row + i).add(area.column), self.scratch.add(i * width));
                for v in (0..area.columns).step_by(SIDE) {
                    _mm512_mask_storeu_ps(c.add(v), lanes(area.columns - v), _mm512_loadu_ps(from.add(v)));
                }
            }
        }
    }

    /// # Safety
    /// As [`Grid::run`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn put_columns(&self, area: &Area, width: usize, c: *mut f32, column: usize) {
        use crate::simd::Simd;
        // SAFETY: the caller's promise; the scratch has whole tiles.
        unsafe {
            for i in (0..area.rows).step_by(SIDE) {
                for j in (0..area.columns).step_by(SIDE) {
                    let mut rows = [_mm512_setzero_ps(); SIDE];
                    for (r, row) in rows.iter_mut().enumerate() {
                        *row = _mm512_loadu_ps(self.scratch.add((i + r) * width + j));
                    }
                    Avx512::transpose(&mut rows);
                    let lanes = lanes(area.rows - i);
                    for (r, row) in rows.iter().enumerate().take(area.columns - j) {
                        let c = c.add((area.column + j + r) * column + area.row + i);
                        _mm512_mask_storeu_ps(c, lanes, *row);
                    }
                }
            }
        }
    }
}

/// A part of C.
struct Area {
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
}
