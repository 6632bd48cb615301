//! Every loss, with settings and targets that suit it.

use ocelli_core::{Loss, Targets};
use ocelli_kernels::random::Stream;

/// A loss without its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Euclidean,
    SquaredError,
    CrossEntropy,
    BinaryLogistic,
    Hinge,
    SquaredHinge,
    Exponential,
    Map,
    Penalty,
}

impl Kind {
    /// The loss with random settings.
    pub(crate) fn loss(self, stream: &mut Stream) -> Loss {
        match self {
            Kind::Euclidean => Loss::Euclidean,
            Kind::SquaredError => Loss::SquaredError,
            Kind::CrossEntropy => Loss::CrossEntropy { label_smoothing: stream.below(2) as f64 * 0.1 },
            Kind::BinaryLogistic => Loss::BinaryLogistic,
            Kind::Hinge => Loss::Hinge { margin: stream.range(0.5, 2.0), squared: false },
            Kind::SquaredHinge => Loss::Hinge { margin: stream.range(0.5, 2.0), squared: true },
            Kind::Exponential => Loss::Exponential,
            Kind::Map => Loss::Map { rubbish: stream.range(0.0, 2.0) },
            Kind::Penalty => Loss::Penalty,
        }
    }
}

/// Targets of a batch, owned.
pub(crate) enum OwnedTargets {
    Classes(Vec<u32>),
    Values(Vec<f64>),
}

impl OwnedTargets {
    pub(crate) fn lend(&self) -> Targets<'_, f64> {
        match self {
            OwnedTargets::Classes(labels) => Targets::Classes(labels),
            OwnedTargets::Values(values) => Targets::Values(values),
        }
    }
}

/// Random classes or values for `count` samples with `width` outputs.
pub(crate) fn targets(loss: &Loss, width: usize, count: usize, stream: &mut Stream) -> OwnedTargets {
    if stream.below(2) == 0 {
        let classes = loss.classes(width) as u64;
        return OwnedTargets::Classes((0..count).map(|_| stream.below(classes) as u32).collect());
    }
    let values = (0..count).flat_map(|_| values_of_one(loss, width, stream));
    OwnedTargets::Values(values.collect())
}

fn values_of_one(loss: &Loss, width: usize, stream: &mut Stream) -> Vec<f64> {
    let mut values: Vec<f64> = (0..width).map(|_| stream.uniform()).collect();
    match loss {
        Loss::Euclidean | Loss::SquaredError => values.fill_with(|| stream.normal()),
        Loss::BinaryLogistic => {}
        Loss::Hinge { .. } | Loss::Exponential => {
            values.iter_mut().for_each(|v| *v = if *v < 0.5 { -1.0 } else { 1.0 });
        }
        Loss::CrossEntropy { .. } | Loss::Map { .. } | Loss::Penalty => {
            let total: f64 = values.iter().sum();
            values.iter_mut().for_each(|v| *v /= total);
        }
    }
    values
}
