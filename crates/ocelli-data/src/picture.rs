//! One image in memory, and reading picture files.

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use crate::DataError;

/// The most pixels (height times width) of a picture file that is decoded.
pub const MOST_PIXELS: u64 = 1 << 26;

/// The most bytes of a picture file.
const MOST_FILE_BYTES: u64 = 1 << 29;

/// The most memory that decoding may take besides: 16 bytes a pixel.
const MOST_DECODING_BYTES: u64 = 16 * MOST_PIXELS;

/// An image of one byte per channel and pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// H·W·C: the channels of a pixel are adjacent.
    pub pixels: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
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

    /// Makes this `source` in grey (1 channel) or colour (3). Grey is ITU-R 601 luma, rounded as Pillow
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

/// Reads a PNG, JPEG, BMP or PNM file into 1 channel (grey files) or 3.
///
/// 16 bits are rounded to 8, palettes looked up, transparent pixels laid over white paper, and the EXIF
/// orientation applied. The size is checked before anything is decoded, and a decoder that panics is
/// stopped there.
///
/// # Errors
/// [`DataError::Malformed`] for a file that is no such picture or is damaged, [`DataError::Memory`] for
/// more than [`MOST_PIXELS`], [`DataError::Io`].
pub fn decode(path: &Path) -> Result<Picture, DataError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes));
    let length = read.map_err(|e| DataError::io(path, "read", e))? as u64;
    let name = path.display().to_string();
    if length > MOST_FILE_BYTES {
        return Err(too_large(&name, length, format!("more than the {MOST_FILE_BYTES} allowed for a file")));
    }
    decode_bytes(&name, &bytes)
}

/// Decodes a picture file that is in memory, as [`decode`]; `name` stands for the file in messages.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(name: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    // Decoders are others' code before hostile bytes. They work on their own memory alone, so nothing
    // half-done is seen after a panic.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(name, bytes)))
        .unwrap_or_else(|_| Err(damaged(name, "a file that its decoder panics at")))
}

fn decode_unguarded(name: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    let failed = |e: ImageError| match e {
        ImageError::Limits(limit) => too_large(name, MOST_DECODING_BYTES, limit.to_string()),
        other => damaged(name, &other.to_string()),
    };
    let reader = ImageReader::new(Cursor::new(bytes));
    let mut reader = reader.with_guessed_format().map_err(|e| damaged(name, &e.to_string()))?;
    if reader.format().is_none() {
        return Err(damaged(name, "a file of another kind"));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODING_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        let limit = format!("for {width}×{height} pixels; {MOST_PIXELS} are allowed");
        return Err(too_large(name, decoder.total_bytes(), limit));
    }
    if width == 0 || height == 0 {
        return Err(damaged(name, "no pixels"));
    }
    // Metadata that cannot be read does not make the pixels wrong.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok(picture_of(image))
}

fn picture_of(image: DynamicImage) -> Picture {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let color = image.color();
    let (pixels, channels) = match (color.has_color(), color.has_alpha()) {
        (false, false) => (image.into_luma8().into_raw(), 1),
        (true, false) => (image.into_rgb8().into_raw(), 3),
        (false, true) => (over_white::<2>(&image.into_luma_alpha8()), 1),
        (true, true) => (over_white::<4>(&image.into_rgba8()), 3),
    };
    Picture { pixels, height, width, channels }
}

/// Lays pixels whose last of N channels is opacity over white.
fn over_white<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let (pixels, _) = pixels.as_chunks::<N>();
    pixels.iter().flat_map(|pixel| pixel[..N - 1].iter().map(|&v| blend(v, pixel[N - 1]))).collect()
}

/// 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, rounded: Pillow's mode "L".
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

fn damaged(name: &str, found: &str) -> DataError {
    DataError::malformed(
        name,
        "a PNG, JPEG, BMP or PNM picture",
        found,
        "open it in an image viewer; save it again as PNG if it shows",
    )
}

fn too_large(name: &str, needs: u64, limit: String) -> DataError {
    DataError::Memory {
        what: name.to_owned(),
        needs,
        limit,
        advice: "scale the picture down first".to_owned(),
    }
}
