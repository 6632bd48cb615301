//! One bilinear resampling from a picture to an output of another size.

use ocelli_kernels::Vectorised;

use super::affine::Affine;
use super::elastic::Field;
use crate::geometry::Window;
use crate::resize::{Line, Pattern};

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
        // A few numbers more, so that the last pixel can be read four numbers at a time.
        self.values.resize((height + 2) * row + 4, f32::from(background));
        let rows = self.values.chunks_exact_mut(row).skip(1);
        for (out, source) in rows.zip(pixels.chunks_exact(width * channels)) {
            for (out, &value) in out[channels..].iter_mut().zip(source) {
                *out = value.into();
            }
        }
    }

    /// Where the pixels around each (x, y), from the middle of the picture's first pixel, stand in the values; leaves how far
    /// between them it is.
    #[inline(always)]
    fn around<const C: usize>(&self, x: &mut [f32; BLOCK], y: &mut [f32; BLOCK]) -> [u32; BLOCK] {
        let (width, height) = (self.width as i32, self.height as i32);
        let mut places = [0; BLOCK];
        for i in 0..BLOCK {
            let (u, v) = (x[i].clamp(-1.0, width as f32) + 1.0, y[i].clamp(-1.0, height as f32) + 1.0);
            let (left, top) = ((u as i32).min(width), (v as i32).min(height));
            (x[i], y[i]) = (u - left as f32, v - top as f32);
            places[i] = ((top * (width + 2) + left) * C as i32) as u32;
        }
        places
    }

    /// The value between four pixels: four numbers at a time, of which C count.
    #[inline(always)]
    fn between<const C: usize>(&self, from: u32, right_share: f32, bottom_share: f32) -> [f32; C] {
        let across = |from: usize| -> [f32; 4] {
            let four = &self.values[from..][..C + 4];
            std::array::from_fn(|i| four[i] + right_share * (four[C + i] - four[i]))
        };
        let upper = across(from as usize);
        let lower = across(from as usize + (self.width + 2) * C);
        std::array::from_fn(|i| upper[i] + bottom_share * (lower[i] - upper[i]))
    }
}

/// Writing an output's pixels as a map says, and then what each channel's line makes of them.
pub(super) struct Resample<'a> {
    pub(super) map: &'a Map<'a>,
    pub(super) source: &'a Framed,
    pub(super) lines: &'a [Line],
    pub(super) out: &'a mut [f32],
}

impl Vectorised for Resample<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Resample { map, source, lines, out } = self;
        match source.channels {
            1 => map.resample::<1>(source, out),
            3 => map.resample::<3>(source, out),
            channels => panic!("pictures have 1 or 3 channels, not {channels}"),
        }
        Pattern::new(lines).in_place(out);
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
    #[inline(always)]
    fn resample<const C: usize>(&self, source: &Framed, out: &mut [f32]) {
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
            let displacement = self.displacement.map(|field| field.row(row, self.width));
            let (out, _) = out.as_chunks_mut::<C>();
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let column = |i: usize| (block * BLOCK + i) as i32 as f32;
                let mut x: [f32; BLOCK] = std::array::from_fn(|i| first_x + column(i) * step_x);
                let mut y: [f32; BLOCK] = std::array::from_fn(|i| first_y + column(i) * step_y);
                if let Some((dx, dy)) = displacement {
                    let add = |to: &mut [f32], scale: f64, d: &[f32]| {
                        to.iter_mut().zip(&d[block * BLOCK..]).for_each(|(to, d)| *to += scale as f32 * d);
                    };
                    add(&mut x, across, dx);
                    add(&mut y, down, dy);
                }
                let places = source.around::<C>(&mut x, &mut y);
                for (i, out) in out.iter_mut().enumerate() {
                    *out = source.between(places[i], x[i], y[i]);
                }
            }
        }
    }
}

/// Pixels whose places are computed at once, so that vectors can do it.
const BLOCK: usize = 32;
