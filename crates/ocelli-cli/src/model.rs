//! MODEL on the command line: a run folder or a model file.

use std::path::{Path, PathBuf};

use ocelli::Error;
use ocelli::io::ModelFile;
use ocelli::train::RunFolder;

use crate::console::Console;
use crate::train::resume_command;

/// Loads the model that `path` names: a model file, or a run folder's model.
///
/// # Errors
/// Nothing there, a folder without a run, or a file that is damaged or no model.
pub(crate) fn load(path: &Path, console: Console) -> Result<ModelFile, Error> {
    Ok(ModelFile::load(&file(path, console)?)?)
}

/// What the model at `path` is called: its run folder, or its file.
pub(crate) fn name(path: &Path) -> String {
    let file = path.file_stem().unwrap_or(path.as_os_str());
    let in_run = path.parent().filter(|folder| !path.is_dir() && RunFolder::open(folder).is_ok());
    let name = match in_run.and_then(Path::file_name) {
        Some(run) if file == "model" => run,
        _ if path.is_dir() => path.file_name().unwrap_or(path.as_os_str()),
        _ => file,
    };
    name.to_string_lossy().into_owned()
}

/// Where the model that `path` names stands. A run that is still going on, or was stopped, has only the best model so far.
pub(crate) fn file(path: &Path, console: Console) -> Result<PathBuf, Error> {
    if !path.exists() {
        return Err(Error::Usage(format!(
            "{}: no such file or folder; give a run folder such as runs/digits-1, or a model file",
            path.display()
        )));
    }
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let folder = RunFolder::open(path)?;
    if folder.model().exists() {
        return Ok(folder.model());
    }
    if folder.best().exists() {
        console.warn(format!("the run {} is not finished; its best model so far is taken", path.display()));
        return Ok(folder.best());
    }
    Err(Error::Usage(format!(
        "the run {} has no model yet: its first epoch is not over; go on with it: {}",
        path.display(),
        resume_command(path)
    )))
}
