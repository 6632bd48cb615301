//! The instruction sets that kernels are written for.

/// An instruction set that a table of kernels needs.
///
/// Those of one architecture are nested; those of two have nothing but [`Isa::Portable`] in common, so that they have
/// no order among themselves: [`Isa::includes`] says which kernels run where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, any CPU: the reference.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// x86-64 with AVX-512 and AMX tiles of bf16, which the operating system lets the process use.
    Amx,
    /// 64-bit Arm, all of which has NEON.
    Neon,
}

impl Isa {
    /// Every instruction set, those of each architecture slowest first.
    pub const ALL: [Isa; 5] = [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Amx, Isa::Neon];

    /// The best instruction set that this CPU has.
    pub fn detect() -> Isa {
        *Isa::ALL.iter().rev().find(|isa| isa.available()).expect("the portable kernels run anywhere")
    }

    /// Whether this CPU can run it.
    pub fn available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Isa::Avx512.available() && crate::amx::available(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            // Those of other architectures.
            _ => false,
        }
    }

    /// Whether every CPU that has this instruction set can run the kernels of the other as well.
    pub fn includes(self, other: Isa) -> bool {
        let below: &[Isa] = match self {
            Isa::Portable => &[],
            Isa::Avx2 | Isa::Neon => &[Isa::Portable],
            Isa::Avx512 => &[Isa::Avx2, Isa::Portable],
            Isa::Amx => &[Isa::Avx512, Isa::Avx2, Isa::Portable],
        };
        self == other || below.contains(&other)
    }

    /// Its name, as `OCELLI_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Amx => "amx",
            Isa::Neon => "neon",
        }
    }

    /// The instruction set of that name.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_instruction_set_includes_every_available_one() {
        // So tables may be chosen by inclusion alone: what is available has an order.
        let best = Isa::detect();
        assert!(best.available());
        for isa in Isa::ALL {
            assert!(best.includes(isa) || !isa.available(), "{best:?} lacks {isa:?}");
        }
    }

    #[test]
    fn instruction_sets_of_two_architectures_share_the_portable_one_alone() {
        let common =
            |a: Isa, b: Isa| Isa::ALL.into_iter().filter(move |&isa| a.includes(isa) && b.includes(isa));
        assert!(common(Isa::Neon, Isa::Avx512).eq([Isa::Portable]));
        assert!(common(Isa::Avx2, Isa::Avx512).eq([Isa::Portable, Isa::Avx2]));
    }

    #[test]
    fn names_lead_back() {
        for isa in Isa::ALL {
            assert_eq!(Isa::from_name(isa.name()), Some(isa));
        }
        assert_eq!(Isa::from_name("NEON"), None);
    }
}
