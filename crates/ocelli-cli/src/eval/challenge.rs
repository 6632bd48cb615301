//! `ocelli eval --submission` and `--leaderboard`.

use std::path::Path;
use std::process::ExitCode;

use ocelli::challenge::{Categories, LABELS, Leaderboard, List, Score, Submission, Truth};
use ocelli::report::render_leaderboard;
use ocelli::{Error, SCHEMA};
use serde::Serialize;

use super::Args;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json, write_file};
use crate::text::{counted, percent};

/// `eval --submission --json`.
#[derive(Serialize)]
struct Scored {
    schema: u32,
    submission: String,
    #[serde(flatten)]
    score: Score,
}

/// Scores a submission, or all of a folder.
pub(super) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let [list] = &args.inputs[..] else {
        return Err(Failure::usage(
            "a submission is scored against one list of pictures and their labels; give LIST alone",
        ));
    };
    let categories = categories(args.categories.as_deref(), list, console)?;
    let truth = Truth::new(&List::read(list, categories.as_ref())?, categories.as_ref())?;
    match (&args.submission, &args.leaderboard) {
        (Some(submission), _) => score(args, submission, &truth),
        (None, Some(folder)) => rank(args, folder, &truth, console),
        (None, None) => unreachable!("only called for one of them"),
    }
}

/// The classes of a challenge: those given, or those beside the list.
pub(crate) fn categories(
    given: Option<&Path>,
    list: &Path,
    console: Console,
) -> Result<Option<Categories>, Error> {
    if let Some(path) = given {
        return Categories::read(path).map(Some);
    }
    let mut beside = ["categories.txt", "classes.txt"].map(|name| list.with_file_name(name)).into_iter();
    let Some(beside) = beside.find(|file| file.is_file() && file != list) else { return Ok(None) };
    let found = Categories::read(&beside)?;
    console.fact("classes", format!("{} of {}", found.len(), beside.display()));
    Ok(Some(found))
}

fn score(args: &Args, path: &Path, truth: &Truth) -> Result<ExitCode, Failure> {
    let score = Submission::read(path, truth)?.score(truth);
    if args.json {
        print_json(&Scored { schema: SCHEMA, submission: path.display().to_string(), score })?;
        return Ok(ExitCode::SUCCESS);
    }
    let errors = (1..).zip(&score.error).map(|(n, &error)| format!("error@{n}  {}\n", percent(error)));
    print(&format!("images   {}\n{}", score.images, errors.collect::<String>()))?;
    Ok(ExitCode::SUCCESS)
}

fn rank(args: &Args, folder: &Path, truth: &Truth, console: Console) -> Result<ExitCode, Failure> {
    let board = Leaderboard::of_folder(folder, truth)?;
    board.refused.iter().for_each(|file| console.error(&file.error));
    if let Some(path) = &args.report {
        let name = folder
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        write_file(path, &render_leaderboard(&name.unwrap_or_else(|| "Leaderboard".to_string()), &board))?;
        console.fact("report", path.display());
    }
    match args.json {
        true => print_json(&board)?,
        false if board.standings.is_empty() => {}
        false => print(&table(&board))?,
    }
    match board.refused.len() {
        0 => Ok(ExitCode::SUCCESS),
        refused => Err(Error::Bad(format!(
            "{refused} of {} not ranked: no valid submission",
            counted(refused + board.standings.len(), "file")
        ))
        .into()),
    }
}

fn table(board: &Leaderboard) -> String {
    let heads: Vec<String> = (1..=LABELS).rev().map(|n| format!("error@{n}")).collect();
    let mut heading = vec![("rank", Align::Right), ("submission", Align::Left)];
    heading.extend(heads.iter().map(|head| (head.as_str(), Align::Right)));
    let mut table = Table::new(&heading);
    for standing in &board.standings {
        let errors = standing.score.error.iter().rev().map(|&error| percent(error));
        table.row([standing.rank.to_string(), standing.name.clone()].into_iter().chain(errors));
    }
    table.render()
}
