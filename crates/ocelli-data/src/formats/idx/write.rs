//! Writing IDX files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::IdxType;
use crate::{DataError, Dataset, Picture};

/// Writes an IDX file: the header for `dims` and `kind`, then `bytes`, big-endian.
///
/// # Errors
/// Those of `out`. Panics where `bytes` is not as long as `dims` say, where there are not 1 to 255
/// dimensions, or where one needs more than 32 bits.
pub fn write(out: &mut impl Write, kind: IdxType, dims: &[usize], bytes: &[u8]) -> io::Result<()> {
    assert_eq!(dims.iter().product::<usize>() * kind.bytes(), bytes.len(), "bytes for {dims:?} of {kind:?}");
    header(out, kind, dims)?;
    out.write_all(bytes)
}

/// Writes `dataset` as `<prefix>-images-idx3-ubyte` and `<prefix>-labels-idx1-ubyte` into `folder`, with
/// `.gz` where `gzip`. With a `prefix` of "train" and of "t10k" a folder opens as a data set again;
/// class names become numbers.
///
/// # Errors
/// [`DataError::Malformed`] where images are not grey or not all of one size, [`DataError::Io`], and
/// those of reading images.
pub fn write_pair(folder: &Path, prefix: &str, dataset: &dyn Dataset, gzip: bool) -> Result<(), DataError> {
    let ending = if gzip { ".gz" } else { "" };
    let images = folder.join(format!("{prefix}-images-idx3-ubyte{ending}"));
    let labels = folder.join(format!("{prefix}-labels-idx1-ubyte{ending}"));
    write_images(&mut Output::create(&images, gzip)?, dataset)?;
    write_labels(&mut Output::create(&labels, gzip)?, dataset)
}

fn write_images(out: &mut Output, dataset: &dyn Dataset) -> Result<(), DataError> {
    let [_, height, width] = dataset.image_shape();
    out.run(|w| header(w, IdxType::U8, &[dataset.len(), height, width]))?;
    let mut picture = Picture::default();
    for i in 0..dataset.len() {
        dataset.read(i, &mut picture)?;
        if picture.shape() != [1, height, width] {
            let [c, h, w] = picture.shape();
            return Err(DataError::malformed(
                dataset.name_of(i),
                format!("1×{height}×{width}: IDX files hold grey images of one size"),
                format!("{c}×{h}×{w}"),
                "write this set in another format",
            ));
        }
        out.run(|w| w.write_all(&picture.pixels))?;
    }
    out.finish()
}

fn write_labels(out: &mut Output, dataset: &dyn Dataset) -> Result<(), DataError> {
    let bytes = dataset.classes().len() <= 256;
    out.run(|w| header(w, if bytes { IdxType::U8 } else { IdxType::I32 }, &[dataset.len()]))?;
    for i in 0..dataset.len() {
        let label = dataset.label(i).to_be_bytes();
        out.run(|w| w.write_all(if bytes { &label[3..] } else { &label }))?;
    }
    out.finish()
}

fn header(out: &mut (impl Write + ?Sized), kind: IdxType, dims: &[usize]) -> io::Result<()> {
    let rank = u8::try_from(dims.len()).expect("at most 255 dimensions");
    out.write_all(&[0, 0, kind as u8, rank])?;
    for &size in dims {
        out.write_all(&u32::try_from(size).expect("a dimension of 32 bits").to_be_bytes())?;
    }
    Ok(())
}

/// A file that is being written, in gzip or not; errors name it.
struct Output<'a> {
    path: &'a Path,
    inner: Inner,
}

enum Inner {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl<'a> Output<'a> {
    fn create(path: &'a Path, gzip: bool) -> Result<Output<'a>, DataError> {
        let file = File::create(path).map_err(|e| DataError::io(path, "create", e))?;
        let file = BufWriter::new(file);
        let inner = match gzip {
            true => Inner::Gzip(GzEncoder::new(file, Compression::default())),
            false => Inner::Plain(file),
        };
        Ok(Output { path, inner })
    }

    fn run(&mut self, action: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
        let result = match &mut self.inner {
            Inner::Plain(file) => action(file),
            Inner::Gzip(file) => action(file),
        };
        result.map_err(|e| DataError::io(self.path, "write", e))
    }

    fn finish(&mut self) -> Result<(), DataError> {
        let result = match &mut self.inner {
            Inner::Plain(file) => file.flush(),
            Inner::Gzip(file) => file.try_finish().and_then(|()| file.get_mut().flush()),
        };
        result.map_err(|e| DataError::io(self.path, "write", e))
    }
}
