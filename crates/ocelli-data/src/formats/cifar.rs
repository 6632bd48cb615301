//! The binary versions of CIFAR-10 and CIFAR-100, by Krizhevsky, Nair and Hinton.
//!
//! A record is a label (for CIFAR-100 the coarse one and the fine one, which counts) and 3072 bytes of pixels: the red plane,
//! then green, then blue, each of 32 rows. A folder holds `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or
//! `train.bin` and `test.bin`. `batches.meta.txt` or `fine_label_names.txt` names the classes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::class_list::ClassList;
use super::{Format, Parts, title};
use crate::error::reserve;
use crate::{DataError, MemoryDataset};

pub(super) const FORMAT: Format = Format {
    name: "CIFAR",
    holds: "a folder of CIFAR-10 or CIFAR-100 in binary (data_batch_1.bin, or train.bin)",
    recognises: |path| Kind::in_folder(path).is_some(),
    open,
};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const PIXELS: usize = 3 * PLANE;

/// The most files of training images; the originals are five.
const MOST_BATCHES: usize = 99;

/// The most images of one file: twenty times what the originals have.
const MOST_IMAGES: u64 = 1_000_000;

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cifar10,
    Cifar100,
}

impl Kind {
    fn in_folder(folder: &Path) -> Option<Kind> {
        let has = |file: &str| folder.join(file).is_file();
        match () {
            () if has("data_batch_1.bin") => Some(Kind::Cifar10),
            () if has("train.bin") && has("test.bin") => Some(Kind::Cifar100),
            () => None,
        }
    }

    /// Bytes before the pixels; the last one is the class.
    fn labels(self) -> usize {
        match self {
            Kind::Cifar10 => 1,
            Kind::Cifar100 => 2,
        }
    }

    fn classes(self) -> usize {
        match self {
            Kind::Cifar10 => 10,
            Kind::Cifar100 => 100,
        }
    }

    fn names(self) -> &'static str {
        match self {
            Kind::Cifar10 => "batches.meta.txt",
            Kind::Cifar100 => "fine_label_names.txt",
        }
    }

    /// # Errors
    /// [`DataError::Malformed`] where one in the middle is missing.
    fn training_files(self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        if self == Kind::Cifar100 {
            return Ok(vec![folder.join("train.bin")]);
        }
        let batch = |k: usize| folder.join(format!("data_batch_{k}.bin"));
        let last = (1..=MOST_BATCHES).rev().find(|&k| batch(k).is_file()).unwrap_or(0);
        let files: Vec<PathBuf> = (1..=last).map(batch).collect();
        match files.iter().find(|path| !path.is_file()) {
            None => Ok(files),
            Some(missing) => Err(DataError::malformed(
                folder.display().to_string(),
                format!("data_batch_1.bin to data_batch_{last}.bin"),
                format!("no {}", missing.file_name().unwrap_or_default().display()),
                "get the missing file, or move those after it away",
            )),
        }
    }

    fn test_file(self, folder: &Path) -> Option<PathBuf> {
        let name = if self == Kind::Cifar10 { "test_batch.bin" } else { "test.bin" };
        Some(folder.join(name)).filter(|path| path.is_file())
    }
}

fn open(folder: &Path, _: Option<&Path>) -> Result<Parts, DataError> {
    let kind = Kind::in_folder(folder).expect("invariant: what is opened was recognised");
    let names = folder.join(kind.names());
    let classes = match names.is_file() {
        true => ClassList::read(&names)?.names,
        false => (0..kind.classes()).map(|k| k.to_string()).collect(),
    };
    let name = title(folder);
    let set = |split: &str, files: &[PathBuf]| -> Result<Arc<MemoryDataset>, DataError> {
        let mut images = Images::default();
        for file in files {
            images.add(kind, file, classes.len())?;
        }
        let title = format!("{name} {split}");
        Ok(Arc::new(MemoryDataset::new(
            &title,
            [3, SIDE, SIDE],
            images.pixels,
            images.labels,
            classes.clone(),
        )?))
    };
    let train = set("train", &kind.training_files(folder)?)?;
    let test = match kind.test_file(folder) {
        Some(file) => Some(set("test", &[file])? as Arc<dyn crate::Dataset>),
        None => None,
    };
    Ok(Parts { train, val: None, test, held_out: 0.1, name: name.clone(), notes: Vec::new() })
}

#[derive(Default)]
struct Images {
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl Images {
    /// Reads all records of a file.
    fn add(&mut self, kind: Kind, path: &Path, classes: usize) -> Result<(), DataError> {
        let failed = |e| DataError::io(path, "read", e);
        let shown = path.display().to_string();
        let malformed = |expected: String, found: String| {
            DataError::malformed(&*shown, expected, found, "get the file again, or check which file it is")
        };
        let mut file = File::open(path).map_err(failed)?;
        let (length, record) = (file.metadata().map_err(failed)?.len(), kind.labels() + PIXELS);
        let count = length / record as u64;
        if count == 0 || count > MOST_IMAGES || length % record as u64 != 0 {
            let expected = format!("records of {record} bytes, 1 to {MOST_IMAGES}");
            return Err(malformed(expected, format!("a file of {length} bytes")));
        }
        let mut pixels = reserve(&shown, self.pixels.len() + count as usize * PIXELS)?;
        pixels.append(&mut self.pixels);
        self.pixels = pixels;
        let mut bytes = vec![0; record];
        for i in 0..count {
            file.read_exact(&mut bytes).map_err(failed)?;
            let (labels, planes) = bytes.split_at(kind.labels());
            let label = u32::from(labels[kind.labels() - 1]);
            if label as usize >= classes {
                let expected = format!("labels less than the number of classes, {classes}");
                return Err(malformed(expected, format!("label {label} of image {i}")));
            }
            self.labels.push(label);
            self.pixels
                .extend((0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]));
        }
        Ok(())
    }
}
