//! What stands on the command line: models, and where the pictures are.

use std::path::{Path, PathBuf};

use ocelli::Error;
use ocelli::challenge::List;
use ocelli::predict::find_pictures;
use ocelli::train::RunFolder;

use crate::console::Console;
use crate::text::counted;

/// Models, then what they look at: the first is a model, and so is what follows as long as it looks like one.
///
/// # Errors
/// Nothing to look at.
pub(super) fn divide(inputs: &[PathBuf]) -> Result<(&[PathBuf], &[PathBuf]), Error> {
    let others = inputs.iter().skip(1).take_while(|path| is_model(path)).count();
    match inputs.split_at(1 + others) {
        (_, []) => Err(Error::Usage(
            "there is nothing to look at; give pictures, folders or lists after the model: ocelli predict MODEL \
             IMAGE..."
                .to_string(),
        )),
        divided => Ok(divided),
    }
}

/// Whether a path is a model file by its name, or a run folder.
fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "safetensors") || path.is_dir() && RunFolder::open(path).is_ok()
}

/// The pictures that are meant, in their order.
///
/// # Errors
/// Folders that cannot be listed or hold no pictures, and lists that cannot be read; a root without a list.
pub(super) fn pictures(
    inputs: &[PathBuf],
    root: Option<&Path>,
    console: Console,
) -> Result<Vec<PathBuf>, Error> {
    if root.is_some() && !inputs.iter().any(|path| is_list(path)) {
        return Err(Error::Usage(
            "--root is where the paths of a list begin, and there is no list (.txt)".to_string(),
        ));
    }
    let mut paths = Vec::new();
    for input in inputs {
        if input.is_dir() {
            paths.extend(in_folder(input, console)?);
        } else if is_list(input) {
            paths.extend(in_list(&List::read(input, None)?, input, root));
        } else {
            paths.push(input.clone());
        }
    }
    Ok(paths)
}

/// Whether a file is a list by its name.
fn is_list(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["txt", "lst", "list"].iter().any(|list| end.eq_ignore_ascii_case(list)))
}

fn in_folder(folder: &Path, console: Console) -> Result<Vec<PathBuf>, Error> {
    let found = find_pictures(folder)?;
    let others = counted(found.others, "file");
    if found.pictures.is_empty() {
        return Err(Error::Bad(format!(
            "{}: there is no picture in this folder, nor below it; {others} called like none",
            folder.display()
        )));
    }
    let passed_over =
        if found.others > 0 { format!("; {others} called like no picture") } else { String::new() };
    console.fact(
        "folder",
        format!("{} in {}{passed_over}", counted(found.pictures.len(), "picture"), folder.display()),
    );
    Ok(found.pictures)
}

/// The files of a list, which lie in `root` or beside it.
pub(super) fn in_list(list: &List, path: &Path, root: Option<&Path>) -> Vec<PathBuf> {
    let root = root.unwrap_or_else(|| path.parent().unwrap_or(Path::new("")));
    list.entries().iter().map(|entry| root.join(&entry.file)).collect()
}
