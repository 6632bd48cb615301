//! One image in memory, and reading picture files.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

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

/// Reads a PNG, JPEG, BMP or PNM file into 1 channel (grey files) or 3, and one for opacity where any pixel is
/// transparent.
///
/// 16 bits are rounded to 8, palettes looked up, and the EXIF orientation applied. The size is checked before anything
/// is decoded, and a decoder that panics is stopped there.
///
/// # Errors
/// [`DataError::Picture`] for a file that is no such picture or is damaged, [`DataError::PictureSize`] for more than
/// [`MOST_PIXELS`], [`DataError::Io`].
pub fn decode(path: &Path) -> Result<Picture, DataError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes));
    let length = read.map_err(|e| DataError::io(path, "read", e))? as u64;
    let name = path.display().to_string();
    if length > MOST_FILE_BYTES {
        return Err(too_large(&name, format!("the file has more than the {MOST_FILE_BYTES} bytes allowed")));
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
        .unwrap_or_else(|_| Err(damaged(name, "it is damaged in a way that its decoder does not expect")))
}

fn decode_unguarded(name: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    let failed = |e: ImageError| undecodable(name, bytes, e);
    let reader = ImageReader::new(Cursor::new(bytes));
    let mut reader = reader.with_guessed_format().map_err(|e| failed(ImageError::IoError(e)))?;
    if reader.format().is_none() {
        return Err(no_picture(name, bytes));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODING_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(too_large(
            name,
            format!("it has {width}×{height} pixels, and at most {MOST_PIXELS} are decoded"),
        ));
    }
    if width == 0 || height == 0 {
        return Err(damaged(name, "it has no pixels"));
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
        (false, true) => (image.into_luma_alpha8().into_raw(), 2),
        (true, true) => (image.into_rgba8().into_raw(), 4),
    };
    let picture = Picture { pixels, height, width, channels };
    let mut opacities = picture.pixels.iter().skip(channels - 1).step_by(channels);
    if picture.has_opacity() && opacities.all(|&opacity| opacity == 255) {
        let mut opaque = Picture::default();
        opaque.lay_over(&picture, 0);
        return opaque;
    }
    picture
}

/// 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, rounded: Pillow's mode "L".
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// What a decoder refused, in words of ours where it has none that help.
fn undecodable(name: &str, bytes: &[u8], error: ImageError) -> DataError {
    match error {
        ImageError::Limits(_) => too_large(
            name,
            format!("decoding it would take more than {} MiB of memory", MOST_DECODING_BYTES >> 20),
        ),
        ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(name, "it ends too early: it was cut off, or is damaged")
        }
        ImageError::Unsupported(_) => no_picture(name, bytes),
        other => damaged(name, &format!("it is damaged: {other}")),
    }
}

/// A file of another kind, or a kind of picture that is not read.
fn no_picture(name: &str, bytes: &[u8]) -> DataError {
    if bytes.is_empty() {
        return damaged(name, "the file is empty");
    }
    let problem = match image::guess_format(bytes) {
        Ok(format) if READ.contains(&format) => {
            format!("it is a {format:?} picture of a rare kind that is not read")
        }
        Ok(format) => format!("it is a {format:?} picture, and only PNG, JPEG, BMP and PNM are read"),
        Err(_) => "it is no picture, or none that is read: PNG, JPEG, BMP or PNM".to_owned(),
    };
    DataError::Picture { picture: name.to_owned(), problem, advice: "save the picture as PNG".to_owned() }
}

/// The formats that are decoded.
const READ: [ImageFormat; 4] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm];

fn damaged(name: &str, problem: &str) -> DataError {
    DataError::Picture {
        picture: name.to_owned(),
        problem: problem.to_owned(),
        advice: "get the file again, or save it as PNG if an image viewer shows it".to_owned(),
    }
}

fn too_large(name: &str, problem: String) -> DataError {
    DataError::PictureSize { picture: name.to_owned(), problem }
}
