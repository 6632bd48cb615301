//! `ocelli predict`: what pictures show.

mod inputs;
mod submission;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ocelli::ensemble::{Ensemble, EnsembleOptions, Views};
use ocelli::predict::{Guess, Pictures};
use ocelli::{Error, SCHEMA};
use serde::Serialize;

use crate::args::size;
use crate::console::Console;
use crate::counting::Counting;
use crate::engine::engine;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::text::{counted, in_line, percent};

/// Options of `predict`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(crate) struct Args {
    /// Run folders or model files (.safetensors), whose probabilities are averaged where there are several; then pictures,
    /// folders or tar archives of pictures, or lists of pictures (.txt, a path in each line; .csv with a column called path or file)
    #[arg(value_name = "MODEL... IMAGE|FOLDER|LIST...", required = true)]
    inputs: Vec<PathBuf>,
    /// How many classes to name for each picture, most probable first
    #[arg(long, value_name = "N", value_parser = size, default_value = "5")]
    top: usize,
    /// Views of each picture, whose probabilities are averaged: centre, flip (and its mirror image) or ten-crop (corners
    /// and centre, and their mirror images)
    #[arg(long, value_name = "VIEWS", value_parser = crate::args::views(), default_value = "centre")]
    views: Views,
    /// Invert the pictures first: for dark drawings on bright paper where the model was trained on bright ones on dark
    #[arg(long)]
    invert: bool,
    /// The folder, or the tar archive, that paths in a LIST are relative to [default: the folder of the list, or an archive
    /// beside it that is called like it]
    #[arg(long, value_name = "DIR|TAR")]
    root: Option<PathBuf>,
    /// Write a submission to a challenge: for each picture of LIST its file and the numbers of five classes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["top", "json"])]
    submission: Option<PathBuf>,
    /// The classes of the challenge and their numbers, `/a/abbey 0` in each line, or classes alone in their order [default:
    /// categories.txt or classes.txt beside LIST; without one, classes are numbered in the model's order]
    #[arg(long, value_name = "FILE", requires = "submission")]
    categories: Option<PathBuf>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = crate::args::threads)]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const USAGE: &str = "ocelli predict [OPTIONS] <MODEL>... <IMAGE|FOLDER|LIST>...
       ocelli predict [OPTIONS] --submission <FILE> <MODEL>... <LIST>";

const EXAMPLES: &str = "\
Each line is a picture, a class and its probability, with tabs between them. A picture that cannot be read is named, \
the others are still told, and the exit code is 3 (2 where a name leads to no file). In folders, every picture is taken, \
whatever folder below it stands in; names that begin with a dot are passed over.

Examples:
  ocelli predict runs/digits-1 seven.png
  ocelli predict model.safetensors photos/ --top 1
  ocelli predict runs/photos-1 runs/photos-2 holiday/*.jpg --views flip --json
  ocelli predict runs/mnist-1 scan.png --invert     a dark digit on white paper
  ocelli predict runs/places-1 val.txt --submission mine.txt";

/// `predict --json`.
#[derive(Serialize)]
struct Answer {
    schema: u32,
    predictions: Vec<Prediction>,
    unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
struct Prediction {
    image: String,
    classes: Vec<Guess>,
}

#[derive(Serialize)]
struct Unreadable {
    image: String,
    error: String,
}

/// Predicts.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let (models, inputs) = inputs::divide(&args.inputs)?;
    let models =
        models.iter().map(|path| crate::model::load(path, console)).collect::<Result<Vec<_>, _>>()?;
    let options = EnsembleOptions { views: args.views, invert: args.invert };
    let mut ensemble = Ensemble::new(models, &engine(args.threads)?, options)?;
    if let Some(path) = &args.submission {
        return submission::run(args, &mut ensemble, inputs, path, console);
    }
    let pictures = inputs::pictures(inputs, args.root.as_deref(), console)?;
    predict(args, &mut ensemble, Arc::new(pictures), console)
}

fn predict(
    args: &Args,
    ensemble: &mut Ensemble,
    from: Arc<dyn Pictures>,
    console: Console,
) -> Result<ExitCode, Failure> {
    let pictures = from.len();
    let mut answer = Answer { schema: SCHEMA, predictions: Vec::new(), unreadable: Vec::new() };
    let mut codes = Vec::new();
    // A bar would be in the way of what is written to the same terminal.
    let mut counting = Counting::new(console, pictures, args.json || !std::io::stdout().is_terminal());
    for found in ensemble.predict(from, args.top)? {
        counting.at(found.picture + 1);
        let image = found.name;
        match found.guesses {
            Ok(classes) => {
                if found.looks_inverted {
                    console.warn(format!("{image} looks inverted to this model: {INVERTED}"));
                }
                let prediction = Prediction { image, classes };
                match args.json {
                    true => answer.predictions.push(prediction),
                    false => print(&lines(&prediction))?,
                }
            }
            Err(error) => {
                console.error(&error);
                codes.push(error.exit_code());
                answer.unreadable.push(Unreadable { image, error: error.to_string() });
            }
        }
    }
    counting.end();
    if args.json {
        print_json(&answer)?;
    }
    match &codes[..] {
        [] => Ok(ExitCode::SUCCESS),
        // The one error has been told.
        [code] if pictures == 1 => Ok(ExitCode::from(*code)),
        codes => {
            let others = if codes.len() < pictures { "; the others are done" } else { "" };
            let text =
                format!("{} of {} could not be read{others}", codes.len(), counted(pictures, "picture"));
            Err(all_in_all(codes, text).into())
        }
    }
}

/// The error that stands for several: of their kind if they are all of one, otherwise of bad data.
fn all_in_all(codes: &[u8], text: String) -> Error {
    let kinds: [fn(String) -> Error; 3] = [Error::Usage, Error::Io, Error::Limit];
    let same = |kind: &fn(String) -> Error| codes.iter().all(|&code| code == kind(String::new()).exit_code());
    let kind = kinds.into_iter().find(same).unwrap_or(Error::Bad);
    kind(text)
}

const INVERTED: &str =
    "its border is bright where the training images are dark, or the other way round; try --invert";

fn lines(prediction: &Prediction) -> String {
    let line = |guess: &Guess| {
        let (image, class) = (in_line(&prediction.image), in_line(&guess.class));
        format!("{image}\t{class}\t{}\n", percent(f64::from(guess.probability)))
    };
    prediction.classes.iter().map(line).collect()
}
