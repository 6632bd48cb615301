//! A submission: five labels for each picture.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Truth, lines, read_text, wrong};
use crate::Error;
use crate::io::write_atomically;

/// Labels of each picture.
pub const LABELS: usize = 5;

/// Five labels for each picture, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    answers: BTreeMap<String, [u32; LABELS]>,
}

/// How good a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Pictures that were scored.
    pub images: usize,
    /// Error@1 to error@5: the shares of pictures whose true label is not among the first labels.
    pub error: [f64; LABELS],
}

impl Submission {
    /// Adds the labels of a picture, or changes them.
    pub fn push(&mut self, file: String, labels: [u32; LABELS]) {
        self.answers.insert(file, labels);
    }

    /// How many pictures it answers.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether it answers none.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Writes the file, whole or not at all: a line for each picture, in the alphabetical order of the files, byte by byte.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.to_string();
        Ok(write_atomically(path, |out| out.write_all(text.as_bytes()))?)
    }

    /// Reads a submission and checks it against what it answers.
    ///
    /// # Errors
    /// [`Error::Bad`] names the line and what is wrong with it: a picture that is not in the list, one that comes twice, fewer
    /// or more than five labels, a label that is no class, or one that comes twice in the line; or the first
    /// picture that has no line.
    pub fn read(path: &Path, truth: &Truth) -> Result<Submission, Error> {
        Submission::parse(&path.display().to_string(), &read_text(path)?, truth)
    }

    /// Reads the text of a submission, which messages call `source`, as [`Submission::read`].
    ///
    /// # Errors
    /// As [`Submission::read`].
    pub fn parse(source: &str, text: &str, truth: &Truth) -> Result<Submission, Error> {
        let mut found: BTreeMap<String, (usize, [u32; LABELS])> = BTreeMap::new();
        for (number, line) in lines(text) {
            let refuse = |problem: String| wrong(source, number, problem);
            let (file, labels) = divide(line, truth).map_err(refuse)?;
            let labels = read_labels(file, &labels, truth).map_err(refuse)?;
            if let Some((before, _)) = found.insert(file.to_string(), (number, labels)) {
                return Err(refuse(format!("'{file}' has a line already, {before}")));
            }
        }
        if let Some(file) = truth.labels.keys().find(|file| !found.contains_key(*file)) {
            let missing = truth.len() - found.len();
            return Err(Error::Bad(format!(
                "{source}: {missing} of the {} pictures of {} have no line; the first is '{file}'",
                truth.len(),
                truth.source()
            )));
        }
        Ok(Submission { answers: found.into_iter().map(|(file, (_, labels))| (file, labels)).collect() })
    }

    /// The errors of this submission, which [`Submission::read`] held against the same `truth`.
    pub fn score(&self, truth: &Truth) -> Score {
        let mut wrong = [0u64; LABELS];
        for (file, labels) in &self.answers {
            let right = truth.labels.get(file);
            let place = labels.iter().position(|label| Some(label) == right).unwrap_or(LABELS);
            wrong[..place].iter_mut().for_each(|count| *count += 1);
        }
        let images = self.answers.len();
        Score { images, error: wrong.map(|count| count as f64 / images.max(1) as f64) }
    }
}

impl std::fmt::Display for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (file, labels) in &self.answers {
            write!(f, "{file}")?;
            labels.iter().try_for_each(|label| write!(f, " {label}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The file of a line and what follows it. Names may have spaces in them, and one may begin like another: what is a file is what the
/// list says, and of several the one that leaves as many labels as there should be.
fn divide<'a>(line: &'a str, truth: &Truth) -> Result<(&'a str, Vec<&'a str>), String> {
    let ends = line.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at).chain([line.len()]);
    let files = ends.filter(|&end| truth.labels.contains_key(&line[..end]));
    let ways: Vec<(&str, Vec<&str>)> =
        files.map(|end| (&line[..end], line[end..].split_whitespace().collect())).collect();
    let fits = ways.iter().position(|(_, labels)| labels.len() == LABELS).unwrap_or(0);
    if let Some(way) = ways.into_iter().nth(fits) {
        return Ok(way);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let file = words[..words.len().saturating_sub(LABELS).max(1)].join(" ");
    Err(format!("'{file}' is not in {}", truth.source()))
}

fn read_labels(file: &str, words: &[&str], truth: &Truth) -> Result<[u32; LABELS], String> {
    let words: &[&str; LABELS] = words.try_into().map_err(|_| {
        let labels = if words.len() == 1 { "label" } else { "labels" };
        format!("'{file}' has {} {labels}, and every picture has {LABELS}", words.len())
    })?;
    let mut labels = [0; LABELS];
    for (k, word) in words.iter().enumerate() {
        let number = truth.categories.number(word);
        labels[k] =
            number.ok_or_else(|| format!("label '{word}' is no class; {}", truth.categories.in_words()))?;
        if labels[..k].contains(&labels[k]) {
            return Err(format!("label '{word}' comes twice; give {LABELS} different ones"));
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::super::{Categories, List};
    use super::*;

    fn truth() -> Truth {
        let categories = Categories::of_names(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        let list = List::parse("val.txt", "v/1.jpg 0\nv/2 b.jpg 7\nv/3.jpg 2", Some(&categories)).unwrap();
        Truth::new(&list, Some(&categories)).unwrap()
    }

    const GOOD: &str = "v/3.jpg 2 0 1 3 4\nv/1.jpg 1 2 3 4 0\nv/2 b.jpg 1 2 3 4 5\n";

    #[test]
    fn errors_are_those_of_the_definition() {
        let submission = Submission::parse("s.txt", GOOD, &truth()).unwrap();
        let score = submission.score(&truth());
        let third = 1.0 / 3.0;
        assert_eq!(
            (score.images, score.error),
            (3, [2.0 * third, 2.0 * third, 2.0 * third, 2.0 * third, third])
        );
    }

    #[test]
    fn what_is_written_is_in_alphabetical_order_and_read_again() {
        let submission = Submission::parse("s.txt", GOOD, &truth()).unwrap();
        let text = submission.to_string();
        assert_eq!(text, "v/1.jpg 1 2 3 4 0\nv/2 b.jpg 1 2 3 4 5\nv/3.jpg 2 0 1 3 4\n");
        assert_eq!(Submission::parse("s.txt", &text, &truth()).unwrap(), submission);
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mine.txt");
        submission.write(&path).unwrap();
        assert_eq!(Submission::read(&path, &truth()).unwrap(), submission);
    }

    #[test]
    fn names_of_classes_are_labels_too() {
        let text = GOOD.replace("1 2 3 4 0", "b c d e a");
        let named = Submission::parse("s.txt", &text, &truth()).unwrap();
        assert_eq!(named, Submission::parse("s.txt", GOOD, &truth()).unwrap());
    }

    #[test]
    fn every_kind_of_wrong_line_is_named() {
        let cases = [
            ("v/1.jpg 1 2 3 4", "s.txt:2: 'v/1.jpg' has 4 labels, and every picture has 5"),
            ("v/1.jpg 1 2 3 4 0 5", "s.txt:2: 'v/1.jpg' has 6 labels"),
            ("v/1.jpg", "s.txt:2: 'v/1.jpg' has 0 labels"),
            ("v/9.jpg 1 2 3 4 0", "s.txt:2: 'v/9.jpg' is not in val.txt"),
            ("v/9 9.jpg 1 2 3 4 0", "s.txt:2: 'v/9 9.jpg' is not in val.txt"),
            ("1", "s.txt:2: '1' is not in val.txt"),
            ("v/3.jpg 1 2 3 4 0", "s.txt:2: 'v/3.jpg' has a line already, 1"),
            (
                "v/1.jpg 1 2 3 4 8",
                "s.txt:2: label '8' is no class; labels go from 0 to 7, as the order of the classes says",
            ),
            ("v/1.jpg 1 2 3 4 -1", "s.txt:2: label '-1' is no class"),
            ("v/1.jpg 1 2 3 4 x", "s.txt:2: label 'x' is no class"),
            ("v/1.jpg 1 2 3 4 2", "s.txt:2: label '2' comes twice"),
            ("", "s.txt: 1 of the 3 pictures of val.txt have no line; the first is 'v/1.jpg'"),
        ];
        for (line, part) in cases {
            let text = GOOD.replace("v/1.jpg 1 2 3 4 0", line);
            let error = Submission::parse("s.txt", &text, &truth()).unwrap_err();
            assert!(error.to_string().contains(part), "{line:?}: {error}");
            assert_eq!(error.exit_code(), 3);
        }
    }

    #[test]
    fn files_that_are_no_text_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s.txt");
        std::fs::write(&path, b"v/1.jpg 1 2 3 4 0\n\xff\xfe").unwrap();
        let error = Submission::read(&path, &truth()).unwrap_err().to_string();
        assert!(error.contains("s.txt:2: this is no text"), "{error}");
        let error = Submission::read(&place.path().join("none.txt"), &truth()).unwrap_err();
        assert!(error.to_string().contains("check the name") && error.exit_code() == 2, "{error}");
        std::fs::write(&path, format!("\u{feff}{GOOD}").replace('\n', "\r\n")).unwrap();
        assert_eq!(Submission::read(&path, &truth()).unwrap().len(), 3);
    }
}
