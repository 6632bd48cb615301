//! PNG, BMP, GIF, WebP and PNM.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::orient::orient;
use super::{Header, MOST_DECODING_BYTES, MOST_HEADER_BYTES, Problem, checked_size};
use crate::Picture;

/// Whether pictures of this format are decoded.
pub(super) fn reads(format: ImageFormat) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, WebP};
    matches!(format, Png | Jpeg | Bmp | Gif | WebP | Pnm)
}

/// What decoders of WebP and GIF keep a pixel: whole pictures of their own.
const KEPT: usize = 16;

/// What [`decode`] gives, or with a channel for opacity that no pixel needs.
pub(super) fn header_of(first: &[u8]) -> Result<Header, Problem> {
    let (decoder, size, orientation) = opened(first)?;
    let color = decoder.color_type();
    let whole = matches!(image::guess_format(first), Ok(ImageFormat::WebP | ImageFormat::Gif));
    // More bits a channel are there at once before they are rounded.
    let deep = color.bytes_per_pixel() > color.channel_count();
    let bits = if deep { usize::from(color.bytes_per_pixel()) } else { 0 };
    let own = if whole { KEPT } else { 0 };
    Ok(Header::new(channels(color), size, orientation, own + bits))
}

/// Decodes into `picture`.
pub(super) fn decode(bytes: &[u8], picture: &mut Picture) -> Result<(), Problem> {
    let (mut decoder, [height, width], orientation) = opened(bytes)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODING_BYTES);
    decoder.set_limits(limits).map_err(|e| Problem::of(bytes, e))?;
    let color = decoder.color_type();
    match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            let pixels = picture.reshape(height, width, channels(color));
            decoder.read_image(pixels).map_err(|e| Problem::of(bytes, e))?;
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let mut deep = vec![0; height * width * 2 * channels(color)];
            decoder.read_image(&mut deep).map_err(|e| Problem::of(bytes, e))?;
            let pixels = picture.reshape(height, width, channels(color));
            for (pixel, deep) in pixels.iter_mut().zip(deep.as_chunks::<2>().0) {
                // 65535 is 255 · 257.
                *pixel = ((u32::from(u16::from_ne_bytes(*deep)) + 128) / 257) as u8;
            }
        }
        _ => return Err(Problem::no_picture(bytes)),
    }
    drop_needless_opacity(picture);
    orient(picture, orientation);
    Ok(())
}

/// A decoder that has read the header, and what that says.
fn opened(bytes: &[u8]) -> Result<(impl ImageDecoder, [usize; 2], Orientation), Problem> {
    let format = image::guess_format(bytes).ok().filter(|&format| reads(format));
    let format = format.ok_or_else(|| Problem::no_picture(bytes))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_HEADER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| Problem::of(bytes, e))?;
    let (width, height) = decoder.dimensions();
    let size = checked_size(height as usize, width as usize)?;
    // Metadata that cannot be read does not make the pixels wrong.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, size, orientation))
}

fn channels(color: ColorType) -> usize {
    match (color.has_color(), color.has_alpha()) {
        (false, false) => 1,
        (true, false) => 3,
        (false, true) => 2,
        (true, true) => 4,
    }
}

/// Takes the channel of opacity away where every pixel is opaque.
fn drop_needless_opacity(picture: &mut Picture) {
    let (channels, colors) = (picture.channels, picture.channels - 1);
    let mut opacities = picture.pixels.iter().skip(colors).step_by(channels);
    if !picture.has_opacity() || opacities.any(|&opacity| opacity != 255) {
        return;
    }
    let count = picture.height * picture.width;
    for i in 0..count {
        picture.pixels.copy_within(i * channels..i * channels + colors, i * colors);
    }
    picture.pixels.truncate(count * colors);
    picture.channels = colors;
}
