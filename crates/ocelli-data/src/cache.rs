//! Pictures that stay decoded.

use std::sync::Arc;

use crate::dataset::Look;
use crate::screen::{Named, bytes_of};
use crate::{DataError, Dataset, Picture, memory, parallel};

/// How much memory decoded pictures may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheLimit {
    /// All or nothing: they are kept if all fit into a quarter of the memory that is free.
    #[default]
    Auto,
    /// As many as fit into so many bytes.
    Bytes(u64),
    /// None.
    Off,
}

/// The share of free memory that decoded pictures take where nothing is said: one of so many parts.
const PART_OF_FREE: u64 = 4;

impl CacheLimit {
    /// The bytes that decoded pictures may take, of which there are `all`.
    pub fn bytes(self, all: u64) -> u64 {
        match self {
            CacheLimit::Off => 0,
            CacheLimit::Bytes(bytes) => bytes,
            CacheLimit::Auto => match memory::available().is_some_and(|free| all <= free / PART_OF_FREE) {
                true => all,
                false => 0,
            },
        }
    }
}

/// A set whose first pictures are kept decoded in memory. Which ones are follows from their sizes and the limit, and reading
/// them gives what reading the files would.
pub(crate) struct CachedDataset {
    parent: Arc<dyn Dataset>,
    kept: Vec<Picture>,
    bytes: u64,
}

/// How many pictures of these fit into `limit` bytes, the first ones, and how many bytes they take.
pub(crate) fn fitting(looks: &[Look], limit: u64) -> (usize, u64) {
    let mut bytes = 0;
    for (i, look) in looks.iter().enumerate() {
        let more = bytes_of(look.shape) + size_of::<Picture>() as u64;
        if bytes + more > limit {
            return (i, bytes);
        }
        bytes += more;
    }
    (looks.len(), bytes)
}

impl CachedDataset {
    /// Decodes the first `count` pictures of `parent` on all cores.
    ///
    /// # Errors
    /// Those of reading them.
    pub(crate) fn new(parent: Arc<dyn Dataset>, count: usize) -> Result<CachedDataset, DataError> {
        let decode = |scratch: &mut Picture, i| -> Result<Picture, DataError> {
            parent.read(i, scratch)?;
            // A copy has no room to spare.
            Ok(scratch.clone())
        };
        let kept =
            parallel::map(count, Picture::default, decode).into_iter().collect::<Result<Vec<_>, _>>()?;
        let bytes = kept.iter().map(|picture| (picture.pixels.len() + size_of::<Picture>()) as u64).sum();
        Ok(CachedDataset { parent, kept, bytes })
    }
}

impl Dataset for CachedDataset {
    fn len(&self) -> usize {
        self.parent.len()
    }

    fn classes(&self) -> &[String] {
        self.parent.classes()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.parent.image_shape()
    }

    fn label(&self, i: usize) -> u32 {
        self.parent.label(i)
    }

    fn read(&self, i: usize, picture: &mut Picture) -> Result<(), DataError> {
        let Some(kept) = self.kept.get(i) else { return self.parent.read(i, picture) };
        picture.reshape(kept.height, kept.width, kept.channels).copy_from_slice(&kept.pixels);
        Ok(())
    }

    fn name_of(&self, i: usize) -> String {
        self.parent.name_of(i)
    }

    fn decodes(&self) -> bool {
        // Whatever goes by this must not depend on the memory that was free.
        self.parent.decodes()
    }

    fn look(&self, i: usize) -> Result<Look, DataError> {
        self.parent.look(i)
    }

    fn content_hash(&self, i: usize) -> Result<u64, DataError> {
        self.parent.content_hash(i)
    }

    fn memory(&self) -> u64 {
        self.parent.memory() + self.bytes
    }

    fn shared_memory(&self) -> Option<(usize, u64)> {
        self.parent.shared_memory()
    }

    fn replaced(&self) -> Named {
        self.parent.replaced()
    }
}
