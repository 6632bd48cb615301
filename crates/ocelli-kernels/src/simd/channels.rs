//! Channels in vectors, for what treats every channel alike.

use super::Simd;

/// Neighbouring channels that are treated at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The first channel.
    pub(crate) first: usize,
    /// Vectors that they fill: 4, 2 or 1.
    pub(crate) vectors: usize,
    /// Channels in the last vector. Fewer than a vector has lanes stand alone, in one vector.
    pub(crate) lanes: usize,
}

/// Splits channels into blocks.
#[inline(always)]
pub(crate) fn blocks<S: Simd>(channels: usize) -> impl Iterator<Item = Block> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = channels - first;
        if left == 0 {
            return None;
        }
        let vectors = match left / S::LANES {
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let block = Block { first, vectors, lanes: left.min(S::LANES) };
        first += left.min(vectors * S::LANES);
        Some(block)
    })
}

/// Calls the version of a function for a block: its last two parameters are the block's vectors, and whether they are
/// whole.
macro_rules! by_block {
    ($block:expr, $function:ident::<S $(, $generic:ty)*>($($arg:expr),* $(,)?)) => {
        match ($block.vectors, $block.lanes == S::LANES) {
            (4, _) => $function::<S, $($generic,)* 4, true>($($arg),*),
            (2, _) => $function::<S, $($generic,)* 2, true>($($arg),*),
            (_, true) => $function::<S, $($generic,)* 1, true>($($arg),*),
            (_, false) => $function::<S, $($generic,)* 1, false>($($arg),*),
        }
    };
}
pub(crate) use by_block;

/// # Safety
/// The CPU has the instruction set; `from` is valid for V vectors, or for `lanes` numbers where they are not whole.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, const V: usize, const WHOLE: bool>(
    from: *const f32,
    lanes: usize,
) -> [S::Vector; V] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); V];
        for v in 0..V {
            let from = from.add(v * S::LANES);
            out[v] = if WHOLE { S::load(from) } else { S::load_first(from, lanes) };
        }
        out
    }
}

/// # Safety
/// As [`load`], for writing.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, const V: usize, const WHOLE: bool>(
    to: *mut f32,
    values: [S::Vector; V],
    lanes: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        for v in 0..V {
            let to = to.add(v * S::LANES);
            if WHOLE { S::store(to, values[v]) } else { S::store_first(to, values[v], lanes) }
        }
    }
}
