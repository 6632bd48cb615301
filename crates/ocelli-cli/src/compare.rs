//! `ocelli compare`: training runs held against each other.

use std::path::PathBuf;
use std::process::ExitCode;

use ocelli::comparison::{Along, RunCurve, draw_curves, has_top5, same_images};
use ocelli::{Error, SCHEMA};
use serde::Serialize;

use crate::console::Console;
use crate::failure::Failure;
use crate::output::{Align, Table, check_ending, print, print_json, write_file};
use crate::text::{count, duration, parts, percent};

/// Options of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folders of runs, which may still be going on
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Draw held-out accuracy over time into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// What it is drawn over
    #[arg(long, value_name = "WHAT", requires = "plot", default_value = "minutes")]
    over: Over,
    /// Tell when each run first had this accuracy, in percent
    #[arg(long, value_name = "PERCENT", value_parser = goal)]
    reach: Option<f64>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// `--over`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Over {
    /// Minutes of training
    Minutes,
    /// Epochs
    Epochs,
}

const EXAMPLES: &str = "\
Examples:
  ocelli compare runs/photos-1 runs/photos-2
  ocelli compare runs/* --plot curves.svg --over epochs
  ocelli compare runs/cifar-1 --reach 90";

/// `--json`.
#[derive(Serialize)]
struct Comparison<'a> {
    schema: u32,
    runs: &'a [RunCurve],
    /// With `--reach`: after how many seconds each run was first as accurate.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<Vec<Option<f64>>>,
}

/// Compares.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.plot {
        check_ending("--plot", file, "svg", "it draws an SVG file")?;
    }
    let runs = args.runs.iter().map(|run| RunCurve::read(run)).collect::<Result<Vec<_>, Error>>()?;
    if !same_images(&runs) {
        console
            .warn("not all of these runs were validated on the same images, so their figures do not compare");
    }
    if let Some(file) = &args.plot {
        let along = match args.over {
            Over::Minutes => Along::Minutes,
            Over::Epochs => Along::Epochs,
        };
        write_file(file, &draw_curves(&runs, along).svg())?;
        console.fact("plot", file.display());
    }
    match args.json {
        true => {
            let reached = args.reach.map(|goal| runs.iter().map(|run| run.reached(goal)).collect());
            print_json(&Comparison { schema: SCHEMA, runs: &runs, reached })?;
        }
        false => print(&table(&runs, args.reach).render())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(runs: &[RunCurve], goal: Option<f64>) -> Table {
    let reach = goal.map(|goal| format!("to {}", percent(goal))).unwrap_or_default();
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("net", Align::Left),
        ("parameters", Align::Right),
        ("epochs", Align::Right),
        ("time", Align::Right),
        ("images/s", Align::Right),
        ("loss", Align::Right),
        ("top-1", Align::Right),
        ("top-5", Align::Right),
        ("best top-1", Align::Right),
        (&reach, Align::Right),
    ]);
    let share = |share: Option<f64>| share.map(percent).unwrap_or_default();
    let top5 = has_top5(runs);
    for run in runs {
        let (last, best) = (run.last(), run.best());
        table.row([
            run.run.clone(),
            run.net.clone(),
            count(run.parameters as u64),
            parts(last.epoch),
            duration(last.seconds),
            count(last.images_per_second as u64),
            last.loss.map(|loss| format!("{loss:.4}")).unwrap_or_default(),
            share(last.top1),
            if top5 { share(last.top5) } else { String::new() },
            format!("{} after {}", share(best.top1), parts(best.epoch)),
            goal.map_or(String::new(), |goal| run.reached(goal).map_or("not".to_string(), duration)),
        ]);
    }
    table
}

/// A share in percent.
fn goal(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err("give a number above 0 and up to 100, such as 90".to_string()),
    }
}
