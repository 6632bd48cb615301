//! Checkpoints: everything that a run needs to go on as if it had never stopped.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ocelli_core::{Optimizer, OptimizerState, Params};
use serde_json::Value;

use super::IoError;
use super::atomic::{Disk, RealDisk, TEMPORARY_SUFFIX, temporary_prefix, write_on};
use super::container::{self, Container, Format, Part};
use super::network::Network;

/// The whole state of a run. Numbers come back with the very bits that were saved: parameters and optimiser slots as they
/// lie in memory, and the finite numbers in `progress` and `config` too (JSON has no others).
///
/// To save borrowed state, make a `Checkpoint<&Params<f32>, &OptimizerState<f32>>`.
#[derive(Clone, Debug)]
pub struct Checkpoint<P = Params<f32>, S = OptimizerState<f32>> {
    /// The network.
    pub network: Network,
    /// The optimiser, which says what slots there are.
    pub optimizer: Optimizer,
    /// The parameters.
    pub params: P,
    /// What the optimiser remembers.
    pub state: S,
    /// Where the run stands: epoch, batch, the sampler's and the schedule's state, metrics so far.
    pub progress: Value,
    /// The run's configuration.
    pub config: Value,
}

/// The newest checkpoint could not be used, and an older one was.
#[derive(Debug)]
pub struct Fallback {
    /// The checkpoint that was loaded.
    pub used: PathBuf,
    /// Why each newer one was not.
    pub skipped: Vec<IoError>,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.skipped.iter().map(IoError::to_string).collect();
        write!(f, "going on from {}, because {}", self.used.display(), reasons.join("; "))
    }
}

impl<P: Borrow<Params<f32>>, S: Borrow<OptimizerState<f32>>> Checkpoint<P, S> {
    /// Saves into a run folder as `last.ckpt`; the one before becomes `previous.ckpt`. At every instant, whatever fails,
    /// the folder holds a whole checkpoint if it held one before.
    ///
    /// # Errors
    /// [`IoError::Io`].
    ///
    /// # Panics
    /// If the parameters or the slots are not those of the network and the optimiser.
    pub fn save(&self, folder: &Path) -> Result<(), IoError> {
        self.save_on(&RealDisk, folder)
    }

    fn save_on<D: Disk>(&self, disk: &D, folder: &Path) -> Result<(), IoError> {
        let next = folder.join(NEXT);
        remove_leftovers(disk, folder);
        let (metadata, parts) = (self.metadata(), self.parts());
        write_on(disk, &next, |out| container::write(FORMAT, metadata, parts, out))?;
        // From here on `next.ckpt` is whole. It counts as the newest, so that it does not matter how far the
        // renaming gets; each is on the disk before the next one begins.
        let (last, previous) = (folder.join(LAST), folder.join(PREVIOUS));
        if last.exists() {
            rename(disk, &last, &previous, folder)?;
        }
        rename(disk, &next, &last, folder)
    }

    fn metadata(&self) -> BTreeMap<&'static str, String> {
        let optimizer = serde_json::to_string(&self.optimizer).expect("an optimiser's settings are finite");
        BTreeMap::from([
            (NETWORK, self.network.to_toml()),
            (OPTIMIZER, optimizer),
            (STEPS, self.state.borrow().steps.to_string()),
            (PROGRESS, self.progress.to_string()),
            (CONFIG, self.config.to_string()),
        ])
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let slots = self.state.borrow().slots();
        let arenas = std::iter::once(self.params.borrow()).chain(slots);
        let names = arena_names(&self.optimizer);
        assert_eq!(names.len(), 1 + slots.len(), "the slots are those of the optimiser");
        let len = self.network.graph.layout().arena_len();
        let part = |(name, arena): (String, &'_ Params<f32>)| {
            // The borrow of `self` outlives the closure, which outlives this one.
            let data = arena.data();
            assert_eq!(data.len(), len, "the parameters are those of the network");
            (name, data)
        };
        let arenas: Vec<(String, &[f32])> = names.into_iter().zip(arenas).map(part).collect();
        let part =
            |(name, data)| Part { name, shape: vec![len], values: Box::new(move || Cow::Borrowed(data)) };
        arenas.into_iter().map(part).collect()
    }
}

impl Checkpoint {
    /// Loads the newest whole checkpoint of a run folder, and says so if it is not the newest there is.
    ///
    /// # Errors
    /// Without a whole one: what is wrong with the newest. [`IoError::Memory`].
    pub fn load(folder: &Path) -> Result<(Checkpoint, Option<Fallback>), IoError> {
        let mut skipped = Vec::new();
        for name in [NEXT, LAST, PREVIOUS] {
            let path = folder.join(name);
            match Checkpoint::read(&path) {
                Ok(checkpoint) => {
                    let fallback = (!skipped.is_empty()).then_some(Fallback { used: path, skipped });
                    return Ok((checkpoint, fallback));
                }
                Err(e) if is_absent(&e) => {}
                Err(e @ IoError::Memory { .. }) => return Err(e),
                Err(e) => skipped.push(e),
            }
        }
        match skipped.into_iter().next() {
            Some(newest) => Err(newest),
            None => Err(IoError::io("resume from", &folder.join(LAST), std::io::ErrorKind::NotFound.into())),
        }
    }

    fn read(path: &Path) -> Result<Checkpoint, IoError> {
        let file = Container::read(path, FORMAT)?;
        let network = Network::from_toml(file.text(NETWORK)?, "network", None)
            .map_err(|e| file.bad(format!("its network cannot be used: {e}")))?;
        let optimizer: Optimizer = file.json(OPTIMIZER)?;
        optimizer.check().map_err(|e| file.bad(e.to_string()))?;
        let layout = network.graph.layout();
        let names = arena_names(&optimizer);
        let wanted = names.iter().map(|name| (name.clone(), vec![layout.arena_len()]));
        file.check_tensors(&wanted.collect::<Vec<_>>())?;
        let mut params = Params::zeroed(layout)?;
        let mut state = OptimizerState::new(&optimizer, layout)?;
        state.steps = file.json(STEPS)?;
        for (name, arena) in names.iter().zip(std::iter::once(&mut params).chain(state.slots_mut())) {
            file.read_tensor(name, arena.data_mut());
        }
        let (progress, config) = (file.json(PROGRESS)?, file.json(CONFIG)?);
        Ok(Checkpoint { network, optimizer, params, state, progress, config })
    }
}

/// The one that is being renamed to `last.ckpt`; there only after a crash.
const NEXT: &str = "next.ckpt";
const LAST: &str = "last.ckpt";
const PREVIOUS: &str = "previous.ckpt";

/// Version 1 has the arenas as they lie in memory.
const FORMAT: Format = Format { name: "checkpoint", kind: "checkpoint", version: 1 };
const NETWORK: &str = "ocelli.network";
const OPTIMIZER: &str = "ocelli.optimizer";
const STEPS: &str = "ocelli.steps";
const PROGRESS: &str = "ocelli.progress";
const CONFIG: &str = "ocelli.config";

/// The tensors of a checkpoint: the parameters, then the optimiser's slots.
fn arena_names(optimizer: &Optimizer) -> Vec<String> {
    let slots = optimizer.slot_names().iter().map(|slot| format!("slot.{slot}"));
    std::iter::once("params".to_string()).chain(slots).collect()
}

fn rename<D: Disk>(disk: &D, from: &Path, to: &Path, folder: &Path) -> Result<(), IoError> {
    let renamed = disk.rename(from, to).and_then(|()| disk.sync_folder(folder));
    renamed.map_err(|e| IoError::io("write", to, e))
}

/// Removes what killed processes left behind, which takes room. A run folder belongs to one process at a time.
fn remove_leftovers<D: Disk>(disk: &D, folder: &Path) {
    let prefix = temporary_prefix(NEXT);
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(TEMPORARY_SUFFIX) {
            // If it stays, nothing but its room is lost.
            let _ = disk.remove(&entry.path());
        }
    }
}

fn is_absent(error: &IoError) -> bool {
    matches!(error, IoError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
