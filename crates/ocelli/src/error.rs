//! What can go wrong, sorted by who can mend it.

use std::path::PathBuf;

/// An error of Ocelli. Its kind is also the exit code of the command ([`Error::exit_code`]).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A wrong option, name or configuration.
    #[error("{0}")]
    Usage(String),
    /// Data or a model file that cannot be used.
    #[error("{0}")]
    Bad(String),
    /// The disk or the file system.
    #[error("{0}")]
    Io(String),
    /// Training left the numbers.
    #[error("{0}")]
    Diverged(String),
    /// Too little memory, or a limit.
    #[error("{0}")]
    Limit(String),
    /// Stopped by the user, with nothing to go on from.
    #[error("{0}")]
    Stopped(String),
    /// Stopped by the user; the run can be resumed.
    #[error("interrupted; to continue: ocelli train --resume {}", .0.display())]
    Interrupted(PathBuf),
}

impl Error {
    /// 2 usage, 3 bad data or model, 4 disk, 5 diverged, 6 memory or limits, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Bad(_) => 3,
            Error::Io(_) => 4,
            Error::Diverged(_) => 5,
            Error::Limit(_) => 6,
            Error::Stopped(_) | Error::Interrupted(_) => 130,
        }
    }
}

impl From<ocelli_core::Error> for Error {
    fn from(error: ocelli_core::Error) -> Error {
        match error {
            ocelli_core::Error::Memory { .. } | ocelli_core::Error::Threads(_) => {
                Error::Limit(error.to_string())
            }
            _ => Error::Usage(error.to_string()),
        }
    }
}

impl From<ocelli_data::DataError> for Error {
    fn from(error: ocelli_data::DataError) -> Error {
        let text = error.to_string();
        match error.kind() {
            ocelli_data::ErrorKind::Usage => Error::Usage(text),
            ocelli_data::ErrorKind::BadData => Error::Bad(text),
            ocelli_data::ErrorKind::Io => Error::Io(text),
            ocelli_data::ErrorKind::Memory => Error::Limit(text),
        }
    }
}

impl From<crate::io::IoError> for Error {
    fn from(error: crate::io::IoError) -> Error {
        let text = error.to_string();
        match error.kind() {
            crate::io::ErrorKind::Usage => Error::Usage(text),
            crate::io::ErrorKind::BadFile => Error::Bad(text),
            crate::io::ErrorKind::Io => Error::Io(text),
            crate::io::ErrorKind::Memory => Error::Limit(text),
        }
    }
}
