//! What can go wrong with files, said so that the user can act.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// An error about a file.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// A network file says something that cannot be.
    #[error("{file}:{line}:{column}: {reason}")]
    Network {
        /// The file, as it was given.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The character in the line, counted from 1.
        column: usize,
        /// What cannot be, and what to write instead.
        reason: String,
    },
    /// A file is damaged, or is none of the kind it was taken for.
    #[error("{}: {reason}", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A file of which bytes have changed since it was written.
    #[error("{}: it is damaged: its checksum does not match; restore it from a copy or train again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused something.
    #[error("cannot {action} {}: {source}{}", .path.display(), advice(.source, .path, *.needed))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
        /// How many bytes the file needs, where that is known.
        needed: Option<u64>,
    },
    /// A file does not fit into memory.
    #[error("not enough memory for {}: it needs {:.1} MiB; close other programs or use a larger machine", .path.display(), *bytes as f64 / f64::from(1 << 20))]
    Memory {
        /// The file.
        path: PathBuf,
        /// How much is needed.
        bytes: u64,
    },
    /// The engine refused what a file asks for.
    #[error(transparent)]
    Engine(#[from] ocelli_core::Error),
}

/// Who has to act, and so which code the program exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user asked for something that cannot be.
    Usage,
    /// A file is damaged, or of another kind.
    BadFile,
    /// The file system refused something.
    Io,
    /// There is not enough memory.
    Memory,
}

impl ErrorKind {
    /// The exit code of a program that ends for this reason.
    pub const fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Usage => 2,
            ErrorKind::BadFile => 3,
            ErrorKind::Io => 4,
            ErrorKind::Memory => 6,
        }
    }
}

impl IoError {
    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            IoError::Network { .. } => ErrorKind::Usage,
            IoError::BadFile { .. } | IoError::Damaged { .. } => ErrorKind::BadFile,
            // A name that leads nowhere is the user's; files that should be there are the disk's.
            IoError::Io { action: READ, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::Usage
            }
            IoError::Io { .. } => ErrorKind::Io,
            IoError::Memory { .. } | IoError::Engine(ocelli_core::Error::Memory { .. }) => ErrorKind::Memory,
            IoError::Engine(_) => ErrorKind::Usage,
        }
    }

    pub(super) fn bad(path: &Path, reason: impl Into<String>) -> IoError {
        IoError::BadFile { path: path.to_path_buf(), reason: reason.into() }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> IoError {
        IoError::Io { action, path: path.to_path_buf(), source, needed: None }
    }
}

/// What is tried with files that users name.
pub(super) const READ: &str = "read";

/// What to do about what the system said.
fn advice(source: &io::Error, path: &Path, needed: Option<u64>) -> String {
    let mut advice = String::new();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            if let Some(bytes) = needed {
                let _ = write!(advice, "; {bytes} bytes are needed");
            }
            advice.push_str("; free some space or choose another folder");
        }
        io::ErrorKind::NotFound => match path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
            Some(folder) => {
                let _ = write!(advice, "; there is no folder {}", folder.display());
            }
            None => advice.push_str("; check the name"),
        },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            advice.push_str("; choose a place that you have access to");
        }
        io::ErrorKind::FileTooLarge => {
            advice.push_str(
                "; files here may not be so large: raise the limit (ulimit -f) or choose another folder",
            );
        }
        io::ErrorKind::NotADirectory => advice.push_str("; a file stands where a folder should be"),
        io::ErrorKind::IsADirectory => advice.push_str("; a folder stands where the file should be"),
        _ => {}
    }
    advice
}
