//! `ocelli eval`: how good models are, class by class, and how good a submission to a challenge is.

mod challenge;
mod images;
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ocelli::Error;
use ocelli::ensemble::{Ensemble, EnsembleOptions, Views};
use ocelli::eval::Evaluation;
use ocelli::io::check_folder;
use ocelli::report::{Report, render};
use ocelli_data::{Dataset, match_classes};

use crate::console::Console;
use crate::counting::Counting;
use crate::engine::engine;
use crate::failure::Failure;
use crate::output::{print, print_json, write_file};
use crate::text::counted;
use crate::train::command;

pub(crate) use challenge::categories;

/// Options of `eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(crate) struct Args {
    /// Run folders or model files, whose probabilities are averaged where there are several; and last, labelled images: a
    /// folder or file of data, or `digits` (built in). With --submission or --leaderboard: a list file, `path label` in each line
    #[arg(value_name = "MODEL... DATA", required = true)]
    inputs: Vec<PathBuf>,
    /// The folder, or the tar archive, that paths in a list or CSV are relative to [default: the folder of the list, or an
    /// archive beside it that is called like it]
    #[arg(long, value_name = "DIR|TAR")]
    root: Option<PathBuf>,
    /// Measure all images: those of every split, and those that the model was trained on too
    #[arg(long)]
    all: bool,
    /// Views of each image, whose probabilities are averaged: centre, flip (and its mirror image) or ten-crop (corners and
    /// centre, and their mirror images)
    #[arg(long, value_name = "VIEWS", value_parser = crate::args::views(), default_value = "centre")]
    views: Views,
    /// Write a page with figures, pictures and curves into this HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Score a submission against LIST: five labels for each picture
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "views", "root", "leaderboard", "report"])]
    submission: Option<PathBuf>,
    /// Rank all submissions in a folder against LIST
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["all", "views", "root"])]
    leaderboard: Option<PathBuf>,
    /// The classes of the challenge and their numbers, `/a/abbey 0` in each line, or classes alone in their order [default:
    /// categories.txt or classes.txt beside LIST, if it is there]
    #[arg(long, value_name = "FILE")]
    categories: Option<PathBuf>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = crate::args::threads)]
    threads: Option<usize>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const USAGE: &str = "ocelli eval [OPTIONS] <MODEL>... <DATA>
       ocelli eval [OPTIONS] --submission <FILE> <LIST>
       ocelli eval [OPTIONS] --leaderboard <FOLDER> <LIST>";

const EXAMPLES: &str = "\
The test split of DATA is measured if it has one, or else its validation split. Without either, data that the model was trained on give the images \
that were held out, and other data give all. Classes are matched by name. -v lists every class.

An image that cannot be read is named and left out of all figures, and the exit code is 3.

Examples:
  ocelli eval runs/digits-1 digits
  ocelli eval runs/mnist-1/model.safetensors mnist/ --json
  ocelli eval runs/photos-1 runs/photos-2 photos/ --views flip --report two.html
  ocelli eval --submission mine.txt val.txt
  ocelli eval --leaderboard submissions/ val.txt --report board.html";

impl Args {
    fn models(&self) -> &[PathBuf] {
        &self.inputs[..self.inputs.len() - 1]
    }

    fn data(&self) -> &Path {
        &self.inputs[self.inputs.len() - 1]
    }
}

/// Evaluates.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    if args.submission.is_some() || args.leaderboard.is_some() {
        return challenge::run(args, console);
    }
    if args.categories.is_some() {
        return Err(Failure::usage("--categories goes with --submission and --leaderboard; leave it out"));
    }
    if args.models().is_empty() {
        return Err(Failure::usage("give a model and data to measure it on: ocelli eval MODEL... DATA"));
    }
    args.report.as_deref().map_or(Ok(()), check_folder)?;
    let started = ocelli::machine::now();
    let models =
        args.models().iter().map(|path| crate::model::load(path, console)).collect::<Result<Vec<_>, _>>()?;
    let (dataset, which) = images::images(args, &models, console)?;
    let options = EnsembleOptions { views: args.views, invert: false };
    let mut ensemble = Ensemble::new(models, &engine(args.threads)?, options)?;
    let dataset = match_classes(dataset, ensemble.classes())?;
    let data = args.data().display();
    if dataset.is_empty() {
        let reason =
            format!("{data}: there is nothing to measure: {which} has no images; --all takes every image");
        return Err(Error::Bad(reason).into());
    }
    console.fact("data", format!("{} of {data}: {which}", counted(dataset.len(), "image")));
    if ensemble.len() > 1 {
        console.fact("models", format!("{}, their probabilities averaged", ensemble.len()));
    }
    let mut counting = Counting::new(console, dataset.len(), true);
    let evaluation = ensemble.evaluate_telling(&dataset, &mut |done| counting.at(done));
    counting.end();
    let evaluation = evaluation?;
    evaluation.unreadable.iter().for_each(|picture| console.error(&picture.error));
    if let Some(path) = &args.report {
        write_report(args, path, &ensemble, &evaluation, (&dataset, which), started)?;
        console.fact("report", path.display());
    }
    match args.json {
        true => print_json(&evaluation)?,
        false => print(&tables::for_people(&evaluation, console.verbose()))?,
    }
    match evaluation.unreadable.len() {
        0 => Ok(ExitCode::SUCCESS),
        bad => Err(Error::Bad(format!(
            "{bad} of {} could not be read, and are in no figure",
            counted(dataset.len(), "image")
        ))
        .into()),
    }
}

/// Writes the page of an evaluation of `which` images.
fn write_report(
    args: &Args,
    path: &Path,
    ensemble: &Ensemble,
    evaluation: &Evaluation,
    (dataset, which): (&Arc<dyn Dataset>, &str),
    started: String,
) -> Result<(), Failure> {
    let names: Vec<String> = args.models().iter().map(|path| crate::model::name(path)).collect();
    let views = match args.views {
        Views::Centre => String::new(),
        views => format!(", {}", views.name()),
    };
    let report = Report {
        run: names.join(" + "),
        data: format!("{} ({which}{views})", args.data().display()),
        command: command(),
        started,
        ..ensemble.report(evaluation, dataset)?
    };
    write_file(path, &render(&report))
}
