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
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::WebP] {
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

/// EXIF data with one entry, an orientation.
fn tiff(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    tiff[19] = orientation;
    tiff
}

/// `png` with a chunk after its header.
fn with_chunk(png: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    let mut crc = flate2::Crc::new();
    crc.update(&chunk[4..]);
    chunk.extend(crc.sum().to_be_bytes());
    let header = 8 + 25;
    [&png[..header], &chunk, &png[header..]].concat()
}

#[test]
fn each_exif_orientation_is_applied() {
    // Three columns, two rows.
    let png = encode(image::GrayImage::from_raw(3, 2, vec![1, 2, 3, 4, 5, 6]).unwrap(), ImageFormat::Png);
    // Where row 0 and column 0 of the file are to be shown, by the EXIF standard, 4.6.5: top left, top right, and so on.
    let cases: [(u8, [usize; 3], [u8; 6]); 8] = [
        (1, [1, 2, 3], [1, 2, 3, 4, 5, 6]),
        (2, [1, 2, 3], [3, 2, 1, 6, 5, 4]),
        (3, [1, 2, 3], [6, 5, 4, 3, 2, 1]),
        (4, [1, 2, 3], [4, 5, 6, 1, 2, 3]),
        (5, [1, 3, 2], [1, 4, 2, 5, 3, 6]),
        (6, [1, 3, 2], [4, 1, 5, 2, 6, 3]),
        (7, [1, 3, 2], [6, 3, 5, 2, 4, 1]),
        (8, [1, 3, 2], [3, 6, 2, 5, 1, 4]),
    ];
    for (orientation, shape, pixels) in cases {
        let picture = decoded(&with_chunk(&png, b"eXIf", &tiff(orientation)));
        assert_eq!((picture.shape(), &picture.pixels[..]), (shape, &pixels[..]), "orientation {orientation}");
    }
    assert_eq!(
        decoded(&with_chunk(&png, b"eXIf", &tiff(9))).shape(),
        [1, 2, 3],
        "no orientation is no damage"
    );
}

/// Pictures that Pillow wrote: 32×16, the left half one color and the right half another, as Pillow shows them.
#[test]
fn pictures_of_rarer_kinds_look_as_pillow_shows_them() {
    type Case = (&'static str, &'static [u8], [u8; 3], [u8; 3]);
    let cases: [Case; 4] = [
        ("CMYK", include_bytes!("pictures/cmyk.jpg"), [225, 49, 0], [0, 195, 255]),
        ("progressive", include_bytes!("pictures/progressive.jpg"), [200, 40, 30], [20, 90, 220]),
        ("WebP", include_bytes!("pictures/lossy.webp"), [200, 40, 30], [20, 90, 220]),
        ("palette", include_bytes!("pictures/palette.png"), [200, 40, 30], [20, 90, 220]),
    ];
    for (name, bytes, left, right) in cases {
        let picture = decoded(bytes);
        assert_eq!(picture.shape(), [3, 16, 32], "{name}");
        for (x, color) in [(4, left), (28, right)] {
            let pixel = &picture.pixels[(4 * 32 + x) * 3..][..3];
            let near = pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 5);
            assert!(near, "{name}: {pixel:?} at column {x}, not {color:?}");
        }
    }
    let turned = decoded(include_bytes!("pictures/turned.jpg"));
    assert_eq!(turned.shape(), [3, 32, 16]);
    let gif = decoded(include_bytes!("pictures/animated.gif"));
    assert_eq!((gif.shape(), &gif.pixels[..3]), ([3, 4, 5], &[250, 10, 20][..]), "the first frame");
}

#[test]
fn a_photograph_that_was_cut_off_is_refused_wherever() {
    let image =
        image::RgbImage::from_fn(96, 96, |x, y| image::Rgb([(x * y) as u8, (x + y) as u8, (x ^ y) as u8]));
    let whole = encode(image, ImageFormat::Jpeg);
    assert_eq!(decoded(&whole).shape(), [3, 96, 96]);
    for length in (200..whole.len() - 1).step_by(41) {
        let said = decode_bytes("a", &whole[..length]).unwrap_err().to_string();
        assert!(said.contains("cut off") || said.contains("damaged"), "{length}: {said}");
    }
    // What follows the end does not matter.
    assert_eq!(decoded(&[&whole[..], &[0; 500]].concat()).shape(), [3, 96, 96]);
}

/// `jpeg` with a comment of so many bytes before its other headers.
fn with_long_header(jpeg: &[u8], bytes: usize) -> Vec<u8> {
    let mut segment = vec![0xff, 0xfe];
    segment.extend(((bytes + 2) as u16).to_be_bytes());
    segment.resize(4 + bytes, b'x');
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

#[test]
fn a_glance_needs_no_pixels_however_long_header_and_trailer_are() {
    let place = tempfile::tempdir().unwrap();
    let jpeg = include_bytes!("pictures/progressive.jpg");
    let mut damaged = jpeg.to_vec();
    let scan = damaged.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    // An entropy-coded byte that decoding would stumble over.
    damaged.splice(scan + 14..scan + 20, [0xff, 0xd8, 0xff, 0xd8, 0xff, 0xd8]);
    for (name, bytes) in
        [("a/1.jpg", with_long_header(&damaged, 60_000)), ("b/1.jpg", [&damaged[..], &[7; 9000]].concat())]
    {
        let path = place.path().join(name);
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let set = ocelli_data::open_parts(place.path()).unwrap().train;
    for i in 0..2 {
        assert_eq!(set.look(i).unwrap().shape, [3, 16, 32]);
    }
    assert!(decode(&place.path().join("a/1.jpg")).is_err());
}

#[test]
fn memory_is_used_again_and_nothing_of_the_picture_before_stays() {
    let place = tempfile::tempdir().unwrap();
    for (name, value) in [("a", 7), ("b", 200)] {
        let image = image::RgbImage::from_pixel(16, 16, image::Rgb([value; 3]));
        std::fs::create_dir(place.path().join(name)).unwrap();
        std::fs::write(place.path().join(name).join("1.jpg"), encode(image, ImageFormat::Jpeg)).unwrap();
    }
    let set = ocelli_data::open_parts(place.path()).unwrap().train;
    let mut picture = Picture::default();
    set.read(0, &mut picture).unwrap();
    let memory = picture.pixels.as_ptr();
    set.read(1, &mut picture).unwrap();
    assert_eq!(picture.pixels.as_ptr(), memory);
    assert!(picture.pixels.iter().all(|p| p.abs_diff(200) <= 1));
}

#[test]
fn what_would_unpack_to_gigabytes_is_refused_at_its_header() {
    let png = encode(image::GrayImage::new(1, 1), ImageFormat::Png);
    let mut vast = png.clone();
    vast[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&vast[12..29]);
    vast[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let gif = [&b"GIF89a\xff\xff\xff\xff\0\0\0"[..], b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;"].concat();
    let jpeg = include_bytes!("pictures/progressive.jpg").to_vec();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc2]).unwrap();
    let mut long = jpeg.clone();
    long[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    for (name, bytes) in [("png", vast), ("gif", gif), ("jpeg", long)] {
        let error = decode_bytes(name, &bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Memory, "{name}: {error}");
        assert!(error.to_string().contains("pixels, and at most 67108864 are decoded"), "{error}");
    }
    // A colour profile of a gigabyte of zeros in a megabyte: its memory is limited, and the picture is not its fault.
    let mut profile = flate2::write::ZlibEncoder::new(b"x\0\0".to_vec(), flate2::Compression::best());
    (0..256).for_each(|_| std::io::Write::write_all(&mut profile, &[0; 1 << 20]).unwrap());
    let bomb = with_chunk(&png, b"iCCP", &profile.finish().unwrap());
    let before = peak_memory();
    let _ = decode_bytes("profile", &bomb);
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        assert!(after - before < 64 << 20, "{} bytes more", after - before);
    }
}

/// The most memory that this process had resident, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

#[test]
fn a_very_wide_picture_is_decoded() {
    let wide = image::GrayImage::from_fn(30_000, 20, |x, _| image::Luma([(x / 200) as u8]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let picture = decoded(&encode(wide.clone(), format));
        assert_eq!(picture.shape(), [1, 20, 30_000], "{format:?}");
        assert!(picture.pixels[29_999].abs_diff(149) <= 2);
    }
}

#[test]
fn damage_is_refused_by_name_and_never_panics() {
    let color = image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([x as u8 * 20, y as u8 * 20, 99]));
    let formats = [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
    ];
    for format in formats {
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
