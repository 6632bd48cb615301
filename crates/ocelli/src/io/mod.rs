//! What is kept on disk: network files, model files and checkpoints.
//!
//! Everything is written to the side, flushed and then renamed into place, so that a file under its final
//! name is always whole. Everything that is read counts as hostile: sizes are bounded before memory is taken,
//! and model files and checkpoints carry a checksum over every byte.

mod atomic;
mod checkpoint;
mod container;
mod error;
#[cfg(test)]
mod faulty;
mod model;
mod network;

pub use atomic::{check_folder, make_folder, write_atomically, write_text};
pub use checkpoint::{Checkpoint, Fallback};
pub(crate) use container::hex;
pub use error::{ErrorKind, IoError};
pub use model::{ModelFile, weights_sha256};
pub use network::Network;
