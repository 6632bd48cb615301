//! Some of many, from all over: sets often stand class by class.

/// `count` of the numbers below `of`, evenly spread and in order; all of them where there are no more.
pub(crate) fn spread(count: usize, of: usize) -> impl Iterator<Item = usize> {
    let count = count.min(of);
    (0..count).map(move |i| i * of / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_from_all_over_and_none_come_twice() {
        assert_eq!(spread(3, 10).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(spread(5, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(4, 0).count(), 0);
    }
}
