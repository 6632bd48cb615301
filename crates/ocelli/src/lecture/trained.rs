//! Networks trained for an experiment, as `ocelli train` trains them.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ocelli_data::Splits;

use super::Context;
use super::learner::each;
use crate::io::ModelFile;
use crate::train::{Control, EpochRecord, Event, NetSpec, Outcome, RunConfig, RunFolder, Trainer};
use crate::{Engine, Error, Recipe};

/// A network that was trained, and what its run says.
pub(super) struct Trained {
    /// The network, with what is done to pictures before.
    pub(super) model: ModelFile,
    /// Figures of the run.
    pub(super) outcome: Outcome,
    /// `metrics.jsonl`, a record per epoch.
    pub(super) metrics: Vec<EpochRecord>,
}

/// What is changed of a recipe.
pub(super) type Change<'a> = Box<dyn Fn(&mut Recipe) + Sync + 'a>;

/// What is to be trained.
pub(super) struct Job<'a> {
    /// On which images, and on which they are measured.
    pub(super) splits: &'a Splits,
    /// The network.
    pub(super) net: NetSpec,
    /// What is changed of its recipe.
    pub(super) change: &'a (dyn Fn(&mut Recipe) + Sync),
    /// Chooses weights and order.
    pub(super) seed: u64,
}

/// Trains in a folder that is gone afterwards.
pub(super) fn train(context: &Context, job: &Job) -> Result<Trained, Error> {
    train_on(context.engine(), job, &|line| context.tell(line))
}

/// The same on another engine; `tell` takes a line after each epoch.
pub(super) fn train_on(engine: &Engine, job: &Job, tell: &dyn Fn(&str)) -> Result<Trained, Error> {
    let folder =
        tempfile::tempdir().map_err(|e| Error::Io(format!("cannot make a folder to train in: {e}")))?;
    let mut recipe = job.net.recipe()?;
    (job.change)(&mut recipe);
    let config = RunConfig::resolve(&job.splits.name, None, &job.net, recipe, job.seed, job.splits)?;
    let epochs = config.recipe.epochs;
    let run = RunFolder::create(&folder.path().join("run"))?;
    let mut trainer = Trainer::begin(config, job.splits.clone(), engine, run.clone(), "ocelli lecture")?;
    let (stop, never) = (AtomicBool::new(false), Duration::MAX);
    let what = format!("{}, seed {}", job.splits.name, job.seed);
    let mut observer = |event: &Event| {
        if let Event::Epoch(EpochRecord { row, .. }) = event {
            let right = row.val_top1.map(|top1| format!(", {:.2} % right", 100.0 * top1)).unwrap_or_default();
            tell(&format!("{what}: epoch {} of {epochs}{right}", row.epoch));
        }
    };
    trainer.run(&mut Control { observer: &mut observer, stop: &stop, checkpoint_every: never })?;
    let outcome = trainer.finish()?;
    let model = ModelFile::load(outcome.model.as_ref())?;
    Ok(Trained { model, outcome, metrics: run.load_metrics()? })
}

/// Trains several, as many at a time as there are threads, each on one of its own. For networks whose steps are too small
/// to be shared out: one image at a time.
pub(super) fn train_side_by_side(context: &Context, jobs: &[Job]) -> Result<Vec<Trained>, Error> {
    each(context.engine(), jobs.len(), |job| {
        let tell = |line: &str| context.tell(&format!("network {} of {}: {line}", job + 1, jobs.len()));
        train_on(&Engine::new(1, context.engine().isa())?, &jobs[job], &tell)
    })
}
