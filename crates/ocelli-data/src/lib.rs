//! Images with labels: where they come from, how they become a network's input, and in which order.
//!
//! [`open()`] finds and reads a data set and gives [`Splits`]: two [`Dataset`]s, one to train on and one
//! to validate on. [`Preprocess`] turns an image into what a network takes and is stored with it, and a [`View`] shows
//! another part of it; [`Augment`] varies training images, and [`Mix`] mixes those of a batch; a [`Sampler`] puts them in an
//! order per epoch; a [`Loader`] does all of that on threads of its own and yields [`Batch`]es. [`decode()`] reads a picture
//! file.
//!
//! Everything random is keyed by seed, epoch and image: neither the number of threads nor the batch
//! that a run was resumed at changes a bit.
//!
//! ```
//! use ocelli_data::{Loader, LoaderOptions, OpenOptions, Preprocess, Sampler, open};
//!
//! let digits = open("digits", &OpenOptions { seed: 1, val: None, ..OpenOptions::default() })?;
//! let preprocess = Preprocess::fit(&*digits.train)?;
//! let sampler = Sampler::new(digits.train.len(), 32)?.shuffled(1);
//! let options = LoaderOptions { threads: 2, epochs: 0..3, ..LoaderOptions::default() };
//! let mut loader = Loader::new(digits.train, &preprocess, sampler, options)?;
//! let mut images = 0;
//! while let Some(batch) = loader.next_batch() {
//!     let batch = batch?;
//!     assert_eq!(batch.images.len(), batch.len() * 8 * 8);
//!     images += batch.len();
//! }
//! assert_eq!(images, 3 * 1438);
//! # Ok::<(), ocelli_data::DataError>(())
//! ```

pub mod augment;
mod cache;
mod dataset;
mod decode;
mod eigen;
mod error;
mod files;
mod formats;
mod geometry;
mod loader;
pub mod memory;
mod open;
mod parallel;
mod patches;
mod picture;
mod preprocess;
mod preprocessor;
mod resize;
mod sampler;
mod screen;
mod split;
mod summary;
mod unlabelled;

pub use augment::{Augment, ColourAxes, ColourShift, Crop, Elastic, Erase, Jitter, Mix, Policy};
pub use cache::CacheLimit;
pub use dataset::{Dataset, Look, MemoryDataset, Subset, check_trainable, class_counts, match_classes};
pub use decode::{MOST_PIXELS, decode, decode_bytes};
pub use error::{DataError, ErrorKind};
pub use files::is_picture;
pub use formats::{CsvPicture, FORMATS, Format, Parts, idx, is_archive, pictures_in_csv};
pub use geometry::{CROP_SHARE, Fit, Place, View};
pub use loader::{Batch, Loader, LoaderOptions};
pub use open::{
    CachePlan, Found, OpenOptions, Splits, Undivided, Validation, open, open_parts, open_parts_in,
};
pub use patches::Patches;
pub use picture::Picture;
pub use preprocess::{Normalise, Preprocess};
pub use preprocessor::Preprocessor;
pub use resize::resize;
pub use sampler::{Epoch, Sampler};
pub use screen::{Findings, MOST_UNREADABLE, Named, Sizes};
pub use split::hold_out;
pub use summary::{SetSummary, Summary};
pub use unlabelled::{Unlabelled, pictures_in, pictures_listed};

/// What random numbers are drawn for: the first word of every key, so that uses never share a stream.
mod purpose {
    pub(crate) const SPLIT: u64 = u64::from_be_bytes(*b"SPLIT   ");
    pub(crate) const ORDER: u64 = u64::from_be_bytes(*b"ORDER   ");
    pub(crate) const AUGMENT: u64 = u64::from_be_bytes(*b"AUGMENT ");
    pub(crate) const MIRROR: u64 = u64::from_be_bytes(*b"MIRROR  ");
    pub(crate) const MIX: u64 = u64::from_be_bytes(*b"MIX     ");
}
