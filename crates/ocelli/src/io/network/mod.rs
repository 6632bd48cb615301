//! The network file: a network as text that people read and write.
//!
//! ```toml
//! ocelli-network = 1
//! name = "lenet"
//! input = [1, 28, 28]
//! layers = [
//!   { name = "conv1", op = "conv2d", channels = 6, kernel = 5, padding = 2 },
//!   { op = "tanh" },
//!   { op = "avg_pool2d", kernel = 2 },
//!   { op = "flatten" },
//!   { op = "linear", features = "classes" },
//! ]
//! ```
//!
//! - `input` is the shape of the one input, channels × height × width, which layers call `image`; several
//!   inputs stand in `inputs = { left = [1, 28, 28], right = [1, 28, 28] }`.
//! - A layer has an op and its settings. Without a `name` it is called by its op and a running number: the third `tanh`
//!   is `tanh3`. Without `from`, the layers that it reads, it reads the layer before it, and the first one the input.
//! - A layer that `shares = "conv1"` has that layer's op and weights.
//! - `"classes"` in place of a number of features or channels is the number of classes in the data.
//! - The last layer is the network's output, unless `output` names another. Otherwise the order does not matter.

mod read;
mod write;

use std::path::Path;
use std::sync::Arc;

use ocelli_core::Graph;

use super::{IoError, container, write_atomically};

/// A network with a name.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name: `lenet`, say.
    pub name: String,
    /// What it computes.
    pub graph: Arc<Graph>,
}

impl Network {
    /// Reads a network file's text. Messages call it `file`. `classes` takes the place of "classes" in it.
    ///
    /// # Errors
    /// [`IoError::Network`] says where, what cannot be, and what to write instead.
    pub fn from_toml(text: &str, file: &str, classes: Option<usize>) -> Result<Network, IoError> {
        read::network(text, file, classes)
    }

    /// The network file's text. [`Network::from_toml`] makes the same network of it.
    pub fn to_toml(&self) -> String {
        write::network(self)
    }

    /// Reads a network file, as [`Network::from_toml`].
    ///
    /// # Errors
    /// As [`Network::from_toml`], and [`IoError::Io`].
    pub fn read(path: &Path, classes: Option<usize>) -> Result<Network, IoError> {
        let bytes = container::read_file(path, MAX_BYTES as u64)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| IoError::bad(path, "it is no network file: it is not UTF-8 text"))?;
        Network::from_toml(&text, &path.display().to_string(), classes)
    }

    /// Writes a network file, whole or not at all.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), IoError> {
        write_atomically(path, |out| out.write_all(self.to_toml().as_bytes()))
    }
}

/// The version of the format.
const VERSION: i64 = 1;

/// No network file is longer.
const MAX_BYTES: usize = 1 << 20;

/// No network has more layers.
const MAX_LAYERS: usize = 4096;

/// No kernel, stride, padding or number of features is larger: products of a few stay within 64 bits.
const MAX_SETTING: i64 = 1 << 24;

/// No input has more values: pictures of 2²⁶ pixels in colour have fewer.
const MAX_ELEMENTS: usize = 1 << 28;

/// What the one input is called.
const INPUT: &str = "image";

/// A layer's name where none is given: its op's, and how many layers so far have given that op.
fn default_name(op: &str, number: usize) -> String {
    // The first relu6 is not the 61st relu.
    let between = if op.ends_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    format!("{op}{between}{number}")
}
