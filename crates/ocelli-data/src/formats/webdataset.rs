//! Archives in the manner of WebDataset: files that follow each other and share a name up to its first dot are a sample,
//! `0017.jpg` and `0017.cls`. The text in `.cls` is the label: a number, or a name.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::class_list::ClassList;
use super::labels::Labels;
use crate::files::{FileDataset, Files, Others, is_picture, split_last};
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

/// The samples of some archives, in their order, and what is not read, in words.
///
/// # Errors
/// [`DataError::Malformed`] for a picture without a label, a label that is none, and a sample of several pictures; those of
/// reading.
pub(super) fn samples(
    files: Files,
    origin: &Path,
    list: Option<&ClassList>,
) -> Result<(Arc<dyn Dataset>, Vec<String>), DataError> {
    let (mut members, mut labels) = (Vec::new(), Labels::default());
    let mut without = Others::default();
    let mut next = 0;
    while next < files.len() {
        let start = next;
        let sample = |i: usize| (files.archive_of(i), key(files.names.get(i)));
        while next < files.len() && sample(next) == sample(start) {
            next += 1;
        }
        let label = (start..next).find(|&i| is_label(files.names.get(i)));
        let Some(picture) = picture_of(&files, start..next)? else {
            without.add(files.names.get(start));
            continue;
        };
        let label = label.ok_or_else(|| alone(&files, picture))?;
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
    let notes = [
        files
            .others
            .note("entry is neither a picture nor a label", "entries are neither pictures nor labels"),
        without.note("sample has no picture", "samples have no picture"),
    ];
    let set = FileDataset::new(Arc::new(files), members, labels, classes.into());
    Ok((Arc::new(set), notes.into_iter().flatten().collect()))
}

/// The picture of a sample: the one that has nothing else in its name than its ending, `0017.jpg` beside `0017.depth.png`, or
/// the only one.
fn picture_of(files: &Files, sample: Range<usize>) -> Result<Option<usize>, DataError> {
    let pictures: Vec<usize> = sample.filter(|&i| is_picture(files.names.get(i))).collect();
    let plain = |&i: &usize| {
        let name = files.names.get(i);
        name[key(name).len()..].iter().filter(|&&b| b == b'.').count() == 1
    };
    let plain: Vec<usize> = pictures.iter().copied().filter(plain).collect();
    match (&plain[..], &pictures[..]) {
        ([], []) => Ok(None),
        ([one], _) | ([], [one]) => Ok(Some(*one)),
        ([first, second, ..], _) | ([], [first, second, ..]) => Err(DataError::malformed(
            files.title(*first),
            "one picture in a sample",
            format!("{} too", files.names.text(*second)),
            "leave one of them out, or give the others names such as 0017.depth.png beside 0017.jpg",
        )),
    }
}

/// A file's name up to the first dot after its folder.
fn key(name: &[u8]) -> &[u8] {
    let (_, file) = split_last(name);
    let stem = file.iter().position(|&b| b == b'.').unwrap_or(file.len());
    &name[..name.len() - file.len() + stem]
}

/// A picture without a label near it, though there may be one elsewhere.
fn alone(files: &Files, picture: usize) -> DataError {
    let own = key(files.names.get(picture));
    let elsewhere = |i: usize| is_label(files.names.get(i)) && key(files.names.get(i)) == own;
    match (0..files.len()).find(|&i| elsewhere(i)) {
        None => malformed(files, picture, "no .cls file of the same name"),
        Some(label) => DataError::malformed(
            files.title(picture),
            "the label in a .cls file beside it, since the files of a sample follow each other",
            format!("{} elsewhere", files.title(label)),
            "write the archive again in the order of names, as tar --sort=name does",
        ),
    }
}

fn malformed(files: &Files, i: usize, found: &str) -> DataError {
    DataError::malformed(
        files.title(i),
        "a label in a .cls file for every picture",
        found,
        "write the archive again",
    )
}
