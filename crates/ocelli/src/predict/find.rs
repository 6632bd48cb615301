//! The pictures in a folder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its pictures and those of its folders, ordered by path, byte by byte.
    pub pictures: Vec<PathBuf>,
    /// How many files are called like no picture.
    pub others: usize,
}

/// The ends of names that pictures have.
const ENDS: [&str; 12] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "pgm", "ppm", "pbm", "pnm"];

/// Whether a file's name ends as a picture's, in large or small letters.
pub fn is_picture_name(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ENDS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// Every picture in `folder`, and in the folders in it. Names that begin with a dot are passed over, and links to
/// folders are followed once.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed.
pub fn find_pictures(folder: &Path) -> Result<Found, Error> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    let mut waiting = vec![folder.to_path_buf()];
    // A list and no recursion: how deep folders stand in each other is not ours to say.
    while let Some(folder) = waiting.pop() {
        let cannot = |e| Error::Io(format!("{}: cannot list the folder: {e}", folder.display()));
        if !seen.insert(folder.canonicalize().map_err(cannot)?) {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            match path.is_dir() {
                _ if hidden => {}
                true => waiting.push(path),
                false if is_picture_name(&path) => found.pictures.push(path),
                false => found.others += 1,
            }
        }
    }
    found.pictures.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_in_their_order_and_the_others_counted() {
        let place = tempfile::tempdir().unwrap();
        for name in [
            "b/2.png",
            "b/1.JPG",
            "a.jpeg",
            "b/deep/x.ppm",
            "notes.txt",
            "b/.hidden.png",
            ".git/x.png",
            "none",
        ] {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("..", place.path().join("b/up")).unwrap();
        let found = find_pictures(place.path()).unwrap();
        let names: Vec<_> =
            found.pictures.iter().map(|p| p.strip_prefix(place.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.jpeg", "b/1.JPG", "b/2.png", "b/deep/x.ppm"]);
        assert_eq!(found.others, 2);
        let error = find_pictures(&place.path().join("nowhere")).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
