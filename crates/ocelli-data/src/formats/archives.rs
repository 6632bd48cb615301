//! Tar archives of pictures, and folders of them.
//!
//! Plain `.tar` files are read in place: their pictures are listed once and then read where they are. `.tar.gz` and
//! `.tar.xz` are unpacked into memory. Inside lies what would lie in a folder (see [`image_folder`](super::image_folder)).
//!
//! A folder may hold one archive for each split, called like it: `train.tar.xz` and `val.tar.xz`; or several, called
//! `train-000000.tar` and so on, which are read in the order of their names. `train-{000000..000009}.tar` names such archives
//! without a folder.

use std::path::{Path, PathBuf};

use super::class_list::ClassList;
use super::layout::{Layout, Reading, assemble};
use super::{Format, Parts, Role, title, webdataset};
use crate::DataError;
use crate::files::{Files, is_picture};

pub(super) const FORMAT: Format = Format {
    name: "tar",
    holds: "a tar archive of such a folder (.tar, .tar.gz, .tar.xz), or a folder with train.tar and val.tar",
    recognises,
    open,
};

/// The endings of archives.
const ENDINGS: [&str; 5] = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz"];

fn recognises(path: &Path) -> bool {
    match path.is_dir() {
        true => Shards::in_folder(path).is_ok_and(|shards| !shards.is_empty()),
        // Of a range of them the first one that is missing is named when it is opened.
        false => stem(path).is_some() && (path.is_file() || named(path)[..] != [path]),
    }
}

/// Whether a path is a file that is called like a tar archive, packed or not.
pub fn is_archive(path: &Path) -> bool {
    path.is_file() && stem(path).is_some()
}

fn open(path: &Path, _: Option<&Path>) -> Result<Parts, DataError> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let list = ClassList::beside(folder, None)?;
    let shards = match path.is_dir() {
        true => Shards::in_folder(path)?.into_iter().map(|(role, archives)| (Some(role), archives)).collect(),
        false => vec![(None, named(path))],
    };
    let wanted = |name: &[u8]| is_picture(name) || webdataset::is_label(name);
    let mut origins = Vec::new();
    for (role, archives) in shards {
        origins.push((role, Files::in_archives(&archives, wanted)?));
    }
    if origins.iter().any(|(_, files)| webdataset::has_labels(files)) {
        return samples(path, origins, list.as_ref());
    }
    let layout = |(role, files)| Layout::of(files, &Reading { unwrap: true, role, list: list.as_ref() });
    let layouts = origins.into_iter().map(layout).collect::<Result<Vec<_>, _>>()?;
    assemble(name_of(path), &path.display().to_string(), &layouts, list.as_ref())
}

/// Archives in the manner of WebDataset.
fn samples(
    path: &Path,
    origins: Vec<(Option<Role>, Files)>,
    list: Option<&ClassList>,
) -> Result<Parts, DataError> {
    let (mut sets, mut notes) = (Role::ALL.map(|_| None), Vec::new());
    for (role, files) in origins {
        let (set, more) = webdataset::samples(files, path, list)?;
        sets[role.unwrap_or(Role::Train) as usize] = Some(set);
        notes.extend(more);
    }
    Ok(Parts { notes, ..Parts::of_splits(name_of(path), sets) })
}

/// The most archives that one name stands for.
const MOST_NAMED: u64 = 100_000;

/// The archives that a path stands for: itself, or `a-00.tar` to `a-12.tar` for `a-{00..12}.tar`.
fn named(path: &Path) -> Vec<PathBuf> {
    let range = || {
        let name = path.file_name()?.to_str()?;
        let (before, rest) = name.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        let (start, end): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let (width, count) = (first.len(), end.checked_sub(start)?);
        let archive = |k: u64| path.with_file_name(format!("{before}{k:0width$}{after}"));
        (count < MOST_NAMED).then(|| (start..=end).map(archive).collect())
    };
    range().unwrap_or_else(|| vec![path.to_owned()])
}

/// What to call the data at `path`: a folder's name, or that of archives without their ending and numbers in braces.
fn name_of(path: &Path) -> String {
    let name = stem(path).filter(|_| !path.is_dir()).unwrap_or("");
    let name = name.split('{').next().unwrap_or("").trim_end_matches(['-', '_', '.']);
    if name.is_empty() { title(path) } else { name.to_owned() }
}

/// The name of an archive without its ending.
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?;
    (!stem.starts_with('.') && !stem.is_empty()).then_some(stem)
}

/// The archive beside `file` that is called like it.
pub(super) fn beside(file: &Path) -> Option<PathBuf> {
    let stem = file.file_stem()?.to_str()?;
    let archives = ENDINGS.iter().map(|ending| file.with_file_name(format!("{stem}{ending}")));
    archives.into_iter().find(|archive| archive.is_file())
}

/// The archives of each split.
struct Shards;

impl Shards {
    /// Of archives that are called like splits, with or without a number; or, where none is, all that have a number.
    fn in_folder(folder: &Path) -> Result<Vec<(Role, Vec<PathBuf>)>, DataError> {
        let failed = |e| DataError::io(folder, "list", e);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.retain(|path| stem(path).is_some() && path.is_file());
        // Of an archive and itself packed, which is read in place.
        paths.sort_by(|a, b| (stem(a), a).cmp(&(stem(b), b)));
        paths.dedup_by(|b, a| stem(a) == stem(b));
        let mut of_role: Vec<(Role, Vec<PathBuf>)> = Role::ALL.map(|role| (role, Vec::new())).into();
        for path in &paths {
            if let Some(role) = stem(path).and_then(|stem| Role::of(unnumbered(stem).0.as_bytes())) {
                of_role[role as usize].1.push(path.clone());
            }
        }
        if of_role.iter().all(|(_, paths)| paths.is_empty()) {
            paths.retain(|path| stem(path).is_some_and(|stem| unnumbered(stem).1));
            of_role[Role::Train as usize].1 = paths;
        }
        of_role.retain(|(_, paths)| !paths.is_empty());
        Ok(of_role)
    }
}

/// "train-000012": the name before the number, and whether there is one.
fn unnumbered(stem: &str) -> (&str, bool) {
    let name = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    match name.len() < stem.len() {
        true => (name.trim_end_matches(['-', '_', '.']), true),
        false => (stem, false),
    }
}
