//! Pictures inside pages and drawings: samples → PNG or JPEG → base64 → `data:` URI.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::report::Picture;

/// Up to this side pictures are few bytes, and each of their pixels can be seen: they lose nothing.
const EXACT: usize = 48;

/// Quality of the others, of 100.
const QUALITY: u8 = 80;

/// A photograph as a `data:` URI: JPEG, or PNG where it is small or has opacity. `None` where sizes and samples contradict
/// each other.
pub(crate) fn photo_uri(picture: &Picture) -> Option<String> {
    let color = match picture.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return data_uri(picture),
    };
    let (width, height) = sides(picture)?;
    if picture.width.max(picture.height) <= EXACT {
        return data_uri(picture);
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .write_image(&picture.pixels, width, height, color)
        .ok()?;
    Some(format!("data:image/jpeg;base64,{}", base64(&jpeg)))
}

/// Width and height, if the samples are as many as these say.
fn sides(picture: &Picture) -> Option<(u32, u32)> {
    let samples = picture.width.checked_mul(picture.height)?.checked_mul(picture.channels)?;
    if samples == 0 || samples != picture.pixels.len() {
        return None;
    }
    Some((u32::try_from(picture.width).ok()?, u32::try_from(picture.height).ok()?))
}

/// The picture, exactly, as a `data:` URI, or `None` where its sizes and samples contradict each other.
pub(crate) fn data_uri(picture: &Picture) -> Option<String> {
    Some(format!("data:image/png;base64,{}", base64(&png(picture)?)))
}

/// The picture as a PNG file, or `None` where its sizes and samples contradict each other.
fn png(picture: &Picture) -> Option<Vec<u8>> {
    let color = color_type(picture.channels)?;
    let (width, height) = sides(picture)?;
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
        .write_image(&picture.pixels, width, height, color)
        .ok()?;
    Some(png)
}

/// What PNG calls pictures of so many channels.
pub(crate) fn color_type(channels: usize) -> Option<ExtendedColorType> {
    match channels {
        1 => Some(ExtendedColorType::L8),
        2 => Some(ExtendedColorType::La8),
        3 => Some(ExtendedColorType::Rgb8),
        4 => Some(ExtendedColorType::Rgba8),
        _ => None,
    }
}

/// RFC 4648, section 4, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            // n bytes fill n + 1 digits; the rest is padding.
            let sextet = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= three.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_test_vectors_of_rfc_4648() {
        let plain = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let coded = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(plain.map(|p| base64(p.as_bytes())), coded);
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn pictures_of_one_to_four_channels_become_png() {
        for channels in 1..=4 {
            let picture = Picture { width: 3, height: 2, channels, pixels: vec![7; 6 * channels] };
            assert!(data_uri(&picture).unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
        }
    }

    #[test]
    fn a_picture_whose_size_contradicts_its_samples_is_none() {
        let sizes = [(2, 2, 1, 3), (0, 0, 1, 0), (usize::MAX, 2, 1, 4), (1, 1, 5, 5)];
        for (width, height, channels, samples) in sizes {
            let picture = Picture { width, height, channels, pixels: vec![0; samples] };
            assert_eq!((data_uri(&picture), photo_uri(&picture)), (None, None));
        }
    }

    #[test]
    fn photographs_become_jpeg_where_they_are_large() {
        let kind = |side: usize, channels: usize| {
            let pixels = vec![7; side * side * channels];
            let uri = photo_uri(&Picture { width: side, height: side, channels, pixels }).unwrap();
            uri[..15].to_string()
        };
        assert_eq!([kind(96, 3), kind(96, 1)], ["data:image/jpeg"; 2]);
        assert_eq!([kind(32, 3), kind(96, 4), kind(28, 1)], ["data:image/png;"; 3]);
    }
}
