//! Compressed archives, unpacked into memory.

use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::store::FileAt;
use super::xz::{MOST_WINDOW, ReadAt, Stream};
use crate::error::{is_of_contents, reserve};
use crate::{DataError, memory};

/// The most bytes that an archive may have when unpacked; and at most half of the memory that is free.
const MOST_UNPACKED: u64 = 1 << 35;

/// xz cannot shrink anything further than this, zeros included.
const MOST_INFLATION: u64 = 1 << 13;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Xz,
}

impl Packing {
    /// By the first bytes; `None` for what is not compressed.
    pub(super) fn of(first: &[u8]) -> Option<Packing> {
        match first {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
        }
    }
}

/// The contents of the compressed `file` at `path`, at most half of the memory that is free. What the file says of its
/// unpacked size is held against that before memory is taken, and it holds along the way whatever the file says.
///
/// # Errors
/// [`DataError::Memory`] for more than there is memory for, [`DataError::Malformed`] for a file that is damaged or cut
/// off, [`DataError::Io`].
pub(super) fn unpack(path: &Path, file: &FileAt, packing: Packing) -> Result<Vec<u8>, DataError> {
    let half = memory::available().map_or(u64::MAX, |free| free / 2);
    let limit = match half < MOST_UNPACKED {
        true => Limit { bytes: half, reason: "half of what is free" },
        false => Limit { bytes: MOST_UNPACKED, reason: "the most that is unpacked" },
    };
    unpack_within(path, file, packing, limit)
}

/// How many bytes a file may have unpacked, and why no more.
#[derive(Clone, Copy)]
struct Limit {
    bytes: u64,
    reason: &'static str,
}

fn unpack_within(path: &Path, file: &FileAt, packing: Packing, limit: Limit) -> Result<Vec<u8>, DataError> {
    let name = path.display().to_string();
    let failed = |e| broken(path, packing, 0, e);
    if packing == Packing::Xz
        && let Some(stream) = Stream::of(file, file.length())
    {
        let size = stream.unpacked().unwrap_or(u64::MAX);
        check(path, size, limit)?;
        if size > file.length().saturating_mul(MOST_INFLATION) {
            let claim = format!("{size} bytes in a file of {}, which cannot be", file.length());
            return Err(failed(io::Error::new(ErrorKind::InvalidData, claim)));
        }
        let mut bytes = reserve(&name, size as usize)?;
        bytes.resize(size as usize, 0);
        stream.unpack(file, &mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    let input = BufReader::with_capacity(1 << 20, file.reader(path)?);
    let mut bytes = Vec::new();
    match packing {
        Packing::Gzip => {
            // What gzip says of its size is only its last 32 bits, but mostly right.
            let mut size = [0; 4];
            file.read(file.length().saturating_sub(4), &mut size).map_err(failed)?;
            bytes = reserve(&name, u64::from(u32::from_le_bytes(size)).min(limit.bytes) as usize)?;
            read_all(MultiGzDecoder::new(input), limit.bytes, &mut bytes)
        }
        Packing::Xz => read_all(XzReader::new_mem_limit(input, true, MOST_WINDOW), limit.bytes, &mut bytes),
    }
    .map_err(|e| broken(path, packing, bytes.len() as u64, e))?;
    check(path, bytes.len() as u64, limit)?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Reads to the end, or a byte beyond the limit.
fn read_all(input: impl Read, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut input = input.take(limit.saturating_add(1));
    const STEP: usize = 1 << 20;
    loop {
        // Growing by hand, so that memory that is not there is an error.
        let room = (bytes.capacity() - bytes.len()).max(STEP);
        bytes.try_reserve(room).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        if (&mut input).take(room as u64).read_to_end(bytes)? == 0 {
            return Ok(());
        }
    }
}

fn check(path: &Path, size: u64, limit: Limit) -> Result<(), DataError> {
    match size > limit.bytes {
        false => Ok(()),
        true => Err(DataError::Memory {
            what: format!("{}, unpacked,", path.display()),
            needs: size,
            limit: format!("and {} are allowed, {}", limit.bytes, limit.reason),
            advice: "unpack it to a folder or to a plain .tar, which are read in place".to_owned(),
        }),
    }
}

/// Tells contents that do not unpack from a disk that does not answer, once `unpacked` bytes are there.
fn broken(path: &Path, packing: Packing, unpacked: u64, error: io::Error) -> DataError {
    let found = match error.kind() {
        ErrorKind::UnexpectedEof => "the end of the file: it was cut off".to_owned(),
        _ if is_of_contents(&error) => error.to_string(),
        ErrorKind::OutOfMemory => {
            return DataError::Memory {
                what: format!("{}, unpacked,", path.display()),
                needs: unpacked + 1,
                limit: "or more, which the system did not grant".to_owned(),
                advice: "unpack it to a folder or to a plain .tar, which are read in place".to_owned(),
            };
        }
        _ => return DataError::io(path, "read", error),
    };
    DataError::malformed(
        path.display().to_string(),
        format!("intact {}", packing.name()),
        found,
        "get the file again, or check which file it is",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_larger_than_allowed_is_refused_whatever_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&[0; 1 << 20]).unwrap();
        let mut bytes = gzip.finish().unwrap();
        let limit = Limit { bytes: 1 << 16, reason: "as this test says" };
        for claimed in [1u32 << 20, 0, u32::MAX] {
            let end = bytes.len() - 4;
            bytes[end..].copy_from_slice(&claimed.to_le_bytes());
            std::fs::write(&path, &bytes).unwrap();
            let file = FileAt::open(&path).unwrap();
            let said = unpack_within(&path, &file, Packing::Gzip, limit).unwrap_err().to_string();
            assert!(
                said.contains("a.tar.gz, unpacked, needs 65537 bytes of memory, and 65536 are allowed"),
                "{said}"
            );
        }
    }
}
