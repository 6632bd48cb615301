//! The model file: weights, and everything needed to use them.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::path::Path;

use ocelli_core::{ParamEntry, Params};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::container::{self, Container, Format, Part, for_each_block, hex};
use super::network::Network;
use super::{IoError, write_atomically};

/// What `model.safetensors` holds: enough to classify, to evaluate, to go on training and to export.
///
/// The tensors have PyTorch's names and layouts (`conv1.weight`, O×I×kh×kw), so that other programs read them too; running
/// statistics and prototypes are among them. To save borrowed parameters, make a `ModelFile<&Params<f32>>`.
#[derive(Clone, Debug)]
pub struct ModelFile<P = Params<f32>> {
    /// The network.
    pub network: Network,
    /// The names of the classes, in the order of the network's outputs.
    pub classes: Vec<String>,
    /// How an image becomes the network's input.
    pub preprocess: Value,
    /// How it was trained.
    pub training: Value,
    /// The parameters.
    pub params: P,
}

impl<P: Borrow<Params<f32>>> ModelFile<P> {
    /// Writes the file, whole or not at all. Equal models give equal bytes.
    ///
    /// # Errors
    /// [`IoError::Io`]; [`IoError::BadFile`] where a parameter is NaN or infinite: such a model is of no use.
    pub fn save(&self, path: &Path) -> Result<(), IoError> {
        let params = self.params.borrow();
        check_finite(params).map_err(|reason| IoError::bad(path, reason))?;
        let metadata = BTreeMap::from([
            (NETWORK, self.network.to_toml()),
            (CLASSES, Value::from(self.classes.clone()).to_string()),
            (PREPROCESS, self.preprocess.to_string()),
            (TRAINING, self.training.to_string()),
        ]);
        write_atomically(path, |out| container::write(FORMAT, metadata, parts(params), out))
    }
}

impl ModelFile {
    /// Reads a file that [`ModelFile::save`] wrote.
    ///
    /// # Errors
    /// [`IoError::BadFile`] says what is wrong: a checksum that does not match, another version, tensors that
    /// are missing, superfluous, of another shape, NaN or infinite. [`IoError::Memory`], [`IoError::Io`].
    pub fn load(path: &Path) -> Result<ModelFile, IoError> {
        let file = Container::read(path, FORMAT)?;
        let network = Network::from_toml(file.text(NETWORK)?, "network", None)
            .map_err(|e| file.bad(format!("its network cannot be used: {e}")))?;
        let layout = network.graph.layout();
        let wanted = layout.entries().iter().map(|e| (e.name.clone(), e.spec.shape.sizes().to_vec()));
        file.check_tensors(&wanted.collect::<Vec<_>>())?;
        let mut params = Params::zeroed(layout)?;
        let mut values = Vec::new();
        for entry in layout.entries() {
            values.resize(entry.range.len(), 0.0);
            file.read_tensor(&entry.name, &mut values);
            params.set(entry, &values);
        }
        check_finite(&params).map_err(|reason| file.bad(reason))?;
        Ok(ModelFile {
            classes: file.json(CLASSES)?,
            preprocess: file.json(PREPROCESS)?,
            training: file.json(TRAINING)?,
            network,
            params,
        })
    }
}

/// A digest of all parameters: SHA-256 over, in the order of their names, each one's name, a zero byte, the number of its sizes and
/// its sizes (64 bits each), and its elements as [`Params::get`] orders them, all little endian.
/// Equal digests mean equal bits.
pub fn weights_sha256(params: &Params<f32>) -> String {
    let mut hasher = Sha256::new();
    for entry in by_name(params) {
        hasher.update(entry.name.as_bytes());
        hasher.update([0]);
        let sizes = entry.spec.shape.sizes();
        for number in [sizes.len()].iter().chain(sizes) {
            hasher.update((*number as u64).to_le_bytes());
        }
        let hashed = for_each_block(params.get(entry).data(), |bytes| {
            hasher.update(bytes);
            Ok(())
        });
        hashed.expect("hashing does not fail");
    }
    hex(&hasher.finalize())
}

const FORMAT: Format = Format { name: "model file", kind: "model", version: 1 };
const NETWORK: &str = "ocelli.network";
const CLASSES: &str = "ocelli.classes";
const PREPROCESS: &str = "ocelli.preprocess";
const TRAINING: &str = "ocelli.training";

fn by_name(params: &Params<f32>) -> Vec<&ParamEntry> {
    let mut entries: Vec<&ParamEntry> = params.layout().entries().iter().collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn parts(params: &Params<f32>) -> Vec<Part<'_>> {
    let part = |entry| Part {
        name: ParamEntry::clone(entry).name,
        shape: entry.spec.shape.sizes().to_vec(),
        values: Box::new(move || Cow::Owned(params.get(entry).into_data())),
    };
    params.layout().entries().iter().map(part).collect()
}

fn check_finite(params: &Params<f32>) -> Result<(), String> {
    let finite = |entry: &&ParamEntry| params.data()[entry.range.clone()].iter().all(|v| v.is_finite());
    match params.layout().entries().iter().find(|entry| !finite(entry)) {
        None => Ok(()),
        Some(entry) => Err(format!(
            "tensor '{}' holds NaN or infinite values: training diverged; train again with a smaller rate",
            entry.name
        )),
    }
}
