//! Resizing with a triangle filter that widens as the picture shrinks: bilinear, antialiased.

use crate::Picture;

/// Makes `out` the `source` at `height`×`width`, stretched where the aspect differs.
///
/// Each output pixel is the average of the source under a triangle of half-width max(1, scale) source
/// pixels along each axis, cut off at the border: what Pillow's `BILINEAR` and PyTorch's
/// `antialias=True` compute. Rounded once, at the end. Source rows are taken one after another, so
/// memory grows with the output and one row alone.
pub fn resize(source: &Picture, height: usize, width: usize, out: &mut Picture) {
    let channels = source.channels;
    let columns = Filter::new(source.width, width);
    let rows = Filter::new(source.height, height);
    let row_len = width * channels;
    let mut row = vec![0f32; row_len];
    let mut sums = vec![0f32; height * row_len];
    let mut first = 0;
    for (y, source_row) in source.pixels.chunks_exact(source.width * channels).enumerate() {
        resize_row(source_row, channels, &columns, &mut row);
        // Ranges move down with the output row: those that are over stay over.
        while first < height && rows.range(first).end <= y {
            first += 1;
        }
        for target in (first..height).take_while(|&target| rows.range(target).start <= y) {
            let weight = rows.weights(target)[y - rows.range(target).start];
            for (sum, value) in sums[target * row_len..][..row_len].iter_mut().zip(&row) {
                *sum += weight * value;
            }
        }
    }
    for (out, sum) in out.reshape(height, width, channels).iter_mut().zip(&sums) {
        *out = (sum + 0.5) as u8;
    }
}

fn resize_row(source: &[u8], channels: usize, columns: &Filter, out: &mut [f32]) {
    for (x, out) in out.chunks_exact_mut(channels).enumerate() {
        out.fill(0.0);
        let pixels = source.chunks_exact(channels).skip(columns.range(x).start);
        for (pixel, weight) in pixels.zip(columns.weights(x)) {
            for (out, &value) in out.iter_mut().zip(pixel) {
                *out += weight * f32::from(value);
            }
        }
    }
}

/// Which source positions an output position averages, and their weights, which add up to 1.
struct Filter {
    /// For each output position the first source position and where its weights end in `weights`.
    spans: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Filter {
    fn new(from: usize, to: usize) -> Filter {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let mut filter = Filter { spans: Vec::with_capacity(to), weights: Vec::new() };
        for i in 0..to {
            let center = (i as f64 + 0.5) * scale;
            let start = (center - support).floor().max(0.0) as usize;
            let end = ((center + support).ceil() as usize).min(from);
            let weight = |k: usize| (1.0 - ((k as f64 + 0.5 - center) / support).abs()).max(0.0);
            let sum: f64 = (start..end).map(weight).sum();
            filter.weights.extend((start..end).map(|k| (weight(k) / sum) as f32));
            filter.spans.push((start, filter.weights.len()));
        }
        filter
    }

    fn weights(&self, i: usize) -> &[f32] {
        let begin = if i == 0 { 0 } else { self.spans[i - 1].1 };
        &self.weights[begin..self.spans[i].1]
    }

    fn range(&self, i: usize) -> std::ops::Range<usize> {
        let start = self.spans[i].0;
        start..start + self.weights(i).len()
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    fn noise(height: usize, width: usize, channels: usize) -> Picture {
        let key = Key::new(3, &[height as u64, width as u64]);
        let mut picture = Picture::default();
        for (i, p) in picture.reshape(height, width, channels).iter_mut().enumerate() {
            *p = key.word(i as u64) as u8;
        }
        picture
    }

    /// The definition, one output value at a time, in f64.
    fn naive(source: &Picture, height: usize, width: usize) -> Vec<f64> {
        let weight = |k: usize, i: usize, from: usize, to: usize| {
            let scale = from as f64 / to as f64;
            (1.0 - ((k as f64 + 0.5 - (i as f64 + 0.5) * scale) / scale.max(1.0)).abs()).max(0.0)
        };
        let mut out = Vec::new();
        for (y, x, c) in positions(height, width, source.channels) {
            let (mut sum, mut weights) = (0.0, 0.0);
            for (v, u, _) in positions(source.height, source.width, 1) {
                let w = weight(v, y, source.height, height) * weight(u, x, source.width, width);
                sum += w * f64::from(source.pixels[(v * source.width + u) * source.channels + c]);
                weights += w;
            }
            out.push(sum / weights);
        }
        out
    }

    fn positions(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
    }

    #[test]
    fn resizing_is_the_triangle_filter() {
        for (from, to, channels) in [
            ([8, 8], [28, 20], 1),
            ([31, 17], [8, 5], 3),
            ([5, 40], [9, 7], 3),
            ([1, 1], [4, 3], 1),
            ([64, 1], [1, 3], 1),
        ] {
            let source = noise(from[0], from[1], channels);
            let mut out = Picture::default();
            resize(&source, to[0], to[1], &mut out);
            assert_eq!(out.shape(), [channels, to[0], to[1]]);
            for (got, want) in out.pixels.iter().zip(naive(&source, to[0], to[1])) {
                assert!((f64::from(*got) - want).abs() <= 0.501, "{from:?} to {to:?}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let source = noise(13, 7, 3);
        let mut out = Picture::default();
        resize(&source, 13, 7, &mut out);
        assert_eq!(out, source);
    }
}
