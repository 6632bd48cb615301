//! Plain loops, compiled once more for the vector instructions that most CPUs have.

#[cfg(target_arch = "x86_64")]
use crate::Isa;

/// Work whose loops a compiler can turn into vector instructions by itself.
pub trait Vectorised {
    /// What it gives.
    type Output;

    /// Does it. Has to be `#[inline(always)]`, as has everything that it calls in its loops: only what ends up in one function with
    /// its caller is compiled for more than the instructions that every CPU has.
    fn run(self) -> Self::Output;
}

/// Runs `work` with AVX2 where the CPU has it. Sums and products stay what they are written as, and no fused multiply-add is made of
/// two of them, so that the bits are the same everywhere.
#[inline]
#[allow(unsafe_code)]
pub fn vectorised<W: Vectorised>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2<W: Vectorised>(work: W) -> W::Output {
            work.run()
        }
        if Isa::Avx2.available() {
            // SAFETY: the CPU has AVX2.
            return unsafe { with_avx2(work) };
        }
    }
    work.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Products<'a>(&'a [f32], &'a [f32]);

    impl Vectorised for Products<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run(self) -> Vec<f32> {
            self.0.iter().zip(self.1).map(|(a, b)| a * b + 0.1).collect()
        }
    }

    #[test]
    fn bits_are_those_of_one_product_and_one_sum_after_another() {
        let numbers: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let (a, b) = numbers.split_at(500);
        let want: Vec<u32> =
            a.iter().zip(b).map(|(a, b)| (std::hint::black_box(a * b) + 0.1).to_bits()).collect();
        let found: Vec<u32> = vectorised(Products(a, b)).iter().map(|x| x.to_bits()).collect();
        assert_eq!(found, want);
    }
}
