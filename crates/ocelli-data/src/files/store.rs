//! Where the bytes of files are, and reading them from several threads at once.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use super::names::{Names, Others, path_of};
use super::tar::{Found, Span, index};
use super::unpack::{Packing, unpack};
use super::walk::walk;
use super::xz::ReadAt;
use crate::DataError;

/// The most bytes of one picture file.
pub(crate) const MOST_FILE_BYTES: u64 = 1 << 29;

/// Files by number: their names, and how to read them.
#[derive(Debug)]
pub(crate) struct Files {
    /// What they are called: paths below a folder or within an archive.
    pub(crate) names: Names,
    /// What else there is.
    pub(crate) others: Others,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Archives { archives: Vec<Archive>, members: Vec<Member> },
}

/// An archive that is open, or unpacked into memory.
#[derive(Debug)]
struct Archive {
    path: PathBuf,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    File(FileAt),
    /// Behind the first [`MOST_OPEN`]: it is opened for every picture, as files in folders are.
    Closed,
    Memory(Vec<u8>),
}

/// The most archives that stay open: systems mostly allow a process 1,024 open files.
const MOST_OPEN: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Member {
    archive: u32,
    span: Span,
}

impl Files {
    /// The pictures below a folder.
    ///
    /// # Errors
    /// [`DataError::Io`] for folders that cannot be listed, [`DataError::Malformed`] for links in circles.
    pub(crate) fn in_folder(root: &Path) -> Result<Files, DataError> {
        let mut others = Others::default();
        let names = walk(root, &mut others)?;
        Ok(Files { names, others, place: Place::Folder(root.to_owned()) })
    }

    /// The files `names` below a folder, whether they exist or not.
    pub(crate) fn listed(root: &Path, names: Names) -> Files {
        Files { names, others: Others::default(), place: Place::Folder(root.to_owned()) }
    }

    /// The files in archives, one after another, whose names `wanted` takes. Plain tar archives are read in place; what
    /// is compressed is unpacked into memory.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for what is no tar archive, is damaged or cut off; [`DataError::Memory`] for what is too
    /// large unpacked; [`DataError::Io`].
    pub(crate) fn in_archives(paths: &[PathBuf], wanted: impl Fn(&[u8]) -> bool) -> Result<Files, DataError> {
        let mut files = Files {
            names: Names::default(),
            others: Others::default(),
            place: Place::Archives { archives: Vec::new(), members: Vec::new() },
        };
        for path in paths {
            files.add(path, &wanted)?;
        }
        files.names.shrink();
        Ok(files)
    }

    fn add(&mut self, path: &Path, wanted: impl Fn(&[u8]) -> bool) -> Result<(), DataError> {
        let Place::Archives { archives, members } = &mut self.place else {
            unreachable!("made by in_archives")
        };
        let mut archive = Archive::open(path)?;
        let number = archives.len() as u32;
        let (names, shown) = (&mut self.names, path.display().to_string());
        let (mut unwanted, mut seen, mut twice) = (Others::default(), HashSet::new(), false);
        // Where the wanted files lie that were found before the first link, and all since.
        let mut places: Option<HashMap<Vec<u8>, Span>> = None;
        let start = names.len();
        let mut each = |name: &[u8], found: Found| {
            let span = match found {
                Found::File(span) => Some(span),
                Found::Link(target) => {
                    let known = || (start..names.len()).map(|i| (names.get(i).to_vec(), members[i].span));
                    places.get_or_insert_with(|| known().collect()).get(target).copied()
                }
            };
            if let (Some(places), Some(span)) = (&mut places, span) {
                places.insert(name.to_vec(), span);
            }
            match span.filter(|_| wanted(name)) {
                Some(span) => {
                    twice |= !seen.insert(hash(name));
                    names.push(name)?;
                    members.push(Member { archive: number, span });
                }
                None => unwanted.add(name),
            }
            Ok(())
        };
        match &archive.bytes {
            Bytes::Memory(bytes) => {
                index(&shown, io::Cursor::new(bytes), bytes.len() as u64, &mut self.others, &mut each)?;
            }
            Bytes::File(file) => {
                let input = io::BufReader::new(file.reader(path)?);
                index(&shown, input, file.length(), &mut self.others, &mut each)?;
            }
            Bytes::Closed => unreachable!("invariant: it was opened just now"),
        }
        self.others.join(unwanted);
        if archives.len() >= MOST_OPEN && matches!(archive.bytes, Bytes::File(_)) {
            archive.bytes = Bytes::Closed;
        }
        archives.push(archive);
        if twice {
            keep_last(names, members, start)?;
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Bytes of memory that hold names and unpacked archives.
    pub(crate) fn memory(&self) -> u64 {
        let archives = match &self.place {
            Place::Folder(_) => 0,
            Place::Archives { archives, members } => {
                let held = |archive: &Archive| match &archive.bytes {
                    Bytes::File(_) | Bytes::Closed => 0,
                    Bytes::Memory(bytes) => bytes.len() as u64,
                };
                archives.iter().map(held).sum::<u64>() + (size_of::<Member>() * members.len()) as u64
            }
        };
        self.names.memory() + archives
    }

    /// Which of the archives file `i` is in; 0 where there are none.
    pub(crate) fn archive_of(&self, i: usize) -> u32 {
        match &self.place {
            Place::Folder(_) => 0,
            Place::Archives { members, .. } => members[i].archive,
        }
    }

    /// What file `i` is called in messages.
    pub(crate) fn title(&self, i: usize) -> String {
        match &self.place {
            Place::Folder(root) => root.join(path_of(self.names.get(i))).display().to_string(),
            Place::Archives { archives, members } => {
                let archive = archives[members[i].archive as usize].path.display();
                format!("{archive}:{}", self.names.text(i))
            }
        }
    }

    /// Calls `use_it` with the bytes of file `i`.
    ///
    /// # Errors
    /// [`DataError::Io`] where it cannot be read, [`DataError::PictureSize`] for more than 512 MiB.
    pub(crate) fn with_bytes<R>(&self, i: usize, use_it: impl FnOnce(&[u8]) -> R) -> Result<R, DataError> {
        self.with_ends(i, u64::MAX, |bytes, _| use_it(bytes))
    }

    /// Calls `use_it` with the first bytes of file `i`, at most `most`, and with its [`Ends`].
    ///
    /// # Errors
    /// As [`Files::with_bytes`].
    pub(crate) fn with_ends<R>(
        &self,
        i: usize,
        most: u64,
        use_it: impl FnOnce(&[u8], &Ends) -> R,
    ) -> Result<R, DataError> {
        let failed = |e| DataError::io(self.title(i), "read", e);
        match &self.place {
            Place::Folder(root) => {
                let file = FileAt::open(&root.join(path_of(self.names.get(i)))).map_err(failed)?;
                let whole = Span { offset: 0, length: file.length() };
                self.with_part(i, &file, whole, most, use_it)
            }
            Place::Archives { archives, members } => {
                let Member { archive, span } = members[i];
                let Archive { path, bytes } = &archives[archive as usize];
                match bytes {
                    Bytes::File(file) => self.with_part(i, file, span, most, use_it),
                    Bytes::Closed => {
                        let file = FileAt::open(path).map_err(failed)?;
                        self.with_part(i, &file, span, most, use_it)
                    }
                    Bytes::Memory(bytes) => {
                        let bytes = &bytes[span.offset as usize..][..span.length as usize];
                        let ends = Ends { length: span.length, tail: last(bytes) };
                        Ok(use_it(&bytes[..bytes.len().min(most as usize)], &ends))
                    }
                }
            }
        }
    }

    fn with_part<R>(
        &self,
        i: usize,
        file: &FileAt,
        span: Span,
        most: u64,
        use_it: impl FnOnce(&[u8], &Ends) -> R,
    ) -> Result<R, DataError> {
        let failed = |e| DataError::io(self.title(i), "read", e);
        let wanted = span.length.min(most);
        if wanted > MOST_FILE_BYTES {
            let problem = format!("the file has {wanted} bytes, more than the {MOST_FILE_BYTES} allowed");
            return Err(DataError::PictureSize { picture: self.title(i), problem });
        }
        // Every thread keeps the memory of the largest file that it read.
        thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        let mut buffer = BUFFER.take();
        buffer.resize(wanted as usize, 0);
        let mut tail = [0; TAIL];
        let used = TAIL.min(span.length as usize);
        let whole = wanted == span.length;
        let read = file.read(span.offset, &mut buffer).and_then(|()| match whole {
            true => Ok(()),
            false => file.read(span.offset + span.length - used as u64, &mut tail[..used]),
        });
        let result = read.map(|()| {
            let tail = if whole { last(&buffer) } else { &tail[..used] };
            use_it(&buffer, &Ends { length: span.length, tail })
        });
        BUFFER.set(buffer);
        result.map_err(failed)
    }
}

/// Of files from number `start` on that are called the same the last one, as unpacking leaves it, at the place of the first.
fn keep_last(names: &mut Names, members: &mut Vec<Member>, start: usize) -> Result<(), DataError> {
    let mut first: HashMap<&[u8], usize> = HashMap::new();
    let mut kept: Vec<usize> = (0..start).collect();
    for i in start..names.len() {
        match first.entry(names.get(i)) {
            Entry::Occupied(first) => members[*first.get()].span = members[i].span,
            Entry::Vacant(place) => {
                place.insert(i);
                kept.push(i);
            }
        }
    }
    let mut left = Names::default();
    kept.iter().try_for_each(|&i| left.push(names.get(i)))?;
    *members = kept.iter().map(|&i| members[i]).collect();
    *names = left;
    Ok(())
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

/// How many last bytes [`Ends`] has.
const TAIL: usize = 32;

/// What is known of a file of which not all was read.
pub(crate) struct Ends<'a> {
    /// Its bytes in all.
    pub(crate) length: u64,
    /// The last ones, up to 32.
    pub(crate) tail: &'a [u8],
}

/// The last bytes of a file.
fn last(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(TAIL)..]
}

impl Archive {
    fn open(path: &Path) -> Result<Archive, DataError> {
        let file = FileAt::open(path).map_err(|e| DataError::io(path, "open", e))?;
        let mut first = [0; 6];
        let known = first.len().min(file.length() as usize);
        file.read(0, &mut first[..known]).map_err(|e| DataError::io(path, "read", e))?;
        let bytes = match Packing::of(&first[..known]) {
            Some(packing) => Bytes::Memory(unpack(path, &file, packing)?),
            None => Bytes::File(file),
        };
        Ok(Archive { path: path.to_owned(), bytes })
    }
}

/// A file that is read at any place by any thread.
#[derive(Debug)]
pub(super) struct FileAt {
    file: File,
    length: u64,
}

impl FileAt {
    /// Opens a regular file.
    pub(super) fn open(path: &Path) -> io::Result<FileAt> {
        // Asked first: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path)?;
        match metadata.is_file() {
            true => Ok(FileAt { file: File::open(path)?, length: metadata.len() }),
            false if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
    }

    /// Its bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// From the start on; the position is this reader's alone.
    pub(super) fn reader(&self, path: &Path) -> Result<impl Read + Seek, DataError> {
        File::open(path).map_err(|e| DataError::io(path, "open", e))
    }
}

impl ReadAt for FileAt {
    #[cfg(unix)]
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn read(&self, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, bytes, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => (offset, bytes) = (offset + n as u64, &mut bytes[n..]),
            }
        }
        Ok(())
    }
}
