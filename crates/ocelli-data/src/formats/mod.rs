//! The kinds of data set that can be opened: one file each, and one row of [`FORMATS`].

mod archives;
mod cifar;
mod class_list;
mod digits;
pub mod idx;
mod image_folder;
mod labels;
mod layout;
mod table;
mod webdataset;

use std::path::Path;
use std::sync::Arc;

pub use archives::is_archive;
pub(crate) use table::find_listed;
pub use table::{CsvPicture, pictures_in_csv};

use crate::files::is_picture;
use crate::{DataError, Dataset};

/// A kind of data set.
pub struct Format {
    /// Its name, for messages.
    pub name: &'static str,
    /// What a user gives to open one.
    pub holds: &'static str,
    /// Whether a path, which need not exist, is one. Looks at names and first bytes alone.
    pub recognises: fn(&Path) -> bool,
    /// Opens what `recognises` took. Tables of files also take the folder or archive that these are in.
    pub open: fn(&Path, Option<&Path>) -> Result<Parts, DataError>,
}

/// Every format; the first that recognises a path opens it.
pub const FORMATS: &[Format] = &[
    digits::FORMAT,
    idx::FORMAT,
    cifar::FORMAT,
    image_folder::FORMAT,
    archives::FORMAT,
    table::LIST,
    table::CSV,
];

/// What the images of a split are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Train,
    Val,
    Test,
}

impl Role {
    const ALL: [Role; 3] = [Role::Train, Role::Val, Role::Test];

    /// What a folder or archive of this name holds, if it is called like a split.
    fn of(name: &[u8]) -> Option<Role> {
        match name.to_ascii_lowercase().as_slice() {
            b"train" | b"training" => Some(Role::Train),
            b"val" | b"valid" | b"validation" | b"dev" => Some(Role::Val),
            b"test" | b"testing" => Some(Role::Test),
            _ => None,
        }
    }
}

/// What to call the data at `path`: the name of the folder, or of the file without its ending.
fn title(path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = if absolute.is_dir() { name } else { name.split('.').next().unwrap_or("").to_owned() };
    if name.is_empty() { "pictures".to_owned() } else { name }
}

/// A data set as it was published: with its own test split or without.
#[derive(Clone)]
pub struct Parts {
    /// What to call it: "digits", a folder's name.
    pub name: String,
    /// The training images, or all images.
    pub train: Arc<dyn Dataset>,
    /// The validation split that it comes with.
    pub val: Option<Arc<dyn Dataset>>,
    /// The test split that it comes with.
    pub test: Option<Arc<dyn Dataset>>,
    /// The share to hold out where it has none.
    pub held_out: f64,
    /// What else lies there and is not used, in words.
    pub notes: Vec<String>,
}

impl Parts {
    /// Of the splits to train on, validate on and test on, of which there is one at least. Without the first, another one stands
    /// for all.
    fn of_splits(name: String, mut sets: [Option<Arc<dyn Dataset>>; 3]) -> Parts {
        let train = sets.iter_mut().find_map(Option::take).expect("invariant: what is opened has images");
        let [_, val, test] = sets;
        Parts { name, train, val, test, held_out: 0.1, notes: Vec::new() }
    }

    /// What a finished network is measured on: the test split, or else the validation split, or else all images.
    pub fn for_evaluation(&self) -> Arc<dyn Dataset> {
        self.test.as_ref().or(self.val.as_ref()).unwrap_or(&self.train).clone()
    }
}

/// Opens `spec`, the name of a built-in data set or a path, as it was published; see [`open_parts_in`](crate::open_parts_in).
pub(crate) fn open_any(spec: &Path, root: Option<&Path>) -> Result<Parts, DataError> {
    match FORMATS.iter().find(|format| (format.recognises)(spec)) {
        Some(format) => (format.open)(spec, root),
        None => Err(refusal(spec)),
    }
}

fn refusal(spec: &Path) -> DataError {
    let known = FORMATS.iter().map(|f| f.holds).collect::<Vec<_>>().join("; ");
    let opened = std::fs::File::open(spec).and_then(|file| file.metadata());
    let found = match opened {
        Ok(metadata) if metadata.is_dir() => match contents(spec) {
            Ok(found) => found,
            Err(e) => return DataError::io(spec, "list", e),
        },
        Ok(metadata) if metadata.len() == 0 => "the file is empty".to_owned(),
        Ok(metadata) => format!("a file of {} bytes that is no known kind of data", metadata.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return DataError::NotFound { spec: spec.display().to_string(), known };
        }
        Err(e) => return DataError::io(spec, "open", e),
    };
    DataError::UnknownFormat { path: spec.to_owned(), found, known }
}

/// What a folder holds instead of data: the first few names.
fn contents(folder: &Path) -> std::io::Result<String> {
    let mut names = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().escape_debug().to_string()))
        .collect::<std::io::Result<Vec<String>>>()?;
    names.sort();
    let pictures = names.iter().filter(|name| is_picture(name.as_bytes())).count();
    if pictures > 0 {
        let found = match pictures {
            1 => "1 picture that lies".to_owned(),
            n => format!("{n} pictures that lie"),
        };
        let advice = "put those of each class into a folder that is called like it";
        return Ok(format!("the folder holds {found} in no folder of a class; {advice}"));
    }
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.truncate(SHOWN);
    Ok(match names.is_empty() {
        true => "the folder is empty".to_owned(),
        false => format!("the folder holds no known data; it has {}{rest}", names.join(", ")),
    })
}

/// How many names of a folder a message shows.
const SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_of_their_own_and_none_takes_what_is_not_there() {
        let refusal = refusal(Path::new("no such thing")).to_string();
        for (i, format) in FORMATS.iter().enumerate() {
            assert!(FORMATS[..i].iter().all(|other| other.name != format.name), "{}", format.name);
            assert!(refusal.contains(format.holds), "{refusal}");
            assert!(!(format.recognises)(Path::new("no such thing")), "{}", format.name);
        }
    }
}
