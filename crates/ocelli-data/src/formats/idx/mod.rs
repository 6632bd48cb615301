//! IDX, the format of MNIST and its relatives (Fashion-MNIST, EMNIST, KMNIST): a big-endian header and
//! raw bytes, in gzip or not. Described by LeCun, Cortes and Burges with the MNIST database.
//!
//! A data set is a pair of files, `…images-idx3-ubyte` and `…labels-idx1-ubyte`, or two pairs that
//! begin with `train` and with `t10k`, `test` or `val`. Class k is called "k".

mod find;
mod read;
mod write;

use std::path::Path;
use std::sync::Arc;

pub use read::{Idx, IdxType, parse, read};
pub use write::{write, write_pair};

use super::class_list::MOST_CLASSES;
use super::{Format, Parts};
use crate::error::reserve;
use crate::{DataError, Dataset, MemoryDataset};
use find::Pair;

pub(super) const FORMAT: Format = Format {
    name: "IDX",
    holds: "IDX files (a folder with train-images-idx3-ubyte and so on, or one file of images), in gzip or not",
    recognises: find::recognises,
    open,
};

fn open(path: &Path, _: Option<&Path>) -> Result<Parts, DataError> {
    let found = find::find(path)?;
    let load = |pair: &Pair| Ok::<_, DataError>((read(&pair.images)?, labels(&read(&pair.labels)?)?));
    let train = load(&found.train)?;
    let test = found.test.as_ref().map(load).transpose()?;
    // Both splits get the classes of both: either may lack the last class.
    let all_labels = train.1.iter().chain(test.iter().flat_map(|(_, labels)| labels));
    let classes = all_labels.max().map_or(0, |&largest| largest + 1);
    let train = join(train.0, train.1, classes)?;
    let test = test.map(|(images, labels)| join(images, labels, classes)).transpose()?;
    if let Some(test) = &test {
        check_same_shape(path, &train, test)?;
    }
    let test = test.map(|test| Arc::new(test) as Arc<dyn Dataset>);
    Ok(Parts { name: found.name, train: Arc::new(train), val: None, test, held_out: 0.1, notes: Vec::new() })
}

/// The labels in an IDX file.
///
/// # Errors
/// [`DataError::Malformed`] where it holds something else, or a label that is negative or too large.
pub fn labels(idx: &Idx) -> Result<Vec<u32>, DataError> {
    let mut labels = reserve(&idx.name, idx.bytes.len() / idx.kind.bytes())?;
    match (idx.kind, idx.dims.len()) {
        (IdxType::U8, 1) => labels.extend(idx.bytes.iter().map(|&b| u32::from(b))),
        (IdxType::I16, 1) => labels.extend(words(idx).map(|word| i16::from_be_bytes(word) as u32)),
        (IdxType::I32, 1) => labels.extend(words(idx).map(|word| i32::from_be_bytes(word) as u32)),
        _ => return Err(idx.malformed("labels: one dimension of type U8, I16 or I32", idx.to_string())),
    }
    // Negative labels have become large ones.
    match labels.iter().position(|&label| label >= MOST_CLASSES) {
        Some(i) => Err(idx.malformed(
            format!("labels from 0 to {}", MOST_CLASSES - 1),
            format!("label {} of image {i}", labels[i].cast_signed()),
        )),
        None => Ok(labels),
    }
}

/// The set of `images` (N·H·W bytes) with `labels`, all less than `classes`.
///
/// # Errors
/// [`DataError::Malformed`] where `images` holds something else, no image, or not one per label.
pub fn join(images: Idx, labels: Vec<u32>, classes: u32) -> Result<MemoryDataset, DataError> {
    let &[n, height, width] = &images.dims[..] else {
        return Err(images.malformed("three dimensions: images, rows, columns", images.to_string()));
    };
    if images.kind != IdxType::U8 {
        return Err(images.malformed("pixels of one unsigned byte", images.to_string()));
    }
    if n != labels.len() {
        return Err(images.malformed(
            format!("{} images, as the file of labels has", labels.len()),
            format!("{n} images"),
        ));
    }
    if n == 0 || height == 0 || width == 0 {
        return Err(images.malformed("at least one image of one pixel", images.to_string()));
    }
    let names = (0..classes).map(|k| k.to_string()).collect();
    MemoryDataset::new(&images.name, [1, height, width], images.bytes, labels, names)
}

fn check_same_shape(path: &Path, train: &MemoryDataset, test: &MemoryDataset) -> Result<(), DataError> {
    let ([_, h, w], [_, test_h, test_w]) = (train.image_shape(), test.image_shape());
    if (h, w) == (test_h, test_w) {
        return Ok(());
    }
    Err(DataError::malformed(
        path.display().to_string(),
        format!("test images of {h}×{w}, as the training images"),
        format!("test images of {test_h}×{test_w}"),
        "keep different data sets in different folders",
    ))
}

fn words<const N: usize>(idx: &Idx) -> impl Iterator<Item = [u8; N]> {
    idx.bytes.as_chunks::<N>().0.iter().copied()
}
