//! The folder of a run: never overwritten, and enough to go on from.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::config::RunConfig;
use crate::Error;
use crate::io::write_atomically;

/// `runs/<name>-<n>/`: the resolved configuration, `metrics.jsonl`, checkpoints, the model, the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the next free `<root>/<name>-<n>`.
    ///
    /// # Errors
    /// A root that cannot be written to.
    pub fn create_next(root: &Path, name: &str) -> Result<RunFolder, Error> {
        std::fs::create_dir_all(root).map_err(|e| cannot_create(root, &e))?;
        for number in 1u32.. {
            let path = root.join(format!("{name}-{number}"));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(RunFolder { path }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot_create(&path, &e)),
            }
        }
        unreachable!("a folder has fewer than 2³² entries")
    }

    /// Makes the folder that the user named, which must not hold a run.
    ///
    /// # Errors
    /// A folder that is not empty, or that cannot be made.
    pub fn create(path: &Path) -> Result<RunFolder, Error> {
        std::fs::create_dir_all(path).map_err(|e| cannot_create(path, &e))?;
        let mut entries = std::fs::read_dir(path).map_err(|e| cannot_create(path, &e))?;
        if entries.next().is_some() {
            return Err(Error::Usage(format!(
                "{0} is not empty, and a run is never overwritten; name another folder with --out, or go on with \
                 that run: ocelli train --resume {0}",
                path.display()
            )));
        }
        Ok(RunFolder { path: path.to_path_buf() })
    }

    /// A run's folder that is there.
    ///
    /// # Errors
    /// A path without a run.
    pub fn open(path: &Path) -> Result<RunFolder, Error> {
        let folder = RunFolder { path: path.to_path_buf() };
        match folder.config().is_file() {
            true => Ok(folder),
            false => Err(Error::Usage(format!(
                "{} is no run folder: it has no {}; give the folder that a training run made, such as runs/digits-1",
                path.display(),
                CONFIG
            ))),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// One line per epoch.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The model after the last epoch.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The model with the highest held-out accuracy.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Writes a small text file of the run, whole or not at all.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        Ok(write_atomically(path, |file| file.write_all(text.as_bytes()))?)
    }

    /// The configuration that the run was made with.
    ///
    /// # Errors
    /// A `config.toml` that cannot be read.
    pub fn load_config(&self) -> Result<RunConfig, Error> {
        let path = self.config();
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|e| Error::Io(format!("cannot read {}: {e}", path.display())))?;
        RunConfig::from_toml(&text, &path.display().to_string())
    }

    /// Appends to `metrics.jsonl` after its first `len` bytes; what a killed run wrote after its last checkpoint is
    /// dropped, as it will be written again. Returns the new length.
    pub(super) fn append_metrics(&self, len: u64, line: &str) -> Result<u64, Error> {
        let path = self.metrics();
        let append = || -> std::io::Result<u64> {
            let mut file: File = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.set_len(len)?;
            file.seek(SeekFrom::Start(len))?;
            file.write_all(line.as_bytes())?;
            file.write_all(b"\n")?;
            Ok(len + line.len() as u64 + 1)
        };
        append().map_err(|e| {
            Error::Io(format!("cannot write {}: {e}; free some space and resume", path.display()))
        })
    }
}

const CONFIG: &str = "config.toml";

fn cannot_create(path: &Path, error: &std::io::Error) -> Error {
    Error::Io(format!("cannot make the run folder {}: {error}; choose another with --out", path.display()))
}
