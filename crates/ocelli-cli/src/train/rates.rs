//! `ocelli train --find-lr`: which learning rate suits a network and its data.

use std::process::ExitCode;

use ocelli::report::render_rates;
use ocelli::train::{RateSweep, RunConfig, check_sweep, find_rate};
use ocelli::{Engine, Error, Recipe};
use ocelli_data::{CachePlan, Splits};
use serde::Serialize;

use super::args::{Args, OptimizerName};
use super::found::Found;
use super::run_folder;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::{print, print_json, write_file};
use crate::text::{found_rate, rate};

/// `--json`.
#[derive(Serialize)]
struct Result<'a> {
    /// The page with the curve.
    page: String,
    #[serde(flatten)]
    sweep: &'a RateSweep,
}

/// Refuses an optimiser whose rate no sweep finds, if `recipe`, which is there where the network is known, or an option names it.
///
/// # Errors
/// As [`check_sweep`].
pub(super) fn check(args: &Args, recipe: Option<&Recipe>) -> std::result::Result<(), Error> {
    let asked = args.recipe.optimizer.map(OptimizerName::optimizer);
    recipe.map(|recipe| &recipe.optimizer).or(asked.as_ref()).map_or(Ok(()), check_sweep)
}

/// Finds a rate, writes the curve, and says what to type.
///
/// # Errors
/// As for a run, and a folder that cannot be written.
pub(super) fn find(
    args: &Args,
    config: &RunConfig,
    splits: &Splits,
    engine: &Engine,
    console: Console,
) -> std::result::Result<ExitCode, Failure> {
    Found::new(config, splits, CachePlan::default(), engine)?.tell(console);
    let stop = interrupt::watch()?;
    // Before the steps: their result needs a place.
    let (folder, made) = run_folder(args.run.out.as_deref(), &format!("{}-rates", splits.name))?;
    let found = folder.lock().and_then(|()| find_rate(config, splits, engine, &stop));
    let sweep = found.inspect_err(|_| {
        if made {
            folder.remove_unused()
        }
    })?;
    let page = folder.path().join("rates.html");
    let page_name = page.display().to_string();
    write_file(&page, &render_rates(&sweep))?;
    let json = serde_json::to_string_pretty(&sweep).expect("plain data");
    write_file(&folder.path().join("rates.json"), &json)?;
    match args.run.json {
        true => print_json(&Result { page: page_name, sweep: &sweep })?,
        false => print(&format!(
            "{:<12}--lr {}\n{:<12}{}, at which the loss was lowest\n{:<12}{page_name}\n",
            "suggested",
            rate(sweep.suggested),
            "a third of",
            found_rate(sweep.lowest),
            "curve",
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
