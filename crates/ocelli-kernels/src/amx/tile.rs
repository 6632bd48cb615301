//! The micro-kernel: some tiles of a product that stay in the matrix unit while it sums.

use std::arch::asm;

use super::{SIDE, TILE};
use crate::random::Key;

/// What one call computes: rows × columns of tiles of C, from so many blocks of terms.
///
/// Part p of block k of A's tile i is at `a` + i·`a_tile` + p·`a_part` + `offsets[k]`, its rows `a_row` bytes apart; that
/// of B's tile j at `b` + j·`b_tile` + (k·P + p)·1024, as it is. The sums start from what is at `start`, and end at `c`,
/// whose tiles in a row follow each other.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Product {
    pub(super) a: *const u8,
    pub(super) a_tile: usize,
    pub(super) a_row: usize,
    pub(super) a_part: usize,
    pub(super) offsets: *const u32,
    pub(super) b: *const u8,
    pub(super) b_tile: usize,
    pub(super) blocks: usize,
    pub(super) start: Start,
    pub(super) c: *mut f32,
    /// Bytes from one row of C to the next.
    pub(super) c_row: usize,
    pub(super) c_tile: usize,
}

/// What sums start from, in bytes: tile (i, j) from `at` + i·`tile` + j·`column`, its rows `row` bytes apart.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Start {
    pub(super) at: *const f32,
    pub(super) row: usize,
    pub(super) tile: usize,
    pub(super) column: usize,
}

#[repr(align(64))]
struct Zeros([f32; SIDE]);
static ZEROS: Zeros = Zeros([0.0; SIDE]);

impl Start {
    /// 0 everywhere.
    pub(super) fn zero() -> Start {
        Start { at: ZEROS.0.as_ptr(), row: 0, tile: 0, column: 0 }
    }

    /// The same row of C's columns everywhere.
    pub(super) fn row(row: *const f32) -> Start {
        Start { at: row, row: 0, tile: 0, column: 64 }
    }

    /// What stands in C.
    pub(super) fn there(c: *const f32, row: usize) -> Start {
        Start { at: c, row, tile: row * SIDE, column: 64 }
    }
}

impl Product {
    /// # Safety
    /// The tiles are configured, and every byte that the fields name is valid. P is 1 or 3; rows·columns is at most 4, and
    /// either is 1 or both are 2.
    #[inline]
    pub(super) unsafe fn run<const P: usize>(&self, rows: usize, columns: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match (P, rows, columns) {
                (3, 2, 2) => square_3(self),
                (1, 2, 2) => square_1(self),
                (3, 1, 1) => flat_3_1(self),
                (3, 1, 2) => flat_3_2(self),
                (3, 1, 3) => flat_3_3(self),
                (3, 1, 4) => flat_3_4(self),
                (1, 1, 1) => flat_1_1(self),
                (1, 1, 2) => flat_1_2(self),
                (1, 1, 3) => flat_1_3(self),
                (1, 1, 4) => flat_1_4(self),
                (3, 2, 1) => tall_3_2(self),
                (3, 3, 1) => tall_3_3(self),
                (3, 4, 1) => tall_3_4(self),
                (1, 2, 1) => tall_1_2(self),
                (1, 3, 1) => tall_1_3(self),
                (1, 4, 1) => tall_1_4(self),
                _ => unreachable!("invariant: {rows} by {columns} tiles of {P} parts fit in the unit"),
            }
        }
    }
}

/// A function of one block of assembly over a [`Product`] in rdi. Registers in the loop: rax A's first tile of the block,
/// r10 its other tiles, rsi the bytes between A's parts, rdx those between its rows, r9 the offsets, r8 the blocks left,
/// rcx = 64, r11 to r15 B's tiles.
macro_rules! kernel {
    ($name:ident: $($template:expr),* $(,)?) => {
        /// # Safety
        /// As [`Product::run`].
        unsafe fn $name(product: &Product) {
            // SAFETY: the caller's promise. Tiles are used by nothing but such blocks, each of which starts from none.
            unsafe {
                asm!(
                    $($template,)*
                    in("rdi") product,
                    out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("r8") _, out("r9") _, out("r10") _,
                    out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

// Offsets of the fields.
macro_rules! load_operands {
    () => {
        "
    mov rdx, [rdi + 16]
    mov rsi, [rdi + 24]
    mov r9, [rdi + 32]
    mov r11, [rdi + 40]
    mov rax, [rdi + 48]
    lea r12, [r11 + rax]
    lea r13, [r12 + rax]
    lea r14, [r13 + rax]
    mov r8, [rdi + 56]
    mov ecx, 64
    test r8, r8
    jz 3f
    2:
    mov eax, [r9]
    add r9, 4
    add rax, [rdi]
"
    };
}

/// The end of the loop: B's tiles move on by the parts of a block.
macro_rules! repeat {
    ($bytes:literal) => {
        concat!(
            "
    add r11, ",
            $bytes,
            "
    add r12, ",
            $bytes,
            "
    add r13, ",
            $bytes,
            "
    add r14, ",
            $bytes,
            "
    dec r8
    jnz 2b
    3:
"
        )
    };
}

macro_rules! a {
    ($tile:literal, $at:literal) => {
        concat!("tileloadd tmm", $tile, ", [", $at, " + rdx*1]\n")
    };
}
macro_rules! b {
    ($tile:literal, $at:literal, $part:literal) => {
        concat!("tileloadd tmm", $tile, ", [", $at, " + rcx*1 + ", $part, "*1024]\n")
    };
}
macro_rules! dot {
    ($c:literal, $a:literal, $b:literal) => {
        concat!("tdpbf16ps tmm", $c, ", tmm", $a, ", tmm", $b, "\n")
    };
}

/// Loads the sums of a square of tiles.
macro_rules! start_square {
    () => {
        "
    mov rax, [rdi + 64]
    mov rcx, [rdi + 72]
    mov rdx, [rdi + 80]
    mov rsi, [rdi + 88]
    add rdx, rax
    tileloadd tmm0, [rax + rcx*1]
    tileloadd tmm2, [rdx + rcx*1]
    add rax, rsi
    add rdx, rsi
    tileloadd tmm1, [rax + rcx*1]
    tileloadd tmm3, [rdx + rcx*1]
"
    };
}
macro_rules! store_square {
    () => {
        "
    mov rax, [rdi + 96]
    mov rcx, [rdi + 104]
    mov rdx, [rdi + 112]
    add rdx, rax
    tilestored [rax + rcx*1], tmm0
    tilestored [rax + rcx*1 + 64], tmm1
    tilestored [rdx + rcx*1], tmm2
    tilestored [rdx + rcx*1 + 64], tmm3
"
    };
}

/// Brings a sixth of the next block of two of B's tiles near.
macro_rules! ahead { ($($line:literal)*) => { concat!($("prefetcht0 [r11 + 3072 + ", $line, "*64]\nprefetcht0 [r12 + 3072 + ", $line, "*64]\n",)*) } }

/// The products of one part of A with one of B, of a square of tiles.
macro_rules! dots_square {
    () => {
        concat!(dot!(0, 4, 6), dot!(1, 4, 7), dot!(2, 5, 6), dot!(3, 5, 7))
    };
}

// The parts of the products, smallest first: each differs from the one before in one operand, so that half of the tiles
// stay: (0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0).
kernel!(square_3:
    start_square!(), load_operands!(),
    "mov r10, rax\nadd r10, [rdi + 8]\n",
    a!(4, "rax"), b!(6, "r11", 2), b!(7, "r12", 2), a!(5, "r10"), dots_square!(), ahead!(32 33 34 35 36 37 38 39),
    b!(6, "r11", 1), b!(7, "r12", 1), dots_square!(), ahead!(40 41 42 43 44 45 46 47),
    "add rax, rsi\nadd r10, rsi\n",
    a!(4, "rax"), a!(5, "r10"), dots_square!(), ahead!(16 17 18 19 20 21 22 23),
    b!(6, "r11", 0), b!(7, "r12", 0), dots_square!(), ahead!(24 25 26 27 28 29 30 31),
    "add rax, rsi\nadd r10, rsi\n",
    a!(4, "rax"), a!(5, "r10"), dots_square!(), ahead!(0 1 2 3 4 5 6 7),
    "sub rax, rsi\nsub r10, rsi\nsub rax, rsi\nsub r10, rsi\n",
    a!(4, "rax"), a!(5, "r10"), dots_square!(), ahead!(8 9 10 11 12 13 14 15),
    repeat!("3072"), store_square!(),
);
kernel!(square_1:
    start_square!(), load_operands!(),
    "mov r10, rax\nadd r10, [rdi + 8]\n",
    a!(4, "rax"), b!(6, "r11", 0), b!(7, "r12", 0), a!(5, "r10"), dots_square!(),
    repeat!("1024"), store_square!(),
);

/// Loads the sums of a row of tiles, `$column` the instructions for one.
macro_rules! start_flat { ($($tile:literal)*) => { concat!("
    mov rax, [rdi + 64]
    mov rcx, [rdi + 72]
    mov rsi, [rdi + 88]
    ", $("tileloadd tmm", $tile, ", [rax + rcx*1]\nadd rax, rsi\n",)*) } }
macro_rules! store_flat { ($($tile:literal)*) => { concat!("
    mov rax, [rdi + 96]
    mov rcx, [rdi + 104]
    ", $("tilestored [rax + rcx*1 + ", $tile, "*64], tmm", $tile, "\n",)*) } }

/// A part of A, in tile 4, with a part of B in a row of tiles, through the tiles 5 to 7.
macro_rules! dots_flat { ($part:literal: $($c:literal $b:literal $at:literal)*) => {
    concat!($(b!($b, $at, $part), dot!($c, 4, $b),)*)
} }
macro_rules! flat {
    ($three:ident $one:ident: $($c:literal $b:literal $at:literal)*) => {
        kernel!($three:
            start_flat!($($c)*), load_operands!(),
            a!(4, "rax"), dots_flat!(2: $($c $b $at)*), dots_flat!(1: $($c $b $at)*),
            "add rax, rsi\n",
            a!(4, "rax"), dots_flat!(1: $($c $b $at)*), dots_flat!(0: $($c $b $at)*),
            "add rax, rsi\n",
            a!(4, "rax"), dots_flat!(0: $($c $b $at)*),
            "sub rax, rsi\nsub rax, rsi\n",
            a!(4, "rax"), dots_flat!(0: $($c $b $at)*),
            repeat!("3072"), store_flat!($($c)*),
        );
        kernel!($one:
            start_flat!($($c)*), load_operands!(),
            a!(4, "rax"), dots_flat!(0: $($c $b $at)*),
            repeat!("1024"), store_flat!($($c)*),
        );
    };
}
flat!(flat_3_1 flat_1_1: 0 5 "r11");
flat!(flat_3_2 flat_1_2: 0 5 "r11" 1 6 "r12");
flat!(flat_3_3 flat_1_3: 0 5 "r11" 1 6 "r12" 2 7 "r13");
flat!(flat_3_4 flat_1_4: 0 5 "r11" 1 6 "r12" 2 7 "r13" 3 5 "r14");

/// Loads the sums of a column of tiles.
macro_rules! start_tall { ($($tile:literal)*) => { concat!("
    mov rax, [rdi + 64]
    mov rcx, [rdi + 72]
    mov rsi, [rdi + 80]
    ", $("tileloadd tmm", $tile, ", [rax + rcx*1]\nadd rax, rsi\n",)*) } }
macro_rules! store_tall { ($($tile:literal)*) => { concat!("
    mov rax, [rdi + 96]
    mov rcx, [rdi + 104]
    mov rsi, [rdi + 112]
    ", $("tilestored [rax + rcx*1], tmm", $tile, "\nadd rax, rsi\n",)*) } }

/// A part of A in a column of tiles, through the tiles 5 to 7, with a part of B, in tile 4. rax is where the part is of
/// A's first tile, and moves on through r10.
macro_rules! dots_tall { ($($c:literal $a:literal)*) => {
    concat!("mov r10, rax\n", $(a!($a, "r10"), dot!($c, $a, 4), "add r10, [rdi + 8]\n",)*)
} }
macro_rules! tall {
    ($three:ident $one:ident: $($c:literal $a:literal)*) => {
        kernel!($three:
            start_tall!($($c)*), load_operands!(),
            b!(4, "r11", 2), dots_tall!($($c $a)*),
            b!(4, "r11", 1), dots_tall!($($c $a)*),
            "add rax, rsi\n", dots_tall!($($c $a)*),
            b!(4, "r11", 0), dots_tall!($($c $a)*),
            "add rax, rsi\n", dots_tall!($($c $a)*),
            "sub rax, rsi\nsub rax, rsi\n", dots_tall!($($c $a)*),
            repeat!("3072"), store_tall!($($c)*),
        );
        kernel!($one:
            start_tall!($($c)*), load_operands!(),
            b!(4, "r11", 0), dots_tall!($($c $a)*),
            repeat!("1024"), store_tall!($($c)*),
        );
    };
}
tall!(tall_3_2 tall_1_2: 0 5 1 6);
tall!(tall_3_3 tall_1_3: 0 5 1 6 2 7);
tall!(tall_3_4 tall_1_4: 0 5 1 6 2 7 3 5);

/// The ceiling: so many rounds of the largest product, from operands that stay in the level-1 cache. The multiply-adds done.
///
/// The numbers are random, as those of networks nearly are. A processor that is held to a power changes its clock with what
/// its units switch, so that zeros would be multiplied faster than anything that is worth multiplying.
pub(crate) fn multiply_adds(rounds: usize) -> u64 {
    const BLOCKS: usize = 4;
    #[repr(align(64))]
    struct Tiles([u16; 2 * BLOCKS * TILE]);
    let mut operands = Box::new(Tiles([0; 2 * BLOCKS * TILE]));
    let mut random = Key::new(0, &[]).stream();
    operands.0.fill_with(|| ((random.normal() as f32).to_bits() >> 16) as u16);
    let at: *const u8 = operands.0.as_ptr().cast();
    let offsets: [u32; BLOCKS] = std::array::from_fn(|block| (block * TILE) as u32);
    let mut sums = [0.0; 4 * SIDE * SIDE];
    let product = Product {
        a: at,
        a_tile: BLOCKS * TILE,
        a_row: 64,
        a_part: TILE,
        offsets: offsets.as_ptr(),
        b: at.wrapping_add(2 * BLOCKS * TILE),
        b_tile: BLOCKS * TILE,
        blocks: BLOCKS,
        start: Start::zero(),
        c: sums.as_mut_ptr(),
        c_row: 2 * 64,
        c_tile: 2 * 64 * SIDE,
    };
    // SAFETY: whoever asks has found a matrix unit; the operands and sums are two by two tiles.
    unsafe {
        let _tiles = super::unit::Tiles::new();
        for _ in 0..rounds {
            product.run::<1>(2, 2);
        }
    }
    std::hint::black_box(sums);
    (rounds * 4 * BLOCKS * SIDE * SIDE * super::BLOCK) as u64
}

// The offsets in the assembly are those of the fields.
const _: () = {
    use std::mem::offset_of;
    assert!(
        offset_of!(Product, a) == 0 && offset_of!(Product, a_tile) == 8 && offset_of!(Product, a_row) == 16
    );
    assert!(
        offset_of!(Product, a_part) == 24
            && offset_of!(Product, offsets) == 32
            && offset_of!(Product, b) == 40
    );
    assert!(
        offset_of!(Product, b_tile) == 48
            && offset_of!(Product, blocks) == 56
            && offset_of!(Product, start) == 64
    );
    assert!(offset_of!(Start, row) == 8 && offset_of!(Start, tile) == 16 && offset_of!(Start, column) == 24);
    assert!(
        offset_of!(Product, c) == 96
            && offset_of!(Product, c_row) == 104
            && offset_of!(Product, c_tile) == 112
    );
};
