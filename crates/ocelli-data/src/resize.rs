//! Cropping, resizing, mirroring and normalising in one pass, with a triangle filter that widens as the picture shrinks:
//! bilinear, antialiased.
//!
//! Each output pixel is the average of the source under a triangle of half-width max(1, scale) source pixels along each
//! axis, cut off at the picture's border: what Pillow's `BILINEAR` and PyTorch's `antialias=True` compute. Only sums and
//! products that no compiler may reorder are used, so every CPU gets the same bits.

mod axis;
mod lines;

use ocelli_kernels::{Vectorised, vectorised};

use crate::Picture;
use crate::geometry::Window;
use axis::Axis;
pub(crate) use lines::{Line, Pattern};

/// Makes `out` the `source` at `height`×`width`, stretched where the aspect differs. Rounded once, at the end.
pub fn resize(source: &Picture, height: usize, width: usize, out: &mut Picture) {
    let channels = source.channels;
    let mut values = vec![0f32; height * width * channels];
    let drawing = Drawing {
        window: Window::whole([source.height, source.width]),
        flip: false,
        size: [height, width],
        pad: 0,
        background: 0,
        lines: &[Line::SAME; 4][..channels],
    };
    Resizer::default().draw(source, &drawing, &mut values);
    for (out, value) in out.reshape(height, width, channels).iter_mut().zip(&values) {
        *out = (value + 0.5) as u8;
    }
}

/// What to draw of a picture, and how.
pub(crate) struct Drawing<'a> {
    /// The part of the picture. Where it reaches beyond the border there is background.
    pub(crate) window: Window,
    /// Whether left and right change sides.
    pub(crate) flip: bool,
    /// Height and width that the window becomes.
    pub(crate) size: [usize; 2],
    /// Pixels of background that are added on each side.
    pub(crate) pad: usize,
    /// The value, 0 to 255, of what lies outside the picture.
    pub(crate) background: u8,
    /// Per channel what becomes of a value from 0 to 255.
    pub(crate) lines: &'a [Line],
}

/// Draws pictures, with memory that is kept from one to the next: a few numbers per row and column of the output, and one
/// row of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resizer {
    columns: Axis,
    rows: Axis,
    /// A row of the output before its columns are averaged.
    averaged: Vec<f32>,
}

impl Resizer {
    /// Writes H·W·C numbers to `out`. Panics where `out` has another length than that, or a picture other channels than
    /// 1 to 4.
    pub(crate) fn draw(&mut self, source: &Picture, drawing: &Drawing<'_>, out: &mut [f32]) {
        let Drawing { window, size: [height, width], .. } = *drawing;
        self.columns.set(source.width, [window.left, window.width], width, drawing.flip);
        self.rows.set(source.height, [window.top, window.height], height, false);
        let resizer = self;
        match source.channels {
            1 => vectorised(Draw::<1> { resizer, source, drawing, out }),
            2 => vectorised(Draw::<2> { resizer, source, drawing, out }),
            3 => vectorised(Draw::<3> { resizer, source, drawing, out }),
            4 => vectorised(Draw::<4> { resizer, source, drawing, out }),
            channels => panic!("pictures have 1 to 4 channels, not {channels}"),
        }
    }
}

/// Drawing a picture of C channels, for which columns and rows are set.
struct Draw<'a, const C: usize> {
    resizer: &'a mut Resizer,
    source: &'a Picture,
    drawing: &'a Drawing<'a>,
    out: &'a mut [f32],
}

impl<const C: usize> Vectorised for Draw<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Draw { resizer: Resizer { columns, rows, averaged }, source, drawing, out } = self;
        let Drawing { size: [height, width], pad, lines, .. } = *drawing;
        let full = width + 2 * pad;
        let (pixels, _) = out.as_chunks_mut::<C>();
        assert_eq!(pixels.len(), (height + 2 * pad) * full, "the length of an input");
        let pattern = Pattern::new(lines);
        if pad == 0 && columns.is_identity() && rows.is_identity() {
            return pattern.of_bytes(&source.pixels, pixels.as_flattened_mut());
        }
        let background = std::array::from_fn(|c| lines[c].at(f32::from(drawing.background)));
        let inside = columns.inside();
        // Some numbers more than are reached, so that pixels can be read four numbers at a time.
        averaged.resize(columns.reach().len() * C + 4, 0.0);
        for (y, out) in pixels.chunks_exact_mut(full).enumerate() {
            let row = y.checked_sub(pad).filter(|y| rows.inside().contains(y) && !inside.is_empty());
            let Some(row) = row else {
                out.fill(background);
                continue;
            };
            let (left, out) = out.split_at_mut(pad + inside.start);
            let (out, right) = out.split_at_mut(inside.len());
            left.fill(background);
            right.fill(background);
            draw_row(columns, rows, source, row, &pattern, averaged, out);
        }
    }
}

/// Draws the pixels of one output row that lie within the picture.
#[inline(always)]
fn draw_row<const C: usize>(
    columns: &Axis,
    rows: &Axis,
    source: &Picture,
    row: usize,
    pattern: &Pattern,
    averaged: &mut [f32],
    out: &mut [[f32; C]],
) {
    let (reach, first) = (columns.reach(), rows.start(row));
    let part = |k: usize| &source.pixels[((first + k) * source.width + reach.start) * C..][..reach.len() * C];
    if rows.copies() && columns.copies_in_order() {
        return pattern.of_bytes(part(0), out.as_flattened_mut());
    }
    add_rows(rows.weights(row), part, &mut averaged[..reach.len() * C]);
    columns.average(averaged, pattern, out);
}

/// The weighted sum of rows of bytes, added in their order.
#[inline(always)]
fn add_rows<'a>(weights: &[f32], row: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
    let (pairs, rest) = weights.as_chunks::<2>();
    for (i, &[u, v]) in pairs.iter().enumerate() {
        let sources = row(2 * i).iter().zip(row(2 * i + 1));
        let terms = sources.map(|(&a, &b)| (u * f32::from(a), v * f32::from(b)));
        match i {
            0 => out.iter_mut().zip(terms).for_each(|(out, (a, b))| *out = a + b),
            _ => out.iter_mut().zip(terms).for_each(|(out, (a, b))| *out = *out + a + b),
        }
    }
    for &w in rest {
        let terms = row(weights.len() - 1).iter().map(|&a| w * f32::from(a));
        match weights.len() {
            1 => out.iter_mut().zip(terms).for_each(|(out, a)| *out = a),
            _ => out.iter_mut().zip(terms).for_each(|(out, a)| *out += a),
        }
    }
}

#[cfg(test)]
mod tests;
