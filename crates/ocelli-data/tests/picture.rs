//! Picture files: what is decoded, and that damage takes nothing down.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use ocelli_data::{ErrorKind, Picture, decode, decode_bytes};

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn decoded(bytes: &[u8]) -> Picture {
    decode_bytes("test", bytes).unwrap()
}

#[test]
fn lossless_formats_give_their_pixels() {
    let color = image::RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8 * 50, y as u8 * 80, 7]));
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm] {
        let picture = decoded(&encode(color.clone(), format));
        assert_eq!((picture.shape(), &picture.pixels), ([3, 3, 5], color.as_raw()), "{format:?}");
    }
    let grey = image::GrayImage::from_fn(4, 2, |x, y| image::Luma([x as u8 * 60 + y as u8]));
    for format in [ImageFormat::Png, ImageFormat::Pnm] {
        let picture = decoded(&encode(grey.clone(), format));
        assert_eq!((picture.shape(), &picture.pixels), ([1, 2, 4], grey.as_raw()), "{format:?}");
    }
}

#[test]
fn jpeg_keeps_an_even_color() {
    let picture =
        decoded(&encode(image::RgbImage::from_pixel(16, 8, image::Rgb([200, 90, 30])), ImageFormat::Jpeg));
    assert_eq!(picture.shape(), [3, 8, 16]);
    for rgb in picture.pixels.chunks(3) {
        assert!(rgb.iter().zip([200u8, 90, 30]).all(|(a, b)| a.abs_diff(b) <= 3), "{rgb:?}");
    }
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let values = [0u16, 128, 129, 257 * 100, 65_535];
    let image = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(5, 1, values.to_vec()).unwrap();
    assert_eq!(decoded(&encode(image, ImageFormat::Png)).pixels, [0, 0, 1, 100, 255]);
}

#[test]
fn transparent_pixels_keep_their_opacity_until_they_are_laid_over_paper() {
    let image =
        image::RgbaImage::from_raw(3, 1, vec![9, 9, 9, 0, 10, 20, 30, 255, 0, 100, 200, 128]).unwrap();
    let picture = decoded(&encode(image, ImageFormat::Png));
    assert_eq!((picture.shape(), picture.has_opacity()), ([4, 1, 3], true));
    let mut paper = Picture::default();
    paper.lay_over(&picture, 255);
    assert_eq!(paper.shape(), [3, 1, 3]);
    assert_eq!(paper.pixels, [255, 255, 255, 10, 20, 30, 127, 177, 227]);
    paper.lay_over(&picture, 0);
    assert_eq!(paper.pixels, [0, 0, 0, 10, 20, 30, 0, 50, 100]);
    let opaque = image::GrayAlphaImage::from_raw(2, 1, vec![7, 255, 8, 255]).unwrap();
    let picture = decoded(&encode(opaque, ImageFormat::Png));
    assert_eq!((picture.shape(), picture.pixels), ([1, 1, 2], vec![7, 8]));
}

#[test]
fn grey_is_luma_and_color_of_grey_repeats_it() {
    let color = Picture {
        pixels: vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255],
        height: 2,
        width: 2,
        channels: 3,
    };
    let (mut grey, mut back) = (Picture::default(), Picture::default());
    grey.convert_from(&color, 1);
    // Pillow's convert("L") of the same.
    assert_eq!(grey.pixels, [76, 150, 29, 255]);
    back.convert_from(&grey, 3);
    assert_eq!(back.pixels[..6], [76, 76, 76, 150, 150, 150]);
}

#[test]
fn exif_orientation_is_applied() {
    let image = image::GrayImage::from_raw(2, 1, vec![10, 200]).unwrap();
    let png = encode(image, ImageFormat::Png);
    // A chunk eXIf with one entry, orientation 6: turn clockwise by 90 degrees.
    let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut chunk = (tiff.len() as u32).to_be_bytes().to_vec();
    chunk.extend(b"eXIf");
    chunk.extend(tiff);
    let mut crc = flate2::Crc::new();
    crc.update(&chunk[4..]);
    chunk.extend(crc.sum().to_be_bytes());
    let header = 8 + 25;
    let with_exif = [&png[..header], &chunk, &png[header..]].concat();
    let picture = decoded(&with_exif);
    assert_eq!((picture.shape(), picture.pixels), ([1, 2, 1], vec![10, 200]));
}

#[test]
fn damage_is_refused_by_name_and_never_panics() {
    let color = image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([x as u8 * 20, y as u8 * 20, 99]));
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Jpeg] {
        let whole = encode(color.clone(), format);
        for length in 0..whole.len().min(200) {
            if let Err(error) = decode_bytes("cut.png", &whole[..length]) {
                assert_eq!(error.kind(), ErrorKind::BadData, "{format:?} cut at {length}: {error}");
                let text = error.to_string();
                assert!(text.starts_with("cut.png: ") && text.contains("PNG"), "{text}");
                assert!(!text.contains("buffer"), "{text}");
            }
        }
        for bit in 0..whole.len().min(200) * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Some flips only change pixels; the others are errors. Neither panics or takes gigabytes.
            let _ = decode_bytes("flipped", &bytes);
        }
    }
    assert_eq!(decode_bytes("text", b"hello").unwrap_err().kind(), ErrorKind::BadData);
    assert_eq!(decode_bytes("nothing", b"").unwrap_err().kind(), ErrorKind::BadData);
}

#[test]
fn too_many_pixels_are_refused_before_decoding() {
    let error = decode_bytes("vast.pgm", b"P5 100000 100000 255\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory, "{error}");
    assert!(error.to_string().contains("100000×100000 pixels"), "{error}");
}

#[test]
fn a_name_that_leads_to_no_file_is_a_usage_error() {
    let error = decode("no/such.png".as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let text = error.to_string();
    assert!(text.starts_with("no/such.png: cannot read") && text.ends_with("check the name"), "{text}");
    assert_eq!(decode(".".as_ref()).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn what_is_no_picture_is_said_in_plain_words() {
    let said = |bytes: &[u8]| decode_bytes("a", bytes).unwrap_err().to_string();
    assert!(said(b"").contains("the file is empty"), "{}", said(b""));
    let tiff = said(b"II*\0 and more");
    assert!(tiff.contains("it is a Tiff picture, and only PNG"), "{tiff}");
    assert!(said(b"hello").contains("it is no picture"), "{}", said(b"hello"));
    let whole = encode(image::GrayImage::new(9, 9), ImageFormat::Png);
    assert!(said(&whole[..40]).contains("cut off"), "{}", said(&whole[..40]));
}
