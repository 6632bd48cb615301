//! What becomes of values, channel by channel: value·a + b.

/// A straight line over values from 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) slope: f32,
    pub(crate) offset: f32,
}

impl Line {
    /// Values as they are.
    pub(crate) const SAME: Line = Line { slope: 1.0, offset: 0.0 };

    /// What `value` becomes.
    #[inline(always)]
    pub(crate) fn at(self, value: f32) -> f32 {
        value * self.slope + self.offset
    }
}

/// Numbers that are computed at once: whole pixels of 1, 2, 3 or 4 channels, and whole vectors of any length.
const LANES: usize = 48;

/// The lines of some pixels' channels, one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    slopes: [f32; LANES],
    offsets: [f32; LANES],
}

impl Pattern {
    /// For 1, 2, 3 or 4 channels.
    pub(crate) fn new(lines: &[Line]) -> Pattern {
        let line = |i: usize| lines[i % lines.len()];
        Pattern {
            slopes: std::array::from_fn(|i| line(i).slope),
            offsets: std::array::from_fn(|i| line(i).offset),
        }
    }

    /// The lines of one pixel's channels; beyond them those of the next.
    #[inline(always)]
    pub(super) fn pixel(&self) -> ([f32; 4], [f32; 4]) {
        (std::array::from_fn(|i| self.slopes[i]), std::array::from_fn(|i| self.offsets[i]))
    }

    /// Writes what `values`, which begin with a pixel, become.
    #[inline(always)]
    pub(crate) fn of_bytes(&self, values: &[u8], out: &mut [f32]) {
        let ((values, rest), (out, last)) = (values.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
        for (out, values) in out.iter_mut().zip(values) {
            for i in 0..LANES {
                out[i] = f32::from(values[i]) * self.slopes[i] + self.offsets[i];
            }
        }
        for (i, (out, &value)) in last.iter_mut().zip(rest).enumerate() {
            *out = f32::from(value) * self.slopes[i] + self.offsets[i];
        }
    }

    /// Replaces `values`, which begin with a pixel, by what they become.
    #[inline(always)]
    pub(crate) fn in_place(&self, values: &mut [f32]) {
        let (values, rest) = values.as_chunks_mut::<LANES>();
        for values in values {
            for i in 0..LANES {
                values[i] = values[i] * self.slopes[i] + self.offsets[i];
            }
        }
        for (i, value) in rest.iter_mut().enumerate() {
            *value = *value * self.slopes[i] + self.offsets[i];
        }
    }
}
