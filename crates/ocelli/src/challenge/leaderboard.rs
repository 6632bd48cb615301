//! Submissions ranked.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Score, Submission, Truth};
use crate::{Error, SCHEMA};

/// All submissions of a folder, the best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaderboard {
    /// Version of this form.
    pub schema: u32,
    /// Pictures that each submission answers.
    pub images: usize,
    /// The submissions in their order.
    pub standings: Vec<Standing>,
    /// Files that are no valid submission, in the order of their names.
    pub refused: Vec<Refused>,
}

/// A submission and its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its place, from 1; submissions with the same errors share theirs.
    pub rank: usize,
    /// The name of its file, without `.txt`.
    pub name: String,
    /// Its errors.
    #[serde(flatten)]
    pub score: Score,
}

/// A file that is no valid submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The name of the file.
    pub name: String,
    /// What is wrong with it.
    pub error: String,
}

impl Leaderboard {
    /// Scores every file in `folder` whose name does not begin with a dot, and ranks them by error@5, then by error@1, then by
    /// name.
    ///
    /// # Errors
    /// A folder that cannot be listed or that holds no file.
    pub fn of_folder(folder: &Path, truth: &Truth) -> Result<Leaderboard, Error> {
        let mut scored: Vec<(String, Score)> = Vec::new();
        let mut refused = Vec::new();
        for path in files(folder)? {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let name = file.strip_suffix(".txt").unwrap_or(&file).to_string();
            match Submission::read(&path, truth) {
                Ok(submission) => scored.push((name, submission.score(truth))),
                Err(error) => refused.push(Refused { name, error: error.to_string() }),
            }
        }
        let by = |score: &Score| (score.error[super::LABELS - 1], score.error[0]);
        scored.sort_by(|(a, one), (b, other)| {
            let ((a5, a1), (b5, b1)) = (by(one), by(other));
            a5.total_cmp(&b5).then(a1.total_cmp(&b1)).then(a.cmp(b))
        });
        let mut standings: Vec<Standing> = Vec::new();
        for (name, score) in scored {
            let rank = match standings.last() {
                Some(last) if by(&last.score) == by(&score) => last.rank,
                _ => standings.len() + 1,
            };
            standings.push(Standing { rank, name, score });
        }
        Ok(Leaderboard { schema: SCHEMA, images: truth.len(), standings, refused })
    }
}

/// The files of a folder, ordered by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let cannot = |e: std::io::Error| {
        let text = format!("{}: cannot list the folder: {e}", folder.display());
        match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Error::Usage(format!("{text}; give a folder of submissions"))
            }
            _ => Error::Io(text),
        }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(Error::Bad(format!("{}: the folder holds no submissions", folder.display()))),
        false => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Categories, List};
    use super::*;

    #[test]
    fn submissions_are_ranked_by_their_errors_and_bad_ones_told() {
        let categories = Categories::of_names(&["a", "b", "c", "d", "e", "f"]);
        let list = List::parse("val.txt", "1.jpg 0\n2.jpg 1", Some(&categories)).unwrap();
        let truth = Truth::new(&list, Some(&categories)).unwrap();
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
        write("late.txt", "1.jpg 1 2 3 4 0\n2.jpg 0 2 3 4 1\n");
        write("good.txt", "1.jpg 0 2 3 4 5\n2.jpg 0 2 3 4 1\n");
        write("also good.csv", "1.jpg 1 2 3 4 0\n2.jpg 1 2 3 4 5\n");
        write("worse.txt", "1.jpg 1 2 3 4 5\n2.jpg 1 2 3 4 5\n");
        write("short.txt", "1.jpg 1 2 3 4 5\n");
        write(".hidden", "no");
        std::fs::create_dir(place.path().join("folder")).unwrap();
        let board = Leaderboard::of_folder(place.path(), &truth).unwrap();
        let found: Vec<_> =
            board.standings.iter().map(|s| (s.rank, s.name.as_str(), s.score.error[4])).collect();
        assert_eq!(found, [(1, "also good.csv", 0.0), (1, "good", 0.0), (3, "late", 0.0), (4, "worse", 0.5)]);
        assert_eq!((board.images, board.refused.len()), (2, 1));
        assert!(board.refused[0].error.contains("'2.jpg'"), "{:?}", board.refused);
        let empty = place.path().join("folder");
        assert!(Leaderboard::of_folder(&empty, &truth).unwrap_err().to_string().contains("no submissions"));
        let none = Leaderboard::of_folder(&place.path().join("none"), &truth).unwrap_err();
        assert_eq!(none.exit_code(), 2);
    }
}
