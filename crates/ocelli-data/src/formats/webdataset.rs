//! Archives in the manner of WebDataset: files that follow each other and share a name up to its first dot are a sample,
//! `0017.jpg` and `0017.cls`. The text in `.cls` is the label: a number, or a name.

use std::path::Path;
use std::sync::Arc;

use super::class_list::ClassList;
use super::labels::Labels;
use crate::files::{FileDataset, Files, is_picture, split_last};
use crate::{DataError, Dataset};

/// The most bytes of a label.
const MOST_LABEL: usize = 1 << 12;

/// Whether a file in an archive holds a label.
pub(super) fn is_label(name: &[u8]) -> bool {
    name.ends_with(b".cls")
}

/// Whether some archives are of this kind.
pub(super) fn has_labels(files: &Files) -> bool {
    (0..files.len()).any(|i| is_label(files.names.get(i)))
}

/// The samples of some archives, in their order.
///
/// # Errors
/// [`DataError::Malformed`] for a picture without a label, and a label that is none; those of reading.
pub(super) fn samples(
    files: Files,
    origin: &Path,
    list: Option<&ClassList>,
) -> Result<Arc<dyn Dataset>, DataError> {
    let (mut members, mut labels) = (Vec::new(), Labels::default());
    let mut next = 0;
    while next < files.len() {
        let start = next;
        while next < files.len() && key(files.names.get(next)) == key(files.names.get(start)) {
            next += 1;
        }
        let of = |wanted: fn(&[u8]) -> bool| (start..next).find(|&i| wanted(files.names.get(i)));
        let Some(picture) = of(is_picture) else { continue };
        let label =
            of(is_label).ok_or_else(|| malformed(&files, picture, "no .cls file of the same name"))?;
        let word = files.with_bytes(label, |bytes| {
            let text =
                bytes.get(..MOST_LABEL.min(bytes.len())).and_then(|bytes| std::str::from_utf8(bytes).ok());
            text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        })?;
        let word = word.ok_or_else(|| malformed(&files, label, "no text in it"))?;
        if !labels.push(&word) {
            return Err(malformed(&files, label, "another class, after as many as are allowed"));
        }
        members.push(picture as u32);
    }
    let (classes, labels) = labels.resolve(&origin.display().to_string(), list)?;
    Ok(Arc::new(FileDataset::new(Arc::new(files), members, labels, classes.into())))
}

/// A file's name up to the first dot after its folder.
fn key(name: &[u8]) -> &[u8] {
    let (_, file) = split_last(name);
    let stem = file.iter().position(|&b| b == b'.').unwrap_or(file.len());
    &name[..name.len() - file.len() + stem]
}

fn malformed(files: &Files, i: usize, found: &str) -> DataError {
    DataError::malformed(
        files.title(i),
        "a label in a .cls file for every picture",
        found,
        "write the archive again",
    )
}
