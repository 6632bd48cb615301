//! Random cases and comparisons with bounds on the error.

use std::ops::{Deref, DerefMut};

use ocelli_kernels::random::{Key, Stream};
use ocelli_kernels::{Element, Isa, Kernels, Precision, Write};

/// The table of each instruction set that this machine has.
pub(crate) fn tables<T: Element>() -> impl Iterator<Item = &'static Kernels<T>> {
    Isa::ALL.into_iter().filter(|isa| isa.available()).map(T::kernels)
}

/// The tables beside them whose products round.
pub(crate) fn rounding_tables<T: Element>() -> impl Iterator<Item = &'static Kernels<T>> {
    let available = Isa::ALL.into_iter().filter(|isa| isa.available());
    let tables = available.map(|isa| T::kernels_of(isa, Precision::Bf16));
    tables.filter(|kernels| kernels.precision == Precision::Bf16)
}

/// The root mean square.
pub(crate) fn rms(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value.powi(2)).sum::<f64>() / count).sqrt()
}

/// Calls `case` for both number types and many seeds.
macro_rules! for_seeds {
    ($seeds:expr, $case:ident) => {
        for seed in 0..$seeds {
            $case::<f32>(&mut Draw::new(seed));
            $case::<f64>(&mut Draw::new(seed));
        }
    };
}
pub(crate) use for_seeds;

/// A source of random cases.
pub(crate) struct Draw {
    pub(crate) seed: u64,
    stream: Stream,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw { seed, stream: Key::new(seed, &[]).stream() }
    }

    /// Uniform over low..=high.
    pub(crate) fn size(&mut self, low: usize, high: usize) -> usize {
        low + self.stream.below((high - low + 1) as u64) as usize
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.size(0, 1) == 1
    }

    pub(crate) fn write(&mut self) -> Write {
        if self.flag() { Write::Set } else { Write::Add }
    }

    /// Normal values, rounded to the type.
    pub(crate) fn values<T: Element>(&mut self, len: usize) -> Vec<T> {
        (0..len).map(|_| T::of(self.stream.normal())).collect()
    }

    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.stream.range(low, high)
    }
}

/// A destination: NaN where it is to be overwritten, else values.
pub(crate) fn destination<T: Element>(draw: &mut Draw, len: usize, write: Write) -> Vec<T> {
    match write {
        Write::Set => vec![T::NAN; len],
        Write::Add => draw.values(len),
    }
}

pub(crate) fn nan<T: Element>(len: usize) -> Vec<T> {
    vec![T::NAN; len]
}

/// Elements before and after that a kernel must leave alone.
const GUARD: usize = 64;

/// A slice between guards of NaN: what reads beyond it computes NaN, and what writes beyond it is found out when
/// it is dropped.
pub(crate) struct Guarded<T: Element> {
    all: Vec<T>,
}

impl<T: Element> Guarded<T> {
    pub(crate) fn new(values: &[T]) -> Guarded<T> {
        let guard = vec![T::NAN; GUARD];
        Guarded { all: [&guard, values, &guard].concat() }
    }

    /// `len` elements of NaN.
    pub(crate) fn nan(len: usize) -> Guarded<T> {
        Guarded { all: vec![T::NAN; len + 2 * GUARD] }
    }
}

impl<T: Element> Deref for Guarded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all[GUARD..self.all.len() - GUARD]
    }
}

impl<T: Element> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let end = self.all.len() - GUARD;
        &mut self.all[GUARD..end]
    }
}

impl<T: Element> Drop for Guarded<T> {
    fn drop(&mut self) {
        let (before, rest) = self.all.split_at(GUARD);
        let after = &rest[rest.len() - GUARD..];
        let intact = before.iter().chain(after).all(|value| value.is_nan());
        assert!(intact || std::thread::panicking(), "a kernel wrote beyond its slice");
    }
}

pub(crate) fn wide<T: Element>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.f64()).collect()
}

/// A sum with what bounds its rounding error.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) value: f64,
    /// The sum of magnitudes.
    pub(crate) size: f64,
    pub(crate) terms: usize,
}

impl Sum {
    pub(crate) fn add(&mut self, term: f64) {
        self.value += term;
        self.size += term.abs();
        self.terms += 1;
    }
}

/// Sums that start from what the destination holds.
pub(crate) fn sums<T: Element>(before: &[T], write: Write) -> Vec<Sum> {
    let start = |&value: &T| {
        let mut sum = Sum::default();
        if write == Write::Add {
            sum.add(value.f64());
        }
        sum
    };
    before.iter().map(start).collect()
}

/// Half a unit in the last place at 1.
pub(crate) fn unit<T: Element>() -> f64 {
    if T::BYTES == 4 { f64::from(f32::EPSILON) / 2.0 } else { f64::EPSILON / 2.0 }
}

/// How far a sum may be off.
pub(crate) fn bound<T: Element>(sum: &Sum) -> f64 {
    unit::<T>() * sum.size * (4.0 + 2.0 * (sum.terms as f64).sqrt())
}

pub(crate) fn assert_sums<T: Element>(got: &[T], want: &[Sum], context: &dyn Fn() -> String) {
    assert_eq!(got.len(), want.len(), "{}", context());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let bound = bound::<T>(want);
        let error = (got.f64() - want.value).abs();
        assert!(
            error <= bound,
            "element {i} is {got}, not {} ({error:.1e} > {bound:.1e}): {}",
            want.value,
            context()
        );
    }
}

/// Compares within `units` half units in the last place of the larger of the value and `floor`.
pub(crate) fn assert_close<T: Element>(
    got: &[T],
    want: &[f64],
    units: f64,
    floor: f64,
    context: &dyn Fn() -> String,
) {
    assert_eq!(got.len(), want.len(), "{}", context());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let bound = units * unit::<T>() * want.abs().max(floor);
        let error = (got.f64() - want).abs();
        assert!(
            error <= bound,
            "element {i} is {got}, not {want} ({error:.1e} > {bound:.1e}): {}",
            context()
        );
    }
}
