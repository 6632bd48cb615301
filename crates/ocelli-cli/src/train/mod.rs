//! `ocelli train`: a new run, or more of one that is there.

mod args;
mod found;
mod rates;
mod recipe;
mod schedule;
mod shown;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ocelli::io::Checkpoint;
use ocelli::train::{Control, NetSpec, Outcome, Pretrained, RunConfig, RunFolder, Trainer, data_digest};
use ocelli::{Engine, Error, Recipe};
use ocelli_data::{CachePlan, OpenOptions, Splits};
use serde::Serialize;

pub(crate) use args::Args;
use args::NetworkArgs;
use found::Found;

use crate::console::Console;
use crate::engine::engine;
use crate::failure::Failure;
use crate::interrupt;
use crate::model;
use crate::network::{AUTOMATIC, naming_those_that_fit};
use crate::output::{check_png, print, print_json};
use crate::progress::Progress;
use crate::text::{bytes, count, counted, duration, parts, percent, quoted};

/// Trains.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let ended = match (&args.resume, &args.repeat) {
        (Some(run), _) => resume(args, run, start, console),
        (None, Some(run)) => repeat(args, run, start, console),
        (None, None) => begin(args, start, console),
    };
    if let (true, Err(Failure::Error(error))) = (args.run.json_lines, &ended) {
        // Where nobody reads, there is still the exit code.
        let _ = print_json(&Ended::from(error));
    }
    ended
}

/// The last line of `--json-lines` where there is no result.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Ended {
    Interrupted { run: String, resume: String },
    Error { exit_code: u8, message: String },
}

impl From<&Error> for Ended {
    fn from(error: &Error) -> Ended {
        match error {
            Error::Interrupted(run) => {
                Ended::Interrupted { run: run.display().to_string(), resume: resume_command(run) }
            }
            other => Ended::Error { exit_code: other.exit_code(), message: other.to_string() },
        }
    }
}

/// The command that goes on with a run.
pub(crate) fn resume_command(run: &Path) -> String {
    format!("ocelli train --resume {}", quoted(run))
}

/// A new run.
fn begin(args: &Args, start: Instant, console: Console) -> Result<ExitCode, Failure> {
    let data = args.data.as_deref().expect("clap requires DATA without --resume and --repeat");
    let seed = args.network.seed.unwrap_or(0);
    let asked = Asked::of(args, console)?;
    // What can be refused without the data is refused before they are read.
    let recipe = asked.recipe(args).transpose()?;
    if args.run.find_lr {
        rates::check(args, recipe.as_ref())?;
    }
    args.run.show_batch.as_deref().map(|file| check_png(shown::OPTION, file)).transpose()?;
    if let Some(out) = args.run.out.as_deref().filter(|_| !args.run.dry_run && args.run.show_batch.is_none())
    {
        RunFolder::check_free(out)?;
    }
    let engine = engine(args.run.threads)?;
    let options = args.source.options(args.network.val.as_deref().map(Path::new), seed)?;
    let splits = open(Path::new(data), &options, console)?;
    let mut config = asked.config(args, data, seed, &splits, &engine)?;
    config.set_source(&options)?;
    if args.run.find_lr {
        return rates::find(args, &config, &splits, &engine, console);
    }
    train(args, config, splits, &engine, start, console)
}

/// Which network was asked for.
enum Asked {
    /// The one that suits the images.
    Default,
    /// This one.
    Net(NetSpec),
    /// That of a model, with its parameters.
    Model(Box<Pretrained>),
}

impl Asked {
    fn of(args: &Args, console: Console) -> Result<Asked, Failure> {
        let NetworkArgs { net, widths, from, .. } = &args.network;
        if let Some(model) = from {
            return Ok(Asked::Model(Box::new(Pretrained::load(&model::file(model, console)?)?)));
        }
        let Some(net) = net.as_deref().filter(|net| *net != AUTOMATIC) else {
            return match widths.is_empty() {
                true => Ok(Asked::Default),
                false => Err(Failure::usage(
                    "--widths is for networks such as --net mlp, not for one that the images choose",
                )),
            };
        };
        let net = NetSpec::new(net, widths.clone());
        match matches!(net, NetSpec::File(_)) && !widths.is_empty() {
            true => Err(Failure::usage(
                "--widths does not go with a network file, which says itself how wide its layers are; leave it out",
            )),
            false => Ok(Asked::Net(net)),
        }
    }

    /// The recipe, if the network is known without the images.
    fn recipe(&self, args: &Args) -> Option<Result<Recipe, Error>> {
        match self {
            Asked::Default => None,
            Asked::Net(net) => Some(recipe_of(args, net)),
            Asked::Model(model) => {
                Some(model.recipe().and_then(|recipe| args.recipe.apply(model.net(), recipe)))
            }
        }
    }

    /// What a run on these images is to do.
    fn config(
        &self,
        args: &Args,
        data: &str,
        seed: u64,
        splits: &Splits,
        engine: &Engine,
    ) -> Result<RunConfig, Failure> {
        let val = args.network.val.as_deref();
        if let (Asked::Model(model), Some(recipe)) = (self, self.recipe(args)) {
            let config = RunConfig::fine_tune(data, val, model, recipe?, seed, splits)?;
            return size_is_taken(args, config);
        }
        let net = match self {
            Asked::Net(net) => net.clone(),
            _ => {
                let time = args.recipe.time_budget.map(|seconds| seconds * engine.threads() as f64);
                NetSpec::automatic(&*splits.train, time)
            }
        };
        let (input, classes) = (splits.train.image_shape(), splits.train.classes().len());
        let config = RunConfig::resolve(data, val, &net, recipe_of(args, &net)?, seed, splits);
        size_is_taken(args, config.map_err(|e| naming_those_that_fit(e, &net, input, classes))?)
    }
}

/// Refuses a size that was asked for of a network with an input of its own.
fn size_is_taken(args: &Args, config: RunConfig) -> Result<RunConfig, Failure> {
    let (own, pad) = (config.preprocess.size, config.preprocess.pad);
    let padded = own.map(|side| side + 2 * pad);
    match args.source.size.filter(|asked| ![own, padded].contains(asked)) {
        Some([rows, columns]) => Err(Failure::usage(format!(
            "--size {rows}x{columns}: this network takes pictures of {}x{} and no others; leave --size out, or take another network",
            padded[0], padded[1]
        ))),
        None => Ok(config),
    }
}

fn recipe_of(args: &Args, net: &NetSpec) -> Result<Recipe, Error> {
    args.recipe.apply(&name_of(net), net.recipe()?)
}

/// Trains by a configuration, or shows what would happen.
fn train(
    args: &Args,
    config: RunConfig,
    mut splits: Splits,
    engine: &Engine,
    start: Instant,
    console: Console,
) -> Result<ExitCode, Failure> {
    let cache = splits.plan_cache(args.run.cache.unwrap_or_default());
    let found = Found::new(&config, &splits, cache, engine)?;
    found.warn(console);
    if let Some(file) = &args.run.show_batch {
        return shown::show(file, &config, &splits, args.run.json).map(|()| ExitCode::SUCCESS);
    }
    if args.run.dry_run {
        return found.print(args.run.json).map(|()| ExitCode::SUCCESS);
    }
    found.tell(console);
    keep_decoded(&mut splits, cache, console)?;
    let (folder, made) = run_folder(args.run.out.as_deref(), &splits.name)?;
    console.fact("run", folder.path().display());
    let out = folder.clone();
    let begun = Trainer::begin(config, splits, engine, folder, &command());
    // A run that never began leaves no folder that it made, unless something lies in it.
    let mut trainer = begun.inspect_err(|_| {
        if made {
            out.remove_unused()
        }
    })?;
    trainer.count_from(start);
    let run = out.path();
    finish(args, &mut trainer, console).map_err(|failure| if_it_can_go_on(failure, run))
}

/// Does again what a run did.
fn repeat(args: &Args, run: &Path, start: Instant, console: Console) -> Result<ExitCode, Failure> {
    let mut decided = args.decided_by_run();
    decided.extend(args.recipe.epochs.map(|_| "--epochs"));
    if !decided.is_empty() {
        return Err(Failure::usage(format!(
            "--repeat does what the run did, so {} cannot be given; leave {} out, or begin another run without --repeat",
            decided.join(", "),
            if decided.len() == 1 { "it" } else { "them" }
        )));
    }
    let folder = RunFolder::open(run)?;
    let before = folder.load_config()?;
    let config = before.repeated(&folder.load_metrics()?)?;
    let engine = engine(args.run.threads)?;
    before.differences_of_maker(&engine).into_iter().for_each(|difference| console.warn(difference));
    let splits = open(config.data_spec(), &config.open_options(), console)?;
    let here = [&splits.train, &splits.val].map(|set| data_digest(&**set));
    if folder.images_of_run().is_some_and(|images| images != here) {
        return Err(Error::Bad(format!(
            "'{}' no longer holds the images that {} was made with, so its weights cannot be made again; restore them",
            config.data,
            run.display()
        ))
        .into());
    }
    train(args, config, splits, &engine, start, console)
}

/// Goes on with a run.
fn resume(args: &Args, run: &Path, start: Instant, console: Console) -> Result<ExitCode, Failure> {
    let fixed = args.fixed_by_run();
    if !fixed.is_empty() {
        return Err(Failure::usage(format!(
            "--resume goes on with the run as it was begun, so {} cannot be given; leave {} out, or begin another run \
             without --resume. What can change: --epochs, the new total; --threads; --cache; --checkpoint-every; what is printed",
            fixed.join(", "),
            if fixed.len() == 1 { "it" } else { "them" }
        )));
    }
    let folder = RunFolder::open(run)?;
    let mut config = folder.load_config()?;
    if let Some(epochs) = args.recipe.epochs.filter(|_| config.recipe.is_stretched()) {
        return Err(Failure::usage(format!(
            "this run has {}, to whose end its schedule was stretched, so --epochs {epochs} cannot be its new total; leave it \
             out, or begin another run with --from {}",
            if config.recipe.steps.is_some() { "a number of steps" } else { "a time budget" },
            quoted(run)
        )));
    }
    if let Some(epochs) = args.recipe.epochs.filter(|epochs| *epochs != config.recipe.epochs) {
        config.recipe.epochs = epochs;
        config.pace.clear();
        config.commands.push(command());
    }
    let engine = engine(args.run.threads)?;
    let mut splits = open(config.data_spec(), &config.open_options(), console)?;
    let cache = splits.plan_cache(args.run.cache.unwrap_or_default());
    Found::new(&config, &splits, cache, &engine)?.tell(console);
    keep_decoded(&mut splits, cache, console)?;
    console.fact("run", folder.path().display());
    let (mut trainer, warnings) = Trainer::resume(config, splits, &engine, folder)?;
    warnings.into_iter().for_each(|warning| console.warn(warning));
    trainer.count_from(start);
    finish(args, &mut trainer, console).map_err(|failure| if_it_can_go_on(failure, run))
}

/// A failure of disk, data or memory after which the run can go on says how.
fn if_it_can_go_on(failure: Failure, run: &Path) -> Failure {
    let Failure::Error(error) = failure else { return failure };
    let advised = |text: String| match Checkpoint::exists(run) {
        true => format!("{text}\n  the last checkpoint is whole; to continue: {}", resume_command(run)),
        false => text,
    };
    Failure::Error(match error {
        Error::Io(text) => Error::Io(advised(text)),
        Error::Bad(text) => Error::Bad(advised(text)),
        Error::Limit(text) => Error::Limit(advised(text)),
        other => other,
    })
}

/// Opens the data, and says so first: large ones take a moment.
fn open(data: &Path, options: &OpenOptions, console: Console) -> Result<Splits, Failure> {
    console.fact("reading", data.display());
    let splits = ocelli_data::open(data, options)?;
    splits.check()?;
    Ok(splits)
}

/// Decodes the pictures that are to be kept in memory.
fn keep_decoded(splits: &mut Splits, cache: CachePlan, console: Console) -> Result<(), Failure> {
    if cache.bytes > 0 {
        let pictures = counted(cache.images.iter().sum(), "picture");
        console.fact("cache", format!("{pictures} decoded, {} of memory", bytes(cache.bytes)));
        splits.keep_decoded(&cache)?;
    }
    Ok(())
}

fn name_of(net: &NetSpec) -> String {
    match net {
        NetSpec::Named { name, .. } => name.clone(),
        NetSpec::File(path) => path.display().to_string(),
    }
}

/// The folder of a new run, and whether it was not there before.
fn run_folder(out: Option<&Path>, data: &str) -> Result<(RunFolder, bool), Error> {
    let made = out.is_none_or(|path| !path.exists());
    let folder = match out {
        Some(path) => RunFolder::create(path)?,
        None => RunFolder::create_next(Path::new("runs"), data)?,
    };
    Ok((folder, made))
}

/// Trains to the end and prints the result.
fn finish(args: &Args, trainer: &mut Trainer, console: Console) -> Result<ExitCode, Failure> {
    let stop = interrupt::watch()?;
    let mut progress = Progress::new(console, args.run.json_lines);
    let mut control = Control {
        observer: &mut |event| progress.observe(event),
        stop: &stop,
        checkpoint_every: Duration::try_from_secs_f64(args.run.checkpoint_every).unwrap_or(Duration::MAX),
    };
    let trained = trainer.run(&mut control);
    progress.end();
    let replaced = trainer.replaced();
    if replaced.count > 0 {
        let pictures = counted(replaced.count, "picture");
        console.warn(format!(
            "{pictures} could not be decoded, in whose place others of the class stood, such as {}",
            replaced.first[0]
        ));
    }
    trained?;
    let outcome = trainer.finish()?;
    result(args, &outcome)?;
    Ok(ExitCode::SUCCESS)
}

/// This command, as a shell takes it.
pub(crate) fn command() -> String {
    let words: Vec<String> = std::env::args_os().skip(1).map(quoted).collect();
    format!("ocelli {}", words.join(" "))
}

fn result(args: &Args, outcome: &Outcome) -> Result<(), Failure> {
    /// The last line of `--json-lines`.
    #[derive(Serialize)]
    struct End<'a> {
        event: &'static str,
        #[serde(flatten)]
        outcome: &'a Outcome,
    }
    match (args.run.json, args.run.json_lines) {
        (true, _) => print_json(outcome),
        (_, true) => print_json(&End { event: "end", outcome }),
        _ => print(&for_people(outcome)),
    }
}

/// A share of waiting from which on a user should know that images are what training waits for.
const WORTH_SAYING: f64 = 0.02;
/// Seconds of a run of which one wants to know why it is not shorter.
const LONG: f64 = 10.0;

fn for_people(outcome: &Outcome) -> String {
    let val = &outcome.val;
    let top5 = val.top5.map(|top5| format!(", top-5 {}", percent(top5))).unwrap_or_default();
    let memory =
        outcome.peak_memory_bytes.map(|peak| format!(", {} of memory", bytes(peak))).unwrap_or_default();
    let report = Path::new(&outcome.run).join("report.html");
    let of_best = outcome.best_epoch.map(|epoch| format!(", of epoch {}", parts(epoch))).unwrap_or_default();
    let mut lines = vec![
        ("validation", format!("top-1 {}{top5}, loss {:.4}{of_best}", percent(val.top1), val.loss)),
        (
            "training",
            format!(
                "top-1 {}, loss {:.4}, in epoch {}",
                percent(outcome.train.top1),
                outcome.train.loss,
                parts(outcome.epochs)
            ),
        ),
        (
            "time",
            format!(
                "{}, {} images/s{memory}",
                duration(outcome.seconds),
                count(outcome.images_per_second as u64)
            ),
        ),
    ];
    if outcome.waiting > WORTH_SAYING && outcome.seconds > LONG {
        lines.push((
            "waiting",
            format!("{} of the steps' time was spent waiting for images", percent(outcome.waiting)),
        ));
    }
    lines.extend([
        ("model", outcome.model.clone()),
        ("report", report.display().to_string()),
        ("weights", format!("sha256 {}", outcome.weights_sha256)),
    ]);
    lines.into_iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
}
