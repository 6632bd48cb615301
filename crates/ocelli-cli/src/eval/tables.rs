//! An evaluation as tables for people.

use ocelli::eval::Evaluation;

use crate::output::{Align, Table};
use crate::text::{count, duration, percent};

/// Up to so many classes all of them are printed, and the confusion matrix; of more, the largest confusions.
const FEW: usize = 20;

/// How many confusions are listed.
const MOST_PAIRS: usize = 15;

/// Accuracy, what is taken for what, and with `all` each class however many there are.
pub(super) fn for_people(evaluation: &Evaluation, all: bool) -> String {
    let classes = evaluation.per_class.len();
    let mut text = figures(evaluation);
    if all || classes <= FEW {
        text += &format!("\n{}", per_class(evaluation));
    }
    if classes <= FEW {
        text += &format!("\n{}", matrix(evaluation));
    }
    if !evaluation.confused.is_empty() {
        text += &format!("\n{}", pairs(evaluation));
    }
    text
}

/// Five classes or fewer have no top-5.
fn has_top5(evaluation: &Evaluation) -> bool {
    evaluation.per_class.len() > 5
}

fn figures(evaluation: &Evaluation) -> String {
    let mut text = format!("top-1   {}\n", percent(evaluation.top1));
    if has_top5(evaluation) {
        text += &format!("top-5   {}\n", percent(evaluation.top5));
    }
    text + &format!(
        "loss    {:.4}\nECE     {} expected calibration error\ntime    {}, {} images/s\n",
        evaluation.loss,
        percent(evaluation.calibration_error),
        duration(evaluation.seconds),
        count(evaluation.images_per_second as u64),
    )
}

fn per_class(evaluation: &Evaluation) -> String {
    let heading =
        [("class", Align::Left), ("images", Align::Right), ("top-1", Align::Right), ("top-5", Align::Right)];
    let mut table = Table::new(&heading);
    for class in &evaluation.per_class {
        let share = |share: Option<f64>| percent(share.unwrap_or(f64::NAN));
        let top5 = if has_top5(evaluation) { share(class.top5) } else { String::new() };
        table.row([class.class.clone(), count(class.images as u64), share(class.top1), top5]);
    }
    table.render()
}

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

fn pairs(evaluation: &Evaluation) -> String {
    let heading = [("true class", Align::Left), ("taken for", Align::Left), ("images", Align::Right)];
    let mut table = Table::new(&heading);
    for pair in evaluation.confused.iter().take(MOST_PAIRS) {
        table.row([pair.truth.clone(), pair.predicted.clone(), count(pair.images.into())]);
    }
    format!("most frequent confusions\n{}", table.render())
}

#[cfg(test)]
mod tests {
    use ocelli::eval::{ClassFigures, Confused};

    use super::*;

    fn evaluation(names: &[&str], confusion: Vec<u32>) -> Evaluation {
        let class =
            |name: &&str| ClassFigures { class: (*name).to_string(), images: 1, ..ClassFigures::default() };
        let per_class = names.iter().map(class).collect();
        Evaluation { images: names.len(), per_class, confusion, ..Evaluation::default() }
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
    fn many_classes_are_listed_if_asked_for_and_their_confusions_always() {
        let names: Vec<String> = (0..30).map(|k| format!("c{k}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut evaluation = evaluation(&names, vec![0; 900]);
        let pair =
            |truth: &str, images| Confused { truth: truth.to_string(), predicted: "c9".to_string(), images };
        evaluation.confused = vec![pair("c1", 50), pair("c2", 7)];
        let text = for_people(&evaluation, false);
        assert!(text.ends_with(
            "true class  taken for  images\nc1          c9             50\nc2          c9              7\n"
        ));
        assert!(!text.contains("class  images  top-1"), "{text}");
        assert!(for_people(&evaluation, true).contains("class  images  top-1  top-5"));
    }

    #[test]
    fn five_classes_have_no_top_5() {
        let text = for_people(&evaluation(&["a", "b", "c", "d", "e"], vec![0; 25]), true);
        assert!(!text.contains("top-5"), "{text}");
    }
}
