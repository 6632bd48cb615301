//! `ocelli eval`: how good a model is, class by class.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ocelli::Error;
use ocelli::eval::{Evaluation, Evaluator};
use ocelli::io::ModelFile;
use ocelli::predict::{model_loss, model_preprocess};
use ocelli::train::data_digest;
use ocelli_core::{Criterion, Reduction};
use ocelli_data::{Dataset, Parts, hold_out, match_classes, open_parts};

use crate::console::Console;
use crate::engine::engine;
use crate::failure::Failure;
use crate::output::{Align, Table, print, print_json};
use crate::text::{count, counted, duration, percent};

/// Options of `eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run folder or a model file
    model: PathBuf,
    /// Labelled images: `digits` (built in), or a folder or file of IDX images
    data: String,
    /// Measure all images: those of every split, and those that the model was trained on too
    #[arg(long)]
    all: bool,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = crate::args::threads)]
    threads: Option<usize>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
The test split of DATA is measured if it has one. Without one, data that the model was trained on give the images \
that were held out, and other data give all. Classes are matched by name.

Examples:
  ocelli eval runs/digits-1 digits
  ocelli eval runs/mnist-1/model.safetensors mnist/ --json";

/// Evaluates.
pub(crate) fn run(args: &Args, console: Console) -> Result<ExitCode, Failure> {
    let model = crate::model::load(&args.model, console)?;
    let (preprocess, loss) = (model_preprocess(&model)?, model_loss(&model)?);
    let (dataset, which) = images(args, &model, console)?;
    let dataset = match_classes(dataset, &model.classes)?;
    if dataset.is_empty() {
        let data = &args.data;
        let reason =
            format!("{data}: there is nothing to measure: {which} has no images; --all takes every image");
        return Err(Error::Bad(reason).into());
    }
    console.fact("data", format!("{} of {}: {which}", counted(dataset.len(), "image"), args.data));
    let criterion = Criterion { loss, reduction: Reduction::Mean };
    let engine = engine(args.threads)?;
    let mut evaluator =
        Evaluator::new(&engine, &model.network.graph, &criterion, &preprocess, &model.classes)?;
    let evaluation = evaluator.run(&model.params, &dataset)?;
    match args.json {
        true => print_json(&evaluation)?,
        false => print(&for_people(&evaluation))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is measured, and which images these are.
fn images(
    args: &Args,
    model: &ModelFile,
    console: Console,
) -> Result<(Arc<dyn Dataset>, &'static str), Failure> {
    let parts = open_parts(&args.data)?;
    if args.all {
        return Ok((all(parts), "every split"));
    }
    if let Some(test) = parts.test {
        return Ok((test, "the test split"));
    }
    // By content, whatever the data are called now and wherever they lie.
    let trained_on = model.training.get("train_digest").and_then(|digest| digest.as_str());
    let is_trained_on = |set: &dyn Dataset| trained_on == Some(data_digest(set).as_str());
    if is_trained_on(&*parts.train) {
        console.warn("the model was trained on these very images: figures on other images will be worse");
        return Ok((parts.train, "all"));
    }
    let seed = model.training.get("seed").and_then(|seed| seed.as_u64()).unwrap_or(0);
    let (kept, held_out) = hold_out(&parts.train, parts.held_out, seed);
    match is_trained_on(&kept) {
        true => Ok((Arc::new(held_out), "held out from training (--all for all)")),
        false => Ok((parts.train, "all")),
    }
}

/// The images of all splits.
fn all(parts: Parts) -> Arc<dyn Dataset> {
    match parts.test {
        Some(test) => Arc::new(Joined { first: parts.train, second: test }),
        None => parts.train,
    }
}

/// Accuracy, the classes, and what is taken for what.
fn for_people(evaluation: &Evaluation) -> String {
    format!(
        "top-1   {}\ntop-5   {}\nloss    {:.4}\ntime    {}, {} images/s\n\n{}\n{}",
        percent(evaluation.top1),
        percent(evaluation.top5),
        evaluation.loss,
        duration(evaluation.seconds),
        count(evaluation.images_per_second as u64),
        classes(evaluation),
        if evaluation.per_class.len() <= MOST_COLUMNS { matrix(evaluation) } else { pairs(evaluation) },
    )
}

fn classes(evaluation: &Evaluation) -> String {
    let mut table = Table::new(&[("class", Align::Left), ("images", Align::Right), ("top-1", Align::Right)]);
    for class in &evaluation.per_class {
        let top1 = percent(class.top1.unwrap_or(f64::NAN));
        table.row([class.class.clone(), count(class.images as u64), top1]);
    }
    table.render()
}

/// Up to so many classes the confusion matrix is printed; of more, the largest confusions.
const MOST_COLUMNS: usize = 20;

/// What a terminal shows in a line.
const LINE: usize = 80;

/// The confusion matrix: rows are true classes, columns first guesses. Where the names are too long for the heads of
/// columns, classes are numbered.
fn matrix(evaluation: &Evaluation) -> String {
    let names: Vec<&str> = evaluation.per_class.iter().map(|class| class.class.as_str()).collect();
    let longest = |words: &mut dyn Iterator<Item = usize>| words.max().unwrap_or(0);
    let name_width = longest(&mut names.iter().map(|name| name.chars().count()));
    let count_width = longest(&mut evaluation.confusion.iter().map(|n| n.to_string().len()));
    let fits = name_width + names.len() * (2 + name_width.max(count_width)) <= LINE;
    let head = |k: usize| if fits { names[k].to_string() } else { (k + 1).to_string() };
    let heads: Vec<String> = (0..names.len()).map(head).collect();
    let mut heading = vec![("", Align::Left)];
    heading.extend(heads.iter().map(|head| (head.as_str(), Align::Right)));
    let mut table = Table::new(&heading);
    for (k, (name, row)) in names.iter().zip(evaluation.confusion.chunks(names.len())).enumerate() {
        let label = if fits { (*name).to_string() } else { format!("{:>2} {name}", k + 1) };
        // Zeros would hide the mistakes.
        let cells = row.iter().map(|&n| if n == 0 { "·".to_string() } else { n.to_string() });
        table.row(std::iter::once(label).chain(cells));
    }
    format!("rows: the true class; columns: the first guess\n{}", table.render())
}

/// How many confusions are listed.
const MOST_PAIRS: usize = 15;

fn pairs(evaluation: &Evaluation) -> String {
    let n = evaluation.per_class.len();
    let wrong = |&(cell, count): &(usize, u32)| cell / n != cell % n && count > 0;
    let mut cells: Vec<(usize, u32)> =
        evaluation.confusion.iter().copied().enumerate().filter(wrong).collect();
    cells.sort_by_key(|&(cell, count)| (std::cmp::Reverse(count), cell));
    let heading = [("true class", Align::Left), ("taken for", Align::Left), ("images", Align::Right)];
    let mut table = Table::new(&heading);
    for (cell, images) in cells.into_iter().take(MOST_PAIRS) {
        let name = |class: usize| evaluation.per_class[class].class.clone();
        table.row([name(cell / n), name(cell % n), count(images.into())]);
    }
    format!("most frequent confusions\n{}", table.render())
}

/// One set after another, with the same classes.
struct Joined {
    first: Arc<dyn Dataset>,
    second: Arc<dyn Dataset>,
}

impl Joined {
    fn place(&self, i: usize) -> (&dyn Dataset, usize) {
        match i.checked_sub(self.first.len()) {
            None => (&*self.first, i),
            Some(i) => (&*self.second, i),
        }
    }
}

impl Dataset for Joined {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn classes(&self) -> &[String] {
        self.first.classes()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.first.image_shape()
    }

    fn label(&self, i: usize) -> u32 {
        let (set, i) = self.place(i);
        set.label(i)
    }

    fn read(&self, i: usize, picture: &mut ocelli_data::Picture) -> Result<(), ocelli_data::DataError> {
        let (set, i) = self.place(i);
        set.read(i, picture)
    }

    fn name_of(&self, i: usize) -> String {
        let (set, i) = self.place(i);
        set.name_of(i)
    }
}

#[cfg(test)]
mod tests {
    use ocelli::eval::ClassFigures;

    use super::*;

    fn evaluation(names: &[&str], confusion: Vec<u32>) -> Evaluation {
        let class = |name: &&str| ClassFigures { class: (*name).to_string(), images: 1, top1: Some(1.0) };
        Evaluation {
            schema: 1,
            images: names.len(),
            loss: 0.5,
            top1: 1.0,
            top5: 1.0,
            per_class: names.iter().map(class).collect(),
            confusion,
            seconds: 0.1,
            images_per_second: 10.0,
            mistakes: Vec::new(),
        }
    }

    #[test]
    fn a_confusion_matrix_shows_counts_and_no_zeros() {
        let text = matrix(&evaluation(&["cat", "dog"], vec![12, 0, 3, 9]));
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            ["     cat  dog", "cat   12    ·", "dog    3    9"]
        );
    }

    #[test]
    fn classes_with_long_names_are_numbered_and_stay_within_a_line() {
        let names: Vec<String> = (0..20).map(|k| format!("a long name of class {k}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = matrix(&evaluation(&names, (0..400).map(|n| u32::from(n % 21 == 0)).collect()));
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        assert!(text.contains("20 a long name of class 19"), "{text}");
    }

    #[test]
    fn of_many_classes_the_largest_confusions_come_first() {
        let names: Vec<String> = (0..30).map(|k| format!("c{k}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut confusion = vec![0; 900];
        // Row 1, column 2; row 0, column 1; row 2, column 1; and one that is right.
        (confusion[32], confusion[1], confusion[61], confusion[31]) = (50, 2, 7, 99);
        let text = pairs(&evaluation(&names, confusion));
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let truths: Vec<&str> = rows.iter().filter_map(|row| row.split_whitespace().next()).collect();
        assert_eq!(truths, ["c1", "c2", "c0"], "{text}");
    }
}
