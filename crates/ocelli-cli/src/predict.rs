//! `ocelli predict`: what pictures show.

use std::path::PathBuf;
use std::process::ExitCode;

use ocelli::predict::{Guess, Predictor};
use ocelli::{Error, SCHEMA};
use serde::Serialize;

use crate::args::size;
use crate::console::Console;
use crate::engine::engine;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::text::percent;

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
    /// Threads
    #[arg(long, value_name = "N", value_parser = crate::args::threads, default_value = "1")]
    threads: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Each line is a picture, a class and its probability, with tabs between them.
A picture that cannot be read is named, the others are still told, and the exit code is 3.

Examples:
  ocelli predict runs/digits-1 seven.png
  ocelli predict model.safetensors photos/*.jpg --top 1";

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
    let model = crate::model::load(&args.model, console)?;
    let mut predictor = Predictor::new(model, &engine(Some(args.threads))?)?;
    let mut answer = Answer { schema: SCHEMA, predictions: Vec::new(), unreadable: Vec::new() };
    for path in &args.images {
        let image = path.display().to_string();
        match predictor.file(path, args.top) {
            Ok(classes) => {
                let prediction = Prediction { image, classes };
                if !args.json {
                    print(&lines(&prediction))?;
                }
                answer.predictions.push(prediction);
            }
            Err(error) => {
                console.error(&error);
                answer.unreadable.push(Unreadable { image, error: error.to_string() });
            }
        }
    }
    if args.json {
        print_json(&answer)?;
    }
    match answer.unreadable.len() {
        0 => Ok(ExitCode::SUCCESS),
        failed => {
            let others = if failed < args.images.len() { "; the others are done" } else { "" };
            let pictures = crate::text::counted(args.images.len(), "picture");
            Err(Error::Bad(format!("{failed} of {pictures} could not be read{others}")).into())
        }
    }
}

fn lines(prediction: &Prediction) -> String {
    let line = |guess: &Guess| {
        format!("{}\t{}\t{}\n", prediction.image, guess.class, percent(f64::from(guess.probability)))
    };
    prediction.classes.iter().map(line).collect()
}
