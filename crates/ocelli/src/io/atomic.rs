//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::IoError;

/// Writes a file so that under its name there is, at every instant and whatever fails, either what was there
/// before or all of `contents`: a temporary file in the same folder is written and flushed to the disk, then
/// renamed, then the folder is flushed. On failure the temporary file is removed.
///
/// # Errors
/// [`IoError::Io`] names the path, and on a full disk how many bytes the file needs.
pub fn write_atomically(
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), IoError> {
    write_on(&RealDisk, path, contents)
}

/// Writes a text as [`write_atomically`] writes files, and makes its folder if it is not there.
///
/// # Errors
/// [`IoError::Io`] names the folder or the file that cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<(), IoError> {
    make_folder(folder_of(path))?;
    write_atomically(path, |file| file.write_all(text.as_bytes()))
}

/// Makes a folder, with those above it, unless it is there.
///
/// # Errors
/// [`IoError::Io`] names the folder.
pub fn make_folder(path: &Path) -> Result<(), IoError> {
    fs::create_dir_all(path).map_err(|e| IoError::io("make the folder", path, e))
}

/// Whether there is a folder for a file that is to be written: to be asked before the work whose result it will hold.
///
/// # Errors
/// [`IoError::Io`] names the file, and the folder that is not there.
pub fn check_folder(path: &Path) -> Result<(), IoError> {
    let absent = match fs::metadata(folder_of(path)) {
        Ok(folder) if !folder.is_dir() => io::ErrorKind::NotADirectory.into(),
        Ok(_) if path.is_dir() => io::ErrorKind::IsADirectory.into(),
        Ok(_) => return Ok(()),
        Err(e) => e,
    };
    Err(IoError::io("write", path, absent))
}

/// What writing asks of the file system, so that tests can let it fail at every step.
pub(super) trait Disk {
    type File: Write;
    /// Creates a file that is not there yet.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Returns when the file's content is on the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Returns when the folder's names are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        File::options().write(true).create_new(true).open(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Only Unix opens folders as files; elsewhere the rename itself is all there is.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// [`write_atomically`] on any disk.
pub(super) fn write_on<D: Disk>(
    disk: &D,
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), IoError> {
    let (temporary, file) = Temporary::create(disk, path).map_err(|e| IoError::io("write", path, e))?;
    let mut counted = Counted { file: BufWriter::with_capacity(BUFFER, file), len: 0, full: None };
    let written = contents(&mut counted).and_then(|()| counted.finish(disk));
    let written = written.and_then(|()| temporary.persist(path));
    written.map_err(|source| {
        let needed = counted.full.is_some().then_some(counted.len);
        IoError::Io { action: "write", path: path.to_path_buf(), source, needed }
    })
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How the names of temporary files for a file of this name begin. Hidden, so that no one takes them for results.
pub(super) fn temporary_prefix(name: &str) -> String {
    // File systems allow 255 bytes; 50 characters take at most 200.
    format!(".{}.", name.chars().take(50).collect::<String>())
}

/// How the names of temporary files end.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

const BUFFER: usize = 1 << 18;

/// A file under a temporary name, removed unless persisted: on errors and panics alike.
struct Temporary<'a, D: Disk> {
    disk: &'a D,
    path: PathBuf,
    persisted: bool,
}

impl<'a, D: Disk> Temporary<'a, D> {
    fn create(disk: &'a D, target: &Path) -> io::Result<(Temporary<'a, D>, D::File)> {
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let name = target.file_name().ok_or_else(|| io::Error::other("this is no file name"))?;
        let (prefix, process) = (temporary_prefix(&name.to_string_lossy()), process::id());
        let mut number = 0;
        loop {
            let path = folder_of(target).join(format!("{prefix}{process}-{number}{TEMPORARY_SUFFIX}"));
            match disk.create(&path) {
                Ok(file) => return Ok((Temporary { disk, path, persisted: false }, file)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(e),
            }
        }
    }

    fn persist(mut self, target: &Path) -> io::Result<()> {
        self.disk.rename(&self.path, target)?;
        self.persisted = true;
        self.disk.sync_folder(folder_of(target))
    }
}

impl<D: Disk> Drop for Temporary<'_, D> {
    fn drop(&mut self) {
        if !self.persisted {
            // The error that brought us here is the one to report.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// Counts what is written. Once the disk is full it goes on counting, to say how much would have been needed.
struct Counted<F: Write> {
    file: BufWriter<F>,
    len: u64,
    full: Option<io::Error>,
}

impl<F: Write> Counted<F> {
    fn finish<D: Disk<File = F>>(&mut self, disk: &D) -> io::Result<()> {
        if self.full.is_none() {
            let flushed = self.file.flush();
            self.absorb(flushed)?;
        }
        match &self.full {
            Some(error) => Err(io::Error::from(error.kind())),
            None => disk.sync(self.file.get_ref()),
        }
    }

    /// Keeps the news that the disk is full for later.
    fn absorb(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                self.full = Some(e);
                Ok(())
            }
            other => other,
        }
    }
}

impl<F: Write> Write for Counted<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.len += bytes.len() as u64;
        if self.full.is_none() {
            let written = self.file.write_all(bytes);
            self.absorb(written)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.full {
            None => self.file.flush(),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::ErrorKind;
    use crate::io::faulty::{DyingDisk, FullDisk};

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        for content in ["first", "second"] {
            write_atomically(&path, |out| out.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn whenever_the_process_is_killed_the_file_is_the_old_or_the_new_one() {
        let (old, new) = (vec![1u8; 100], vec![2u8; 3 * BUFFER]);
        let mut crashes = 0;
        for steps in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model");
            fs::write(&path, &old).unwrap();
            let written = write_on(&DyingDisk::after(steps), &path, |out| {
                new.chunks(1000).try_for_each(|chunk| out.write_all(chunk))
            });
            let found = fs::read(&path).unwrap();
            assert!(found == old || found == new, "killed after {steps} steps, it has {} bytes", found.len());
            if written.is_ok() {
                assert_eq!(found, new);
                break;
            }
            crashes += 1;
        }
        assert!(crashes >= 6, "create, write thrice, flush, rename, flush the folder: not just {crashes}");
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_says_how_much_is_needed() {
        for room in [0, 10, BUFFER, 2 * BUFFER] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model");
            fs::write(&path, "old").unwrap();
            let content = vec![3u8; 3 * BUFFER + 7];
            let error = write_on(&FullDisk { room }, &path, |out| {
                content.chunks(999).try_for_each(|chunk| out.write_all(chunk))
            });
            let error = error.unwrap_err();
            assert!(error.to_string().contains(&format!("{} bytes are needed", content.len())), "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
            assert_eq!(names(folder.path()), ["model"]);
        }
    }

    #[test]
    fn errors_and_panics_of_the_writer_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let failed = write_atomically(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the reader is gone"))
        });
        assert!(failed.unwrap_err().to_string().contains("the reader is gone"));
        let panicked = std::panic::catch_unwind(|| write_atomically(&path, |_| panic!("a bug")));
        assert!(panicked.is_err());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn places_where_no_file_can_be_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = |path: &Path| write_atomically(path, |_| Ok(())).unwrap_err().to_string();
        assert!(refused(&file.join("model")).contains("a file stands where a folder should be"));
        assert!(refused(folder.path()).contains("a folder stands where the file should be"));
        let absent = folder.path().join("absent");
        let advice = format!("there is no folder {}", absent.display());
        assert!(refused(&absent.join("model")).contains(&advice));
        assert!(refused(Path::new("..")).contains("folder stands"));
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn the_folder_of_a_text_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/text");
        for content in ["first", "second"] {
            write_text(&path, content).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let refused = write_text(&path.join("below/text"), "third").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Io);
        assert!(refused.to_string().contains("cannot make the folder"), "{refused}");
    }

    #[test]
    fn long_and_relative_names_are_fine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("é".repeat(125));
        write_atomically(&path, |out| out.write_all(b"x")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(folder_of(Path::new("model")), Path::new("."));
    }
}
