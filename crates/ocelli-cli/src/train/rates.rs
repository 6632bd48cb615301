//! `ocelli train --find-lr`: which learning rate suits a network and its data.

use std::path::Path;
use std::process::ExitCode;

use ocelli::io::write_atomically;
use ocelli::report::render_rates;
use ocelli::train::{RateSweep, RunConfig, RunFolder, find_rate};
use ocelli::{Engine, Error};
use ocelli_data::{CachePlan, Splits};
use serde::Serialize;

use super::args::Args;
use super::found::Found;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::{print, print_json};
use crate::text::rate;

/// `--json`.
#[derive(Serialize)]
struct Result<'a> {
    /// The page with the curve.
    page: String,
    #[serde(flatten)]
    sweep: &'a RateSweep,
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
    let sweep = find_rate(config, splits, engine, &stop)?;
    let folder = match &args.run.out {
        Some(path) => RunFolder::create(path)?,
        None => RunFolder::create_next(Path::new("runs"), &format!("{}-rates", splits.name))?,
    };
    let page = folder.path().join("rates.html");
    let page_name = page.display().to_string();
    let json = serde_json::to_string_pretty(&sweep).expect("plain data");
    let files = [(page, render_rates(&sweep)), (folder.path().join("rates.json"), json)];
    for (path, text) in files {
        write_atomically(&path, |file| file.write_all(text.as_bytes())).map_err(Error::from)?;
    }
    match args.run.json {
        true => print_json(&Result { page: page_name, sweep: &sweep })?,
        false => print(&format!(
            "{:<12}--lr {}\n{:<12}{}, at which the loss was lowest\n{:<12}{page_name}\n",
            "suggested",
            rate(sweep.suggested),
            "a tenth of",
            rate((sweep.lowest * 1e4).round() / 1e4),
            "curve",
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
