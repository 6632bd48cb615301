//! A folder of pictures for each class, as torchvision's `ImageFolder` and the Keras and FastAI tools have it.
//!
//! `root/cat/1.jpg`, or with splits `root/train/cat/1.jpg` and `root/val/cat/9.jpg`. The name of a class is that of the
//! folder; see [`Layout::of`](super::layout::Layout::of) for folders within folders. `classes.txt` or `categories.txt` in the
//! root fixes the order of the classes, which is otherwise that of their names, and may name further ones.

use std::collections::VecDeque;
use std::path::Path;

use super::class_list::ClassList;
use super::layout::{Layout, Reading, assemble};
use super::{Format, Parts, title};
use crate::DataError;
use crate::files::{Files, is_picture};

pub(super) const FORMAT: Format = Format {
    name: "image folder",
    holds: "a folder with a folder of pictures for each class, or with train and val folders of such",
    recognises,
    open,
};

/// The most entries of a folder that are looked at for the first picture, and of all folders.
const MOST_OF_FOLDER: usize = 20_000;
const MOST_LOOKED_AT: usize = 1_000_000;

/// A folder with a picture in a folder below it. Folders at the top are looked at first, and none for long, so that what else lies
/// there does not hide the pictures.
fn recognises(path: &Path) -> bool {
    let mut waiting = VecDeque::from([path.to_owned()]);
    let mut looked_at = 0;
    while let Some(folder) = waiting.pop_front() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().take(MOST_OF_FOLDER) {
            looked_at += 1;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b".") {
                continue;
            }
            let inner = entry.path();
            match inner.is_dir() {
                true => waiting.push_back(inner),
                false if folder != path && is_picture(name) => return true,
                false => {}
            }
            if looked_at > MOST_LOOKED_AT {
                return false;
            }
        }
    }
    false
}

fn open(path: &Path, _: Option<&Path>) -> Result<Parts, DataError> {
    let list = ClassList::beside(path, None)?;
    let mut files = Files::in_folder(path)?;
    if let Some(name) = list.as_ref().and_then(|list| list.path.file_name()) {
        files.others.forget(&name.to_string_lossy());
    }
    let layout = Layout::of(files, &Reading { unwrap: false, role: None, list: list.as_ref() })?;
    assemble(title(path), &path.display().to_string(), &[layout], list.as_ref())
}
