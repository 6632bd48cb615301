//! `ocelli lecture`: the experiments of the lecture, one or all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ocelli::io::{make_folder, write_text};
use ocelli::lecture::{Context, EXPERIMENTS, Experiment, Outcome, Part, find, page};
use ocelli::{Error, SCHEMA};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::threads;
use crate::console::Console;
use crate::engine::engine;
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json};
use crate::text::{duration, quoted};

/// Options of `lecture`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Experiments by name, or "all" [default: list them]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The folder that figures are written into, and the page of all experiments
    #[arg(long, value_name = "DIR", default_value = "lecture")]
    out: PathBuf,
    /// A folder with real data: mnist (IDX files), cifar10 (pictures by class, or CIFAR's binary files), miniplaces (pictures by
    /// class), photos (photographs of at least 256 pixels a side) [default: what is embedded]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Chooses all random numbers
    #[arg(long, value_name = "N", value_parser = crate::args::seed, default_value = "0")]
    seed: u64,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
The lecture is MIT 6.869's on learned feedforward visual processing (2017). Each experiment prints what it found beside what \
the lecture or the original paper says, and writes its figures as SVG. \"all\" also writes index.html, which shows everything \
with text and equations; it takes a minute or two, and with real data an hour and more. Exit code 1 where something was not found as \
expected.

Examples:
  ocelli lecture
  ocelli lecture neuron
  ocelli lecture all --out lecture
  ocelli lecture all --data data/ --seed 1";

/// The folders of real data that experiments look for.
const REAL: [&str; 4] = ["mnist", "cifar10", "miniplaces", "photos"];

/// The word for every experiment.
const ALL: &str = "all";

/// `lecture --json`.
#[derive(Serialize)]
struct Done {
    schema: u32,
    experiments: Vec<Experimented>,
}

#[derive(Serialize)]
struct Experimented {
    name: &'static str,
    title: &'static str,
    checklist: &'static [u8],
    #[serde(flatten)]
    found: Option<Found>,
}

#[derive(Serialize)]
struct Found {
    accepted: bool,
    data: String,
    measured: Map<String, Value>,
    expected: Map<String, Value>,
    figures: Vec<String>,
    seconds: f64,
}

/// Lists or runs.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let chosen = chosen(&args.names)?;
    if chosen.is_empty() {
        return list(args.json);
    }
    if let Some(folder) = args.data.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("--data {}: there is no such folder", quoted(folder))));
    }
    let context = Context::new(engine(args.threads)?, args.seed, args.data.clone())
        .telling(now_and_then(move |line| console.say(&format!("  {line}"))));
    if let Some(folder) = args.data.as_ref().filter(|_| REAL.iter().all(|name| context.real(name).is_none()))
    {
        return Err(Failure::usage(format!(
            "--data {}: it holds none of the folders {}; leave --data out for the embedded pictures",
            quoted(folder),
            REAL.join(", ")
        )));
    }
    make_folder(&args.out)?;
    let all = args.names.iter().any(|name| name == ALL);
    let (mut outcomes, mut done) = (Vec::new(), Done { schema: SCHEMA, experiments: Vec::new() });
    for experiment in chosen {
        console.say(&format!("{}: {}", experiment.name, experiment.title));
        let outcome = experiment.run(&context)?;
        let figures = outcome.write_figures(&args.out)?;
        if !args.json {
            print(&for_people(&outcome, &figures))?;
        }
        done.experiments.push(experimented(&outcome, &figures));
        outcomes.push(outcome);
    }
    if all {
        let index = args.out.join("index.html");
        write_text(&index, &page(&outcomes, &command(args)))?;
        console.say(&format!("all of it: {}", index.display()));
    }
    if args.json {
        print_json(&done)?;
    }
    let missed = outcomes.iter().filter(|outcome| !outcome.finding.accepted());
    let missed: Vec<&str> = missed.map(|outcome| outcome.experiment.name).collect();
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    console.always(&format!("not found as expected: {}", missed.join(", ")));
    Ok(ExitCode::from(1))
}

/// Passes on a line after every ten seconds without one: most experiments are done by then.
fn now_and_then(say: impl Fn(&str) + Send + Sync) -> impl Fn(&str) + Send + Sync {
    let last = Mutex::new(Instant::now());
    move |line| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= Duration::from_secs(10) {
            say(line);
            *last = Instant::now();
        }
    }
}

/// The experiments of those names, each once.
fn chosen(names: &[String]) -> Result<Vec<&'static Experiment>, Error> {
    let mut chosen: Vec<&Experiment> = Vec::new();
    for name in names {
        if name == ALL {
            return Ok(EXPERIMENTS.iter().collect());
        }
        let experiment = find(name)?;
        if !chosen.iter().any(|other| other.name == experiment.name) {
            chosen.push(experiment);
        }
    }
    Ok(chosen)
}

/// The command that runs this again, as a shell takes it.
fn command(args: &Args) -> String {
    let mut command = "ocelli lecture all".to_owned();
    let folder = |option: &str, folder: &Path| format!(" {option} {}", quoted(folder));
    command += &args.data.as_ref().map(|data| folder("--data", data)).unwrap_or_default();
    if args.seed != 0 {
        command += &format!(" --seed {}", args.seed);
    }
    command + &folder("--out", &args.out)
}

/// Every experiment with its heading, by parts.
fn list(json: bool) -> Result<ExitCode, Failure> {
    if json {
        let experimented = |experiment: &Experiment| Experimented {
            name: experiment.name,
            title: experiment.title,
            checklist: experiment.checklist,
            found: None,
        };
        let experiments = EXPERIMENTS.iter().map(experimented).collect();
        print_json(&Done { schema: SCHEMA, experiments })?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = EXPERIMENTS.iter().map(|experiment| experiment.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for part in Part::ALL {
        let of_part: Vec<_> = EXPERIMENTS.iter().filter(|experiment| experiment.part == part).collect();
        if of_part.is_empty() {
            continue;
        }
        text += &format!("{}{}\n", if text.is_empty() { "" } else { "\n" }, part.title());
        for experiment in of_part {
            text += &format!("  {:<width$}  {}\n", experiment.name, experiment.title);
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn experimented(outcome: &Outcome, figures: &[PathBuf]) -> Experimented {
    let (experiment, finding) = (outcome.experiment, &outcome.finding);
    let checks = || finding.checks.iter();
    let found = Found {
        accepted: finding.accepted(),
        data: finding.data.clone(),
        measured: checks().map(|check| (check.what.clone(), check.found.into())).collect(),
        expected: checks()
            .filter(|check| !check.wanted().is_empty())
            .map(|check| (check.what.clone(), check.wanted().into()))
            .collect(),
        figures: figures.iter().map(|path| path.display().to_string()).collect(),
        seconds: outcome.seconds,
    };
    let Experiment { name, title, checklist, .. } = *experiment;
    Experimented { name, title, checklist, found: Some(found) }
}

fn for_people(outcome: &Outcome, figures: &[PathBuf]) -> String {
    let (experiment, finding) = (outcome.experiment, &outcome.finding);
    let mut text = format!("{} ({})\n", experiment.title, experiment.name);
    for equation in experiment.equations_as_text() {
        text += &format!("  {equation}\n");
    }
    if !finding.data.is_empty() {
        text += &format!("  on {}\n", finding.data);
    }
    text += "\n";
    let columns =
        [("what", Align::Left), ("found", Align::Right), ("expected", Align::Left), ("", Align::Left)];
    let mut table = Table::new(&columns);
    for check in &finding.checks {
        let missed = if check.holds() { "" } else { "NOT AS EXPECTED" };
        table.row([check.what.clone(), check.shown(), check.wanted(), missed.to_owned()]);
    }
    text += &table.render();
    for table in &finding.tables {
        text += &format!("\n{}\n{}", table.title, rendered(table));
    }
    for remark in &finding.remarks {
        text += &format!("\n{remark}\n");
    }
    for path in figures {
        text += &format!("\nfigure  {}", path.display());
    }
    let verdict = if finding.accepted() { "found as expected" } else { "NOT found as expected" };
    format!("{}\n{verdict}, in {}\n\n", text.trim_end(), duration(outcome.seconds))
}

fn rendered(table: &ocelli::lecture::Table) -> String {
    let align = |column: usize| if column == 0 { Align::Left } else { Align::Right };
    let heading: Vec<_> =
        table.heading.iter().enumerate().map(|(i, name)| (name.as_str(), align(i))).collect();
    let mut lines = Table::new(&heading);
    for row in &table.rows {
        lines.row(row.iter().cloned());
    }
    lines.render()
}
