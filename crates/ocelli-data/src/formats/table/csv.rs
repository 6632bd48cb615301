//! CSV with a header, by RFC 4180: quoted fields, commas; or semicolons, or tabs in `.tsv`.
//!
//! Columns are found by their names; a column `split` divides the rows into training, validation and test images.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::super::{Format, Parts, Role};
use super::{MOST_BYTES, Table, malformed, too_long};
use crate::DataError;

pub(crate) const FORMAT: Format = Format {
    name: "CSV",
    holds: "a CSV file with columns such as path and label",
    recognises: |path| delimiter_of(path).is_some() && path.is_file(),
    open,
};

/// What columns with paths are called, the name that counts first.
const PATHS: [&str; 8] = ["path", "file", "filename", "file_name", "image", "image_path", "filepath", "img"];

/// What columns with labels are called.
const LABELS: [&str; 7] = ["label", "class", "category", "target", "class_name", "label_name", "y"];

/// What the column that names the split is called.
const SPLITS: [&str; 3] = ["split", "subset", "set"];

fn open(path: &Path, root: Option<&Path>) -> Result<Parts, DataError> {
    let mut rows = Rows::open(path, true)?;
    let (columns, mut table) = (rows.columns, Table::new(path));
    while let Some(row) = rows.next()? {
        let role = match row.field(columns.split) {
            None => Role::Train,
            Some(split) => Role::of(split).ok_or_else(|| {
                let found = format!("\"{}\"", String::from_utf8_lossy(split));
                malformed(path, row.line, "train, val or test in the column of splits", found)
            })?,
        };
        let label = row.text(path, columns.label)?.unwrap_or_default();
        table.add(row.line, row.field(columns.path).unwrap_or_default(), label, role)?;
    }
    table.open(root)
}

/// A picture that a CSV file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvPicture {
    /// The number of its line, from 1.
    pub line: usize,
    /// Its path, as it is written.
    pub path: String,
    /// Its label, where the file has a column of labels and the row has one.
    pub label: Option<String>,
}

/// The pictures of a CSV file in its order, whatever split they are in: its columns are found by their names, and that of paths
/// is needed. `None` for a file that is not called `.csv` or `.tsv`.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Malformed`] names the line of what is no row, a path or a label that is no text, and a row
/// without a path; [`DataError::Memory`] for a file of more than a gigabyte.
pub fn pictures_in_csv(path: &Path) -> Result<Option<Vec<CsvPicture>>, DataError> {
    if delimiter_of(path).is_none() {
        return Ok(None);
    }
    let mut rows = Rows::open(path, false)?;
    let (columns, mut pictures) = (rows.columns, Vec::new());
    while let Some(row) = rows.next()? {
        let name = row.text(path, columns.path)?.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| malformed(path, row.line, "a path", "none".to_owned()))?;
        let label = row.text(path, columns.label)?.filter(|label| !label.is_empty());
        pictures.push(CsvPicture {
            line: row.line as usize,
            path: name.to_owned(),
            label: label.map(str::to_owned),
        });
    }
    Ok(Some(pictures))
}

/// A CSV file, row by row.
struct Rows<'a> {
    path: &'a Path,
    reader: Reader<Take<BufReader<File>>>,
    columns: Columns,
    row: ByteRecord,
}

impl Rows<'_> {
    /// One that needs a column of labels if it is to be `labelled`.
    fn open(path: &Path, labelled: bool) -> Result<Rows<'_>, DataError> {
        let failed = |e| DataError::io(path, "read", e);
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let start = file.fill_buf().map_err(failed)?;
        let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let header = start[mark..].split(|&b| b == b'\n').next().unwrap_or(b"");
        let delimiter = match delimiter_of(path) {
            Some(b',') if !header.contains(&b',') && header.contains(&b';') => b';',
            known => known.unwrap_or(b','),
        };
        file.consume(mark);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(file.take(MOST_BYTES));
        let header = reader.byte_headers().map_err(|e| refused(path, &e))?;
        let columns = Columns::of(path, header, labelled)?;
        Ok(Rows { path, reader, columns, row: ByteRecord::new() })
    }

    /// The next row; an error where more follows than is read.
    fn next(&mut self) -> Result<Option<Row<'_>>, DataError> {
        if self.reader.read_byte_record(&mut self.row).map_err(|e| refused(self.path, &e))? {
            let line = self.row.position().map_or(0, csv::Position::line);
            return Ok(Some(Row { line, fields: &self.row }));
        }
        if self.reader.get_ref().limit() == 0 { Err(too_long(self.path)) } else { Ok(None) }
    }
}

/// A row that stands in `line`.
struct Row<'a> {
    line: u64,
    fields: &'a ByteRecord,
}

impl<'a> Row<'a> {
    /// What stands in a column.
    fn field(&self, column: Option<usize>) -> Option<&'a [u8]> {
        column.map(|column| self.fields.get(column).unwrap_or(b"").trim_ascii())
    }

    /// The same as text.
    fn text(&self, path: &Path, column: Option<usize>) -> Result<Option<&'a str>, DataError> {
        let Some(field) = self.field(column) else { return Ok(None) };
        let text = std::str::from_utf8(field);
        text.map(Some).map_err(|_| malformed(path, self.line, "UTF-8 text", field.escape_ascii().to_string()))
    }
}

/// By the ending of a file's name.
fn delimiter_of(path: &Path) -> Option<u8> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        _ => None,
    }
}

/// Where what is needed stands in a row.
#[derive(Clone, Copy)]
struct Columns {
    path: Option<usize>,
    label: Option<usize>,
    split: Option<usize>,
}

impl Columns {
    fn of(file: &Path, header: &ByteRecord, labelled: bool) -> Result<Columns, DataError> {
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name.trim_ascii()).to_lowercase()).collect();
        let find = |called: &[&str]| called.iter().find_map(|name| names.iter().position(|n| n == name));
        let columns = Columns { path: find(&PATHS), label: find(&LABELS), split: find(&SPLITS) };
        let (what, called) = match columns {
            Columns { path: None, .. } => ("paths", &PATHS[..]),
            Columns { label: None, .. } if labelled => ("labels", &LABELS[..]),
            _ => return Ok(columns),
        };
        Err(DataError::malformed(
            format!("{}, line 1", file.display()),
            format!("a column of {what}, called {}", called.join(", ")),
            format!("the columns {}", names.join(", ").escape_debug()),
            "name the columns in the first line",
        ))
    }
}

/// What the reader refused.
fn refused(path: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Io(e) => DataError::io(path, "read", std::io::Error::new(e.kind(), e.to_string())),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            malformed(path, line, &format!("{expected_len} fields, as the first line has"), format!("{len}"))
        }
        _ => malformed(path, line, "a row of CSV", error.to_string()),
    }
}
