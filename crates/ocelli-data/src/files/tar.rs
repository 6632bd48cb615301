//! Where the files of a tar archive lie in it.

use std::io::{Read, Seek};

use tar::{Archive, EntryType};

use super::names::Others;
use crate::DataError;

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Tar pads everything to blocks of this size, and ends with blocks of zeros.
const BLOCK: u64 = 512;

/// Calls `each` with the name and place of every file of the archive `input`, which has `length` bytes and is called
/// `name`. Names are cleaned: no `.`, no leading `/`. Nothing is unpacked, so a name cannot lead out of the archive; names
/// with `..`, links and other things that are no plain files are noted in `others`, and what is hidden is passed over.
///
/// # Errors
/// [`DataError::Malformed`] for what is no tar archive, or was cut off; those of `each`.
pub(super) fn index<R: Read + Seek>(
    name: &str,
    mut input: R,
    length: u64,
    others: &mut Others,
    mut each: impl FnMut(&[u8], Span) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut end = 0;
    {
        let mut archive = Archive::new(&mut input);
        for entry in archive.entries_with_seek().map_err(|e| damaged(name, &e.to_string()))? {
            let entry = entry.map_err(|e| damaged(name, &e.to_string()))?;
            let span = Span { offset: entry.raw_file_position(), length: entry.size() };
            let path = entry.path_bytes();
            end = span.offset.saturating_add(span.length);
            if end > length {
                let file = String::from_utf8_lossy(&path).into_owned();
                return Err(damaged(name, &format!("the end of the archive in the middle of {file}")));
            }
            match (entry.header().entry_type(), clean(&path)) {
                (EntryType::Directory | EntryType::XGlobalHeader, _) => {}
                (EntryType::Regular | EntryType::Continuous, Cleaned::Name(path)) => each(&path, span)?,
                (_, Cleaned::Hidden) => {}
                _ => others.add(&path),
            }
        }
    }
    ends_with_mark(name, &mut input, end.next_multiple_of(BLOCK), length)
}

/// An archive without the block of zeros at its end was cut off between two files.
fn ends_with_mark(
    name: &str,
    input: &mut (impl Read + Seek),
    end: u64,
    length: u64,
) -> Result<(), DataError> {
    let mut block = [1; BLOCK as usize];
    let whole = end.saturating_add(BLOCK) <= length
        && input.seek(std::io::SeekFrom::Start(end)).is_ok()
        && input.read_exact(&mut block).is_ok()
        && block.iter().all(|&b| b == 0);
    match whole {
        true => Ok(()),
        false => Err(damaged(name, "no end mark: files may be missing")),
    }
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

fn damaged(name: &str, found: &str) -> DataError {
    DataError::malformed(name, "a whole tar archive", found, "get the file again, or check which file it is")
}
