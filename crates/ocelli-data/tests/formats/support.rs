//! Pictures, folders and archives to open.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, RgbImage};
use ocelli_data::{DataError, Dataset, OpenOptions, Parts, Picture, Splits, open, open_parts, open_parts_in};
use tempfile::TempDir;

/// A folder of its own for each test.
pub(crate) struct Place(TempDir);

impl Place {
    /// With these files, each with a picture in it that no other has.
    pub(crate) fn with(pictures: &[&str]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        pictures.iter().enumerate().for_each(|(i, name)| place.write(name, png(i as u8)));
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn open(&self) -> Splits {
        open(self.path(), &OpenOptions::default()).unwrap()
    }

    pub(crate) fn parts(&self) -> Parts {
        open_parts(self.path()).unwrap()
    }

    /// The message with which `name` in this folder is refused.
    #[track_caller]
    pub(crate) fn refused(&self, name: &str) -> String {
        refused(open_parts(self.join(name)))
    }
}

#[track_caller]
pub(crate) fn refused(opened: Result<Parts, DataError>) -> String {
    match opened {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn open_with_root(table: &Path, root: &Path) -> Result<Parts, DataError> {
    open_parts_in(table, Some(root))
}

/// A picture of 4×3 pixels of one color.
pub(crate) fn png(value: u8) -> Vec<u8> {
    encode(RgbImage::from_pixel(4, 3, image::Rgb([value, 10, 200])), ImageFormat::Png)
}

pub(crate) fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// The first value of each image, which tells which picture it is, and its class.
pub(crate) fn contents(set: &dyn Dataset) -> Vec<(u8, &str)> {
    let mut picture = Picture::default();
    let mut content = |i| {
        set.read(i, &mut picture).unwrap();
        (picture.pixels[0], set.classes()[set.label(i) as usize].as_str())
    };
    (0..set.len()).map(&mut content).collect()
}

/// A tar archive of these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        builder.append(&header(name, bytes.len() as u64), *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A header with any name, which `tar` itself would not write.
pub(crate) fn header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
