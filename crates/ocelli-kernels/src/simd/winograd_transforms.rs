//! The transforms of Winograd's minimal filtering, and the tiles of images that they are applied to.
//!
//! Outputs of a tile, two along each axis, are polynomials' coefficients, found from values at the points −1, 0, 1 and ∞, in this
//! order. Three taps need all four; two taps need the last three.

use super::Simd;
use super::window::Source;
use crate::blocking::Correlation;

/// Outputs of a tile along each axis.
pub(crate) const OUT: usize = 2;

/// A matrix M that takes I vectors to O, such as G, Bᵀ and Aᵀ.
pub(crate) trait Transform<const I: usize, const O: usize> {
    /// M v.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn apply<S: Simd>(v: [S::Vector; I]) -> [S::Vector; O];
}

/// G: values of a filter's taps at the points.
pub(crate) struct OfFilter;

impl Transform<3, 4> for OfFilter {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let half = S::fill(0.5);
            let (outer, inner) = (S::multiply(half, S::add(g[0], g[2])), S::multiply(half, g[1]));
            [S::subtract(outer, inner), g[0], S::add(outer, inner), g[2]]
        }
    }
}

impl Transform<2, 3> for OfFilter {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [S::Vector; 2]) -> [S::Vector; 3] {
        // SAFETY: the caller's promise.
        unsafe { [g[0], S::add(g[0], g[1]), g[1]] }
    }
}

/// Bᵀ: values of a tile's inputs.
pub(crate) struct OfInputs;

impl Transform<4, 4> for OfInputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; 4]) -> [S::Vector; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [S::subtract(d[2], d[1]), S::subtract(d[0], d[2]), S::add(d[1], d[2]), S::subtract(d[1], d[3])]
        }
    }
}

impl Transform<3, 3> for OfInputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; 3]) -> [S::Vector; 3] {
        // SAFETY: the caller's promise.
        unsafe { [S::subtract(d[0], d[1]), d[1], S::subtract(d[1], d[2])] }
    }
}

/// Aᵀ: outputs from the products at the points.
pub(crate) struct OfProducts;

impl Transform<4, OUT> for OfProducts {
    #[inline(always)]
    unsafe fn apply<S: Simd>(m: [S::Vector; 4]) -> [S::Vector; OUT] {
        // SAFETY: the caller's promise.
        unsafe {
            let [sum, difference] = [S::add(m[2], m[0]), S::subtract(m[2], m[0])];
            [S::add(m[1], sum), S::subtract(difference, m[3])]
        }
    }
}

/// A: values of a tile's gradients of outputs.
pub(crate) struct OfGradients;

impl Transform<OUT, 4> for OfGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; OUT]) -> [S::Vector; 4] {
        // SAFETY: the caller's promise.
        unsafe { [S::subtract(d[0], d[1]), d[0], S::add(d[0], d[1]), S::subtract(S::zero(), d[1])] }
    }
}

impl Transform<OUT, 3> for OfGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; OUT]) -> [S::Vector; 3] {
        // SAFETY: the caller's promise.
        unsafe { [d[0], S::add(d[0], d[1]), S::subtract(S::zero(), d[1])] }
    }
}

/// Gᵀ: gradients of the taps from those of their values.
pub(crate) struct OfSums;

impl Transform<4, 3> for OfSums {
    #[inline(always)]
    unsafe fn apply<S: Simd>(s: [S::Vector; 4]) -> [S::Vector; 3] {
        // SAFETY: the caller's promise.
        unsafe {
            let half = S::fill(0.5);
            let both = S::multiply(half, S::add(s[2], s[0]));
            let difference = S::multiply(half, S::subtract(s[2], s[0]));
            [S::add(s[1], both), difference, S::add(both, s[3])]
        }
    }
}

impl Transform<3, 2> for OfSums {
    #[inline(always)]
    unsafe fn apply<S: Simd>(s: [S::Vector; 3]) -> [S::Vector; 2] {
        // SAFETY: the caller's promise.
        unsafe { [S::add(s[0], s[1]), S::add(s[1], s[2])] }
    }
}

/// M d Mᵀ, where M is of Y′×Y on the left and of X′×X on the right.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(crate) unsafe fn both_sides<
    S: Simd,
    M: Transform<Y, Y1> + Transform<X, X1>,
    const Y: usize,
    const Y1: usize,
    const X: usize,
    const X1: usize,
>(
    d: [[S::Vector; X]; Y],
) -> [[S::Vector; X1]; Y1] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut rows = [[S::zero(); X]; Y1];
        for j in 0..X {
            let mut column = [S::zero(); Y];
            for i in 0..Y {
                column[i] = d[i][j];
            }
            let column = <M as Transform<Y, Y1>>::apply::<S>(column);
            for i in 0..Y1 {
                rows[i][j] = column[i];
            }
        }
        let mut all = [[S::zero(); X1]; Y1];
        for i in 0..Y1 {
            all[i] = <M as Transform<X, X1>>::apply::<S>(rows[i]);
        }
        all
    }
}

/// Vectors whose rows and columns are so far apart.
///
/// # Safety
/// The CPU has the instruction set; `from` is valid for Y·X vectors.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, const Y: usize, const X: usize>(
    from: *const f32,
    apart: [usize; 2],
) -> [[S::Vector; X]; Y] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut all = [[S::zero(); X]; Y];
        for i in 0..Y {
            for j in 0..X {
                all[i][j] = S::load(from.add(i * apart[0] + j * apart[1]));
            }
        }
        all
    }
}

/// Writes vectors so that their rows and columns are so far apart.
///
/// # Safety
/// The CPU has the instruction set; `to` is valid for Y·X vectors.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, const Y: usize, const X: usize>(
    all: [[S::Vector; X]; Y],
    to: *mut f32,
    apart: [usize; 2],
) {
    // SAFETY: the caller's promise.
    unsafe {
        for i in 0..Y {
            for j in 0..X {
                S::store(to.add(i * apart[0] + j * apart[1]), all[i][j]);
            }
        }
    }
}

/// M d Mᵀ for a vector of channels of a tile's pixels, of which the first `lanes` are read.
///
/// # Safety
/// The CPU has the instruction set; the pixels are valid for these channels from `at` on.
#[inline(always)]
unsafe fn values<
    S: Simd,
    M: Transform<Y, Y1> + Transform<X, X1>,
    const Y: usize,
    const Y1: usize,
    const X: usize,
    const X1: usize,
>(
    pixels: &[[*const f32; X]; Y],
    at: usize,
    lanes: usize,
) -> [[S::Vector; X1]; Y1] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut d = [[S::zero(); X]; Y];
        for i in 0..Y {
            for j in 0..X {
                d[i][j] = S::load_first(pixels[i][j].add(at), lanes);
            }
        }
        both_sides::<S, M, Y, Y1, X, X1>(d)
    }
}

/// M d Mᵀ for some channels of a tile's pixels, in words of neighbouring channels; values at neighbouring points are so far apart.
///
/// # Safety
/// The CPU has the instruction set; the pixels are valid for the channels, `to` for the words of whole vectors of them at
/// each point.
#[inline(always)]
pub(crate) unsafe fn transform_along<
    S: Simd,
    M: Transform<Y, Y> + Transform<X, X>,
    const Y: usize,
    const X: usize,
>(
    pixels: &[[*const f32; X]; Y],
    channels: usize,
    to: *mut f32,
    apart: [usize; 2],
) {
    for at in (0..channels).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let all = values::<S, M, Y, Y, X, X>(pixels, at, S::LANES.min(channels - at));
            let to = to.add(at / S::TERMS);
            for i in 0..Y {
                for j in 0..X {
                    S::store_along(to.add(i * apart[0] + j * apart[1]), all[i][j]);
                }
            }
        }
    }
}

/// [`Simd::words_of`] of all vectors.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(crate) unsafe fn words_of<S: Simd, const Y: usize, const X: usize>(
    [first, second]: [[[S::Vector; X]; Y]; 2],
) -> [[S::Vector; X]; Y] {
    let mut all = first;
    for i in 0..Y {
        for j in 0..X {
            // SAFETY: the caller's promise.
            all[i][j] = unsafe { S::words_of([first[i][j], second[i][j]]) };
        }
    }
    all
}

/// M d Mᵀ for some channels of neighbouring tiles' pixels, in words of these tiles, or of the first one alone where a word holds
/// one term; values at neighbouring points are so far apart.
///
/// # Safety
/// The CPU has the instruction set; the pixels are valid for the channels, `to` for whole vectors of them at each point.
#[inline(always)]
pub(crate) unsafe fn transform_across<
    S: Simd,
    M: Transform<Y, Y1> + Transform<X, X1>,
    const Y: usize,
    const Y1: usize,
    const X: usize,
    const X1: usize,
>(
    tiles: &[[[*const f32; X]; Y]; 2],
    channels: usize,
    to: *mut f32,
    apart: [usize; 2],
) {
    for at in (0..channels).step_by(S::LANES) {
        let lanes = S::LANES.min(channels - at);
        // SAFETY: the caller's promise.
        unsafe {
            let mut all = values::<S, M, Y, Y1, X, X1>(&tiles[0], at, lanes);
            if S::TERMS > 1 {
                all = words_of::<S, Y1, X1>([all, values::<S, M, Y, Y1, X, X1>(&tiles[1], at, lanes)]);
            }
            store::<S, Y1, X1>(all, to.add(at), apart);
        }
    }
}

/// Tiles over images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    pub(crate) fn of(shape: &Correlation) -> Grid {
        Grid { rows: shape.y.count.div_ceil(OUT), columns: shape.x.count.div_ceil(OUT) }
    }

    /// Tiles of so many images.
    pub(crate) fn tiles(&self, samples: usize) -> usize {
        samples * self.rows * self.columns
    }

    /// Sample, and first row and column of outputs, of a tile.
    pub(crate) fn place(&self, tile: usize) -> [usize; 3] {
        let (line, column) = (tile / self.columns, tile % self.columns);
        [line / self.rows, line % self.rows * OUT, column * OUT]
    }
}

/// The inputs that a tile's outputs see from a tap on: where each pixel's channels stand, which is at `zeros` outside of the
/// image.
///
/// # Safety
/// `source` is valid for the sample's image.
#[inline(always)]
pub(crate) unsafe fn pixels<const Y: usize, const X: usize>(
    shape: &Correlation,
    source: &Source,
    [sample, row, column]: [usize; 3],
    tap: [usize; 2],
    zeros: *const f32,
) -> [[*const f32; X]; Y] {
    let (y, x) = (shape.y.origin(row) + tap[0] as isize, shape.x.origin(column) + tap[1] as isize);
    let at = source.at.wrapping_add(sample * source.strides.sample);
    std::array::from_fn(|i| {
        let y = y + i as isize;
        let line = at.wrapping_offset(y * source.strides.row as isize);
        let outside = y < 0 || y as usize >= shape.y.source;
        std::array::from_fn(|j| {
            let x = x + j as isize;
            if outside || x < 0 || x as usize >= shape.x.source {
                zeros
            } else {
                line.wrapping_add(x as usize * source.strides.pixel)
            }
        })
    })
}
