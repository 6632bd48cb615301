//! The kinds of data set that can be opened: one file each, and one row of [`FORMATS`].

mod archives;
mod cifar;
mod class_list;
mod digits;
pub mod idx;
mod image_folder;
mod layout;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::split::hold_out;
use crate::{DataError, Dataset, Picture, check_trainable, class_counts, match_classes};

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
}

impl Parts {
    /// What a finished network is measured on: the test split, or else the validation split, or else all images.
    pub fn for_evaluation(&self) -> Arc<dyn Dataset> {
        self.test.as_ref().or(self.val.as_ref()).unwrap_or(&self.train).clone()
    }
}

/// Images to train on and others to validate on. Both have the same classes.
#[derive(Clone)]
pub struct Splits {
    /// What to call the data set.
    pub name: String,
    /// The images that are trained on.
    pub train: Arc<dyn Dataset>,
    /// The images that are never trained on.
    pub val: Arc<dyn Dataset>,
    /// Where `val` comes from.
    pub val_is: Validation,
}

impl Splits {
    /// Bytes of memory that hold the images of both.
    pub fn memory(&self) -> u64 {
        match self.val_is {
            // Both are images of one set.
            Validation::HeldOut { .. } => self.train.memory().max(self.val.memory()),
            _ => self.train.memory() + self.val.memory(),
        }
    }

    /// Whether a classifier can learn from these images and be measured on them.
    ///
    /// # Errors
    /// [`DataError::Malformed`] where [`check_trainable`] refuses the training images, none are left to validate on, or
    /// images to validate on have a class that no training image has.
    pub fn check(&self) -> Result<(), DataError> {
        check_trainable(&*self.train)?;
        if self.val.is_empty() {
            return Err(DataError::malformed(
                self.name.as_str(),
                "images to validate on",
                "none: every class keeps an image to train on, and none has a second one",
                "add images, or give others with --val",
            ));
        }
        let (train, val) = (class_counts(&*self.train), class_counts(&*self.val));
        match (0..train.len()).find(|&class| train[class] == 0 && val[class] > 0) {
            None => Ok(()),
            Some(class) => Err(DataError::malformed(
                self.name.as_str(),
                format!("training images of class \"{}\"", self.train.classes()[class]),
                format!("none, but {} of it to validate on", val[class]),
                "add training images of this class, or take it out of the validation images",
            )),
        }
    }
}

/// Where validation images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The data set's own validation split.
    Val,
    /// The data set's own test split, where it has no other.
    Test,
    /// Another data set, given beside it.
    Given(PathBuf),
    /// Training images held out, the same share of every class.
    HeldOut {
        /// The share, of 1.
        share: f64,
        /// What chose them.
        seed: u64,
    },
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Validation::Val => write!(f, "its own validation split"),
            Validation::Test => write!(f, "its own test split"),
            Validation::Given(path) => write!(f, "{}", path.display()),
            Validation::HeldOut { share, seed } => {
                let share = share * 100.0;
                write!(f, "{share:.0} % of every class held out, at least one image of two, seed {seed}")
            }
        }
    }
}

/// How to open a data set for training.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Chooses the images to hold out where there is no other split.
    pub seed: u64,
    /// Another data set to validate on. Its test split is taken where it has one.
    pub val: Option<PathBuf>,
    /// The folder or archive that paths in lists and CSV are relative to, in place of their own folder.
    pub root: Option<PathBuf>,
}

/// Opens `spec`, the name of a built-in data set or a path, for training: finds or makes the
/// validation images. A folder that is called like a built-in data set is meant by `./digits`.
///
/// # Errors
/// [`DataError`] of kind usage where there is no such data set or `options.val` is the same one, of kind bad data where
/// its contents are wrong or `options.val` has classes that it lacks, and of kind I/O or memory.
pub fn open(spec: impl AsRef<Path>, options: &OpenOptions) -> Result<Splits, DataError> {
    let Parts { name, train, val, test, held_out } = open_parts_in(spec.as_ref(), options.root.as_deref())?;
    if let Some(path) = &options.val {
        if same_source(spec.as_ref(), path) {
            return Err(trained_on(path));
        }
        let val =
            match_classes(open_parts_in(path, options.root.as_deref())?.for_evaluation(), train.classes())?;
        if same_images(&*train, &*val)? {
            return Err(trained_on(path));
        }
        return Ok(Splits { name, train, val, val_is: Validation::Given(path.clone()) });
    }
    let own = val.map(|val| (val, Validation::Val)).or(test.map(|test| (test, Validation::Test)));
    if let Some((val, val_is)) = own {
        let val = match_classes(val, train.classes())?;
        return Ok(Splits { name, train, val, val_is });
    }
    let (kept, held) = hold_out(&train, held_out, options.seed);
    Ok(Splits {
        name,
        train: Arc::new(kept),
        val: Arc::new(held),
        val_is: Validation::HeldOut { share: held_out, seed: options.seed },
    })
}

/// Opens `spec`, the name of a built-in data set or a path, as it was published.
///
/// # Errors
/// As [`open`].
pub fn open_parts(spec: impl AsRef<Path>) -> Result<Parts, DataError> {
    open_parts_in(spec, None)
}

/// [`open_parts`] for lists and CSV whose paths are relative to the folder `root`, or lie in the archive `root`, in place of
/// their own folder.
///
/// # Errors
/// As [`open`].
pub fn open_parts_in(spec: impl AsRef<Path>, root: Option<&Path>) -> Result<Parts, DataError> {
    let spec = spec.as_ref();
    match FORMATS.iter().find(|format| (format.recognises)(spec)) {
        Some(format) => (format.open)(spec, root),
        None => Err(refusal(spec)),
    }
}

/// Whether two names mean the same data: built-in names, or paths.
fn same_source(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// How many images two sets are compared by, beside all their labels.
const COMPARED: usize = 64;

/// Whether two sets hold the same images in the same order, by their labels and some of the images.
fn same_images(a: &dyn Dataset, b: &dyn Dataset) -> Result<bool, DataError> {
    if a.len() != b.len() || (0..a.len()).any(|i| a.label(i) != b.label(i)) {
        return Ok(false);
    }
    let (mut of_a, mut of_b) = (Picture::default(), Picture::default());
    for i in (0..a.len()).step_by(a.len().div_ceil(COMPARED).max(1)) {
        a.read(i, &mut of_a)?;
        b.read(i, &mut of_b)?;
        if of_a != of_b {
            return Ok(false);
        }
    }
    Ok(true)
}

fn trained_on(path: &Path) -> DataError {
    DataError::Ambiguous {
        path: path.to_owned(),
        problem:
            "its images are those that are trained on, so validating on them would tell nothing about others"
                .to_owned(),
        advice: "leave --val out to validate on the data's own test split or on held-out images".to_owned(),
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
