//! Files by number, in folders and in archives, and the data sets that are made of them.

mod dataset;
mod names;
mod store;
mod tar;
mod unpack;
mod walk;
mod xz;

pub(crate) use dataset::FileDataset;
pub use names::is_picture;
pub(crate) use names::{Names, Others, path_of, split_first, split_last};
pub(crate) use store::{Files, MOST_FILE_BYTES};
