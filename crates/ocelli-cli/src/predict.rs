//! `ocelli predict`: what pictures show.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ocelli::predict::{Guess, Predictor, model_preprocess};
use ocelli::{Error, SCHEMA};
use ocelli_data::Preprocess;
use serde::Serialize;

use crate::args::size;
use crate::console::Console;
use crate::engine::engine;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::text::{counted, in_line, percent};

/// Options of `predict`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run folder or a model file
    model: PathBuf,
    /// Picture files: PNG, JPEG, BMP or PNM
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// How many classes to name for each picture, most probable first
    #[arg(long, value_name = "N", value_parser = size, default_value = "5")]
    top: usize,
    /// Invert the pictures first: for dark drawings on bright paper where the model was trained on bright ones on dark
    #[arg(long)]
    invert: bool,
    /// Threads
    #[arg(long, value_name = "N", value_parser = crate::args::threads, default_value = "1")]
    threads: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Each line is a picture, a class and its probability, with tabs between them. A picture that cannot be read is named, \
the others are still told, and the exit code is 3.

Examples:
  ocelli predict runs/digits-1 seven.png
  ocelli predict model.safetensors photos/*.jpg --top 1
  ocelli predict runs/mnist-1 scan.png --invert     a dark digit on white paper";

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
    let mut model = crate::model::load(&args.model, console)?;
    let mut preprocess = model_preprocess(&model)?;
    if args.invert {
        preprocess = preprocess.inverted();
        model.preprocess = serde_json::to_value(&preprocess).expect("plain data");
    }
    let mut predictor = Predictor::new(model, &engine(Some(args.threads))?)?;
    let mut answer = Answer { schema: SCHEMA, predictions: Vec::new(), unreadable: Vec::new() };
    let mut codes = Vec::new();
    for path in &args.images {
        let image = path.display().to_string();
        match predictor.file(path, args.top) {
            Ok(classes) => {
                if !args.invert && looks_inverted(&preprocess, path) {
                    console.warn(format!("{image} looks inverted to this model: {INVERTED}"));
                }
                let prediction = Prediction { image, classes };
                if !args.json {
                    print(&lines(&prediction))?;
                }
                answer.predictions.push(prediction);
            }
            Err(error) => {
                console.error(&error);
                codes.push(error.exit_code());
                answer.unreadable.push(Unreadable { image, error: error.to_string() });
            }
        }
    }
    if args.json {
        print_json(&answer)?;
    }
    match &codes[..] {
        [] => Ok(ExitCode::SUCCESS),
        // The one error has been told.
        [code] if args.images.len() == 1 => Ok(ExitCode::from(*code)),
        codes => {
            let others = if codes.len() < args.images.len() { "; the others are done" } else { "" };
            let pictures = counted(args.images.len(), "picture");
            Err(all_in_all(codes, format!("{} of {pictures} could not be read{others}", codes.len())).into())
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

/// Whether a picture, which could be read before, looks like a negative of what the model was trained on.
fn looks_inverted(preprocess: &Preprocess, path: &Path) -> bool {
    ocelli_data::decode(path).is_ok_and(|picture| preprocess.looks_inverted(&picture))
}

fn lines(prediction: &Prediction) -> String {
    let line = |guess: &Guess| {
        let (image, class) = (in_line(&prediction.image), in_line(&guess.class));
        format!("{image}\t{class}\t{}\n", percent(f64::from(guess.probability)))
    };
    prediction.classes.iter().map(line).collect()
}
