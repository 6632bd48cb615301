//! CSV with a header, by RFC 4180: quoted fields, commas; or semicolons, or tabs in `.tsv`.
//!
//! Columns are found by their names; a column `split` divides the rows into training, validation and test images.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use super::super::{Format, Parts, Role};
use super::{MOST_BYTES, Table, too_long};
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
    let mut table = Table::new(path);
    let header = reader.byte_headers().map_err(|e| refused(&table, &e))?;
    let columns = Columns::of(path, header)?;
    let mut row = ByteRecord::new();
    while reader.read_byte_record(&mut row).map_err(|e| refused(&table, &e))? {
        let line = row.position().map_or(0, csv::Position::line);
        let field = |column: usize| row.get(column).unwrap_or(b"").trim_ascii();
        let text = |column: usize| {
            std::str::from_utf8(field(column))
                .map_err(|_| table.malformed(line, "UTF-8 text", field(column).escape_ascii().to_string()))
        };
        let role = match columns.split {
            None => Role::Train,
            Some(column) => Role::of(field(column)).ok_or_else(|| {
                let found = String::from_utf8_lossy(field(column)).into_owned();
                table.malformed(line, "train, val or test in the column of splits", format!("\"{found}\""))
            })?,
        };
        let label = text(columns.label)?.to_owned();
        table.add(line, field(columns.path), &label, role)?;
    }
    if reader.into_inner().limit() == 0 {
        return Err(too_long(path));
    }
    table.open(root)
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
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
}

impl Columns {
    fn of(file: &Path, header: &ByteRecord) -> Result<Columns, DataError> {
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name.trim_ascii()).to_lowercase()).collect();
        let find = |called: &[&str]| called.iter().find_map(|name| names.iter().position(|n| n == name));
        let needed = |called: &[&str], what: &str| {
            find(called).ok_or_else(|| {
                DataError::malformed(
                    format!("{}, line 1", file.display()),
                    format!("a column of {what}, called {}", called.join(", ")),
                    format!("the columns {}", names.join(", ").escape_debug()),
                    "name the columns in the first line",
                )
            })
        };
        Ok(Columns {
            path: needed(&PATHS, "paths")?,
            label: needed(&LABELS, "labels")?,
            split: find(&SPLITS),
        })
    }
}

/// What the reader refused.
fn refused(table: &Table, error: &csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Io(e) => {
            DataError::io(&table.path, "read", std::io::Error::new(e.kind(), e.to_string()))
        }
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            table.malformed(line, &format!("{expected_len} fields, as the first line has"), format!("{len}"))
        }
        _ => table.malformed(line, "a row of CSV", error.to_string()),
    }
}
