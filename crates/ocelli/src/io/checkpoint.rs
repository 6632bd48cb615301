//! Checkpoints: everything that a run needs to go on as if it had never stopped.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ocelli_core::{Optimizer, OptimizerState, Params};
use serde_json::Value;

use super::atomic::{Disk, RealDisk, TEMPORARY_SUFFIX, temporary_prefix, write_on};
use super::container::{self, Container, Format, Part};
use super::network::Network;
use super::{ErrorKind, IoError};

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
    /// The moving average of the parameters, if the run has one.
    pub average: Option<P>,
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
        let reason = |error: &IoError| match error {
            // Nothing has to be restored: there is another checkpoint.
            IoError::Damaged { path } => {
                format!("{} is damaged: its checksum does not match", path.display())
            }
            other => other.to_string(),
        };
        let reasons: Vec<String> = self.skipped.iter().map(reason).collect();
        write!(f, "{}; the run goes on from {}, which is whole", reasons.join("; "), self.used.display())
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
        let (slots, average) = (self.state.borrow().slots(), self.average.as_ref().map(Borrow::borrow));
        let arenas = std::iter::once(self.params.borrow()).chain(slots).chain(average).map(Params::data);
        let names = arena_names(&self.optimizer, average.is_some());
        assert_eq!(names.len(), arenas.clone().count(), "the slots are those of the optimiser");
        let len = self.network.graph.layout().arena_len();
        assert!(arenas.clone().all(|arena| arena.len() == len), "the parameters are those of the network");
        let part =
            |(name, arena)| Part { name, shape: vec![len], values: Box::new(move || Cow::Borrowed(arena)) };
        names.into_iter().zip(arenas).map(part).collect()
    }
}

impl Checkpoint {
    /// Whether a run folder holds a checkpoint, whole or not.
    pub fn exists(folder: &Path) -> bool {
        [NEXT, LAST, PREVIOUS].iter().any(|name| folder.join(name).exists())
    }

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
                Err(e) if e.kind() == ErrorKind::Memory => return Err(e),
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
        let names = arena_names(&optimizer, file.has_tensor(AVERAGE));
        let wanted = names.iter().map(|name| (name.clone(), vec![layout.arena_len()]));
        file.check_tensors(&wanted.collect::<Vec<_>>())?;
        let mut params = Params::zeroed(layout)?;
        let mut state = OptimizerState::new(&optimizer, layout)?;
        state.steps = file.json(STEPS)?;
        let mut average = file.has_tensor(AVERAGE).then(|| Params::zeroed(layout)).transpose()?;
        let arenas = std::iter::once(&mut params).chain(state.slots_mut()).chain(average.as_mut());
        for (name, arena) in names.iter().zip(arenas) {
            file.read_tensor(name, arena.data_mut());
        }
        let (progress, config) = (file.json(PROGRESS)?, file.json(CONFIG)?);
        Ok(Checkpoint { network, optimizer, params, state, average, progress, config })
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

/// The tensor of averaged parameters, in the checkpoints of runs that average.
const AVERAGE: &str = "average";

/// The tensors of a checkpoint: the parameters, then the optimiser's slots, then the average.
fn arena_names(optimizer: &Optimizer, averages: bool) -> Vec<String> {
    let slots = optimizer.slot_names().iter().map(|slot| format!("slot.{slot}"));
    let average = averages.then(|| AVERAGE.to_string());
    std::iter::once("params".to_string()).chain(slots).chain(average).collect()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ocelli_core::Graph;
    use ocelli_core::ops::{Conv2d, Flatten, Linear};
    use serde_json::json;

    use super::*;
    use crate::io::ErrorKind;
    use crate::io::faulty::DyingDisk;

    /// Bits that a conversion would change: a NaN with a message, −0, the smallest denormal, ∞.
    const ODD: [u32; 4] = [0x7fa0_1234, 0x8000_0000, 0x0000_0001, 0x7f80_0000];

    fn network() -> Network {
        let mut graph = Graph::new();
        let image = graph.input("image", [2, 4, 4]).unwrap();
        let conv = graph.add("conv1", Conv2d::new(3, 3), [image]).unwrap();
        let flat = graph.add("flatten1", Flatten {}, [conv]).unwrap();
        graph.add("out", Linear::new(2), [flat]).unwrap();
        Network { name: "small".to_string(), graph: Arc::new(graph) }
    }

    /// The checkpoint after so many steps, with an average where they are odd: every number in it tells the step.
    fn checkpoint(steps: u64) -> Checkpoint {
        let network = network();
        let optimizer = Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
        let mut params = Params::initialised(network.graph.layout(), steps).unwrap();
        let mut state = OptimizerState::new(&optimizer, network.graph.layout()).unwrap();
        state.steps = steps;
        let mut average = (steps % 2 == 1).then(|| Params::zeroed(network.graph.layout()).unwrap());
        let arenas = std::iter::once(&mut params).chain(state.slots_mut()).chain(average.as_mut());
        for (i, arena) in arenas.enumerate() {
            for (value, bits) in arena.data_mut()[i..].iter_mut().zip(ODD) {
                *value = f32::from_bits(bits);
            }
        }
        let progress = json!({ "epoch": steps, "best": 0.1 + 0.2, "loss": 1.0 / 3.0, "seed": u64::MAX });
        Checkpoint { network, optimizer, params, state, average, progress, config: json!({ "net": "small" }) }
    }

    fn bits(checkpoint: &Checkpoint) -> Vec<Vec<u32>> {
        let slots = checkpoint.state.slots();
        let arenas = std::iter::once(&checkpoint.params).chain(slots).chain(&checkpoint.average);
        arenas.map(|arena| arena.data().iter().map(|v| v.to_bits()).collect()).collect()
    }

    fn assert_same(found: &Checkpoint, saved: &Checkpoint) {
        assert_eq!(bits(found), bits(saved));
        assert_eq!(found.state.steps, saved.state.steps);
        assert_eq!((&found.optimizer, &found.progress), (&saved.optimizer, &saved.progress));
        assert_eq!((&found.config, found.network.to_toml()), (&saved.config, saved.network.to_toml()));
    }

    /// Kills a save after so many steps. Whether it came to its end.
    fn killed_after(steps: usize, checkpoint: &Checkpoint, folder: &Path) -> bool {
        checkpoint.save_on(&DyingDisk::after(steps), folder).is_ok()
    }

    #[test]
    fn a_checkpoint_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let saved = checkpoint(7);
        saved.save(folder.path()).unwrap();
        let (found, fallback) = Checkpoint::load(folder.path()).unwrap();
        assert_same(&found, &saved);
        assert!(fallback.is_none());
        let first = fs::read(folder.path().join(LAST)).unwrap();
        found.save(folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join(LAST)).unwrap(), first, "equal checkpoints are equal bytes");
    }

    #[test]
    fn two_generations_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for steps in 1..=3 {
            checkpoint(steps).save(folder.path()).unwrap();
        }
        let steps = |name| Checkpoint::read(&folder.path().join(name)).unwrap().state.steps;
        assert_eq!((steps(LAST), steps(PREVIOUS)), (3, 2));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn killed_at_any_two_steps_the_run_goes_on_from_a_whole_checkpoint_that_never_gets_older() {
        let saved: Vec<Checkpoint> = (0..5).map(checkpoint).collect();
        let mut crashes = 0;
        'first: for first in 0.. {
            for second in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let mut newest = 1;
                (0..=1).for_each(|i| saved[i].save(folder.path()).unwrap());
                let mut finished = [false; 2];
                for (i, steps) in [first, second].into_iter().enumerate() {
                    finished[i] = killed_after(steps, &saved[i + 2], folder.path());
                    let (found, _) = Checkpoint::load(folder.path()).expect("a whole checkpoint");
                    let at = found.state.steps as usize;
                    assert!(
                        at >= newest && (!finished[i] || at == i + 2),
                        "killed after {first}, {second}: {at}"
                    );
                    assert_same(&found, &saved[at]);
                    newest = at;
                }
                saved[4].save(folder.path()).unwrap();
                assert_eq!(Checkpoint::read(&folder.path().join(LAST)).unwrap().state.steps, 4);
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "leftovers are removed");
                if finished[0] {
                    break 'first;
                }
                if finished[1] {
                    break;
                }
                crashes += 1;
            }
        }
        assert!(crashes >= 60, "there are nine steps to die at, twice: not just {crashes} cases");
    }

    #[test]
    fn a_damaged_last_checkpoint_is_skipped_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let saved: Vec<Checkpoint> = (0..3).map(checkpoint).collect();
        (0..=1).for_each(|i| saved[i].save(folder.path()).unwrap());
        let last = folder.path().join(LAST);
        let whole = fs::read(&last).unwrap();
        for len in (0..whole.len()).step_by(37) {
            let flipped = [&whole[..len], &[whole[len] ^ 4], &whole[len + 1..]].concat();
            for damaged in [&whole[..len], &flipped] {
                fs::write(&last, damaged).unwrap();
                let (found, fallback) = Checkpoint::load(folder.path()).unwrap();
                assert_same(&found, &saved[0]);
                let warning = fallback.expect("a warning").to_string();
                assert!(warning.contains(PREVIOUS) && warning.contains(LAST), "{warning}");
            }
        }
        // Nor does the damaged one ever take the place of the good one before another is whole.
        for steps in 0.. {
            let copy = tempfile::tempdir().unwrap();
            fs::write(copy.path().join(LAST), b"damaged").unwrap();
            fs::copy(folder.path().join(PREVIOUS), copy.path().join(PREVIOUS)).unwrap();
            let finished = killed_after(steps, &saved[2], copy.path());
            assert!(matches!(Checkpoint::load(copy.path()).unwrap().0.state.steps, 0 | 2));
            if finished {
                break;
            }
        }
    }

    #[test]
    fn without_a_whole_checkpoint_the_error_is_about_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let error = Checkpoint::load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(LAST), "{error}");
        fs::write(folder.path().join(LAST), "neither").unwrap();
        fs::write(folder.path().join(PREVIOUS), "nor").unwrap();
        let error = Checkpoint::load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile);
        assert!(error.to_string().contains(LAST), "{error}");
    }

    #[test]
    fn borrowed_state_is_saved_alike() {
        let (folder, owned) = (tempfile::tempdir().unwrap(), checkpoint(3));
        let borrowed = Checkpoint {
            network: owned.network.clone(),
            optimizer: owned.optimizer.clone(),
            params: &owned.params,
            state: &owned.state,
            average: owned.average.as_ref(),
            progress: owned.progress.clone(),
            config: owned.config.clone(),
        };
        borrowed.save(folder.path()).unwrap();
        assert_same(&Checkpoint::load(folder.path()).unwrap().0, &owned);
    }
}
