//! Pictures of which nobody says what they show: those of a folder or an archive, and those of a list.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{FileDataset, Files, Names, is_picture};
use crate::formats::find_listed;
use crate::{DataError, Dataset};

/// Pictures without labels.
#[derive(Clone)]
pub struct Unlabelled {
    /// The pictures, as a data set whose labels mean nothing.
    pub pictures: Arc<dyn Dataset>,
    /// How many other files there are.
    pub others: usize,
}

/// The pictures in the folder or tar archive `path`, however deep, in the order of their paths, byte by byte. Names that begin
/// with a dot are passed over.
///
/// # Errors
/// [`DataError::Io`] for what cannot be listed or read, [`DataError::Malformed`] for links in circles and for what is no
/// archive, [`DataError::Memory`] for one that is too large unpacked.
pub fn pictures_in(path: &Path) -> Result<Unlabelled, DataError> {
    let files = match path.is_dir() {
        true => Files::in_folder(path)?,
        false => Files::in_archives(&[PathBuf::from(path)], is_picture)?,
    };
    let mut members: Vec<u32> = (0..files.len() as u32).collect();
    members.sort_by(|&a, &b| files.names.get(a as usize).cmp(files.names.get(b as usize)));
    let others = files.others.count;
    Ok(Unlabelled { pictures: unlabelled(files, members), others })
}

/// The pictures `names`, in their order, which `list` lists: below the folder `root` or in the archive `root`; without one
/// below the list's own folder, or in an archive beside it that is called like it. As [`open_parts_in`](crate::open_parts_in)
/// finds them, but without labels.
///
/// # Errors
/// As [`open_parts_in`](crate::open_parts_in).
pub fn pictures_listed<'a>(
    list: &Path,
    names: impl IntoIterator<Item = &'a str>,
    root: Option<&Path>,
) -> Result<Arc<dyn Dataset>, DataError> {
    let mut pictures = Names::default();
    for name in names {
        pictures.push(name.strip_prefix("./").unwrap_or(name).as_bytes())?;
    }
    let (files, members) = find_listed(list, pictures, root)?;
    Ok(unlabelled(files, members))
}

/// Files as images of one class without a name.
fn unlabelled(files: Files, members: Vec<u32>) -> Arc<dyn Dataset> {
    let labels = vec![0; members.len()];
    Arc::new(FileDataset::new(Arc::new(files), members, labels, Arc::from([String::new()])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    /// A folder with pictures of one pixel, grey as their number says.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let files = [("b/2.pgm", 2), ("b/1.PGM", 1), ("a.pgm", 0), ("b/deep/3.pgm", 3), ("b/.hidden.pgm", 9)];
        for (name, grey) in files {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, [b"P5 1 1 255\n".to_vec(), vec![grey]].concat()).unwrap();
        }
        std::fs::write(place.path().join("notes.txt"), "").unwrap();
        place
    }

    fn greys(set: &dyn Dataset) -> Vec<u8> {
        let mut picture = Picture::default();
        let mut grey = |i| set.read(i, &mut picture).map(|()| picture.pixels[0]).unwrap_or(255);
        (0..set.len()).map(&mut grey).collect()
    }

    #[test]
    fn pictures_of_a_folder_come_in_the_order_of_their_paths() {
        let place = place();
        let found = pictures_in(place.path()).unwrap();
        assert_eq!((greys(&*found.pictures), found.others), (vec![0, 1, 2, 3], 1));
        assert!(pictures_in(&place.path().join("nowhere")).is_err());
    }

    #[test]
    fn listed_pictures_come_in_the_order_of_the_list_from_folders_and_archives() {
        let place = place();
        let list = place.path().join("list.txt");
        let names = ["b/2.pgm", "./a.pgm", "b/missing.pgm"];
        assert_eq!(greys(&*pictures_listed(&list, names, None).unwrap()), [2, 0, 255]);
        let elsewhere = Path::new("elsewhere/list.txt");
        assert_eq!(greys(&*pictures_listed(elsewhere, names, Some(place.path())).unwrap()), [2, 0, 255]);
        assert!(pictures_listed(elsewhere, names, None).is_err_and(|e| e.to_string().contains("--root")));
        let archive = place.path().join("list.tar");
        let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
        tar.append_dir_all("b", place.path().join("b")).unwrap();
        tar.finish().unwrap();
        assert_eq!(
            greys(&*pictures_listed(elsewhere, ["b/1.PGM", "b/2.pgm"], Some(&archive)).unwrap()),
            [1, 2]
        );
        assert_eq!(greys(&*pictures_in(&archive).unwrap().pictures), [1, 2, 3]);
    }
}
