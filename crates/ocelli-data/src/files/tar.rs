//! Where the files of a tar archive lie in it.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use tar::{Archive, Entry, EntryType};

use super::names::Others;
use crate::DataError;
use crate::error::is_of_contents;

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Tar pads everything to blocks of this size, and ends with blocks of zeros.
const BLOCK: u64 = 512;

/// What an entry of an archive is.
pub(super) enum Found<'a> {
    File(Span),
    /// Another name of the file of this name, which comes before it.
    Link(&'a [u8]),
}

/// Calls `each` with the name and place of every file of the archive `input`, which has `length` bytes and is called
/// `name`. Names are cleaned: no `.`, no leading `/`. Nothing is unpacked, so a name cannot lead out of the archive; names
/// with `..`, and what is no plain file, such as symbolic links and files with holes, are noted in `others`, and what is hidden is
/// passed over.
///
/// # Errors
/// [`DataError::Malformed`] for what is no tar archive, was cut off, or is several archives one after another; those of `each`.
pub(super) fn index<R: Read + Seek>(
    name: &str,
    mut input: R,
    length: u64,
    others: &mut Others,
    mut each: impl FnMut(&[u8], Found) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut end = 0;
    {
        let mut archive = Archive::new(&mut input);
        for entry in archive.entries_with_seek().map_err(|e| unreadable(name, e))? {
            let mut entry = entry.map_err(|e| unreadable(name, e))?;
            let kind = entry.header().entry_type();
            // A file with holes says how long it is with them; what is stored is shorter.
            let stored = if kind == EntryType::GNUSparse { entry.header().entry_size().ok() } else { None };
            let span = Span { offset: entry.raw_file_position(), length: stored.unwrap_or(entry.size()) };
            let path = entry.path_bytes().into_owned();
            end = span.offset.saturating_add(span.length);
            if end > length {
                let file = String::from_utf8_lossy(&path).into_owned();
                return Err(damaged(name, &format!("the end of the archive in the middle of {file}")));
            }
            match (kind, clean(&path)) {
                (EntryType::Directory | EntryType::XGlobalHeader, _) => {}
                (_, Cleaned::Hidden) => {}
                (EntryType::Regular | EntryType::Continuous, Cleaned::Name(path))
                    if !has_holes(&mut entry) =>
                {
                    each(&path, Found::File(span))?;
                }
                (EntryType::Link, Cleaned::Name(path)) => {
                    match entry.link_name_bytes().map(|target| clean(&target)) {
                        Some(Cleaned::Name(target)) => each(&path, Found::Link(&target))?,
                        _ => others.add(&path),
                    }
                }
                _ => others.add(&path),
            }
        }
    }
    ends_with_mark(name, &mut input, end.next_multiple_of(BLOCK), length)
}

/// Whether an entry that seems a plain file begins with a list of its holes, as the pax format has it.
fn has_holes<R: Read>(entry: &mut Entry<R>) -> bool {
    let sparse = |key: &str| key.starts_with("GNU.sparse.");
    entry
        .pax_extensions()
        .ok()
        .flatten()
        .is_some_and(|extensions| extensions.flatten().any(|extension| extension.key().is_ok_and(sparse)))
}

/// The last entry ends at `end` or later, and `input` stands where nothing more was found. An archive without the block of
/// zeros at its end was cut off between two files, and what follows them is another one.
fn ends_with_mark(
    name: &str,
    input: &mut (impl Read + Seek),
    end: u64,
    length: u64,
) -> Result<(), DataError> {
    let missing = || damaged(name, "no end mark: files may be missing");
    let mut block = [1; BLOCK as usize];
    let at = input.stream_position().map_err(|e| unreadable(name, e))?;
    let mark = at.checked_sub(BLOCK).filter(|&mark| at <= length && mark >= end).ok_or_else(missing)?;
    match input.seek(SeekFrom::Start(mark)).and_then(|_| input.read_exact(&mut block)) {
        Ok(()) if block.iter().all(|&b| b == 0) => {}
        Err(e) if !is_of_contents(&e) => return Err(unreadable(name, e)),
        _ => return Err(missing()),
    }
    let mut rest = [0; 64 * BLOCK as usize];
    loop {
        match input.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(count) if rest[..count].iter().all(|&b| b == 0) => {}
            Ok(_) => return Err(several(name)),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(DataError::io(name, "read", e)),
        }
    }
}

fn several(name: &str) -> DataError {
    DataError::malformed(
        name,
        "one tar archive",
        "something after its end, such as another archive",
        "join archives with tar -A, or name each train-0.tar, train-1.tar and so on in a folder",
    )
}

enum Cleaned {
    Name(Vec<u8>),
    Hidden,
    Refused,
}

fn clean(path: &[u8]) -> Cleaned {
    let parts: Vec<&[u8]> =
        path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let text = cfg!(unix) || std::str::from_utf8(path).is_ok();
    match parts.is_empty() || parts.contains(&&b".."[..]) || !text {
        true => Cleaned::Refused,
        false if parts.iter().any(|part| part.starts_with(b".")) => Cleaned::Hidden,
        false => Cleaned::Name(parts.join(&b'/')),
    }
}

/// Tells what is no tar archive from a disk that does not answer.
fn unreadable(name: &str, error: std::io::Error) -> DataError {
    match is_of_contents(&error) {
        true => damaged(name, &error.to_string()),
        false => DataError::io(name, "read", error),
    }
}

fn damaged(name: &str, found: &str) -> DataError {
    DataError::malformed(name, "a whole tar archive", found, "get the file again, or check which file it is")
}
