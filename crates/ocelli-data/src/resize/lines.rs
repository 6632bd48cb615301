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

/// Numbers that are computed at once: whole pixels of 1, 2, 3 or 4 channels, and whole vectors.
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

    #[inline(always)]
    pub(super) fn of_one<const C: usize>(&self, p: [f32; 4]) -> [f32; C] {
        std::array::from_fn(|i| p[i] * self.slopes[i] + self.offsets[i])
    }

    #[inline(always)]
    pub(super) fn of_four<const C: usize>(
        &self,
        p: [f32; 4],
        q: [f32; 4],
        r: [f32; 4],
        s: [f32; 4],
        out: &mut [[f32; C]; 4],
    ) {
        if C == 3 {
            let out = out.as_flattened_mut();
            let a = [p[0], p[1], p[2], q[0]];
            let b = [q[1], q[2], r[0], r[1]];
            let c = [r[2], s[0], s[1], s[2]];
            let a: [f32; 4] = std::array::from_fn(|i| a[i] * self.slopes[i] + self.offsets[i]);
            let b: [f32; 4] = std::array::from_fn(|i| b[i] * self.slopes[4 + i] + self.offsets[4 + i]);
            let c: [f32; 4] = std::array::from_fn(|i| c[i] * self.slopes[8 + i] + self.offsets[8 + i]);
            out[..4].copy_from_slice(&a);
            out[4..8].copy_from_slice(&b);
            out[8..12].copy_from_slice(&c);
        } else {
            *out = [self.of_one(p), self.of_one(q), self.of_one(r), self.of_one(s)];
        }
    }

    /// Writes what `values`, which begin with a pixel, become.
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
