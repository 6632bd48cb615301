//! Tables of pictures and their labels: lists and CSV.

mod csv;
mod list;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use csv::FORMAT as CSV;
pub use csv::{CsvPicture, pictures_in_csv};
pub(super) use list::FORMAT as LIST;

use super::class_list::{ClassList, MOST_CLASSES};
use super::labels::Labels;
use super::{Parts, Role, archives, title};
use crate::files::{FileDataset, Files, Names, is_picture, path_of};
use crate::{DataError, Dataset};

/// The most bytes of a table.
const MOST_BYTES: u64 = 1 << 30;

/// A table of more than [`MOST_BYTES`]: what follows them was not read.
fn too_long(path: &Path) -> DataError {
    DataError::Memory {
        what: path.display().to_string(),
        needs: MOST_BYTES + 1,
        limit: format!("more than the {MOST_BYTES} allowed for a list"),
        advice: "divide it into smaller files".to_owned(),
    }
}

/// What a table says.
struct Table {
    /// The file that holds it.
    path: PathBuf,
    /// A path for each row.
    pictures: Names,
    /// A label for each row.
    labels: Labels,
    /// Which split each row belongs to.
    roles: Vec<Role>,
}

impl Table {
    fn new(path: &Path) -> Table {
        Table {
            path: path.to_owned(),
            pictures: Names::default(),
            labels: Labels::default(),
            roles: Vec::new(),
        }
    }

    /// Adds a row, which stands in `line`.
    fn add(&mut self, line: u64, picture: &[u8], label: &str, role: Role) -> Result<(), DataError> {
        if picture.is_empty() || label.is_empty() {
            let missing = if picture.is_empty() { "no path" } else { "no label" };
            return Err(self.malformed(line, "a path and a label", missing.to_owned()));
        }
        let lines = |text: &[u8]| text.iter().any(|&b| b == b'\n' || b == b'\r');
        if lines(picture) || lines(label.as_bytes()) {
            let found = "one of several lines: a quote that is not closed?";
            return Err(self.malformed(line, "a path and a label of one line each", found.to_owned()));
        }
        // Paths as archives have them; a leading slash is the root of the file system.
        let picture = picture.strip_prefix(b"./").unwrap_or(picture);
        self.pictures.push(picture)?;
        if !self.labels.push(label) {
            return Err(self.malformed(
                line,
                &format!("at most {MOST_CLASSES} classes"),
                "another one".to_owned(),
            ));
        }
        self.roles.push(role);
        Ok(())
    }

    fn malformed(&self, line: u64, expected: &str, found: String) -> DataError {
        malformed(&self.path, line, expected, found)
    }

    /// The data set: files below `root`, or in the archive `root`; without one those below the table's own folder, or in an
    /// archive beside it that is called like the table: `train.txt` and `train.tar.xz`.
    fn open(self, root: Option<&Path>) -> Result<Parts, DataError> {
        let path = self.path.clone();
        if self.roles.is_empty() {
            let shown = path.display().to_string();
            return Err(DataError::malformed(
                shown,
                "a line for each picture",
                "none",
                "add lines, or name another file",
            ));
        }
        let list = ClassList::beside(path.parent().unwrap_or(Path::new("")), Some(&path))?;
        let (classes, labels) = self.labels.resolve(&path.display().to_string(), list.as_ref())?;
        let Table { pictures, roles, .. } = self;
        let (files, members) = Root::of(&path, root).find(&path, pictures)?;
        let (files, classes): (_, Arc<[String]>) = (Arc::new(files), classes.into());
        let split = |role: Role| -> Option<Arc<dyn Dataset>> {
            let rows: Vec<usize> = (0..roles.len()).filter(|&row| roles[row] == role).collect();
            let (members, labels): (Vec<u32>, _) =
                rows.iter().map(|&row| (members[row], labels[row])).unzip();
            let set = FileDataset::new(Arc::clone(&files), members, labels, Arc::clone(&classes));
            (!rows.is_empty()).then(|| Arc::new(set) as Arc<dyn Dataset>)
        };
        Ok(Parts::of_splits(title(&path), Role::ALL.map(split)))
    }
}

/// What is wrong with a line of a table.
fn malformed(path: &Path, line: u64, expected: &str, found: String) -> DataError {
    DataError::malformed(format!("{}, line {line}", path.display()), expected, found, "correct the line")
}

/// The files that are called like `pictures`, which stand in the table `table`, and the number of each among them: as a data
/// set of that table has them.
///
/// # Errors
/// [`DataError::Malformed`] where none of them exists, or one is not in the archive; those of opening an archive.
pub(crate) fn find_listed(
    table: &Path,
    pictures: Names,
    root: Option<&Path>,
) -> Result<(Files, Vec<u32>), DataError> {
    Root::of(table, root).find(table, pictures)
}

/// Where the files of a table are.
enum Root {
    Folder(PathBuf),
    Archive(PathBuf),
}

impl Root {
    fn of(table: &Path, root: Option<&Path>) -> Root {
        let folder = table.parent().unwrap_or(Path::new(""));
        match root {
            Some(root) if root.is_file() => Root::Archive(root.to_owned()),
            Some(root) => Root::Folder(root.to_owned()),
            None => match archives::beside(table) {
                Some(archive) => Root::Archive(archive),
                None => Root::Folder(folder.to_owned()),
            },
        }
    }

    /// The files that are called like `pictures`, and the number of each among them.
    fn find(&self, table: &Path, pictures: Names) -> Result<(Files, Vec<u32>), DataError> {
        match self {
            Root::Folder(root) => {
                check_some_exist(table, root, &pictures)?;
                let members = (0..pictures.len() as u32).collect();
                Ok((Files::listed(root, pictures), members))
            }
            Root::Archive(path) => {
                let files = Files::in_archives(std::slice::from_ref(path), is_picture)?;
                let numbers: HashMap<&[u8], u32> =
                    (0..files.len()).map(|i| (files.names.get(i), i as u32)).collect();
                let member = |i: usize| {
                    let name = pictures.get(i);
                    numbers.get(name.strip_prefix(b"/").unwrap_or(name)).copied().ok_or_else(|| {
                        absent(table, &format!("no {} in {}", pictures.text(i), path.display()))
                    })
                };
                let members = (0..pictures.len()).map(member).collect::<Result<_, _>>()?;
                Ok((files, members))
            }
        }
    }
}

/// How many files of a table are looked for before it is opened.
const LOOKED_FOR: usize = 16;

/// A few missing files are a matter of those who read them; if none is there, the paths mean another folder.
fn check_some_exist(table: &Path, root: &Path, pictures: &Names) -> Result<(), DataError> {
    let mut some = (0..pictures.len()).step_by(pictures.len().div_ceil(LOOKED_FOR).max(1));
    if pictures.len() == 0 {
        return Ok(());
    }
    match some.any(|i| root.join(path_of(pictures.get(i))).exists()) {
        true => Ok(()),
        false => Err(absent(table, &format!("no {} in {}", pictures.text(0), shown(root)))),
    }
}

fn shown(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => "the current folder".to_owned(),
        false => folder.display().to_string(),
    }
}

fn absent(table: &Path, found: &str) -> DataError {
    DataError::malformed(
        table.display().to_string(),
        "paths of files that exist",
        found,
        "give the folder or tar archive that the paths are relative to with --root",
    )
}
