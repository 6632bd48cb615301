//! Places for the buffers of a plan: exact lifetimes, memory used again as soon as it is free.

use super::Buffer;
use super::build::too_large;
use crate::Error;
use crate::arena::ALIGNMENT;

/// Elements to which a buffer is aligned: a whole number of cache lines for f32 and f64.
const ALIGN: usize = ALIGNMENT / 4;

/// Elements of the longest arena: in f32, no allocation is larger than `isize::MAX` bytes.
pub(super) const MAX_LEN: usize = isize::MAX as usize / 4;

/// Gives each buffer its offset and returns the length of the arena.
///
/// Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020):
/// the largest first, each at the lowest place that is free for its whole life.
pub(super) fn place(buffers: &mut [Buffer], reuse: bool) -> Result<usize, Error> {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    if reuse {
        order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), i));
    }
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0usize;
    for index in order {
        let buffer = &buffers[index];
        let len = buffer.len.checked_next_multiple_of(ALIGN);
        let offset = if reuse { lowest_free(buffers, &placed, index) } else { Some(total) };
        let end = len.and_then(|len| offset?.checked_add(len));
        let (Some(offset), Some(end)) = (offset, end.filter(|&end| end <= MAX_LEN)) else {
            return Err(too_large(buffers.iter().map(|b| b.len as u128).sum()));
        };
        buffers[index].offset = offset;
        total = total.max(end);
        let at = placed.partition_point(|&p| buffers[p].offset < offset);
        placed.insert(at, index);
    }
    Ok(total)
}

/// The lowest offset at which `index` fits between the buffers placed so far (sorted by offset) that live when it does.
fn lowest_free(buffers: &[Buffer], placed: &[usize], index: usize) -> Option<usize> {
    let buffer = &buffers[index];
    let mut at = 0usize;
    for &other in placed {
        let other = &buffers[other];
        if other.first > buffer.last || other.last < buffer.first {
            continue;
        }
        if at.checked_add(buffer.len)? <= other.offset {
            break;
        }
        at = at.max((other.offset + other.len).checked_next_multiple_of(ALIGN)?);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::plan::BufferKind;

    fn buffer(len: usize, first: usize, last: usize) -> Buffer {
        Buffer { kind: BufferKind::Output(Value(0)), len, first, last, offset: 0 }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours_alone() {
        let mut chain = vec![buffer(160, 0, 1), buffer(320, 1, 2), buffer(160, 2, 3), buffer(32, 3, 4)];
        assert_eq!(place(&mut chain, true).unwrap(), 480);
        assert_eq!(place(&mut chain, false).unwrap(), 672);
    }

    #[test]
    fn buffers_that_live_together_never_overlap() {
        let mut stream = ocelli_kernels::random::Key::new(3, &[]).stream();
        for _ in 0..200 {
            let mut all: Vec<Buffer> = (0..20)
                .map(|_| {
                    let first = stream.below(30) as usize;
                    buffer(1 + stream.below(500) as usize, first, first + stream.below(8) as usize)
                })
                .collect();
            let total = place(&mut all, true).unwrap();
            for (i, a) in all.iter().enumerate() {
                assert!(a.range().end <= total && a.offset % ALIGN == 0);
                for b in &all[..i] {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.range().end <= b.offset || b.range().end <= a.offset;
                    assert!(!together || apart, "{a:?} and {b:?}");
                }
            }
        }
    }
}
