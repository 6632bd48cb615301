//! PNG, BMP, GIF, WebP and PNM.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::orient::{orient, turned};
use super::{MOST_DECODING_BYTES, MOST_HEADER_BYTES, Problem, checked_size};
use crate::Picture;

/// Whether pictures of this format are decoded.
pub(super) fn reads(format: ImageFormat) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, WebP};
    matches!(format, Png | Jpeg | Bmp | Gif | WebP | Pnm)
}

/// The shape [C, H, W] that [`decode`] gives, or with a channel for opacity that no pixel needs.
pub(super) fn shape(first: &[u8]) -> Result<[usize; 3], Problem> {
    let (decoder, [height, width], orientation) = opened(first)?;
    let [height, width] = turned([height, width], orientation);
    Ok([channels(decoder.color_type()), height, width])
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
        _ => {
            let image = DynamicImage::from_decoder(decoder).map_err(|e| Problem::of(bytes, e))?;
            *picture = rounded(image);
        }
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

/// More bits a channel, in 8.
fn rounded(image: DynamicImage) -> Picture {
    let (height, width, channels) =
        (image.height() as usize, image.width() as usize, channels(image.color()));
    let pixels = match channels {
        1 => image.into_luma8().into_raw(),
        2 => image.into_luma_alpha8().into_raw(),
        3 => image.into_rgb8().into_raw(),
        _ => image.into_rgba8().into_raw(),
    };
    Picture { pixels, height, width, channels }
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
