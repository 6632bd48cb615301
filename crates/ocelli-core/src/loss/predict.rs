//! From outputs to classes: which one wins, where the right one ranks, how probable each is.

use std::cmp::Ordering;

use ocelli_kernels::Element;

use super::logistic::log_sigmoid;
use super::partition::Partition;
use super::{Loss, map};

/// Which output wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// The highest: outputs are scores.
    Highest,
    /// The lowest: outputs are penalties.
    Lowest,
}

impl Ranking {
    /// `Less` where `a` is better than `b`. NaN is worse than any number.
    fn compare<T: Element>(self, a: T, b: T) -> Ordering {
        match (self, a.partial_cmp(&b)) {
            (Ranking::Lowest, Some(order)) => order,
            (Ranking::Highest, Some(order)) => order.reverse(),
            (_, None) => a.is_nan().cmp(&b.is_nan()),
        }
    }
}

impl Loss {
    /// Which output wins under this loss.
    pub const fn ranking(&self) -> Ranking {
        match self {
            Loss::Map { .. } | Loss::Penalty => Ranking::Lowest,
            _ => Ranking::Highest,
        }
    }

    /// The class that wins for the outputs of one sample; of equals, the one with the lower index.
    ///
    /// # Panics
    /// If there are no outputs.
    pub fn predicted_class<T: Element>(&self, outputs: &[T]) -> usize {
        if self.is_binary(outputs.len()) {
            return usize::from(outputs[0] > self.threshold());
        }
        let better = |&a: &usize, &b: &usize| self.ranking().compare(outputs[a], outputs[b]);
        (0..outputs.len()).min_by(better).expect("a network has outputs")
    }

    /// How many classes rank before `class` for the outputs of one sample: the top-k error counts those with
    /// k or more. Among equals the lower index ranks first.
    pub fn rank<T: Element>(&self, outputs: &[T], class: usize) -> usize {
        if self.is_binary(outputs.len()) {
            return usize::from(self.predicted_class(outputs) != class);
        }
        let ranks_before = |&i: &usize| match self.ranking().compare(outputs[i], outputs[class]) {
            Ordering::Less => true,
            Ordering::Equal => i < class,
            Ordering::Greater => false,
        };
        (0..outputs.len()).filter(ranks_before).count()
    }

    /// The `k` best classes for the outputs of one sample, best first; all of them if there are fewer.
    pub fn top_classes<T: Element>(&self, outputs: &[T], k: usize) -> Vec<usize> {
        let mut classes: Vec<usize> = (0..self.classes(outputs.len())).collect();
        if self.is_binary(outputs.len()) {
            classes.sort_by_key(|&class| self.rank(outputs, class));
        } else {
            classes.sort_by(|&a, &b| self.ranking().compare(outputs[a], outputs[b]));
        }
        classes.truncate(k);
        classes
    }

    /// The probability of each class for the outputs of one sample: a class that ranks
    /// higher ([`Loss::rank`]) is never less probable.
    ///
    /// Cross-entropy: softmax. Logistic: σ, and against the rest, shared out so that they add up to 1.
    /// Exponential: the same of 2x, the loss's own estimate (Friedman, Hastie and Tibshirani 2000). Hinge: σ
    /// or softmax, though margins are not calibrated. Squares: outputs clipped to [0, 1] and shared out. MAP:
    /// the posterior; what is missing from 1 is rubbish's. Penalty: the posterior without rubbish.
    ///
    /// # Panics
    /// If `out` is not as long as there are classes ([`Loss::classes`]).
    pub fn probabilities<T: Element>(&self, outputs: &[T], out: &mut [T]) {
        assert_eq!(out.len(), self.classes(outputs.len()), "one probability per class");
        let binary = self.is_binary(outputs.len());
        let x = |i: usize| match (binary, i) {
            (true, 0) => -outputs[0],
            (true, _) => outputs[0],
            (false, _) => outputs[i],
        };
        match *self {
            Loss::Euclidean | Loss::SquaredError => clipped(outputs, binary, out),
            Loss::Map { rubbish } => {
                let z = map::partition(rubbish, outputs);
                (0..out.len()).for_each(|i| out[i] = z.share(-outputs[i]));
            }
            Loss::BinaryLogistic => softmax(out, |i| log_sigmoid(x(i))),
            Loss::Exponential => softmax(out, |i| log_sigmoid(T::of(2.0) * x(i))),
            Loss::Hinge { .. } if binary => softmax(out, |i| log_sigmoid(x(i))),
            Loss::CrossEntropy { .. } | Loss::Hinge { .. } => softmax(out, x),
            Loss::Penalty => softmax(out, |i| -x(i)),
        }
    }

    /// The single output above which class 1 wins.
    fn threshold<T: Element>(&self) -> T {
        match self {
            Loss::Euclidean | Loss::SquaredError => T::of(0.5),
            _ => T::ZERO,
        }
    }
}

fn softmax<T: Element>(out: &mut [T], score: impl Fn(usize) -> T) {
    let z = Partition::of(out.len(), &score);
    for (i, p) in out.iter_mut().enumerate() {
        *p = z.share(score(i));
    }
}

/// Outputs that were fitted to 0 and 1 read as probabilities; uniform where none is above 0.
fn clipped<T: Element>(outputs: &[T], binary: bool, out: &mut [T]) {
    let clip = |x: T| x.max(T::ZERO).min(T::ONE);
    if binary {
        out[1] = clip(outputs[0]);
        out[0] = T::ONE - out[1];
        return;
    }
    let total: f64 = outputs.iter().map(|&x| clip(x).f64()).sum();
    for (p, &x) in out.iter_mut().zip(outputs) {
        *p = if total > 0.0 { clip(x) / T::of(total) } else { T::of(1.0 / outputs.len() as f64) };
    }
}
