//! Lists: a line for each picture, with its path and its label.
//!
//! `train/a/abbey/00000001.jpg 0`. Path and label are divided by the last tab of the line, or else by its last space; so paths
//! may have spaces, and after a tab labels too. Empty lines and those that begin with `#` are passed over.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::super::{Format, Parts, Role};
use super::{MOST_BYTES, Table, too_long};
use crate::DataError;
use crate::files::is_picture;

pub(crate) const FORMAT: Format = Format {
    name: "list",
    holds: "a list of pictures (.txt or .lst, \"path label\" on each line)",
    recognises,
    open,
};

/// The endings of lists.
const ENDINGS: [&str; 3] = ["txt", "lst", "list"];

/// The longest first line by which a list is recognised.
const MOST_FIRST: u64 = 1 << 16;

/// A text file whose first line begins with the path of a picture.
fn recognises(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    if !path.is_file() || !ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e)) {
        return false;
    }
    let Ok(file) = File::open(path) else { return false };
    let lines = BufReader::new(file.take(MOST_FIRST)).split(b'\n').map_while(Result::ok);
    let mut lines = lines.filter(|line| !is_passed_over(trimmed(line)));
    lines.next().is_some_and(|line| is_picture(halves(trimmed(&line)).0))
}

fn open(path: &Path, root: Option<&Path>) -> Result<Parts, DataError> {
    let failed = |e| DataError::io(path, "read", e);
    let file = File::open(path).map_err(failed)?;
    let mut table = Table::new(path);
    let mut input = BufReader::new(file.take(MOST_BYTES));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let text = trimmed(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line));
        if is_passed_over(text) {
            continue;
        }
        let (picture, label) = halves(text);
        let label = std::str::from_utf8(label).map_err(|_| {
            table.malformed(number, "a label that is UTF-8 text", label.escape_ascii().to_string())
        })?;
        table.add(number, picture, label, Role::Train)?;
    }
    if input.into_inner().limit() == 0 {
        return Err(too_long(path));
    }
    table.open(root)
}

fn is_passed_over(line: &[u8]) -> bool {
    line.is_empty() || line.starts_with(b"#")
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// Path and label. A line of one part has no label.
fn halves(line: &[u8]) -> (&[u8], &[u8]) {
    let place = |of: fn(u8) -> bool| line.iter().rposition(|&b| of(b));
    match place(|b| b == b'\t').or_else(|| place(|b| b == b' ')) {
        Some(at) => (line[..at].trim_ascii_end(), line[at + 1..].trim_ascii_start()),
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_divided_at_the_last_tab_or_space() {
        assert_eq!(halves(b"a b/c.jpg 12"), (&b"a b/c.jpg"[..], &b"12"[..]));
        assert_eq!(halves(b"a b.jpg\tpolar bear"), (&b"a b.jpg"[..], &b"polar bear"[..]));
        assert_eq!(halves(b"a.jpg  \t 3"), (&b"a.jpg"[..], &b"3"[..]));
        assert_eq!(halves(b"a.jpg"), (&b"a.jpg"[..], &b""[..]));
    }
}
