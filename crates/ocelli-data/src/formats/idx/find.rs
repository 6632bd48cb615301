//! Which IDX files belong together.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::DataError;

/// A file of images and its file of labels.
#[derive(Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) images: PathBuf,
    pub(super) labels: PathBuf,
}

/// The files of one data set.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) train: Pair,
    pub(super) test: Option<Pair>,
}

/// A folder with a file of images, or a file that is called or begins like one.
pub(super) fn recognises(path: &Path) -> bool {
    if path.is_dir() {
        return images_in(path).is_ok_and(|files| !files.is_empty());
    }
    path.is_file() && (Name::of_images(path).is_some() || begins_like_images(path))
}

/// The data set at `path`, a folder or a file of images.
pub(super) fn find(path: &Path) -> Result<Found, DataError> {
    if !path.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(Found { name, train: pair(path)?, test: None });
    }
    let files = images_in(path)?;
    let mut sets: BTreeMap<&str, Vec<&(Name, PathBuf)>> = BTreeMap::new();
    for file in &files {
        sets.entry(&file.0.set).or_default().push(file);
    }
    let (train, test) = match sets.values().next().map(|files| &files[..]) {
        _ if sets.len() > 1 => return Err(many(path, &sets)),
        Some([(name, only)]) if name.role != Role::Test => (only, None),
        Some([(a, train), (b, test)]) if a.role == Role::Train && b.role == Role::Test => (train, Some(test)),
        _ => {
            let found: Vec<_> = files.iter().map(|(name, _)| name.file.as_str()).collect();
            return Err(DataError::malformed(
                path.display().to_string(),
                "files that begin with train, and with t10k, test or val",
                found.join(", "),
                "rename them, or name one file of images",
            ));
        }
    };
    let name = path.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
    Ok(Found {
        name: name.unwrap_or_else(|| "idx".to_owned()),
        train: pair(train)?,
        test: test.map(|t| pair(t)).transpose()?,
    })
}

/// What the name of a file of images says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// The data set, where a folder holds several: "emnist-letters".
    set: String,
    role: Role,
    file: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Train,
    Test,
    All,
}

impl Name {
    /// Of "emnist-letters-train-images-idx3-ubyte.gz": set "emnist-letters", role train.
    fn of_images(path: &Path) -> Option<Name> {
        let file = path.file_name()?.to_str()?.to_owned();
        if file.starts_with('.') {
            // Hidden files, such as what macOS leaves beside unpacked ones, are nobody's data.
            return None;
        }
        let stem = file.strip_suffix(".gz").unwrap_or(&file);
        let stem = stem.strip_suffix("idx3-ubyte")?.strip_suffix(['-', '.'])?.strip_suffix("images")?;
        let stem = stem.trim_end_matches(['-', '.', '_']);
        let roles = [("train", Role::Train), ("t10k", Role::Test), ("test", Role::Test), ("val", Role::Test)];
        let (set, role) = roles
            .iter()
            .find_map(|(word, role)| Some((stem.strip_suffix(word)?, *role)))
            .unwrap_or((stem, Role::All));
        Some(Name { set: set.trim_end_matches(['-', '.', '_']).to_owned(), role, file })
    }
}

/// The files of images in a folder by set and role; of a file and its `.gz` just the file.
fn images_in(folder: &Path) -> Result<Vec<(Name, PathBuf)>, DataError> {
    let failed = |e| DataError::io(folder, "list", e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // Some programs unpack a file into a folder that is called like it.
        if let Some(name) = Name::of_images(&path).filter(|_| path.is_file()) {
            found.push((name, path));
        }
    }
    found.sort();
    found.dedup_by(|b, a| b.0.file.strip_suffix(".gz") == Some(&a.0.file));
    Ok(found)
}

/// The labels beside `images`: the same name with "labels" and "idx1", with or without `.gz`.
fn pair(images: &Path) -> Result<Pair, DataError> {
    let file = images.file_name().unwrap_or_default().to_string_lossy();
    let plain = file.strip_suffix(".gz").unwrap_or(&file);
    let labels = plain.replace("images", "labels").replace("idx3", "idx1");
    if labels == plain {
        return Err(DataError::malformed(
            images.display().to_string(),
            "a name with \"images\" or \"idx3\" in it, which leads to its labels",
            format!("{file}"),
            "rename it to images-idx3-ubyte and its labels to labels-idx1-ubyte",
        ));
    }
    let candidates = [labels.clone(), format!("{labels}.gz")].map(|name| images.with_file_name(name));
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(labels) => Ok(Pair { images: images.to_owned(), labels }),
        None => Err(DataError::malformed(
            images.display().to_string(),
            format!("its labels beside it, in {labels} or {labels}.gz"),
            "no such file",
            "put both files into one folder",
        )),
    }
}

fn many(path: &Path, sets: &BTreeMap<&str, Vec<&(Name, PathBuf)>>) -> DataError {
    let example = &sets.values().next().expect("there are several sets")[0].0.file;
    DataError::Ambiguous {
        path: path.to_owned(),
        problem: format!(
            "holds {} data sets ({})",
            sets.len(),
            sets.keys().copied().collect::<Vec<_>>().join(", ")
        ),
        advice: format!("put each into a folder of its own, or name one file of images, like {example}"),
    }
}

/// Whether a file starts with the header of three dimensions of bytes; in gzip that cannot be seen
/// without unpacking, so there the name decides.
fn begins_like_images(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == [0, 0, 8, 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(file: &str) -> Option<(String, Role)> {
        Name::of_images(Path::new(file)).map(|n| (n.set, n.role))
    }

    #[test]
    fn names_tell_set_and_role() {
        assert_eq!(name("train-images-idx3-ubyte"), Some((String::new(), Role::Train)));
        assert_eq!(name("t10k-images.idx3-ubyte.gz"), Some((String::new(), Role::Test)));
        assert_eq!(
            name("emnist-letters-test-images-idx3-ubyte.gz"),
            Some(("emnist-letters".into(), Role::Test))
        );
        assert_eq!(name("digits-images-idx3-ubyte"), Some(("digits".into(), Role::All)));
        assert_eq!(name("train-labels-idx1-ubyte"), None);
        assert_eq!(name("._train-images-idx3-ubyte"), None);
    }

    #[test]
    fn an_unpacked_file_is_preferred_to_its_archive() {
        let folder = tempfile::tempdir().unwrap();
        for split in ["train", "t10k"] {
            for file in ["images-idx3-ubyte", "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
                fs::write(folder.path().join(format!("{split}-{file}")), []).unwrap();
            }
        }
        let found = find(folder.path()).unwrap();
        assert!(found.train.images.ends_with("train-images-idx3-ubyte"));
        assert!(found.train.labels.ends_with("train-labels-idx1-ubyte.gz"));
        assert!(found.test.unwrap().images.ends_with("t10k-images-idx3-ubyte"));
    }

    #[test]
    fn several_sets_in_a_folder_are_not_guessed_between() {
        let folder = tempfile::tempdir().unwrap();
        for set in ["emnist-letters", "emnist-digits"] {
            fs::write(folder.path().join(format!("{set}-train-images-idx3-ubyte")), []).unwrap();
        }
        let message = find(folder.path()).unwrap_err().to_string();
        assert!(message.contains("2 data sets (emnist-digits, emnist-letters)"), "{message}");
    }
}
