//! An order of classes in which those that are taken for each other stand together, so that a matrix shows blocks.

/// More classes stay in their own order: finding another one takes memory and time with their square.
const MOST: usize = 1500;

/// An order of `n` classes: they are joined into ever larger groups, those with the highest mean similarity first
/// (Sokal and Michener 1958), and groups are laid end to end so that the classes at the seam are as similar as can be.
///
/// `similarity` is symmetric and not negative.
pub(super) fn by_similarity(n: usize, similarity: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    if n > MOST {
        return (0..n).collect();
    }
    let between: Vec<f32> = (0..n * n).map(|cell| similarity(cell / n, cell % n) as f32).collect();
    let mut groups = Groups { n, mean: between.clone(), members: (0..n).map(|class| vec![class]).collect() };
    let mut chain: Vec<usize> = Vec::new();
    // Each group of the chain is the most similar one to the group before it. Where two are that to each other, they are
    // joined: nothing that is joined later comes between them (Murtagh 1983).
    for _ in 1..n {
        let Some(start) = groups.members.iter().position(|members| !members.is_empty()) else { break };
        if chain.is_empty() {
            chain.push(start);
        }
        loop {
            let last = chain[chain.len() - 1];
            let before = chain.len().checked_sub(2).map(|place| chain[place]);
            let nearest = groups.nearest(last, before);
            if Some(nearest) == before {
                chain.truncate(chain.len() - 2);
                groups.join(last.min(nearest), last.max(nearest), &between);
                break;
            }
            chain.push(nearest);
        }
    }
    groups.members.into_iter().find(|members| !members.is_empty()).unwrap_or_default()
}

struct Groups {
    n: usize,
    /// Mean similarity between the members of two groups.
    mean: Vec<f32>,
    /// The classes of each group in their order; none where the group is part of another.
    members: Vec<Vec<usize>>,
}

impl Groups {
    /// The group most similar to `group`: of equals `favourite`, else the first.
    fn nearest(&self, group: usize, favourite: Option<usize>) -> usize {
        let others = (0..self.n).filter(|&other| other != group && !self.members[other].is_empty());
        let score = |other: usize| (self.mean[group * self.n + other], Some(other) == favourite);
        let better = |a: usize, b: usize| if score(b) > score(a) { b } else { a };
        others.reduce(better).expect("invariant: there are two groups as long as groups are joined")
    }

    /// Makes `second` part of `first`.
    fn join(&mut self, first: usize, second: usize, between: &[f32]) {
        let (n, a, b) = (self.n, self.members[first].len() as f32, self.members[second].len() as f32);
        for other in 0..n {
            let mean = (a * self.mean[first * n + other] + b * self.mean[second * n + other]) / (a + b);
            (self.mean[first * n + other], self.mean[other * n + first]) = (mean, mean);
        }
        let mut left = std::mem::take(&mut self.members[first]);
        let mut right = std::mem::take(&mut self.members[second]);
        let ends = |list: &[usize]| [list[0], list[list.len() - 1]];
        let ([a0, a1], [b0, b1]) = (ends(&left), ends(&right));
        // Which ends meet; of equals, nothing is turned round.
        let seams = [(a1, b0), (a0, b0), (a1, b1), (a0, b1)].map(|(a, b)| between[a * n + b]);
        let best = (1..4).fold(0, |best, k| if seams[k] > seams[best] { k } else { best });
        if best % 2 == 1 {
            left.reverse();
        }
        if best >= 2 {
            right.reverse();
        }
        left.append(&mut right);
        self.members[first] = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_comes_once_and_those_that_are_confused_together() {
        // Three families that are mixed up: those of the remainders of 3.
        let family = |a: usize, b: usize| if a % 3 == b % 3 { 1.0 } else { 0.01 };
        let order = by_similarity(12, family);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..12).collect::<Vec<_>>());
        let changes = order.windows(2).filter(|w| w[0] % 3 != w[1] % 3).count();
        assert_eq!(changes, 2, "{order:?}");
    }

    #[test]
    fn a_line_of_neighbours_stays_a_line() {
        // Class k is at place (5·k) mod 16, and similar to its neighbours alone.
        let place = |class: usize| class * 5 % 16;
        let similar = |a: usize, b: usize| if place(a).abs_diff(place(b)) == 1 { 1.0 } else { 0.0 };
        let order = by_similarity(16, similar);
        let steps = order.windows(2).filter(|w| place(w[0]).abs_diff(place(w[1])) == 1).count();
        assert!(steps >= 12, "{order:?}");
    }

    #[test]
    fn classes_without_any_confusion_keep_their_order() {
        assert_eq!(by_similarity(5, |_, _| 0.0), [0, 1, 2, 3, 4]);
        assert_eq!(by_similarity(0, |_, _| 0.0), [] as [usize; 0]);
        assert_eq!(by_similarity(1, |_, _| 0.0), [0]);
        assert_eq!(by_similarity(MOST + 1, |_, _| 1.0).len(), MOST + 1);
    }
}
