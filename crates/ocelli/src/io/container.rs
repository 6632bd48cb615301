//! The container of model files and checkpoints: safetensors with a checksum over every byte.
//!
//! A safetensors file is the length of a JSON header (8 bytes, little endian), the header, and the tensors' bytes one
//! after the other. Ours begin the header with the checksum, so that its 64 digits stand at the same place in every file
//! and damage is found before anything is parsed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::IoError;
use super::error::READ;

/// Which files these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// What users call them.
    pub(super) name: &'static str,
    /// What the metadata says under [`KIND`].
    pub(super) kind: &'static str,
    /// The version that this program writes and reads.
    pub(super) version: u32,
}

/// A tensor to be written.
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// Gives its elements, row-major. Called twice: for the checksum and for the file.
    pub(super) values: Box<dyn Fn() -> Cow<'a, [f32]> + 'a>,
}

/// Writes a file of this format. Equal arguments give equal bytes.
pub(super) fn write(
    format: Format,
    mut metadata: BTreeMap<&'static str, String>,
    mut parts: Vec<Part<'_>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    metadata.insert(KIND, format.kind.to_string());
    metadata.insert(VERSION, format.version.to_string());
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut head = head(&metadata, &parts)?;
    let mut hasher = Sha256::new();
    hasher.update(&head);
    for part in &parts {
        for_each_block(&(part.values)(), |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
    }
    head[DIGITS].copy_from_slice(hex(&hasher.finalize()).as_bytes());
    out.write_all(&head)?;
    for part in &parts {
        for_each_block(&(part.values)(), |bytes| out.write_all(bytes))?;
    }
    Ok(())
}

/// A file that has been read and whose checksum is right. What it says may still be wrong.
#[derive(Debug)]
pub(super) struct Container {
    path: PathBuf,
    format: Format,
    bytes: Vec<u8>,
    data: usize,
    header: Metadata,
}

impl Container {
    /// Reads a file of this format.
    pub(super) fn read(path: &Path, format: Format) -> Result<Container, IoError> {
        let bytes = read_file(path, MAX_FILE)?;
        let name = format.name;
        let bad = |reason: String| IoError::bad(path, reason);
        match check_sum(&bytes) {
            Checksum::Matches => {}
            Checksum::Differs => return Err(IoError::Damaged { path: path.to_path_buf() }),
            Checksum::Absent => {
                return Err(bad(format!(
                    "it does not begin as a {name} of Ocelli does; it is another kind of file, or damaged"
                )));
            }
        }
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        if length > MAX_HEADER {
            return Err(bad(format!("a header of {length} bytes is longer than any {name} has")));
        }
        let (length, header) = safetensors::SafeTensors::read_metadata(&bytes)
            .map_err(|e| bad(format!("it is no {name}: {e}")))?;
        let container = Container { path: path.to_path_buf(), format, data: 8 + length, bytes, header };
        container.check_format()?;
        Ok(container)
    }

    /// What the metadata say under this key.
    pub(super) fn text(&self, key: &str) -> Result<&str, IoError> {
        let text = self.header.metadata().as_ref().and_then(|m| m.get(key));
        text.map(String::as_str).ok_or_else(|| self.bad(format!("it lacks '{key}'; train again")))
    }

    /// What the metadata say under this key, in JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T, IoError> {
        serde_json::from_str(self.text(key)?).map_err(|e| self.bad(format!("'{key}' cannot be read: {e}")))
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// The names and shapes of the tensors must be these.
    pub(super) fn check_tensors(&self, wanted: &[(String, Vec<usize>)]) -> Result<(), IoError> {
        let mut extra = self.header.tensors();
        let mut missing = Vec::new();
        for (name, shape) in wanted {
            match extra.remove(name) {
                None => missing.push(name.as_str()),
                Some(info) if info.dtype != Dtype::F32 => {
                    return Err(
                        self.bad(format!("tensor '{name}' has elements of type {:?}, not F32", info.dtype))
                    );
                }
                Some(info) if info.shape != *shape => {
                    let has = &info.shape;
                    return Err(
                        self.bad(format!("tensor '{name}' has shape {has:?}, its network needs {shape:?}"))
                    );
                }
                Some(_) => {}
            }
        }
        let mut extra: Vec<&str> = extra.keys().map(String::as_str).collect();
        extra.sort_unstable();
        match (&missing[..], &extra[..]) {
            ([], []) => Ok(()),
            ([], extra) => Err(self.bad(format!("its network has no place for {}", listed(extra)))),
            (missing, _) => Err(self.bad(format!("it lacks {}, which its network needs", listed(missing)))),
        }
    }

    /// Fills `to` with a tensor's elements, row-major.
    ///
    /// # Panics
    /// Unless [`Container::check_tensors`] has found it with that many elements.
    pub(super) fn read_tensor(&self, name: &str, to: &mut [f32]) {
        let (start, end) = self.header.info(name).expect("a checked tensor").data_offsets;
        let bytes = &self.bytes[self.data + start..self.data + end];
        assert_eq!(bytes.len(), to.len() * 4, "tensor '{name}' has been checked");
        for (value, bytes) in to.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        }
    }

    pub(super) fn bad(&self, reason: impl Into<String>) -> IoError {
        IoError::bad(&self.path, reason)
    }

    fn check_format(&self) -> Result<(), IoError> {
        let Format { name, kind, version } = self.format;
        let found = self.text(KIND)?;
        if found != kind {
            return Err(self.bad(format!("it is a {found}, not a {kind}; give a {name}")));
        }
        let found = self.text(VERSION)?;
        if found != version.to_string() {
            return Err(self.bad(format!(
                "it has format version {found}, and this program reads version {version}; \
                 use a version of Ocelli that reads {found}"
            )));
        }
        Ok(())
    }
}

/// Reads a whole regular file of at most `max` bytes.
pub(super) fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, IoError> {
    let failed = |e| IoError::io(READ, path, e);
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if about.len() > max {
        let len = about.len();
        return Err(IoError::bad(path, format!("it has {len} bytes, and at most {max} are read")));
    }
    let memory = |bytes: u64| IoError::Memory { path: path.to_path_buf(), bytes };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(about.len() as usize).map_err(|_| memory(about.len()))?;
    // One byte more than allowed shows a file that is longer than it says, such as a device.
    let read = file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 > max {
        return Err(IoError::bad(path, format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

/// A digest in hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls `each` with the elements' bytes, little endian, a block at a time.
pub(super) fn for_each_block(
    values: &[f32],
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK * 4);
    for values in values.chunks(BLOCK) {
        block.clear();
        block.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        each(&block)?;
    }
    Ok(())
}

const KIND: &str = "ocelli.kind";
const VERSION: &str = "ocelli.version";

/// How the header begins.
const PREFIX: &str = r#"{"__metadata__":{"ocelli.checksum":""#;

/// Where the checksum's digits stand in the file.
const DIGITS: std::ops::Range<usize> = 8 + PREFIX.len()..8 + PREFIX.len() + 64;

/// Four thousand million parameters.
const MAX_FILE: u64 = 1 << 34;

/// The longest header that readers of safetensors take. A checkpoint keeps the record of each epoch there, less than half a kilobyte but for
/// the last thousand: hundreds of thousands of epochs.
const MAX_HEADER: u64 = 100_000_000;

/// Elements that are converted at a time.
const BLOCK: usize = 1 << 14;

/// The length of the header and the header, with zeros for the checksum.
fn head(metadata: &BTreeMap<&'static str, String>, parts: &[Part<'_>]) -> io::Result<Vec<u8>> {
    let mut header = format!("{PREFIX}{}\"", "0".repeat(64));
    for (key, value) in metadata {
        header += &format!(",{}:{}", serde_json::to_string(key)?, serde_json::to_string(value)?);
    }
    header.push('}');
    let mut start = 0;
    for Part { name, shape, .. } in parts {
        let (name, end) = (serde_json::to_string(name)?, start + 4 * shape.iter().product::<usize>());
        let shape = serde_json::to_string(shape)?;
        header += &format!(r#",{name}:{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#);
        start = end;
    }
    header.push('}');
    // The tensors begin at a multiple of eight bytes.
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    if header.len() as u64 > MAX_HEADER {
        let problem =
            format!("its header would have {} bytes, and at most {MAX_HEADER} can be read", header.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok([&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat())
}

/// What comparing a file with its checksum shows.
enum Checksum {
    Matches,
    Differs,
    /// The file does not begin as ours do.
    Absent,
}

/// Whether the checksum is that of the file.
fn check_sum(bytes: &[u8]) -> Checksum {
    if bytes.get(8..DIGITS.start) != Some(PREFIX.as_bytes()) || bytes.len() < DIGITS.end {
        return Checksum::Absent;
    }
    let mut hasher = Sha256::new();
    hasher.update(&bytes[..DIGITS.start]);
    hasher.update([b'0'; 64]);
    hasher.update(&bytes[DIGITS.end..]);
    match hex(&hasher.finalize()).as_bytes() == &bytes[DIGITS] {
        true => Checksum::Matches,
        false => Checksum::Differs,
    }
}

/// Some of the names, and how many more there are.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("'{name}'")).collect();
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("tensor{} {}{rest}", if names.len() > 1 { "s" } else { "" }, shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_could_not_be_read_is_not_written() {
        let metadata = BTreeMap::from([("progress", "x".repeat(MAX_HEADER as usize))]);
        let error = head(&metadata, &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
        assert!(head(&BTreeMap::from([("progress", "x".repeat(1 << 20))]), &[]).is_ok());
    }
}
