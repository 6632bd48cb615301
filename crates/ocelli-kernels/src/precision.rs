//! What kernels may round the numbers that they multiply to.

/// What matrix products and convolutions of `f32` may round the numbers that they multiply to: their operands, or what Winograd's
/// filtering makes of them. Their sums, and all that other kernels compute, are `f32` in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Nothing: products are as exact as those of `f32`.
    #[default]
    F32,
    /// Numbers of bf16, which have 8 significant bits, to the nearest one. Kernels round where that is faster and never
    /// must: small products, and all products on instruction sets without units for bf16, are those of [`Precision::F32`].
    Bf16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 2] = [Precision::F32, Precision::Bf16];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }

    /// The precision of that name.
    pub fn from_name(name: &str) -> Option<Precision> {
        Precision::ALL.into_iter().find(|precision| precision.name() == name)
    }
}
