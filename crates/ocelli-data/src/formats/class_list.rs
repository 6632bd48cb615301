//! Files that name the classes: `classes.txt`, `categories.txt`.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::DataError;

/// What such files are called, the one that counts first.
const FILES: [&str; 3] = ["classes.txt", "categories.txt", "labels.txt"];

/// The most bytes of such a file.
const MOST_BYTES: u64 = 1 << 24;

/// The most classes.
pub(super) const MOST_CLASSES: u32 = 65_535;

/// The names of the classes in the order of their labels, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassList {
    pub(super) path: PathBuf,
    pub(super) names: Vec<String>,
}

impl ClassList {
    /// The list that lies in `folder`, if there is one beside `table`, the file whose pictures it names the classes of.
    ///
    /// # Errors
    /// Those of [`ClassList::read`].
    pub(super) fn beside(folder: &Path, table: Option<&Path>) -> Result<Option<ClassList>, DataError> {
        let itself = table.and_then(|table| table.canonicalize().ok());
        let is_other = |path: &PathBuf| itself.is_none() || path.canonicalize().ok() != itself;
        let mut paths = FILES.iter().map(|file| folder.join(file));
        let path = paths.find(|path| path.is_file() && is_other(path));
        path.map(|path| ClassList::read(&path)).transpose()
    }

    /// Reads one name a line; or, where every line ends in a number of its own, the name and that number, which is then the
    /// label: `/a/abbey 0`. Slashes at the beginning of names are dropped, and a number without a name is the name.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for names that are no text, or stand there twice, and for too many of them;
    /// [`DataError::Io`].
    pub(super) fn read(path: &Path) -> Result<ClassList, DataError> {
        let text = read_text(path)?;
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let numbered: Option<Vec<(&str, u32)>> = lines.iter().map(|line| numbered(line)).collect();
        let names = match numbered.filter(|lines| are_labels(lines)) {
            Some(lines) => by_number(path, &lines)?,
            None => lines.iter().map(|line| line.trim_start_matches('/').to_owned()).collect(),
        };
        let found = |found: String| malformed(path, found);
        if names.is_empty() || names.len() > MOST_CLASSES as usize {
            return Err(found(format!("{} names, where 1 to {MOST_CLASSES} are allowed", names.len())));
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (k, name) in names.iter().enumerate() {
            if let Some(before) = seen.insert(name, k) {
                return Err(found(format!("\"{name}\" for classes {before} and {k}")));
            }
        }
        Ok(ClassList { path: path.to_owned(), names })
    }
}

/// The text of a small file, without a byte order mark.
///
/// # Errors
/// [`DataError::Malformed`] where it is no text or too long, [`DataError::Io`].
fn read_text(path: &Path) -> Result<String, DataError> {
    let failed = |e| DataError::io(path, "read", e);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(malformed(path, format!("a file of more than {MOST_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed(path, "text that is not UTF-8".to_owned()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// "/a/abbey 0": the name and its number.
fn numbered(line: &str) -> Option<(&str, u32)> {
    let (name, number) = line.rsplit_once(char::is_whitespace)?;
    Some((name.trim_end().trim_start_matches('/'), number.parse().ok()?))
}

/// Whether the numbers are labels, which differ and begin with 0 or 1, of names that differ; otherwise they belong to the
/// names, as in "boeing 737" and "class 1".
fn are_labels(lines: &[(&str, u32)]) -> bool {
    let mut names = HashSet::new();
    if !lines.iter().all(|&(name, _)| names.insert(name)) {
        return false;
    }
    let mut numbers: Vec<u32> = lines.iter().map(|&(_, number)| number).collect();
    numbers.sort_unstable();
    numbers.first().is_some_and(|&first| first <= 1) && numbers.windows(2).all(|pair| pair[0] < pair[1])
}

/// Names in the order of their numbers; a number that is left out is called by itself.
fn by_number(path: &Path, lines: &[(&str, u32)]) -> Result<Vec<String>, DataError> {
    let most = lines.iter().map(|&(_, number)| number).max().unwrap_or(0);
    if most >= MOST_CLASSES {
        return Err(malformed(path, format!("number {most}, where 0 to {} are allowed", MOST_CLASSES - 1)));
    }
    let mut names: Vec<String> = (0..=most).map(|k| k.to_string()).collect();
    for &(name, number) in lines {
        names[number as usize] = name.to_owned();
    }
    Ok(names)
}

fn malformed(path: &Path, found: String) -> DataError {
    DataError::malformed(
        path.display().to_string(),
        "one class name a line, or a name and a number",
        found,
        "correct the file, or remove it to have classes in the order of their names",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.txt");
        std::fs::write(&path, text).unwrap();
        ClassList::read(&path).map(|list| list.names).map_err(|e| e.to_string())
    }

    #[test]
    fn lines_are_names_or_names_with_numbers() {
        assert_eq!(read(b"dog\n\ncat\r\npolar bear\n").unwrap(), ["dog", "cat", "polar bear"]);
        assert_eq!(read(b"/a/abbey 1\n/a/airport_terminal 0\n").unwrap(), ["a/airport_terminal", "a/abbey"]);
        assert_eq!(read("\u{feff}é 0\nb 2\n".as_bytes()).unwrap(), ["é", "1", "b"]);
        // Numbers that are no labels belong to the names.
        assert_eq!(read(b"boeing 7\nairbus 7\n").unwrap(), ["boeing 7", "airbus 7"]);
        assert_eq!(read(b"boeing 737\nboeing 747\n").unwrap(), ["boeing 737", "boeing 747"]);
        assert_eq!(read(b"class 0\nclass 1\n").unwrap(), ["class 0", "class 1"]);
    }

    #[test]
    fn lists_that_cannot_be_meant_are_refused() {
        assert!(read(b"cat\ndog\ncat\n").unwrap_err().contains("\"cat\" for classes 0 and 2"));
        assert!(read(b"").unwrap_err().contains("0 names"));
        assert!(read(b"a 4000000000\nb 1").unwrap_err().contains("number 4000000000"));
        assert!(read(b"\xff\xfe").unwrap_err().contains("not UTF-8"));
    }
}
