//! Both directions of a convolution as the same thing along an axis: windows that step over a source.

use std::ops::Range;

use crate::Conv2d;

/// Windows along one axis (rows or columns): outputs `first + i·every` for i < `count` are sums over taps
/// t < `taps`, which read the source at `start + i·step + t·tap_step` and the kernel at `kernel + t·kernel_step`.
/// Outside of 0..`source` the source is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) source: usize,
    pub(crate) first: usize,
    pub(crate) every: usize,
    pub(crate) count: usize,
    pub(crate) start: isize,
    pub(crate) step: usize,
    pub(crate) taps: usize,
    pub(crate) tap_step: usize,
    pub(crate) kernel: usize,
    pub(crate) kernel_step: isize,
}

impl Axis {
    /// The convolution itself along `axis` (0 rows, 1 columns).
    pub(crate) fn forward(conv: &Conv2d, axis: usize) -> Axis {
        Axis {
            source: conv.input[axis],
            first: 0,
            every: 1,
            count: conv.output[axis],
            start: -(conv.padding[axis] as isize),
            step: conv.stride[axis],
            taps: conv.kernel[axis],
            tap_step: conv.dilation[axis],
            kernel: 0,
            kernel_step: 1,
        }
    }

    /// The gradient of the input at the places phase + i·stride, for a phase below the stride.
    ///
    /// Input i meets output o at tap k where i + padding = o·stride + k·dilation. For inputs of one phase the
    /// same taps apply, every (stride / gcd)-th, and o falls by dilation / gcd from one to the next: a convolution
    /// with step 1 over the output's gradient, whose taps are taken from the last to the first.
    pub(crate) fn backward(conv: &Conv2d, axis: usize, phase: usize) -> Axis {
        let (stride, dilation) = (conv.stride[axis], conv.dilation[axis]);
        let at = phase + conv.padding[axis];
        let meets = |&tap: &usize| (at as isize - (tap * dilation) as isize).rem_euclid(stride as isize) == 0;
        let shared = gcd(stride, dilation);
        let first_tap = (0..conv.kernel[axis]).find(meets);
        let every_tap = stride / shared;
        let taps = first_tap.map_or(0, |tap| (conv.kernel[axis] - tap).div_ceil(every_tap));
        let last_tap = first_tap.unwrap_or(0) + taps.saturating_sub(1) * every_tap;
        Axis {
            source: conv.output[axis],
            first: phase,
            every: stride,
            count: conv.input[axis].saturating_sub(phase).div_ceil(stride),
            start: (at as isize - (last_tap * dilation) as isize).div_euclid(stride as isize),
            step: 1,
            taps,
            tap_step: dilation / shared,
            kernel: last_tap,
            kernel_step: -(every_tap as isize),
        }
    }

    /// Elements of the source from the first to the last that `count` neighbouring windows reach.
    pub(crate) fn reach(&self, count: usize) -> usize {
        if count == 0 || self.taps == 0 {
            return 0;
        }
        let last_window = (count - 1).saturating_mul(self.step);
        last_window.saturating_add((self.taps - 1).saturating_mul(self.tap_step)).saturating_add(1)
    }

    /// Where in the source window `i` starts.
    pub(crate) fn origin(&self, i: usize) -> isize {
        self.start + (i * self.step) as isize
    }

    /// The taps of window `i` that lie inside the source.
    pub(crate) fn met(&self, i: usize) -> Range<usize> {
        let (origin, step) = (self.origin(i), self.tap_step as isize);
        // Taps before the place, counted from the first.
        let before = |place: isize| (place - origin + step - 1).max(0).div_euclid(step) as usize;
        let end = before(self.source as isize).min(self.taps);
        before(0).min(end)..end
    }

    /// Where in the kernel a tap stands.
    pub(crate) fn kernel_of(&self, tap: usize) -> usize {
        (self.kernel as isize + tap as isize * self.kernel_step) as usize
    }

    /// Whether `count` windows from window `i` on lie inside the source.
    pub(crate) fn inside(&self, i: usize, count: usize) -> bool {
        let origin = self.origin(i);
        origin >= 0 && (origin as usize).saturating_add(self.reach(count)) <= self.source
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_of_the_backward_axis_meet_each_pair_of_input_and_tap_once() {
        for (input, kernel, stride, padding, dilation) in [
            (7, 3, 1, 1, 1),
            (9, 3, 2, 1, 1),
            (9, 5, 3, 2, 2),
            (12, 3, 4, 0, 2),
            (6, 1, 3, 0, 1),
            (11, 4, 6, 3, 4),
        ] {
            let output = Conv2d::output_size(input, kernel, stride, 2 * padding, dilation).unwrap();
            let conv = Conv2d {
                input: [input, 1, 1],
                output: [output, 1, 1],
                kernel: [kernel, 1],
                stride: [stride, 1],
                padding: [padding, 0],
                dilation: [dilation, 1],
                groups: 1,
                samples: 4,
            };
            let mut met = Vec::new();
            for phase in 0..stride {
                let axis = Axis::backward(&conv, 0, phase);
                for i in 0..axis.count {
                    for t in axis.met(i) {
                        let out = axis.origin(i) + (t * axis.tap_step) as isize;
                        met.push((axis.first + i * axis.every, axis.kernel_of(t), out as usize));
                    }
                }
            }
            let mut want = Vec::new();
            for i in 0..input {
                for tap in 0..kernel {
                    want.extend(
                        (0..output)
                            .filter(|&out| conv.source(0, out, tap) == Some(i))
                            .map(|out| (i, tap, out)),
                    );
                }
            }
            met.sort_unstable();
            want.sort_unstable();
            assert_eq!(met, want, "{conv:?}");
        }
    }
}
