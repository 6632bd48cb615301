//! Kernels over rows×channels matrices with contiguous channels: the channel's index picks a constant or a sum.
//!
//! Channels are walked in strips of up to [`SPAN`]. Where there are fewer, several rows make one strip, with
//! each channel's constant repeated: so that even 6 channels fill vectors.

use std::ops::Range;

use super::multiply_add;
use crate::{Element, Write};

/// Most elements of a strip.
pub(super) const SPAN: usize = 256;

/// Strips that are summed before the partial sums join the total, which keeps rounding errors small.
const BATCH: usize = 32;

/// A set of columns, read in chunks.
pub(super) struct Strip {
    /// The first column.
    pub(super) column: usize,
    /// Columns.
    pub(super) period: usize,
    /// Elements of a chunk: `period`, or whole rows if a row is short.
    pub(super) width: usize,
    /// Elements from one chunk to the next.
    pub(super) step: usize,
}

impl Strip {
    /// The strips of a matrix with `channels` columns.
    #[inline(always)]
    pub(super) fn all(channels: usize) -> impl Iterator<Item = Strip> {
        (0..channels).step_by(SPAN).map(move |column| {
            let period = SPAN.min(channels - column);
            let width = if channels <= SPAN { SPAN / channels * channels } else { period };
            Strip { column, period, width, step: width.max(channels) }
        })
    }

    /// The columns' part of `row`, repeated over a chunk.
    #[inline(always)]
    pub(super) fn repeat<T: Element>(&self, row: &[T]) -> [T; SPAN] {
        let mut out = [T::ZERO; SPAN];
        for repetition in out[..self.width].chunks_exact_mut(self.period) {
            repetition.copy_from_slice(&row[self.column..][..self.period]);
        }
        out
    }

    /// The chunks of a matrix of `len` elements; the last one may hold fewer rows.
    #[inline(always)]
    pub(super) fn chunks(&self, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (column, width) = (self.column, self.width);
        (column..len).step_by(self.step).map(move |start| start..(start + width).min(len))
    }

    /// N sums over the rows of each column: `add_terms` adds the terms of the elements in a range, a chunk, to as many
    /// partial sums of each kind.
    #[inline(always)]
    pub(super) fn sum<T: Element, const N: usize>(
        &self,
        len: usize,
        sums: [&mut [T]; N],
        write: Write,
        mut add_terms: impl FnMut([&mut [T]; N], Range<usize>),
    ) {
        let mut total = [[T::ZERO; SPAN]; N];
        let mut partial = [[T::ZERO; SPAN]; N];
        for (i, chunk) in self.chunks(len).enumerate() {
            if i % BATCH == BATCH - 1 {
                partial.iter_mut().zip(&mut total).for_each(|(partial, total)| flush(partial, total));
            }
            add_terms(partial.each_mut().map(|partial| &mut partial[..chunk.len()]), chunk);
        }
        for ((partial, total), sums) in partial.iter_mut().zip(&mut total).zip(sums) {
            flush(partial, total);
            self.fold(total, sums, write);
        }
    }

    /// Adds what stands in one column of the strip, and writes it to the column's place in `sums`.
    #[inline(always)]
    fn fold<T: Element>(&self, total: &mut [T; SPAN], sums: &mut [T], write: Write) {
        let (columns, rest) = total[..self.width].split_at_mut(self.period);
        for repetition in rest.chunks_exact(self.period) {
            columns.iter_mut().zip(repetition).for_each(|(sum, &part)| *sum += part);
        }
        super::write_all(&mut sums[self.column..][..self.period], write, columns.iter().copied());
    }

    /// Chunks of a matrix of `len` elements that are whole.
    #[inline(always)]
    pub(super) fn whole_chunks(&self, len: usize) -> usize {
        (len.saturating_sub(self.column) + self.step - self.width) / self.step
    }

    /// Where in a chunk to start so that [`GROUP`]s of places cover it; the last ones may overlap. None if a chunk is
    /// shorter.
    #[inline(always)]
    pub(super) fn groups(&self) -> impl Iterator<Item = usize> + use<> {
        let width = self.width;
        let end = if width < GROUP { 0 } else { width };
        (0..end).step_by(GROUP).map(move |at| at.min(width - GROUP))
    }
}

/// Places of a chunk whose sums are kept in registers.
pub(super) const GROUP: usize = 64;

#[inline(always)]
fn flush<T: Element>(partial: &mut [T; SPAN], total: &mut [T; SPAN]) {
    for (partial, total) in partial.iter_mut().zip(total) {
        *total += *partial;
        *partial = T::ZERO;
    }
}

/// y = x + bias of the channel.
#[inline(always)]
pub(crate) fn add_bias<T: Element>(bias: &[T], x: &[T], y: &mut [T]) {
    check_rows("add_bias", bias.len(), x.len());
    assert_eq!(x.len(), y.len(), "add_bias: y is as long as x");
    for strip in Strip::all(bias.len()) {
        let bias = strip.repeat(bias);
        for chunk in strip.chunks(x.len()) {
            let terms = x[chunk.clone()].iter().zip(&bias);
            y[chunk].iter_mut().zip(terms).for_each(|(y, (&x, &bias))| *y = x + bias);
        }
    }
}

/// y += bias of the channel.
#[inline(always)]
pub(crate) fn add_bias_in_place<T: Element>(bias: &[T], y: &mut [T]) {
    check_rows("add_bias_in_place", bias.len(), y.len());
    for strip in Strip::all(bias.len()) {
        let bias = strip.repeat(bias);
        for chunk in strip.chunks(y.len()) {
            y[chunk].iter_mut().zip(&bias).for_each(|(y, &bias)| *y += bias);
        }
    }
}

/// Each channel's sum over the rows.
#[inline(always)]
pub(crate) fn column_sums<T: Element>(x: &[T], sums: &mut [T], write: Write) {
    check_rows("column_sums", sums.len(), x.len());
    for strip in Strip::all(sums.len()) {
        if strip.width < GROUP {
            strip.sum(x.len(), [&mut *sums], write, |[sums], chunk| {
                sums.iter_mut().zip(&x[chunk]).for_each(|(sum, &x)| *sum += x);
            });
            continue;
        }
        let mut total = [T::ZERO; SPAN];
        let whole = strip.whole_chunks(x.len());
        for first in (0..whole).step_by(BATCH) {
            let (count, block) = (BATCH.min(whole - first), &x[strip.column + first * strip.step..]);
            let mut part = [T::ZERO; SPAN];
            for at in strip.groups() {
                part[at..][..GROUP].copy_from_slice(&group_sums(&strip, count, &block[at..]));
            }
            total.iter_mut().zip(&part).for_each(|(total, &part)| *total += part);
        }
        for chunk in strip.chunks(x.len()).skip(whole) {
            total.iter_mut().zip(&x[chunk]).for_each(|(total, &x)| *total += x);
        }
        strip.fold(&mut total, sums, write);
    }
}

/// The sums of the first places of `count` chunks.
#[inline(always)]
fn group_sums<T: Element>(strip: &Strip, count: usize, block: &[T]) -> [T; GROUP] {
    let mut sums = [T::ZERO; GROUP];
    for i in 0..count {
        let chunk = &block[i * strip.step..][..GROUP];
        for j in 0..GROUP {
            sums[j] += chunk[j];
        }
    }
    sums
}

/// Each channel's sum of dy·x over the rows.
#[inline(always)]
pub(crate) fn column_dots<T: Element, const FMA: bool>(dy: &[T], x: &[T], sums: &mut [T], write: Write) {
    check_rows("column_dots", sums.len(), x.len());
    assert_eq!(x.len(), dy.len(), "column_dots: dy is as long as x");
    for strip in Strip::all(sums.len()) {
        strip.sum(x.len(), [&mut *sums], write, |[sums], chunk| {
            for ((sum, &dy), &x) in sums.iter_mut().zip(&dy[chunk.clone()]).zip(&x[chunk]) {
                *sum = multiply_add::<T, FMA>(dy, x, *sum);
            }
        });
    }
}

#[inline(always)]
pub(super) fn check_rows(kernel: &str, channels: usize, len: usize) {
    assert!(
        len == 0 || (channels > 0 && len.is_multiple_of(channels)),
        "{kernel}: {len} elements are not whole rows of {channels} channels"
    );
}
