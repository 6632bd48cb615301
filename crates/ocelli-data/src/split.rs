//! Holding images out of training, class by class.

use std::sync::Arc;

use ocelli_kernels::random::Key;

use crate::dataset::class_counts;
use crate::{Dataset, Subset, purpose};

/// Divides `dataset` into what is trained on and a held-out `share` (between 0 and 1) of every class,
/// chosen by `seed`. Both keep the set's order.
///
/// The number held out is `share` of all, rounded; classes get their quota of it by largest remainder,
/// and at least one where they have two images or more. No class loses its last training image.
pub fn hold_out(dataset: &Arc<dyn Dataset>, share: f64, seed: u64) -> (Subset, Subset) {
    assert!((0.0..=1.0).contains(&share), "a share of {share} cannot be held out");
    let mut by_class: Vec<Vec<u32>> = vec![Vec::new(); dataset.classes().len()];
    for i in 0..dataset.len() {
        by_class[dataset.label(i) as usize].push(i as u32);
    }
    let quotas = quotas(&class_counts(&**dataset), share);
    let (mut train, mut held) = (Vec::new(), Vec::new());
    for (class, (members, &quota)) in by_class.iter_mut().zip(&quotas).enumerate() {
        Key::new(seed, &[purpose::SPLIT, class as u64]).stream().shuffle(members);
        held.extend_from_slice(&members[..quota]);
        train.extend_from_slice(&members[quota..]);
    }
    train.sort_unstable();
    held.sort_unstable();
    (Subset::new(dataset.clone(), train), Subset::new(dataset.clone(), held))
}

/// How many of each class to hold out.
fn quotas(counts: &[usize], share: f64) -> Vec<usize> {
    let most = |n: usize| n.saturating_sub(1);
    let total = (counts.iter().sum::<usize>() as f64 * share).round() as usize;
    let mut quotas: Vec<usize> =
        counts.iter().map(|&n| ((n as f64 * share) as usize).max(1).min(most(n))).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    let remainder = |k: usize| counts[k] as f64 * share - quotas[k] as f64;
    // Stable, so equal remainders go to the lower class.
    by_remainder.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)));
    let mut missing = total.saturating_sub(quotas.iter().sum());
    for k in by_remainder {
        if missing > 0 && quotas[k] < most(counts[k]) {
            quotas[k] += 1;
            missing -= 1;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_add_up_to_the_share_by_largest_remainder() {
        assert_eq!(quotas(&[10, 10, 10], 0.1), [1, 1, 1]);
        assert_eq!(quotas(&[14, 16, 10], 0.1), [1, 2, 1]);
        assert_eq!(
            quotas(&[178, 182, 177, 183, 181, 182, 181, 179, 174, 180], 0.2).iter().sum::<usize>(),
            359
        );
    }

    #[test]
    fn small_classes_give_one_and_keep_one() {
        assert_eq!(quotas(&[0, 1, 2, 3, 100], 0.1), [0, 0, 1, 1, 10]);
    }
}
