//! The most that a core can do: loops that compute nothing of use, as fast as an instruction set allows. Kernels are held
//! against them.
#![cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), allow(unsafe_code))]

use std::hint::black_box;

use crate::Isa;

/// The ceilings of an instruction set, on one core.
#[derive(Debug)]
pub struct Ceiling {
    /// The instruction set.
    pub isa: Isa,
    /// Multiply-adds of one round.
    per_round: u64,
    multiply_adds: fn(usize, f32) -> f32,
    read: fn(&[f32]) -> f32,
    triad: fn(&[f32], &[f32], f32, &mut [f32]),
}

impl Ceiling {
    /// The ceilings of the best available instruction set that `isa` includes.
    pub fn of(isa: Isa) -> &'static Ceiling {
        let usable = Isa::ALL.into_iter().rev().find(|&i| isa.includes(i) && i.available());
        match usable.unwrap_or(Isa::Portable) {
            Isa::Portable => &PORTABLE,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &native::AVX2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &native::AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => &native::AMX,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &native::NEON,
            _ => unreachable!("invariant: this CPU does not have it"),
        }
    }

    /// Does `rounds` rounds of f32 multiply-adds that stay in registers and do not wait for each other; how many
    /// multiply-adds that were.
    pub fn multiply_adds(&self, rounds: usize) -> u64 {
        // Factors that keep the sums below 1 and that the compiler does not know.
        (self.multiply_adds)(rounds, black_box(0.5));
        self.per_round * rounds as u64
    }

    /// What multiplies numbers of bf16, where there is something: a matrix unit or vectors of pairs.
    pub fn bf16_unit(&self) -> Option<&'static str> {
        match self.isa {
            Isa::Amx => Some("amx"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if crate::simd::bf16_available() => Some("avx512-bf16"),
            _ => None,
        }
    }

    /// Does `rounds` rounds of multiply-adds of numbers of bf16, random ones in a matrix unit; how many that were, or `None`
    /// without a unit for them.
    pub fn bf16_multiply_adds(&self, rounds: usize) -> Option<u64> {
        self.bf16_unit()?;
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Some(crate::amx::multiply_adds(rounds)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Some(native::pairs(rounds)),
            _ => unreachable!("invariant: no other unit, for {rounds} rounds"),
        }
    }

    /// Reads every element. What comes out is a sum of them all.
    pub fn read(&self, x: &[f32]) -> f32 {
        (self.read)(x)
    }

    /// y = a + s·b: two streams are read and one is written.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn triad(&self, a: &[f32], b: &[f32], s: f32, y: &mut [f32]) {
        assert!(
            a.len() == y.len() && b.len() == y.len(),
            "triad: lengths {} {} {}",
            a.len(),
            b.len(),
            y.len()
        );
        (self.triad)(a, b, s, y);
    }
}

static PORTABLE: Ceiling = Ceiling {
    isa: Isa::Portable,
    per_round: PORTABLE_LANES as u64,
    multiply_adds: portable_multiply_adds,
    read,
    triad,
};

/// Numbers that the compiler puts into as many vectors as it has.
const PORTABLE_LANES: usize = 32;

fn portable_multiply_adds(rounds: usize, factor: f32) -> f32 {
    let mut sums = [0.0f32; PORTABLE_LANES];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = match cfg!(target_arch = "aarch64") {
                true => sum.mul_add(factor, factor),
                false => *sum * factor + factor,
            };
        }
    }
    black_box(sums).iter().sum()
}

fn read(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; PORTABLE_LANES];
    let blocks = x.chunks_exact(PORTABLE_LANES);
    let rest: f32 = blocks.remainder().iter().sum();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += x;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn triad(a: &[f32], b: &[f32], s: f32, y: &mut [f32]) {
    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
        *y = a + s * b;
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod native {
    use super::{Ceiling, black_box};
    use crate::Isa;
    #[cfg(target_arch = "aarch64")]
    use crate::simd::Neon;
    use crate::simd::Simd;
    #[cfg(target_arch = "x86_64")]
    use crate::simd::{Avx2, Avx512, Pairs};

    /// Sums that do not wait for each other: more than a multiply-add takes cycles, times the units that do one a cycle,
    /// and with their two factors no more than the registers hold, of which AVX2 has 16. 64-bit Arm has four units.
    const CHAINS: usize = if cfg!(target_arch = "aarch64") { 20 } else { 12 };

    /// # Safety
    /// Needs the instruction set of `S`.
    #[inline(always)]
    unsafe fn multiply_adds<S: Simd>(rounds: usize, factor: f32) -> f32 {
        // SAFETY: the caller's promise; the pointers are to locals.
        unsafe {
            let factor = S::splat(&factor);
            let mut sums = [S::zero(); CHAINS];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = S::multiply_add(*sum, factor, factor);
                }
            }
            let total = sums.into_iter().fold(S::zero(), |total, sum| S::add(total, sum));
            black_box(S::sum(total))
        }
    }

    /// Rounds of pairs of bf16 that take about as long as a round of a matrix unit.
    #[cfg(target_arch = "x86_64")]
    const PAIR_ROUNDS: usize = 32;

    /// The ceiling of pairs of bf16, which this CPU has; how many multiply-adds `rounds` rounds are.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn pairs(rounds: usize) -> u64 {
        #[target_feature(enable = "avx512bf16,avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        fn featured(rounds: usize, factor: f32) -> f32 {
            // SAFETY: this function has the features.
            unsafe { multiply_adds::<Pairs>(rounds, factor) }
        }
        // SAFETY: `Ceiling::bf16_unit` has found the features.
        unsafe { featured(PAIR_ROUNDS * rounds, black_box(0.5)) };
        (PAIR_ROUNDS * rounds * CHAINS * Pairs::LANES * Pairs::TERMS) as u64
    }

    /// Sums that reading adds to: more than an addition takes cycles, times the vectors that are loaded in one.
    const STREAMS: usize = 8;

    /// # Safety
    /// Needs the instruction set of `S`.
    #[inline(always)]
    unsafe fn read<S: Simd>(x: &[f32]) -> f32 {
        let blocks = x.chunks_exact(STREAMS * S::LANES);
        let rest: f32 = blocks.remainder().iter().sum();
        // SAFETY: the caller's promise; each block has as many vectors as there are sums.
        unsafe {
            let mut sums = [S::zero(); STREAMS];
            for block in blocks {
                for i in 0..STREAMS {
                    sums[i] = S::add(sums[i], S::load(block.as_ptr().add(i * S::LANES)));
                }
            }
            S::sum(sums.into_iter().fold(S::zero(), |total, sum| S::add(total, sum))) + rest
        }
    }

    /// The ceilings of an instruction set, compiled with its features.
    macro_rules! ceiling {
        ($name:ident, $unit:ty, $isa:expr, $features:literal) => {
            pub(super) static $name: Ceiling = {
                #[target_feature(enable = $features)]
                fn multiply_adds_featured(rounds: usize, factor: f32) -> f32 {
                    // SAFETY: this function has the features.
                    unsafe { multiply_adds::<$unit>(rounds, factor) }
                }
                #[target_feature(enable = $features)]
                fn read_featured(x: &[f32]) -> f32 {
                    // SAFETY: this function has the features.
                    unsafe { read::<$unit>(x) }
                }
                #[target_feature(enable = $features)]
                fn triad_featured(a: &[f32], b: &[f32], s: f32, y: &mut [f32]) {
                    super::triad(a, b, s, y)
                }
                Ceiling {
                    isa: $isa,
                    per_round: (CHAINS * <$unit as Simd>::LANES) as u64,
                    // SAFETY: `Ceiling::of` hands this out only where the CPU has the features.
                    multiply_adds: |rounds, factor| unsafe { multiply_adds_featured(rounds, factor) },
                    // SAFETY: as above.
                    read: |x| unsafe { read_featured(x) },
                    // SAFETY: as above.
                    triad: |a, b, s, y| unsafe { triad_featured(a, b, s, y) },
                }
            };
        };
    }

    #[cfg(target_arch = "x86_64")]
    ceiling!(AVX2, Avx2, Isa::Avx2, "avx2,fma");
    #[cfg(target_arch = "x86_64")]
    ceiling!(AVX512, Avx512, Isa::Avx512, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl");
    #[cfg(target_arch = "x86_64")]
    ceiling!(AMX, Avx512, Isa::Amx, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl");
    #[cfg(target_arch = "aarch64")]
    ceiling!(NEON, Neon, Isa::Neon, "neon");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Element, Precision};

    #[test]
    fn every_instruction_set_that_this_cpu_has_does_all_of_the_work() {
        let x: Vec<f32> = (0..1000).map(|i| (i % 7) as f32).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let ceiling = Ceiling::of(isa);
            assert_eq!(ceiling.isa, isa);
            // Every sum goes half of the way to 1 in each round.
            for rounds in [1, 2, 10] {
                let all = ceiling.multiply_adds(rounds) as f32 / rounds as f32;
                let sum = (ceiling.multiply_adds)(rounds, 0.5);
                assert_eq!(sum, all * (1.0 - 0.5f32.powi(rounds as i32)), "{isa:?}, {rounds} rounds");
            }
            let bf16 = |rounds| ceiling.bf16_multiply_adds(rounds);
            assert_eq!(bf16(10), bf16(1).map(|one| 10 * one));
            assert_eq!(bf16(1).is_some(), f32::kernels_of(isa, Precision::Bf16).precision == Precision::Bf16);
            assert_eq!(
                ceiling.read(&x),
                x.iter().sum::<f32>(),
                "{isa:?}: sums of small whole numbers are exact"
            );
            let mut y = vec![f32::NAN; x.len()];
            ceiling.triad(&x, &x, 2.0, &mut y);
            assert!(y.iter().zip(&x).all(|(y, x)| *y == 3.0 * x), "{isa:?}");
        }
    }
}
