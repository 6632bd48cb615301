//! The folder of a run: never overwritten, and enough to go on from.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::config::RunConfig;
use super::event::EpochRecord;
use super::progress::Progress;
use crate::Error;
use crate::io::{Checkpoint, Network, write_atomically};

/// `runs/<name>-<n>/`: the resolved configuration, `metrics.jsonl`, checkpoints, the model, the report.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held while a process trains here.
    lock: Arc<Mutex<Option<File>>>,
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
                Ok(()) => return Ok(RunFolder::at(path)),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
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
        RunFolder::check_free(path)?;
        Ok(RunFolder::at(path.to_path_buf()))
    }

    /// Whether a run can be made there: a folder that is empty, or none.
    ///
    /// # Errors
    /// A folder that is not empty, or cannot be read.
    pub fn check_free(path: &Path) -> Result<(), Error> {
        let mut entries = match std::fs::read_dir(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|e| cannot_create(path, &e))?,
        };
        // A lock alone is what a run leaves that never began.
        if entries.any(|entry| entry.map_or(true, |entry| entry.file_name() != LOCK)) {
            let go_on = match RunFolder::at(path.to_path_buf()).config().is_file() {
                true => format!(", or go on with that run: ocelli train --resume {}", path.display()),
                false => String::new(),
            };
            return Err(Error::Usage(format!(
                "{} is not empty, and nothing is ever overwritten; name another folder with --out{go_on}",
                path.display()
            )));
        }
        Ok(())
    }

    /// A run's folder that is there.
    ///
    /// # Errors
    /// A path without a run.
    pub fn open(path: &Path) -> Result<RunFolder, Error> {
        let folder = RunFolder::at(path.to_path_buf());
        match folder.config().is_file() {
            true => Ok(folder),
            false => Err(Error::Usage(format!(
                "{} is no run folder: it has no {}; give the folder that a training run made, such as runs/digits-1",
                path.display(),
                CONFIG
            ))),
        }
    }

    fn at(path: PathBuf) -> RunFolder {
        RunFolder { path, lock: Arc::default() }
    }

    /// Removes the folder of a run that never began, if it holds nothing but its lock.
    pub fn remove_unused(&self) {
        let only_lock =
            |mut entries: std::fs::ReadDir| entries.all(|e| e.is_ok_and(|e| e.file_name() == LOCK));
        if std::fs::read_dir(&self.path).is_ok_and(only_lock) {
            // What cannot be removed stays: an empty folder harms nobody.
            let _ = std::fs::remove_file(self.path.join(LOCK)).and_then(|()| std::fs::remove_dir(&self.path));
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

    /// Whether more epochs than the first have come to their end.
    pub(super) fn has_epochs(&self) -> bool {
        std::fs::read_to_string(self.metrics()).is_ok_and(|text| text.lines().count() > 1)
    }

    /// The model: the last epoch's, but with patience, the best epoch's.
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
        let text =
            std::fs::read(&path).map_err(|e| Error::Io(format!("cannot read {}: {e}", path.display())))?;
        let text = String::from_utf8(text)
            .map_err(|_| Error::Bad(format!("{} is damaged: it is not text; restore it", path.display())))?;
        RunConfig::from_toml(&text, &path.display().to_string())
    }

    /// The configuration that the run was made with, and its network.
    ///
    /// # Errors
    /// A `config.toml` that cannot be read, or whose network cannot be used.
    pub fn load_network(&self) -> Result<(RunConfig, Network), Error> {
        let config = self.load_config()?;
        let network = Network::from_toml(&config.network, "the run's network", None)
            .map_err(|e| Error::Bad(format!("{}: {e}", self.path.display())))?;
        Ok((config, network))
    }

    /// The lines of `metrics.jsonl`.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is none.
    pub fn load_metrics(&self) -> Result<Vec<EpochRecord>, Error> {
        let path = self.metrics();
        let text = match std::fs::read_to_string(&path) {
            // No epoch is over yet.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|e| Error::Io(format!("cannot read {}: {e}", path.display())))?,
        };
        let record = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| {
                Error::Bad(format!(
                    "{}, line {}: {e}; `ocelli train --resume` of the run writes the file anew",
                    path.display(),
                    number + 1
                ))
            })
        };
        text.lines().enumerate().map(record).collect()
    }

    /// The records of a checkpoint, with what `metrics.jsonl` knows of those that it does not keep whole.
    pub(super) fn whole_records(&self, mut records: Vec<EpochRecord>) -> Vec<EpochRecord> {
        if records.iter().all(|record| !record.health.is_empty()) {
            return records;
        }
        let text = std::fs::read_to_string(self.metrics()).unwrap_or_default();
        for (record, line) in records.iter_mut().zip(text.lines()) {
            let health = match serde_json::from_str::<EpochRecord>(line) {
                Ok(found) => found.health,
                Err(_) => continue,
            };
            let found = EpochRecord { health, ..record.clone() };
            if record.health.is_empty() && metrics_line(&found).trim_end() == line {
                *record = found;
            }
        }
        records
    }

    /// What tells the images that the run was made with from others, to train on and to validate on; `None` where the run has no
    /// checkpoint that can be read.
    pub fn images_of_run(&self) -> Option<[String; 2]> {
        let (checkpoint, _) = Checkpoint::load(&self.path).ok()?;
        let progress: Progress = serde_json::from_value(checkpoint.progress).ok()?;
        Some(progress.data)
    }

    /// Appends an epoch to `metrics.jsonl`.
    pub(super) fn append_metrics(&self, record: &EpochRecord) -> Result<(), Error> {
        let path = self.metrics();
        let append = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(metrics_line(record).as_bytes())?;
            file.sync_data()
        };
        append().map_err(|e| {
            Error::Io(format!("cannot write {}: {e}; free some space and resume", path.display()))
        })
    }

    /// Writes `metrics.jsonl` anew: what a killed run wrote after its last checkpoint will come again.
    pub(super) fn write_metrics(&self, records: &[EpochRecord]) -> Result<(), Error> {
        self.write(&self.metrics(), &records.iter().map(metrics_line).collect::<String>())
    }

    /// Keeps other processes from working in this folder for as long as this value, or a clone of it, lives.
    ///
    /// # Errors
    /// Another process does, or the folder cannot be written to.
    pub fn lock(&self) -> Result<(), Error> {
        let path = self.path.join(LOCK);
        let open = || OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open().map_err(|e| cannot_create(&path, &e))?;
        match file.try_lock() {
            Ok(()) => {
                *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(Error::Usage(format!(
                "another process is training in {}; wait for it, or choose another folder with --out",
                self.path.display()
            ))),
            // A file system without locks: nothing can be told.
            Err(TryLockError::Error(_)) => Ok(()),
        }
    }
}

fn metrics_line(record: &EpochRecord) -> String {
    serde_json::to_string(record).expect("plain data") + "\n"
}

const CONFIG: &str = "config.toml";
const LOCK: &str = "lock";

fn cannot_create(path: &Path, error: &std::io::Error) -> Error {
    Error::Io(format!("cannot make the run folder {}: {error}; choose another with --out", path.display()))
}
