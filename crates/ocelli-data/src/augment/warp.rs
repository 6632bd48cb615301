//! One bilinear resampling from a picture to an output of another size.

use super::affine::Affine;
use super::elastic::Field;
use crate::geometry::Window;

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
    /// Takes over `pixels` of `shape` = [C, H, W], H·W·C.
    pub(super) fn fill<T: Copy + Into<f32>>(
        &mut self,
        pixels: &[T],
        [channels, height, width]: [usize; 3],
        background: u8,
    ) {
        (self.height, self.width, self.channels) = (height, width, channels);
        let row = (width + 2) * channels;
        self.values.clear();
        self.values.resize((height + 2) * row, f32::from(background));
        let rows = self.values.chunks_exact_mut(row).skip(1);
        for (out, source) in rows.zip(pixels.chunks_exact(width * channels)) {
            for (out, &value) in out[channels..].iter_mut().zip(source) {
                *out = value.into();
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
    /// Of the pixels of the image that `window` would become unmoved.
    pub(super) affine: Affine,
    /// Added to the affine map's coordinates.
    pub(super) displacement: Option<&'a Field>,
    /// The part of the source that the middle of the output shows; its size is that of `inner` output pixels.
    pub(super) window: Window,
    /// Height and width of what the window becomes, without the border that the output may have more.
    pub(super) inner: [usize; 2],
    /// Whether the window's left and right change sides, before anything else moves.
    pub(super) flip: bool,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Map<'_> {
    /// Writes every output pixel, H·W·C; the middles of window and output coincide.
    pub(super) fn resample(&self, source: &Framed, out: &mut [f32]) {
        match source.channels {
            1 => self.resample_channels::<1>(source, out),
            3 => self.resample_channels::<3>(source, out),
            channels => panic!("pictures have 1 or 3 channels, not {channels}"),
        }
    }

    fn resample_channels<const C: usize>(&self, source: &Framed, out: &mut [f32]) {
        let [[xx, _], [yx, _]] = self.affine.matrix;
        let Window { left, top, width, height } = self.window;
        let mirror = if self.flip { -1.0 } else { 1.0 };
        let (across, down) = (mirror * width / self.inner[1] as f64, height / self.inner[0] as f64);
        let middle = |n: usize| n as f64 / 2.0 - 0.5;
        for (row, out) in out.chunks_exact_mut(self.width * C).enumerate() {
            let [x, y] = self.affine.at([-middle(self.width), row as f64 - middle(self.height)]);
            let (first_x, first_y) =
                (across * x + left + width / 2.0 - 0.5, down * y + top + height / 2.0 - 0.5);
            let (first_x, first_y) = (first_x as f32, first_y as f32);
            let (step_x, step_y) = ((across * xx) as f32, (down * yx) as f32);
            let at = |column: usize| (first_x + column as f32 * step_x, first_y + column as f32 * step_y);
            let (out, _) = out.as_chunks_mut::<C>();
            match self.displacement.map(|field| field.row(row, self.width)) {
                None => {
                    for (column, out) in out.iter_mut().enumerate() {
                        let (x, y) = at(column);
                        *out = source.sample(x, y);
                    }
                }
                Some((dx, dy)) => {
                    let (across, down) = (across as f32, down as f32);
                    for (column, ((out, dx), dy)) in out.iter_mut().zip(dx).zip(dy).enumerate() {
                        let (x, y) = at(column);
                        *out = source.sample(x + across * dx, y + down * dy);
                    }
                }
            }
        }
    }
}
