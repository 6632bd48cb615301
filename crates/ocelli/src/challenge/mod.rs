//! Submissions to a challenge: written, scored and ranked, by the rules of MiniPlaces.
//!
//! A submission has one line for each picture: its file and five labels, best first
//! (`val/00000001.jpg 61 31 17 2 80`). Error@n is the share of pictures whose true label is not among the first n; the
//! challenge ranks by error@5. Labels are numbers: of the classes in their order, or those of a file such as
//! `categories.txt` (`/a/abbey 0`).
//!
//! ```
//! use ocelli::challenge::{Categories, List, Submission, Truth};
//!
//! let categories = Categories::of_names(&["abbey", "airport", "alley", "bakery", "bar", "beach"]);
//! let list = List::parse("val.txt", "val/1.jpg 5\nval/2.jpg 0\n", Some(&categories))?;
//! let truth = Truth::new(&list, Some(&categories))?;
//! let submission = Submission::parse("mine.txt", "val/1.jpg 5 4 3 2 1\nval/2.jpg 3 0 1 2 4\n", &truth)?;
//! assert_eq!(submission.score(&truth).error, [0.5, 0.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), ocelli::Error>(())
//! ```

mod categories;
mod leaderboard;
mod list;
mod submission;

use std::path::Path;
use std::sync::Arc;

pub use categories::Categories;
pub use leaderboard::{Leaderboard, Refused, Standing};
pub use list::{Entry, List, Truth};
pub use submission::{LABELS, Score, Submission};

use crate::Error;
use crate::ensemble::Ensemble;
use crate::predict::Pictures;

/// Has an ensemble guess five classes for each of some pictures, those of `list` in its order; their numbers are those of
/// `categories`. `done` is told how many pictures are.
///
/// # Errors
/// [`Error::Usage`] for an ensemble of fewer than five classes, or one with a class that `categories` lacks;
/// [`Error::Bad`] for pictures that cannot be read, because every picture needs its line.
pub fn submit(
    ensemble: &mut Ensemble,
    pictures: Arc<dyn Pictures>,
    list: &List,
    categories: &Categories,
    done: &mut dyn FnMut(usize),
) -> Result<Submission, Error> {
    list.check_unique()?;
    check_classes(ensemble.classes(), categories)?;
    let mut submission = Submission::default();
    let mut unreadable = Vec::new();
    for prediction in ensemble.predict(pictures, LABELS)? {
        done(prediction.picture + 1);
        match prediction.guesses {
            Err(error) => unreadable.push(error),
            Ok(guesses) => {
                let label = |k: usize| categories.number_of(&guesses[k].class).expect("classes were checked");
                submission.push(list.entries()[prediction.picture].file.clone(), std::array::from_fn(label));
            }
        }
    }
    match unreadable.first() {
        None => Ok(submission),
        Some(first) => Err(Error::Bad(format!(
            "{} of {} pictures could not be read, and every picture needs its line, so no submission is made; the first: \
             {first}",
            unreadable.len(),
            list.entries().len(),
        ))),
    }
}

fn check_classes(classes: &[String], categories: &Categories) -> Result<(), Error> {
    if classes.len() < LABELS {
        return Err(Error::Usage(format!(
            "a submission has {LABELS} labels for each picture, and this model knows {} classes",
            classes.len()
        )));
    }
    match classes.iter().find(|class| categories.number_of(class).is_none()) {
        None => Ok(()),
        Some(class) => Err(Error::Usage(format!(
            "class '{class}' of the model has no number in {}; give the categories of the data that it was trained on",
            categories.source()
        ))),
    }
}

/// The most bytes of a list, a submission or a file of categories.
const MOST_BYTES: u64 = 1 << 30;

/// A text file as a whole.
fn read_text(path: &Path) -> Result<String, Error> {
    let size = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?.len();
    if size > MOST_BYTES {
        return Err(Error::Limit(format!("{}: {size} bytes are more than a list has", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, &e))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        Error::Bad(format!("{}:{line}: this is no text in UTF-8; give a text file", path.display()))
    })?;
    // Some editors begin a file with a mark of its encoding.
    Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let text = format!("{}: cannot read: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => {
            Error::Usage(format!("{text}; check the name"))
        }
        _ => Error::Io(text),
    }
}

/// Lines that are not empty, without the space around them, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// Something wrong in a line.
fn wrong(source: &str, line: usize, problem: impl std::fmt::Display) -> Error {
    Error::Bad(format!("{source}:{line}: {problem}"))
}
