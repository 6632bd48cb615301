//! What stands on the command line: models, and where the pictures are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli::Error;
use ocelli::challenge::List;
use ocelli::predict::{Files, OfDataset, Pictures, Several};
use ocelli::train::RunFolder;
use ocelli_data::{is_archive, pictures_in, pictures_listed};

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
pub(super) fn pictures(inputs: &[PathBuf], root: Option<&Path>, console: Console) -> Result<Several, Error> {
    if root.is_some() && !inputs.iter().any(|path| is_list(path)) {
        return Err(Error::Usage(
            "--root is where the paths of a list begin, and there is no list (.txt, .csv)".to_string(),
        ));
    }
    let mut several = Several::default();
    for input in inputs {
        if input.is_dir() || is_archive(input) {
            several.push(inside(input, console)?);
        } else if is_list(input) {
            several.push(listed(&List::read(input, None)?, input, root)?);
        } else {
            several.push(Arc::new(Files::new(vec![input.clone()])));
        }
    }
    Ok(several)
}

/// Whether a file is a list by its name.
fn is_list(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| {
        ["txt", "lst", "list", "csv", "tsv"].iter().any(|list| end.eq_ignore_ascii_case(list))
    })
}

/// The pictures in a folder or an archive.
fn inside(path: &Path, console: Console) -> Result<Arc<dyn Pictures>, Error> {
    let found = pictures_in(path)?;
    let (pictures, others) = (found.pictures.len(), counted(found.others, "file"));
    if pictures == 0 {
        return Err(Error::Bad(format!(
            "{}: there is no picture in it, however deep; {others} called like none",
            path.display()
        )));
    }
    let passed_over =
        if found.others > 0 { format!("; {others} called like no picture") } else { String::new() };
    console.fact("folder", format!("{} in {}{passed_over}", counted(pictures, "picture"), path.display()));
    Ok(Arc::new(OfDataset(found.pictures)))
}

/// The pictures of a list, which lie in `root` or beside it.
///
/// # Errors
/// A root without any of them.
pub(super) fn listed(list: &List, path: &Path, root: Option<&Path>) -> Result<Arc<dyn Pictures>, Error> {
    let names = list.entries().iter().map(|entry| entry.file.as_str());
    Ok(Arc::new(OfDataset(pictures_listed(path, names, root)?)))
}
