//! What the outputs should have been.

use std::ops::Range;

use ocelli_kernels::Element;

use super::LossError;

/// What was wanted of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a, T> {
    /// A class per sample, counted from 0.
    Classes(&'a [u32]),
    /// A value per output: samples×width.
    Values(&'a [T]),
}

impl<'a, T> Targets<'a, T> {
    /// The targets of these samples alone.
    pub fn samples(self, range: Range<usize>, width: usize) -> Self {
        match self {
            Targets::Classes(labels) => Targets::Classes(&labels[range]),
            Targets::Values(values) => Targets::Values(&values[range.start * width..range.end * width]),
        }
    }

    /// Multiplies each sample's gradient (samples×width) by the weight of its class: of values by their sum of weights.
    pub(crate) fn weigh(self, weights: &[T], width: usize, gradient: &mut [T])
    where
        T: Element,
    {
        for (sample, gradient) in gradient.chunks_exact_mut(width).enumerate() {
            let weight = match self.of(sample, width) {
                Target::Class(class) => weights[class],
                Target::Values([yes]) if weights.len() == 2 => weights[0] + *yes * (weights[1] - weights[0]),
                Target::Values(values) => {
                    assert_eq!(values.len(), weights.len(), "a weight for each class");
                    values.iter().zip(weights).fold(T::ZERO, |sum, (&t, &w)| sum + t * w)
                }
            };
            gradient.iter_mut().for_each(|g| *g *= weight);
        }
    }

    pub(super) fn of(self, sample: usize, width: usize) -> Target<'a, T> {
        match self {
            Targets::Classes(labels) => {
                let class = labels[sample] as usize;
                debug_assert!(class < width.max(2), "label {class} was not checked against {width} outputs");
                Target::Class(class)
            }
            Targets::Values(values) => Target::Values(&values[sample * width..][..width]),
        }
    }
}

/// What was wanted of one sample.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a, T> {
    Class(usize),
    Values(&'a [T]),
}

impl<T: Element> Target<'_, T> {
    /// t_i of a loss that has an output per class.
    pub(super) fn one_hot(self, i: usize) -> T {
        match self {
            Target::Class(class) if class == i => T::ONE,
            Target::Class(_) => T::ZERO,
            Target::Values(values) => values[i],
        }
    }

    /// t_i, 0 or 1, of a loss whose single output tells two classes apart.
    pub(super) fn positive(self, i: usize, width: usize) -> T {
        match self {
            Target::Class(class) if width == 1 => T::of(class as f64),
            _ => self.one_hot(i),
        }
    }

    /// y_i = ±1.
    pub(super) fn sign(self, i: usize, width: usize) -> T {
        match self {
            Target::Class(_) => T::of(2.0) * self.positive(i, width) - T::ONE,
            Target::Values(values) => values[i],
        }
    }
}

/// Whether every label names one of `classes` classes.
///
/// # Errors
/// Names the first sample whose label does not.
pub fn check_labels(labels: &[u32], classes: usize) -> Result<(), LossError> {
    if classes == 0 && !labels.is_empty() {
        return Err(LossError::NoClasses);
    }
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(sample) => Err(LossError::Label { sample, label: labels[sample], classes }),
        None => Ok(()),
    }
}
