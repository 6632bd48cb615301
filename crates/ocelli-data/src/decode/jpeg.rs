//! JPEG: the format of photographs, so the one that has to be fast.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::orient::orient;
use super::{Problem, checked_size};
use crate::Picture;

/// The marker that ends a picture.
pub(super) const END: [u8; 2] = [0xff, 0xd9];

/// The longest side that JPEG can express.
const MOST_SIDE: usize = 65_535;

/// Whether a file begins like a JPEG picture.
pub(super) fn is_jpeg(first: &[u8]) -> bool {
    first.starts_with(&[0xff, 0xd8, 0xff])
}

/// Bytes a pixel that are kept while it is decoded: three coefficients of two bytes where it is progressive.
const KEPT: usize = 6;

/// What [`decode`] gives, and takes.
pub(super) fn header_of(first: &[u8]) -> Result<super::Header, Problem> {
    let mut decoder = opened(first)?;
    let header = header(&mut decoder)?;
    Ok(super::Header::new(header.channels, header.size, header.orientation, KEPT))
}

/// Decodes into `picture`: grey pictures into 1 channel, all others into 3.
///
/// A file that is cut off is refused, though most of it could be shown: its lower part would be grey.
pub(super) fn decode(bytes: &[u8], picture: &mut Picture) -> Result<(), Problem> {
    let mut decoder = opened(bytes)?;
    let Header { size: [height, width], channels, orientation } = header(&mut decoder)?;
    if !has_end(bytes) {
        return Err(Problem::cut_off());
    }
    let color = if channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    // Strict where it comes to the pixels: otherwise what is missing or damaged becomes grey without a word.
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(color).set_strict_mode(true));
    decoder.decode_into(picture.reshape(height, width, channels)).map_err(problem)?;
    orient(picture, orientation);
    Ok(())
}

struct Header {
    size: [usize; 2],
    channels: usize,
    orientation: Orientation,
}

fn opened(bytes: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, Problem> {
    let options = DecoderOptions::default().set_max_width(MOST_SIDE).set_max_height(MOST_SIDE);
    // Not strict: stray bytes between headers are common, and every viewer passes over them.
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options.set_strict_mode(false));
    decoder.decode_headers().map_err(problem)?;
    Ok(decoder)
}

fn header(decoder: &mut JpegDecoder<ZCursor<&[u8]>>) -> Result<Header, Problem> {
    let (width, height) = decoder.dimensions().expect("invariant: the headers were decoded");
    let channels = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => 1,
        _ => 3,
    };
    // Metadata that cannot be read does not make the pixels wrong.
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(Header {
        size: checked_size(height, width)?,
        channels,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    })
}

/// Whether the end marker follows the first scan; thumbnails before it have end markers of their own.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let scan = first_scan(bytes).unwrap_or(0);
    // Mostly it is the last thing in the file.
    bytes[scan..].windows(2).rev().any(|pair| pair == END)
}

/// Where the first scan begins: segments before it have lengths that lead from one to the next.
fn first_scan(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let &[0xff, marker] = bytes.get(at..at + 2)? else {
            // Stray bytes: on to the next marker.
            at += 1;
            continue;
        };
        match marker {
            0xda => return Some(at),
            // Padding, stuffed zeros, and markers without a segment.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes(*bytes.get(at + 2..)?.first_chunk()?)),
        }
    }
}

fn problem(error: DecodeErrors) -> Problem {
    match error {
        DecodeErrors::ExhaustedData => Problem::cut_off(),
        DecodeErrors::LargeDimensions(_) => Problem::TooLarge(format!("its size is not read: {error:?}")),
        DecodeErrors::ZeroError => Problem::Damaged("it has no pixels".to_owned()),
        other => Problem::Damaged(format!("it is damaged: {other:?}")),
    }
}
