//! Standard output: the result, for people or as JSON.

use std::io::{self, Write};
use std::path::Path;

use ocelli::io::check_folder;
use serde::Serialize;

use crate::failure::Failure;

/// Writes text and ends the last line.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let ends = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{text}{ends}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Writes one line of JSON. Numbers that are not finite become null.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string(value).expect("results are plain data"))
}

/// Writes a page or another text into a file, whole or not at all.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(ocelli::io::write_atomically(path, |out| out.write_all(text.as_bytes()))?)
}

/// Whether a file can be the picture that `option` writes.
///
/// # Errors
/// A name that does not end in `.png`; no folder for it.
pub(crate) fn check_png(option: &str, file: &Path) -> Result<(), Failure> {
    check_ending(option, file, "png", "it writes a PNG file")?;
    Ok(check_folder(file)?)
}

/// Whether a file's name ends, in small letters or capitals, as what `option` makes: `makes` says what that is.
///
/// # Errors
/// Another ending, or none.
pub(crate) fn check_ending(option: &str, file: &Path, ending: &str, makes: &str) -> Result<(), Failure> {
    match file.extension() {
        Some(own) if own.eq_ignore_ascii_case(ending) => Ok(()),
        _ => Err(Failure::usage(format!(
            "{option} {}: {makes}; give a name that ends in .{ending}",
            file.display()
        ))),
    }
}

/// A table for people: columns as wide as their widest cell, two spaces apart.
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

/// To which side a column's cells are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Table {
    /// A table with this heading.
    pub(crate) fn new(heading: &[(&str, Align)]) -> Table {
        let columns = heading.iter().map(|(_, align)| *align).collect();
        Table { columns, rows: vec![heading.iter().map(|(name, _)| (*name).to_string()).collect()] }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// The lines. A column without any content under its heading is left out.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let filled = |column: usize| self.rows.iter().skip(1).any(|row| !row[column].is_empty());
        let shown: Vec<usize> = (0..self.columns.len()).filter(|&column| filled(column)).collect();
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        for row in &self.rows {
            let cells = shown.iter().map(|&column| {
                let (cell, width) = (&row[column], width(column));
                match self.columns[column] {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_their_columns_and_leave_empty_ones_out() {
        let mut table = Table::new(&[("name", Align::Left), ("from", Align::Left), ("n", Align::Right)]);
        table.row(["a".to_string(), String::new(), "10".to_string()]);
        table.row(["größe".to_string(), String::new(), "7".to_string()]);
        assert_eq!(table.render(), "name    n\na      10\ngröße   7\n");
    }
}
