//! Which source positions each output position averages, along one axis.

use std::ops::Range;

use super::lines::Pattern;

/// How the positions of an output are made from those of a source. All that lie inside it have equally many terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    /// What it was made for, so that it need not be made again.
    made_for: Option<(usize, [f64; 2], usize, bool)>,
    /// The output positions that lie inside the source.
    inside: Range<usize>,
    /// For each of them the first source position.
    starts: Vec<u32>,
    /// The source positions of each.
    taps: usize,
    /// Their weights, which add up to 1 for each output position.
    weights: Vec<f32>,
    /// Whether each output position is one of the source.
    copies: bool,
    flip: bool,
}

impl Axis {
    /// For `outputs` positions that cover the source from `window[0]` on for `window[1]`; the source has `from`. With `flip` the
    /// first output position is the last of the window.
    pub(super) fn set(&mut self, from: usize, window: [f64; 2], outputs: usize, flip: bool) {
        let wanted = Some((from, window, outputs, flip));
        if self.made_for == wanted {
            return;
        }
        (self.made_for, self.flip) = (wanted, flip);
        let scale = window[1] / outputs as f64;
        let place = |i: usize| if flip { outputs - 1 - i } else { i };
        let centre = |i: usize| window[0] + (place(i) as f64 + 0.5) * scale;
        let is_inside = |&i: &usize| (0.0..from as f64).contains(&centre(i));
        let first = (0..outputs).find(is_inside).unwrap_or(0);
        let count = (first..outputs).take_while(is_inside).count();
        self.inside = first..first + count;
        self.starts.clear();
        self.weights.clear();
        self.copies = scale == 1.0 && window[0].fract() == 0.0;
        if self.copies {
            self.taps = 1;
            self.starts.extend(self.inside.clone().map(|i| centre(i) as u32));
            self.weights.resize(count, 1.0);
            return;
        }
        let support = scale.max(1.0);
        self.taps = ((2.0 * support).ceil() as usize).min(from);
        for i in self.inside.clone() {
            self.triangle(centre(i), support, from);
        }
    }

    /// Adds the weights of one output position. Those that others have and it has not are 0.
    fn triangle(&mut self, centre: f64, support: f64, from: usize) {
        let first = (centre - support + 0.5).floor().max(0.0) as usize;
        let start = first.min(from - self.taps);
        let weight = |k: usize| (1.0 - (k as f64 + 0.5 - centre).abs() / support).max(0.0);
        let sum: f64 = (start..start + self.taps).map(weight).sum();
        self.starts.push(start as u32);
        self.weights.extend((start..start + self.taps).map(|k| (weight(k) / sum) as f32));
    }

    /// The output positions that lie inside the source.
    pub(super) fn inside(&self) -> Range<usize> {
        self.inside.clone()
    }

    /// The first source position of an output position, which lies inside.
    pub(super) fn start(&self, position: usize) -> usize {
        self.starts[position - self.inside.start] as usize
    }

    /// The weights of an output position, which lies inside.
    pub(super) fn weights(&self, position: usize) -> &[f32] {
        &self.weights[(position - self.inside.start) * self.taps..][..self.taps]
    }

    /// The source positions that are read at all.
    pub(super) fn reach(&self) -> Range<usize> {
        let (Some(&a), Some(&b)) = (self.starts.first(), self.starts.last()) else { return 0..0 };
        a.min(b) as usize..a.max(b) as usize + self.taps
    }

    /// Whether each output position is one of the source.
    pub(super) fn copies(&self) -> bool {
        self.copies
    }

    /// Whether the output is all of the source as it stands.
    pub(super) fn is_identity(&self) -> bool {
        self.copies_in_order()
            && self.made_for.is_some_and(|(from, window, outputs, _)| window[0] == 0.0 && from == outputs)
    }

    /// Whether the output is a piece of the source as it stands.
    pub(super) fn copies_in_order(&self) -> bool {
        self.copies && !self.flip
    }

    /// Writes the pixels that lie inside, of a `row` of those that are reached and four numbers more.
    #[inline(always)]
    pub(super) fn average<const C: usize>(&self, row: &[f32], pattern: &Pattern, out: &mut [[f32; C]]) {
        match self.taps {
            1 => self.average_of(1, row, pattern, out),
            2 => self.average_of(2, row, pattern, out),
            3 => self.average_of(3, row, pattern, out),
            4 => self.average_of(4, row, pattern, out),
            5 => self.average_of(5, row, pattern, out),
            taps => self.average_of(taps, row, pattern, out),
        }
    }

    /// Four numbers are computed at a time, whatever C is.
    #[inline(always)]
    fn average_of<const C: usize>(&self, taps: usize, row: &[f32], pattern: &Pattern, out: &mut [[f32; C]]) {
        let (first, (slopes, offsets)) = (self.reach().start as u32, pattern.pixel());
        for ((out, &start), weights) in out.iter_mut().zip(&self.starts).zip(self.weights.chunks_exact(taps))
        {
            let from = &row[(start - first) as usize * C..][..(taps - 1) * C + 4];
            let mut sum: [f32; 4] = std::array::from_fn(|i| weights[0] * from[i]);
            for k in 1..taps {
                for i in 0..4 {
                    sum[i] += weights[k] * from[k * C + i];
                }
            }
            let new: [f32; 4] = std::array::from_fn(|i| sum[i] * slopes[i] + offsets[i]);
            out.copy_from_slice(&new[..C]);
        }
    }
}
