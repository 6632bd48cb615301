//! Many paths in little memory.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::DataError;

/// Relative paths with `/` between their parts, one after another in one piece of memory: a path costs its own bytes and
/// four more. On Unix they are any bytes, elsewhere text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Names {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`DataError::Memory`] for more than 4 GiB of names in all.
    pub(crate) fn push(&mut self, name: &[u8]) -> Result<(), DataError> {
        let end = self.bytes.len() as u64 + name.len() as u64;
        let end = u32::try_from(end).map_err(|_| DataError::Memory {
            what: "the names of all files".to_owned(),
            needs: end,
            limit: "more than the 4 GiB allowed".to_owned(),
            advice: "divide the data set".to_owned(),
        })?;
        self.bytes.extend_from_slice(name);
        self.ends.push(end);
        Ok(())
    }

    /// The `i`-th one.
    pub(crate) fn get(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[i] as usize]
    }

    /// The `i`-th one for messages.
    pub(crate) fn text(&self, i: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(i))
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> u64 {
        self.bytes.capacity() as u64 + 4 * self.ends.capacity() as u64
    }

    /// Gives back the memory that further names would have taken.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// A name as a path of this system.
pub(crate) fn path_of(name: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(name))
    }
    #[cfg(not(unix))]
    {
        // Only text gets in, see `name_of`.
        PathBuf::from(String::from_utf8_lossy(name).into_owned())
    }
}

/// A file's name in bytes; `None` where this system has names that are no text.
pub(crate) fn name_of(name: &std::ffi::OsStr) -> Option<&[u8]> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Some(name.as_bytes())
    }
    #[cfg(not(unix))]
    {
        name.to_str().map(str::as_bytes)
    }
}

/// Folder and file of a path: `a/b/c.jpg` is `a/b` and `c.jpg`. The folder of what lies at the top is empty.
pub(crate) fn split_last(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (b"", name),
    }
}

/// The first part of a path and the rest: `a/b/c.jpg` is `a` and `b/c.jpg`; `None` for a path of one part.
pub(crate) fn split_first(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = name.iter().position(|&b| b == b'/')?;
    Some((&name[..slash], &name[slash + 1..]))
}

/// The endings of files that are taken for pictures.
const ENDINGS: [&str; 12] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "pnm", "pgm", "ppm", "pbm"];

/// Whether a file's name is that of a picture.
pub fn is_picture(name: &[u8]) -> bool {
    let (_, file) = split_last(name);
    let Some(dot) = file.iter().rposition(|&b| b == b'.') else { return false };
    ENDINGS.iter().any(|ending| file[dot + 1..].eq_ignore_ascii_case(ending.as_bytes()))
}

/// What lies beside the pictures and is not read: how much, and the first few names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) count: usize,
    pub(crate) first: Vec<String>,
}

impl Others {
    /// How many are named.
    const NAMED: usize = 3;

    /// Notes one.
    pub(crate) fn add(&mut self, name: &[u8]) {
        self.count += 1;
        if self.first.len() < Others::NAMED {
            self.first.push(String::from_utf8_lossy(name).escape_debug().to_string());
        }
    }

    /// Takes out one of this name, which is read after all.
    pub(crate) fn forget(&mut self, name: &str) {
        self.count -= 1;
        self.first.retain(|other| other != name);
    }

    /// What is not read, in words: `one` for one of them, `many` for several.
    pub(crate) fn note(&self, one: &str, many: &str) -> Option<String> {
        let Others { count, first } = self;
        let more = if *count > first.len() { ", …" } else { "" };
        let what = match count {
            0 => return None,
            1 => format!("1 {one}"),
            n => format!("{n} {many}"),
        };
        Some(format!("{what} and not read: {}{more}", first.join(", ")))
    }

    /// Adds those of another place.
    pub(crate) fn join(&mut self, other: Others) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(Others::NAMED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_went_in() {
        let mut names = Names::default();
        for name in [&b"a/b.jpg"[..], b"", b"\xff.png"] {
            names.push(name).unwrap();
        }
        assert_eq!(
            (names.len(), names.get(0), names.get(1), names.get(2)),
            (3, &b"a/b.jpg"[..], &b""[..], &b"\xff.png"[..])
        );
        assert_eq!(names.text(2), "\u{fffd}.png");
    }

    #[test]
    fn endings_tell_pictures_whatever_their_case() {
        for name in [&b"a.jpg"[..], b"a.b/c.JPEG", b"x.y.Png", b".jpg"] {
            assert!(is_picture(name), "{}", String::from_utf8_lossy(name));
        }
        for name in [&b"jpg"[..], b"a.jpg/readme", b"a.txt", b"a.jpg~", b"a."] {
            assert!(!is_picture(name), "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn paths_are_divided_at_their_first_and_last_slash() {
        assert_eq!(split_last(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split_last(b"c"), (&b""[..], &b"c"[..]));
        assert_eq!(split_first(b"a/b/c"), Some((&b"a"[..], &b"b/c"[..])));
        assert_eq!(split_first(b"c"), None);
    }
}
