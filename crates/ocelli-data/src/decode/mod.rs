//! Reading picture files: which format, how large, and into pixels.

mod jpeg;
mod orient;
mod others;

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::ImageError;
use image::metadata::Orientation;

use self::orient::turned;
use crate::files::MOST_FILE_BYTES;
use crate::{DataError, Picture};

/// The most pixels (height times width) of a picture file that is decoded. A picture takes 1 to 4 bytes of memory a pixel,
/// and while it is decoded at most 25, so 1.6 GiB.
pub const MOST_PIXELS: u64 = 1 << 26;

/// The most memory that decoding may take besides.
const MOST_DECODING_BYTES: u64 = 16 * MOST_PIXELS;

/// The most memory that reading a header may take: hostile ones unpack to gigabytes of comments.
const MOST_HEADER_BYTES: u64 = 1 << 25;

/// What is read, for messages.
const READ: &str = "PNG, JPEG, BMP, GIF, WebP and PNM";

/// Reads a PNG, JPEG, BMP, GIF (its first frame), WebP or PNM file into 1 channel (grey files) or 3, and one for opacity
/// where any pixel is transparent.
///
/// 16 bits are rounded to 8, palettes looked up, CMYK becomes RGB, and the EXIF orientation is applied. The size is
/// checked before anything is decoded, and a decoder that panics is stopped there.
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
        let problem = format!("the file has more than the {MOST_FILE_BYTES} bytes allowed");
        return Err(Problem::TooLarge(problem).named(name));
    }
    decode_bytes(&name, &bytes)
}

/// Decodes a picture file that is in memory, as [`decode`]; `name` stands for the file in messages.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(name: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    let mut picture = Picture::default();
    decode_into(bytes, &mut picture).map_err(|problem| problem.named(name.to_owned()))?;
    Ok(picture)
}

/// Decodes a picture file that is in memory into `picture`, whose memory is used again. After an error its pixels are left
/// open.
pub(crate) fn decode_into(bytes: &[u8], picture: &mut Picture) -> Result<(), Problem> {
    guarded(|| match jpeg::is_jpeg(bytes) {
        true => jpeg::decode(bytes, picture),
        false => others::decode(bytes, picture),
    })
}

/// What the first bytes of a picture file tell.
pub(crate) struct Header {
    /// [C, H, W] as it will be decoded; a picture with an opacity channel may turn out to need none.
    pub(crate) shape: [usize; 3],
    /// Bytes of memory that decoding takes at most.
    pub(crate) decoding_bytes: u64,
}

impl Header {
    /// Of a picture of `channels` and `size` as it is stored, whose decoder keeps so many bytes a pixel beside the picture itself.
    fn new(channels: usize, size: [usize; 2], orientation: Orientation, kept: usize) -> Header {
        let [height, width] = turned(size, orientation);
        // The picture, another one where it is turned, and a byte to spare.
        let pictures = if orientation == Orientation::NoTransforms { 1 } else { 2 };
        let bytes = height * width * (pictures * channels + kept + 1);
        Header { shape: [channels, height, width], decoding_bytes: bytes as u64 }
    }
}

/// What the first bytes of a picture file tell.
pub(crate) fn header_of(first: &[u8]) -> Result<Header, Problem> {
    guarded(|| match jpeg::is_jpeg(first) {
        true => jpeg::header_of(first),
        false => others::header_of(first),
    })
}

/// Whether a file with these first and last bytes seems whole, as far as its format says so in its last bytes.
pub(crate) fn ends_well(first: &[u8], last: &[u8]) -> bool {
    match jpeg::is_jpeg(first) {
        true => last.windows(2).any(|pair| pair == jpeg::END),
        false if first.starts_with(b"\x89PNG") => last.windows(4).any(|chunk| chunk == b"IEND"),
        false => true,
    }
}

/// Whether a file seems whole; where that cannot be told, it does not.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    match jpeg::is_jpeg(bytes) {
        true => jpeg::has_end(bytes),
        false => ends_well(bytes, bytes),
    }
}

/// Decoders are others' code before hostile bytes. They write to memory that is theirs or to pixels that nobody looks at
/// after an error, so nothing half-done is seen after a panic.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    let damage = "it is damaged in a way that its decoder does not expect";
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(Problem::Damaged(damage.to_owned())))
}

/// Height and width, if so many pixels are decoded.
fn checked_size(height: usize, width: usize) -> Result<[usize; 2], Problem> {
    if height as u64 * width as u64 > MOST_PIXELS {
        let problem = format!("it has {width}×{height} pixels, and at most {MOST_PIXELS} are decoded");
        return Err(Problem::TooLarge(problem));
    }
    match height == 0 || width == 0 {
        true => Err(Problem::Damaged("it has no pixels".to_owned())),
        false => Ok([height, width]),
    }
}

/// What is wrong with a picture file, whose name the caller knows.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It cannot be decoded.
    Damaged(String),
    /// It is a file of another kind.
    NoPicture(String),
    /// It has too many pixels or bytes.
    TooLarge(String),
}

impl Problem {
    /// The error for the picture file `name`.
    pub(crate) fn named(self, name: String) -> DataError {
        let (problem, advice) = match self {
            Problem::TooLarge(problem) => return DataError::PictureSize { picture: name, problem },
            Problem::NoPicture(problem) => (problem, "save the picture as PNG"),
            Problem::Damaged(problem) => {
                (problem, "get the file again, or save it as PNG if an image viewer shows it")
            }
        };
        DataError::Picture { picture: name, problem, advice: advice.to_owned() }
    }

    fn cut_off() -> Problem {
        Problem::Damaged("it ends too early: it was cut off, or is damaged".to_owned())
    }

    /// What a decoder refused, in words of ours where it has none that help.
    fn of(bytes: &[u8], error: ImageError) -> Problem {
        match error {
            ImageError::Limits(_) => {
                Problem::TooLarge("decoding it would take more memory than is allowed".to_owned())
            }
            ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => Problem::cut_off(),
            ImageError::Unsupported(_) => Problem::no_picture(bytes),
            other => Problem::Damaged(format!("it is damaged: {other}")),
        }
    }

    /// A file of another kind, or a kind of picture that is not read.
    fn no_picture(bytes: &[u8]) -> Problem {
        if bytes.is_empty() {
            return Problem::Damaged("the file is empty".to_owned());
        }
        Problem::NoPicture(match image::guess_format(bytes) {
            Ok(format) if others::reads(format) => {
                format!("it is a {format:?} picture of a rare kind that is not read")
            }
            Ok(format) => format!("it is a {format:?} picture, and only {READ} are read"),
            Err(_) => format!("it is no picture, or none that is read: {READ}"),
        })
    }
}
