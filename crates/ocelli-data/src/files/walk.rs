//! Every file below a folder.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::names::{Names, Others, is_picture, name_of};
use crate::DataError;

/// Folders within folders are followed to this depth.
const MOST_DEPTH: usize = 64;

/// Pictures below `root` in no order, by their paths relative to it; what else there is in `others`. Links are followed;
/// files and folders whose names begin with a dot are passed over.
///
/// # Errors
/// [`DataError::Io`] for a folder that cannot be listed, [`DataError::Malformed`] for links that lead in circles.
pub(super) fn walk(root: &Path, others: &mut Others) -> Result<Names, DataError> {
    let mut names = Names::default();
    let mut waiting = vec![Folder { path: root.to_owned(), name: Vec::new(), depth: 0, links: Vec::new() }];
    while let Some(folder) = waiting.pop() {
        let failed = |e| DataError::io(&folder.path, "list", e);
        let mut is_empty = true;
        for entry in fs::read_dir(&folder.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            let Some(file) = name_of(&file_name) else {
                others.add(file_name.to_string_lossy().as_bytes());
                continue;
            };
            if file.first() == Some(&b'.') {
                continue;
            }
            is_empty = false;
            let name = match folder.name.is_empty() {
                true => file.to_vec(),
                false => [&folder.name, &b"/"[..], file].concat(),
            };
            match folder.enter(&entry, &name)? {
                Some(inner) => waiting.push(inner),
                None if is_picture(&name) => names.push(&name)?,
                None => others.add(&name),
            }
        }
        if is_empty && !folder.name.is_empty() {
            others.add(&[&folder.name, &b"/"[..]].concat());
        }
    }
    names.shrink();
    Ok(names)
}

/// A folder that is still to be listed.
struct Folder {
    path: PathBuf,
    /// Its path below the root.
    name: Vec<u8>,
    depth: usize,
    /// Where the links lead that were followed on the way to it.
    links: Vec<PathBuf>,
}

impl Folder {
    /// What is called `name`, if it is a folder.
    fn enter(&self, entry: &DirEntry, name: &[u8]) -> Result<Option<Folder>, DataError> {
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| DataError::io(&path, "look at", e))?;
        let is_link = kind.is_symlink();
        // A link that leads nowhere is a file, which then cannot be read.
        let is_folder = kind.is_dir() || is_link && fs::metadata(&path).is_ok_and(|to| to.is_dir());
        if !is_folder {
            return Ok(None);
        }
        if self.depth == MOST_DEPTH {
            return Err(DataError::malformed(
                path.display().to_string(),
                format!("folders at most {MOST_DEPTH} deep"),
                "one that lies deeper",
                "name a folder nearer to the pictures",
            ));
        }
        let mut links = self.links.clone();
        if is_link {
            links.push(self.target(&path)?);
        }
        Ok(Some(Folder { path, name: name.to_vec(), depth: self.depth + 1, links }))
    }

    /// Where a link to a folder leads, which is not back to where one came from.
    fn target(&self, link: &Path) -> Result<PathBuf, DataError> {
        let failed = |e| DataError::io(link, "follow", e);
        let target = link.canonicalize().map_err(failed)?;
        let here = self.path.canonicalize().map_err(failed)?;
        match here.starts_with(&target) || self.links.contains(&target) {
            false => Ok(target),
            true => Err(DataError::malformed(
                link.display().to_string(),
                "links that lead to other pictures",
                format!("a link that leads back to {}, in a circle", target.display()),
                "remove the link",
            )),
        }
    }
}
