//! Mean and squared deviations of each channel, in one pass over memory.

use super::columns::{GROUP, SPAN, Strip, check_rows};
use super::multiply_add;
use crate::Element;

/// Chunks that are read twice: 16 KiB of `f32`, which stay in the first cache.
const BLOCK: usize = 16;

/// Each channel's mean over the rows and its sum of squared deviations from that mean.
///
/// A block of rows gives its own means and then its squared deviations from them, and joins the others by the distance of
/// the means (Chan, Golub and LeVeque 1979). All numbers are taken relative to the first row's, so that nothing cancels
/// even where the mean dwarfs the deviations.
#[inline(always)]
pub(crate) fn column_moments<T: Element, const FMA: bool>(x: &[T], mean: &mut [T], m2: &mut [T]) {
    check_rows("column_moments", mean.len(), x.len());
    assert_eq!(mean.len(), m2.len(), "column_moments: as many means as sums of squares");
    if x.is_empty() {
        mean.fill(T::ZERO);
        return m2.fill(T::ZERO);
    }
    let rows = T::of((x.len() / mean.len()) as f64);
    for strip in Strip::all(mean.len()) {
        let origin = strip.repeat(x);
        let moments = strip_moments::<T, FMA>(&strip, x, &origin);
        let columns = strip.column..strip.column + strip.period;
        m2[columns.clone()].copy_from_slice(&moments.m2[..strip.period]);
        for (mean, (&sum, &origin)) in mean[columns].iter_mut().zip(moments.sum.iter().zip(&origin)) {
            *mean = origin + sum / rows;
        }
    }
}

/// Of `count` numbers at each place: the sum, and the sum of squared deviations from the mean.
#[derive(Clone, Copy)]
struct Moments<T> {
    count: usize,
    sum: [T; SPAN],
    m2: [T; SPAN],
}

impl<T: Element> Moments<T> {
    fn none() -> Moments<T> {
        Moments { count: 0, sum: [T::ZERO; SPAN], m2: [T::ZERO; SPAN] }
    }

    /// `count` further numbers at each place join these.
    #[inline(always)]
    fn join<const FMA: bool>(&mut self, count: usize, sums: &[T], m2s: &[T]) {
        let share = |count: usize| if count == 0 { T::ZERO } else { T::ONE / T::of(count as f64) };
        let (own, other) = (share(self.count), share(count));
        let weight = T::of((self.count * count) as f64) * share(self.count + count);
        let others = sums.iter().zip(m2s);
        for ((sum, m2), (&other_sum, &other_m2)) in self.sum.iter_mut().zip(&mut self.m2).zip(others) {
            let distance = other_sum * other - *sum * own;
            *m2 += multiply_add::<T, FMA>(distance * weight, distance, other_m2);
            *sum += other_sum;
        }
        self.count += count;
    }
}

/// The moments of each column of a strip, relative to the origin.
#[inline(always)]
fn strip_moments<T: Element, const FMA: bool>(strip: &Strip, x: &[T], origin: &[T; SPAN]) -> Moments<T> {
    let whole = strip.whole_chunks(x.len());
    let mut all = Moments::none();
    for first in (0..whole).step_by(BLOCK) {
        let (count, block) = (BLOCK.min(whole - first), &x[strip.column + first * strip.step..]);
        let mut part = Moments::none();
        // The last group takes some places of the one before it, which come out the same again.
        for at in strip.groups() {
            add_block::<T, GROUP, FMA>(strip, count, block, origin, at, &mut part);
        }
        if strip.width < GROUP {
            for at in 0..strip.width {
                add_block::<T, 1, FMA>(strip, count, block, origin, at, &mut part);
            }
        }
        all.join::<FMA>(count, &part.sum[..strip.width], &part.m2[..strip.width]);
    }
    // The rows that stood side by side in a chunk, and the last ones, which are no whole chunk.
    let mut columns = Moments::none();
    for at in (0..strip.width).step_by(strip.period) {
        let own = at..at + strip.period;
        columns.join::<FMA>(all.count, &all.sum[own.clone()], &all.m2[own]);
    }
    let rest = (strip.column + whole * strip.step).min(x.len());
    for row in x[rest..].chunks_exact(strip.period) {
        let mut relative = [T::ZERO; SPAN];
        relative.iter_mut().zip(row.iter().zip(origin)).for_each(|(to, (&x, &origin))| *to = x - origin);
        columns.join::<FMA>(1, &relative[..strip.period], &[T::ZERO; SPAN]);
    }
    columns
}

/// The moments of N places of a block of chunks from `at` on.
#[inline(always)]
fn add_block<T: Element, const N: usize, const FMA: bool>(
    strip: &Strip,
    count: usize,
    block: &[T],
    origin: &[T; SPAN],
    at: usize,
    part: &mut Moments<T>,
) {
    let mut start = [T::ZERO; N];
    start.copy_from_slice(&origin[at..][..N]);
    let [mut sum, mut m2] = [[T::ZERO; N]; 2];
    for i in 0..count {
        let chunk = &block[i * strip.step + at..][..N];
        for j in 0..N {
            sum[j] += chunk[j] - start[j];
        }
    }
    let share = T::ONE / T::of(count as f64);
    let mut mean = [T::ZERO; N];
    for j in 0..N {
        mean[j] = multiply_add::<T, FMA>(sum[j], share, start[j]);
    }
    for i in 0..count {
        let chunk = &block[i * strip.step + at..][..N];
        for j in 0..N {
            let deviation = chunk[j] - mean[j];
            m2[j] = multiply_add::<T, FMA>(deviation, deviation, m2[j]);
        }
    }
    part.sum[at..][..N].copy_from_slice(&sum);
    part.m2[at..][..N].copy_from_slice(&m2);
}
