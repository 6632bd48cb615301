//! One image in memory.

/// An image of one byte per channel and pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// H·W·C: the channels of a pixel are adjacent.
    pub pixels: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue); with opacity, the last one, 2 or 4.
    pub channels: usize,
}

impl Picture {
    /// The shape [C, H, W].
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Gives the picture another shape, in the memory it has where that suffices. What the pixels are
    /// afterwards is left open.
    pub fn reshape(&mut self, height: usize, width: usize, channels: usize) -> &mut [u8] {
        (self.height, self.width, self.channels) = (height, width, channels);
        self.pixels.resize(height * width * channels, 0);
        &mut self.pixels
    }

    /// Whether the last channel is opacity, 0 for transparent to 255.
    pub fn has_opacity(&self) -> bool {
        matches!(self.channels, 2 | 4)
    }

    /// Makes this `source` laid over paper of the value `background`; it then has no opacity.
    pub fn lay_over(&mut self, source: &Picture, background: u8) {
        let colors = source.channels - usize::from(source.has_opacity());
        let out = self.reshape(source.height, source.width, colors);
        if !source.has_opacity() {
            return out.copy_from_slice(&source.pixels);
        }
        let pixels = source.pixels.chunks_exact(source.channels);
        for (out, pixel) in out.chunks_exact_mut(colors).zip(pixels) {
            let opacity = u32::from(pixel[colors]);
            let blend = |value: u8| {
                let paper = u32::from(background) * (255 - opacity);
                ((u32::from(value) * opacity + paper + 127) / 255) as u8
            };
            out.iter_mut().zip(pixel).for_each(|(out, &value)| *out = blend(value));
        }
    }

    /// Makes this `source`, which has no opacity, in grey (1 channel) or colour (3). Grey is ITU-R 601 luma, rounded as Pillow
    /// rounds it; colour of a grey picture repeats it. Panics for other numbers of channels.
    pub fn convert_from(&mut self, source: &Picture, channels: usize) {
        let out = self.reshape(source.height, source.width, channels);
        match (source.channels, channels) {
            (a, b) if a == b => out.copy_from_slice(&source.pixels),
            (3, 1) => {
                for (out, rgb) in out.iter_mut().zip(source.pixels.as_chunks::<3>().0) {
                    *out = luma(*rgb);
                }
            }
            (1, 3) => {
                for (out, &grey) in out.as_chunks_mut::<3>().0.iter_mut().zip(&source.pixels) {
                    *out = [grey; 3];
                }
            }
            (from, to) => panic!("pictures have 1 or 3 channels, not {from} or {to}"),
        }
    }
}

/// Pictures on the way to grey or colour without opacity, whose memory is reused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat {
    opaque: Picture,
    converted: Picture,
}

impl Flat {
    /// `picture` laid over paper of the value `background`, in 1 or 3 channels; itself where it is so already.
    pub(crate) fn of<'a>(
        &'a mut self,
        mut picture: &'a Picture,
        channels: usize,
        background: u8,
    ) -> &'a Picture {
        if picture.has_opacity() {
            self.opaque.lay_over(picture, background);
            picture = &self.opaque;
        }
        if picture.channels != channels {
            self.converted.convert_from(picture, channels);
            picture = &self.converted;
        }
        picture
    }
}

/// 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, rounded: Pillow's mode "L".
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}
