//! The kinds of data set that can be opened: one file each, and one row of [`FORMATS`].

mod digits;
pub mod idx;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::split::hold_out;
use crate::{DataError, Dataset, match_classes};

/// A kind of data set.
pub struct Format {
    /// Its name, for messages.
    pub name: &'static str,
    /// What a user gives to open one.
    pub holds: &'static str,
    /// Whether a path, which need not exist, is one. Looks at names and first bytes alone.
    pub recognises: fn(&Path) -> bool,
    /// Opens what `recognises` took.
    pub open: fn(&Path) -> Result<Parts, DataError>,
}

/// Every format; the first that recognises a path opens it.
pub const FORMATS: &[Format] = &[digits::FORMAT, idx::FORMAT];

/// A data set as it was published: with its own test split or without.
#[derive(Clone)]
pub struct Parts {
    /// What to call it: "digits", a folder's name.
    pub name: String,
    /// The training images, or all images.
    pub train: Arc<dyn Dataset>,
    /// The test or validation split that it comes with.
    pub test: Option<Arc<dyn Dataset>>,
    /// The share to hold out where it has none.
    pub held_out: f64,
}

impl Parts {
    /// What a finished network is measured on: the test split, or else all images.
    pub fn for_evaluation(&self) -> Arc<dyn Dataset> {
        self.test.clone().unwrap_or_else(|| self.train.clone())
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

/// Where validation images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The data set's own test or validation split.
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
            Validation::Test => write!(f, "its own test split"),
            Validation::Given(path) => write!(f, "{}", path.display()),
            Validation::HeldOut { share, seed } => {
                write!(f, "{:.0} % of every class held out, seed {seed}", share * 100.0)
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
}

/// Opens `spec`, the name of a built-in data set or a path, for training: finds or makes the
/// validation images. A folder that is called like a built-in data set is meant by `./digits`.
///
/// # Errors
/// [`DataError`] of kind usage where there is no such data set, of kind bad data where its contents
/// are wrong or `options.val` has classes that it lacks, and of kind I/O or memory.
pub fn open(spec: impl AsRef<Path>, options: &OpenOptions) -> Result<Splits, DataError> {
    let Parts { name, train, test, held_out } = open_parts(spec.as_ref())?;
    if let Some(path) = &options.val {
        let val = match_classes(open_parts(path)?.for_evaluation(), train.classes())?;
        return Ok(Splits { name, train, val, val_is: Validation::Given(path.clone()) });
    }
    if let Some(val) = test {
        let val = match_classes(val, train.classes())?;
        return Ok(Splits { name, train, val, val_is: Validation::Test });
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
    let spec = spec.as_ref();
    match FORMATS.iter().find(|format| (format.recognises)(spec)) {
        Some(format) => (format.open)(spec),
        None => Err(refusal(spec)),
    }
}

fn refusal(spec: &Path) -> DataError {
    let known = FORMATS.iter().map(|f| f.holds).collect::<Vec<_>>().join("; ");
    let opened = std::fs::File::open(spec).and_then(|file| file.metadata());
    let found = match opened {
        Ok(metadata) if metadata.is_dir() => match std::fs::read_dir(spec) {
            Ok(_) => "a folder with other files, or none".to_owned(),
            Err(e) => return DataError::io(spec, "list", e),
        },
        Ok(metadata) => format!("a file of {} bytes of another kind", metadata.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return DataError::NotFound { spec: spec.display().to_string(), known };
        }
        Err(e) => return DataError::io(spec, "open", e),
    };
    DataError::UnknownFormat { path: spec.to_owned(), found, known }
}

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
