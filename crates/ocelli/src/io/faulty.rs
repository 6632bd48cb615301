//! Disks that fail, for tests.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use super::atomic::{Disk, RealDisk};

/// A disk under a process that is killed after some steps: the step at which it dies is not done, or half done
/// if it is a write, and nothing is done after it.
pub(super) struct DyingDisk {
    left: Rc<Cell<usize>>,
}

impl DyingDisk {
    pub(super) fn after(steps: usize) -> DyingDisk {
        DyingDisk { left: Rc::new(Cell::new(steps)) }
    }

    fn step<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        spend(&self.left)?;
        act()
    }
}

fn spend(left: &Cell<usize>) -> io::Result<()> {
    left.set(left.get().checked_sub(1).ok_or_else(|| io::Error::other("killed"))?);
    Ok(())
}

pub(super) struct DyingFile {
    file: File,
    left: Rc<Cell<usize>>,
}

impl Disk for DyingDisk {
    type File = DyingFile;

    fn create(&self, path: &Path) -> io::Result<DyingFile> {
        self.step(|| Ok(DyingFile { file: RealDisk.create(path)?, left: Rc::clone(&self.left) }))
    }

    fn sync(&self, file: &DyingFile) -> io::Result<()> {
        self.step(|| RealDisk.sync(&file.file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| RealDisk.rename(from, to))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|| RealDisk.sync_folder(folder))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|| RealDisk.remove(path))
    }
}

impl Write for DyingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            // What a write that was cut off leaves behind. Once dead, there are no more writes.
            return self
                .file
                .write_all(&bytes[..bytes.len() / 2])
                .and_then(|()| spend(&self.left).map(|()| 0));
        }
        spend(&self.left)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk with room for this many bytes.
pub(super) struct FullDisk {
    pub(super) room: usize,
}

pub(super) struct FullFile {
    file: File,
    room: usize,
}

impl Disk for FullDisk {
    type File = FullFile;

    fn create(&self, path: &Path) -> io::Result<FullFile> {
        Ok(FullFile { file: RealDisk.create(path)?, room: self.room })
    }

    fn sync(&self, file: &FullFile) -> io::Result<()> {
        RealDisk.sync(&file.file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        RealDisk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

impl Write for FullFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.room);
        if len == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= len;
        self.file.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
