//! What can go wrong with data, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a data set, a picture or a setting was refused. Every message says what is wrong, where, and
/// what to do; [`DataError::kind`] says whose turn it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Neither a built-in data set nor something on disk.
    #[error(
        "{spec}: no such file or folder, and no built-in data set has this name. Data sets can be: {known}"
    )]
    NotFound {
        /// What was asked for.
        spec: String,
        /// The formats that are known.
        known: String,
    },
    /// It exists, but no known format recognises it.
    #[error("{path}: {found}. Data sets can be: {known}", path = path.display())]
    UnknownFormat {
        /// What was asked for.
        path: PathBuf,
        /// What is there instead.
        found: String,
        /// The formats that are known.
        known: String,
    },
    /// It exists, but it is not clear what is meant.
    #[error("{path}: {problem}; {advice}", path = path.display())]
    Ambiguous {
        /// What was asked for.
        path: PathBuf,
        /// Why it has more than one meaning.
        problem: String,
        /// How to name one of them.
        advice: String,
    },
    /// A setting of preprocessing, augmentation or loading that cannot work.
    #[error("{setting} is {value}, but {rule}")]
    Setting {
        /// Its name.
        setting: String,
        /// Its value.
        value: String,
        /// What holds for values that work.
        rule: String,
    },
    /// Contents that are not what they should be.
    #[error("{what}: expected {expected}, found {found}; {advice}")]
    Malformed {
        /// The file, image or data set.
        what: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        advice: String,
    },
    /// A picture file that cannot be decoded.
    #[error("{picture}: {problem}; {advice}")]
    Picture {
        /// The file.
        picture: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// A picture of more pixels than are decoded.
    #[error("{picture}: {problem}; scale it down first")]
    PictureSize {
        /// The file.
        picture: String,
        /// How large it is, and what is allowed.
        problem: String,
    },
    /// The system could not read or write.
    #[error("{path}: cannot {action}: {source}{advice}", path = path.display(), advice = advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "open", "read", "write".
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// More memory than allowed or than there is.
    #[error("{what} needs {needs} bytes of memory, {limit}; {advice}")]
    Memory {
        /// What needs it.
        what: String,
        /// How much.
        needs: u64,
        /// What is allowed or granted.
        limit: String,
        /// What to do.
        advice: String,
    },
}

/// The kinds of [`DataError`], by who can mend them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A name, path or setting: the call has to change.
    Usage,
    /// The contents of a file or data set.
    BadData,
    /// Disk, permissions, file system.
    Io,
    /// Memory or a limit on size.
    Memory,
}

impl DataError {
    /// Who can mend this.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DataError::NotFound { .. } | DataError::Ambiguous { .. } | DataError::Setting { .. } => {
                ErrorKind::Usage
            }
            DataError::UnknownFormat { .. } | DataError::Malformed { .. } | DataError::Picture { .. } => {
                ErrorKind::BadData
            }
            // A name that leads nowhere, or to a folder, is the caller's.
            DataError::Io { source, .. } if advice(source).is_empty() => ErrorKind::Io,
            DataError::Io { .. } => ErrorKind::Usage,
            DataError::Memory { .. } | DataError::PictureSize { .. } => ErrorKind::Memory,
        }
    }

    pub(crate) fn malformed(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> DataError {
        DataError::Malformed {
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn setting(
        setting: impl Into<String>,
        value: impl ToString,
        rule: impl Into<String>,
    ) -> DataError {
        DataError::Setting { setting: setting.into(), value: value.to_string(), rule: rule.into() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> DataError {
        DataError::Io { path: path.into(), action, source }
    }
}

/// What to do about a name that is wrong; nothing for what the system itself refuses.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; check the name",
        io::ErrorKind::IsADirectory => "; give files, such as those of this folder",
        _ => "",
    }
}

/// Whether reading failed by what the file holds, and not by the disk that it lies on.
pub(crate) fn is_of_contents(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof, Unsupported};
    matches!(error.kind(), UnexpectedEof | InvalidData | InvalidInput | Unsupported | Other)
}

/// An empty vector with room for `needs` items, or an error that names `what` wanted it.
pub(crate) fn reserve<T>(what: &str, needs: usize) -> Result<Vec<T>, DataError> {
    let mut items = Vec::new();
    items.try_reserve_exact(needs).map_err(|_| DataError::Memory {
        what: what.to_owned(),
        needs: (needs as u64).saturating_mul(size_of::<T>() as u64),
        limit: "which the system did not grant".to_owned(),
        advice: "free memory or use fewer or smaller images".to_owned(),
    })?;
    Ok(items)
}
