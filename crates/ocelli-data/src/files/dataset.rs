//! Picture files with labels.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, OnceLock};

use super::store::{Ends, Files};
use crate::dataset::{Look, training_shape};
use crate::decode::{self, Header, Problem};
use crate::{DataError, Dataset, Picture};

/// Labelled picture files, decoded whenever they are read.
pub(crate) struct FileDataset {
    files: Arc<Files>,
    /// Which file each image is.
    members: Vec<u32>,
    labels: Vec<u32>,
    classes: Arc<[String]>,
    shape: OnceLock<[usize; 3]>,
}

/// So many bytes of a file mostly hold its header, and tell it from others.
const FIRST: u64 = 1 << 13;

/// So many pictures give the shape that a network for the set should take.
const SAMPLED: usize = 256;

impl FileDataset {
    /// The files `members` with their labels, which index `classes`.
    pub(crate) fn new(
        files: Arc<Files>,
        members: Vec<u32>,
        labels: Vec<u32>,
        classes: Arc<[String]>,
    ) -> FileDataset {
        assert_eq!(members.len(), labels.len(), "every file has a label");
        FileDataset { files, members, labels, classes, shape: OnceLock::new() }
    }

    fn file(&self, i: usize) -> usize {
        self.members[i] as usize
    }

    /// What the first bytes of a file tell, and its last ones of whether it is whole; `None` where they do not suffice.
    fn glance(first: &[u8], ends: &Ends) -> Option<Look> {
        let Header { shape, decoding_bytes } = decode::header_of(first).ok()?;
        let look = || Look { shape, decoding_bytes, key: key(first, ends.length) };
        decode::ends_well(first, ends.tail).then(look)
    }

    /// What a whole file tells, without its pixels being decoded unless its end is missing.
    fn study(bytes: &[u8]) -> Result<Look, Problem> {
        let Header { mut shape, decoding_bytes } = decode::header_of(bytes)?;
        if !decode::is_whole(bytes) {
            let mut picture = Picture::default();
            decode::decode_into(bytes, &mut picture)?;
            shape = picture.shape();
        }
        let key = key(&bytes[..bytes.len().min(FIRST as usize)], bytes.len() as u64);
        Ok(Look { shape, decoding_bytes, key })
    }
}

fn key(first: &[u8], length: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(length);
    hasher.write(first);
    hasher.finish()
}

impl Dataset for FileDataset {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn image_shape(&self) -> [usize; 3] {
        *self.shape.get_or_init(|| {
            let step = self.len().div_ceil(SAMPLED).max(1);
            training_shape((0..self.len()).step_by(step).filter_map(|i| Some(self.look(i).ok()?.shape)))
        })
    }

    fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        let decoded = self.files.with_bytes(self.file(i), |bytes| decode::decode_into(bytes, picture))?;
        decoded.map_err(|problem| problem.named(self.name_of(i)))
    }

    fn name_of(&self, i: usize) -> String {
        self.files.title(self.file(i))
    }

    fn decodes(&self) -> bool {
        true
    }

    fn look(&self, i: usize) -> Result<Look, DataError> {
        if let Some(look) = self.files.with_ends(self.file(i), FIRST, FileDataset::glance)? {
            return Ok(look);
        }
        // The header is longer, something follows the picture, or it is damaged.
        let look = self.files.with_bytes(self.file(i), FileDataset::study)?;
        look.map_err(|problem| problem.named(self.name_of(i)))
    }

    fn content_hash(&self, i: usize) -> Result<u64, DataError> {
        self.files.with_bytes(self.file(i), |bytes| {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes);
            hasher.finish()
        })
    }

    fn memory(&self) -> u64 {
        self.files.memory() + 8 * self.members.len() as u64
    }

    fn shared_memory(&self) -> Option<(usize, u64)> {
        Some((Arc::as_ptr(&self.files).addr(), self.files.memory()))
    }
}
