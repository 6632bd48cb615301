//! `ocelli predict --submission`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ocelli::challenge::{Categories, List, submit};
use ocelli::ensemble::Ensemble;
use ocelli::io::check_folder;

use super::Args;
use super::inputs::listed;
use crate::console::Console;
use crate::counting::Counting;
use crate::eval::categories;
use crate::failure::Failure;
use crate::text::counted;

/// Writes a submission for the one list among the inputs.
pub(super) fn run(
    args: &Args,
    ensemble: &mut Ensemble,
    inputs: &[PathBuf],
    submission: &Path,
    console: Console,
) -> Result<ExitCode, Failure> {
    let [path] = inputs else {
        return Err(Failure::usage(
            "a submission answers one list of pictures; give one LIST after the model",
        ));
    };
    check_folder(submission)?;
    let categories = match categories(args.categories.as_deref(), path, console)? {
        Some(categories) => categories,
        None => {
            console.say("classes have the numbers that the model gives them, from 0 on; --categories names a file of others");
            Categories::of_names(ensemble.classes())
        }
    };
    let list = List::read(path, Some(&categories))?;
    let pictures = listed(&list, path, args.root.as_deref())?;
    let mut counting = Counting::new(console, list.entries().len(), true);
    let made = submit(ensemble, pictures, &list, &categories, &mut |done| counting.at(done));
    counting.end();
    let made = made?;
    made.write(submission)?;
    console.say(&format!("{} in {}", counted(made.len(), "picture"), submission.display()));
    Ok(ExitCode::SUCCESS)
}
