//! One bilinear resampling from a picture to an output of another size.

use super::affine::Affine;
use super::elastic::Field;
use crate::Picture;

/// A picture in f32 with a frame of one background pixel: coordinates that are cut off at the frame
/// read background, and no read needs a test.
#[derive(Clone, Debug, Default)]
pub(super) struct Framed {
    values: Vec<f32>,
    height: usize,
    width: usize,
    channels: usize,
}

impl Framed {
    pub(super) fn fill(&mut self, picture: &Picture, background: u8) {
        (self.height, self.width, self.channels) = (picture.height, picture.width, picture.channels);
        let row = (self.width + 2) * self.channels;
        self.values.clear();
        self.values.resize((self.height + 2) * row, f32::from(background));
        let inner = self.width * self.channels;
        let rows = self.values.chunks_exact_mut(row).skip(1);
        for (out, source) in rows.zip(picture.pixels.chunks_exact(inner)) {
            for (out, &value) in out[self.channels..].iter_mut().zip(source) {
                *out = f32::from(value);
            }
        }
    }

    /// The value between four pixels, at (x, y) from the middle of the picture's first pixel.
    #[inline(always)]
    fn sample<const C: usize>(&self, x: f32, y: f32) -> [f32; C] {
        let x = x.clamp(-1.0, self.width as f32) + 1.0;
        let y = y.clamp(-1.0, self.height as f32) + 1.0;
        let (left, top) = ((x as usize).min(self.width), (y as usize).min(self.height));
        let (right_share, bottom_share) = (x - left as f32, y - top as f32);
        let row = (self.width + 2) * C;
        let upper = &self.values[top * row + left * C..][..2 * C];
        let lower = &self.values[(top + 1) * row + left * C..][..2 * C];
        std::array::from_fn(|c| {
            let u = upper[c] + right_share * (upper[C + c] - upper[c]);
            let l = lower[c] + right_share * (lower[C + c] - lower[c]);
            u + bottom_share * (l - u)
        })
    }
}

/// Where every pixel of an output of `height`×`width` comes from.
pub(super) struct Map<'a> {
    pub(super) affine: Affine,
    /// Added to the source's coordinates.
    pub(super) displacement: Option<&'a Field>,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Map<'_> {
    /// Writes every output pixel, H·W·C; the middles of both images coincide.
    pub(super) fn resample(&self, source: &Framed, out: &mut [f32]) {
        match source.channels {
            1 => self.resample_channels::<1>(source, out),
            3 => self.resample_channels::<3>(source, out),
            channels => panic!("pictures have 1 or 3 channels, not {channels}"),
        }
    }

    fn resample_channels<const C: usize>(&self, source: &Framed, out: &mut [f32]) {
        let [[xx, xy], [yx, yy]] = self.affine.matrix;
        let middle = |n: usize| n as f64 / 2.0 - 0.5;
        for (row, out) in out.chunks_exact_mut(self.width * C).enumerate() {
            let y = row as f64 - middle(self.height) - self.affine.shift[1];
            let x = -middle(self.width) - self.affine.shift[0];
            let (left_x, left_y) =
                (xx * x + xy * y + middle(source.width), yx * x + yy * y + middle(source.height));
            let (left_x, left_y, step_x, step_y) = (left_x as f32, left_y as f32, xx as f32, yx as f32);
            let at = |column: usize| (left_x + column as f32 * step_x, left_y + column as f32 * step_y);
            let (out, _) = out.as_chunks_mut::<C>();
            match self.displacement.map(|field| field.row(row, self.width)) {
                None => {
                    for (column, out) in out.iter_mut().enumerate() {
                        let (x, y) = at(column);
                        *out = source.sample(x, y);
                    }
                }
                Some((dx, dy)) => {
                    for (column, ((out, dx), dy)) in out.iter_mut().zip(dx).zip(dy).enumerate() {
                        let (x, y) = at(column);
                        *out = source.sample(x + dx, y + dy);
                    }
                }
            }
        }
    }
}
