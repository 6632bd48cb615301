//! Reading one IDX file. Every byte is hostile: sizes are checked before memory is taken.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::DataError;
use crate::error::reserve;

/// The most bytes of values in one file.
const MOST_BYTES: u64 = 1 << 31;

/// Deflate cannot shrink anything further than this (RFC 1951: 258 bytes in two bits, and headers).
const MOST_INFLATION: u64 = 1032;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The contents of an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// The file's name, for messages.
    pub name: String,
    /// What the values are.
    pub kind: IdxType,
    /// The sizes, slowest first.
    pub dims: Vec<usize>,
    /// The values, big-endian, last dimension fastest.
    pub bytes: Vec<u8>,
}

/// The types of value in IDX files, by their code in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IdxType {
    /// Unsigned bytes.
    U8 = 0x08,
    /// Signed bytes.
    I8 = 0x09,
    /// 16-bit integers.
    I16 = 0x0b,
    /// 32-bit integers.
    I32 = 0x0c,
    /// 32-bit floats.
    F32 = 0x0d,
    /// 64-bit floats.
    F64 = 0x0e,
}

impl IdxType {
    const ALL: [IdxType; 6] =
        [IdxType::U8, IdxType::I8, IdxType::I16, IdxType::I32, IdxType::F32, IdxType::F64];

    /// The bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            IdxType::U8 | IdxType::I8 => 1,
            IdxType::I16 => 2,
            IdxType::I32 | IdxType::F32 => 4,
            IdxType::F64 => 8,
        }
    }
}

impl fmt::Display for Idx {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let sizes: Vec<String> = self.dims.iter().map(usize::to_string).collect();
        write!(f, "{} values of type {:?}", sizes.join("×"), self.kind)
    }
}

impl Idx {
    pub(super) fn malformed(&self, expected: impl Into<String>, found: impl Into<String>) -> DataError {
        DataError::malformed(&*self.name, expected, found, ADVICE)
    }
}

const ADVICE: &str = "get the file again, or check which file it is";

/// Reads the IDX file at `path`, in gzip or not; its first bytes tell.
///
/// # Errors
/// [`DataError::Malformed`] where the contents are not exactly what the header announces;
/// [`DataError::Memory`] for more than 2 GiB of values; [`DataError::Io`].
pub fn read(path: &Path) -> Result<Idx, DataError> {
    let failed = |action| move |e| DataError::io(path, action, e);
    let file = File::open(path).map_err(failed("open"))?;
    let metadata = file.metadata().map_err(failed("open"))?;
    if !metadata.is_file() {
        return Err(failed("read")(io::Error::new(ErrorKind::InvalidInput, "not a regular file")));
    }
    Source { name: path.display().to_string(), path, length: metadata.len() }.idx(BufReader::new(file))
}

/// Reads IDX from memory, as [`read`]; `name` stands for the file in messages.
///
/// # Errors
/// As [`read`].
pub fn parse(name: &str, bytes: &[u8]) -> Result<Idx, DataError> {
    let source = Source { name: name.to_owned(), path: Path::new(name), length: bytes.len() as u64 };
    source.idx(Cursor::new(bytes))
}

/// Where the bytes come from.
struct Source<'a> {
    name: String,
    path: &'a Path,
    /// Bytes on disk.
    length: u64,
}

impl Source<'_> {
    fn idx(&self, mut input: impl io::BufRead) -> Result<Idx, DataError> {
        if input.fill_buf().map_err(|e| self.failed(e))?.starts_with(&GZIP_MAGIC) {
            self.values(MultiGzDecoder::new(input), true)
        } else {
            self.values(input, false)
        }
    }

    fn values(&self, mut input: impl Read, gzip: bool) -> Result<Idx, DataError> {
        let (kind, dims) = self.header(&mut input)?;
        let size = self.size(kind, &dims, gzip)?;
        let mut bytes = reserve(&self.name, size)?;
        let got = (&mut input).take(size as u64).read_to_end(&mut bytes).map_err(|e| self.failed(e))?;
        if got < size {
            return Err(
                self.malformed(format!("{size} bytes of values, as its header says"), &format!("{got}"))
            );
        }
        // Reading past the end also makes gzip compare its checksum.
        if input.read(&mut [0]).map_err(|e| self.failed(e))? != 0 {
            return Err(self.malformed(format!("{size} bytes of values, as its header says"), "more"));
        }
        Ok(Idx { name: self.name.clone(), kind, dims, bytes })
    }

    fn header(&self, input: &mut impl Read) -> Result<(IdxType, Vec<usize>), DataError> {
        let mut magic = [0; 4];
        input.read_exact(&mut magic).map_err(|e| self.failed(e))?;
        let [0, 0, code, rank @ 1..=4] = magic else {
            return Err(self.malformed(
                "an IDX header: 0, 0, a type and 1 to 4 dimensions".to_owned(),
                &format!("the bytes {magic:02x?}"),
            ));
        };
        let Some(kind) = IdxType::ALL.into_iter().find(|&t| t as u8 == code) else {
            return Err(
                self.malformed("an IDX type: 08, 09, 0b, 0c, 0d or 0e".to_owned(), &format!("{code:02x}"))
            );
        };
        let mut dims = Vec::with_capacity(rank.into());
        for _ in 0..rank {
            let mut size = [0; 4];
            input.read_exact(&mut size).map_err(|e| self.failed(e))?;
            dims.push(u32::from_be_bytes(size) as usize);
        }
        Ok((kind, dims))
    }

    /// The bytes of the values, if the file can hold that many.
    fn size(&self, kind: IdxType, dims: &[usize], gzip: bool) -> Result<usize, DataError> {
        let header = 4 + 4 * dims.len() as u64;
        let needs = dims.iter().fold(kind.bytes() as u64, |n, &d| n.saturating_mul(d as u64));
        let total = needs.saturating_add(header);
        let fits =
            if gzip { total <= self.length.saturating_mul(MOST_INFLATION) } else { total == self.length };
        if !fits {
            let sizes: Vec<String> = dims.iter().map(usize::to_string).collect();
            return Err(self.malformed(
                format!("{total} bytes{} for its {} values", unpacked(gzip), sizes.join("×")),
                &format!("a file of {} bytes", self.length),
            ));
        }
        if needs > MOST_BYTES {
            return Err(DataError::Memory {
                what: self.name.clone(),
                needs,
                limit: format!("more than the {MOST_BYTES} allowed for one file"),
                advice: "divide it into smaller files".to_owned(),
            });
        }
        Ok(needs as usize)
    }

    fn malformed(&self, expected: String, found: &str) -> DataError {
        DataError::malformed(&*self.name, expected, found, ADVICE)
    }

    /// Tells contents that end early or do not unpack from a disk that does not answer.
    fn failed(&self, error: io::Error) -> DataError {
        match error.kind() {
            ErrorKind::UnexpectedEof => {
                self.malformed("more bytes".to_owned(), &format!("the end of the file after {}", self.length))
            }
            ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                self.malformed("intact gzip".to_owned(), &error.to_string())
            }
            _ => DataError::io(self.path, "read", error),
        }
    }
}

fn unpacked(gzip: bool) -> &'static str {
    if gzip { " when unpacked" } else { "" }
}
