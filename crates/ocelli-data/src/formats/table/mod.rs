//! Tables of pictures and their labels: lists and CSV.

mod csv;
mod list;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use csv::FORMAT as CSV;
pub(super) use list::FORMAT as LIST;

use super::class_list::{ClassList, MOST_CLASSES};
use super::{Parts, Role, archives, title};
use crate::files::{FileDataset, Files, Names, is_picture, path_of};
use crate::{DataError, Dataset};

/// The most bytes of a table.
const MOST_BYTES: u64 = 1 << 30;

/// What a table says.
struct Table {
    /// The file that holds it.
    path: PathBuf,
    /// A path for each row.
    pictures: Names,
    /// A label for each row, as it stands there, by its place in `words`.
    labels: Vec<u32>,
    /// Which split each row belongs to.
    roles: Vec<Role>,
    /// The labels that occur.
    words: Words,
}

/// Words by number, each once.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Words {
    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

impl Table {
    fn new(path: &Path) -> Table {
        Table {
            path: path.to_owned(),
            pictures: Names::default(),
            labels: Vec::new(),
            roles: Vec::new(),
            words: Words::default(),
        }
    }

    /// Adds a row, which stands in `line`.
    fn add(&mut self, line: u64, picture: &[u8], label: &str, role: Role) -> Result<(), DataError> {
        if picture.is_empty() || label.is_empty() {
            let missing = if picture.is_empty() { "no path" } else { "no label" };
            return Err(self.malformed(line, "a path and a label", missing.to_owned()));
        }
        // Paths as archives have them; a leading slash is the root of the file system.
        let picture = picture.strip_prefix(b"./").unwrap_or(picture);
        self.pictures.push(picture)?;
        let label = self.words.number(label);
        if self.words.words.len() > MOST_CLASSES as usize {
            return Err(self.malformed(
                line,
                &format!("at most {MOST_CLASSES} classes"),
                "another one".to_owned(),
            ));
        }
        self.labels.push(label);
        self.roles.push(role);
        Ok(())
    }

    fn malformed(&self, line: u64, expected: &str, found: String) -> DataError {
        let what = format!("{}, line {line}", self.path.display());
        DataError::malformed(what, expected, found, "correct the line")
    }

    /// The data set: files below `root`, or in the archive `root`; without one those below the table's own folder, or in an
    /// archive beside it that is called like the table: `train.txt` and `train.tar.xz`.
    fn open(self, root: Option<&Path>) -> Result<Parts, DataError> {
        let path = self.path.clone();
        if self.labels.is_empty() {
            let shown = path.display().to_string();
            return Err(DataError::malformed(
                shown,
                "a line for each picture",
                "none",
                "add lines, or name another file",
            ));
        }
        let list = ClassList::beside(path.parent().unwrap_or(Path::new("")))?;
        let (classes, labels) = self.classes(list.as_ref())?;
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
        let mut sets = Role::ALL.map(split);
        // Without rows to train on, a split stands for all.
        let train = sets.iter_mut().find_map(Option::take).expect("invariant: there are rows");
        let [_, val, test] = sets;
        Ok(Parts { name: title(&path), train, val, test, held_out: 0.1 })
    }

    /// The names of the classes, and for each row its label among them.
    ///
    /// Where all labels are whole numbers, they number the classes of the list beside the table, or classes called "0", "1"
    /// and so on. Otherwise they are the names, in the order of the list or else of themselves.
    fn classes(&self, list: Option<&ClassList>) -> Result<(Vec<String>, Vec<u32>), DataError> {
        let words = &self.words.words;
        let numbers: Option<Vec<u32>> = words.iter().map(|word| word.parse().ok()).collect();
        let (classes, of_word) = match (numbers, list) {
            (Some(numbers), list) => (self.numbered(&numbers, list)?, numbers),
            (None, Some(list)) => {
                let places: HashMap<&str, u32> = list.names.iter().map(String::as_str).zip(0..).collect();
                let place = |word: &String| {
                    places.get(word.trim_start_matches('/')).copied().ok_or_else(|| self.unlisted(word, list))
                };
                (list.names.clone(), words.iter().map(place).collect::<Result<_, _>>()?)
            }
            (None, None) => {
                let sorted: BTreeSet<&String> = words.iter().collect();
                let places: HashMap<&String, u32> = sorted.iter().copied().zip(0..).collect();
                (sorted.into_iter().cloned().collect(), words.iter().map(|word| places[word]).collect())
            }
        };
        Ok((classes, self.labels.iter().map(|&word| of_word[word as usize]).collect()))
    }

    fn numbered(&self, numbers: &[u32], list: Option<&ClassList>) -> Result<Vec<String>, DataError> {
        let most = numbers.iter().copied().max().unwrap_or(0);
        match list {
            Some(list) if (most as usize) < list.names.len() => Ok(list.names.clone()),
            Some(list) => Err(self.unlisted(&most.to_string(), list)),
            None if most < MOST_CLASSES => Ok((0..=most).map(|k| k.to_string()).collect()),
            None => Err(DataError::malformed(
                self.path.display().to_string(),
                format!("labels from 0 to {}", MOST_CLASSES - 1),
                format!("label {most}"),
                "number the classes from 0 on",
            )),
        }
    }

    fn unlisted(&self, word: &str, list: &ClassList) -> DataError {
        DataError::malformed(
            self.path.display().to_string(),
            format!("labels of the {} classes in {}", list.names.len(), list.path.display()),
            format!("label \"{word}\""),
            "add the class to that file, or correct the label",
        )
    }
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
