//! Labels as texts have them: words or numbers.

use std::collections::{BTreeSet, HashMap};

use super::class_list::{ClassList, MOST_CLASSES};
use crate::DataError;

/// A label for each of some images.
#[derive(Default)]
pub(super) struct Labels {
    /// By the place of each in `words`.
    labels: Vec<u32>,
    words: Words,
}

/// Words by number, each once.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Words {
    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

impl Labels {
    /// Adds one; false where these are more classes than allowed.
    pub(super) fn push(&mut self, word: &str) -> bool {
        let number = self.words.number(word);
        self.labels.push(number);
        self.words.words.len() <= MOST_CLASSES as usize
    }

    /// The names of the classes, and for each image its label among them.
    ///
    /// Where all labels are names of the list, they are meant. Else, where all are whole numbers, they number the classes of the
    /// list, or classes called "0", "1" and so on. Otherwise they are the names, in the order of themselves.
    pub(super) fn resolve(
        &self,
        origin: &str,
        list: Option<&ClassList>,
    ) -> Result<(Vec<String>, Vec<u32>), DataError> {
        let words = &self.words.words;
        let numbers: Option<Vec<u32>> = words.iter().map(|word| word.parse().ok()).collect();
        let names = list.map(|list| (list, places(list, words)));
        let (classes, of_word) = match (names, numbers) {
            (Some((list, Ok(places))), _) => (list.names.clone(), places),
            (_, Some(numbers)) => (numbered(origin, &numbers, list)?, numbers),
            (Some((list, Err(word))), None) => return Err(unlisted(origin, word, list)),
            (None, None) => {
                let sorted: BTreeSet<&String> = words.iter().collect();
                let places: HashMap<&String, u32> = sorted.iter().copied().zip(0..).collect();
                (sorted.into_iter().cloned().collect(), words.iter().map(|word| places[word]).collect())
            }
        };
        Ok((classes, self.labels.iter().map(|&word| of_word[word as usize]).collect()))
    }
}

/// The place of each word among the names of the list, or the first word that it lacks.
fn places<'a>(list: &ClassList, words: &'a [String]) -> Result<Vec<u32>, &'a str> {
    let places: HashMap<&str, u32> = list.names.iter().map(String::as_str).zip(0..).collect();
    words.iter().map(|word| places.get(word.trim_start_matches('/')).copied().ok_or(word.as_str())).collect()
}

fn numbered(origin: &str, numbers: &[u32], list: Option<&ClassList>) -> Result<Vec<String>, DataError> {
    let most = numbers.iter().copied().max().unwrap_or(0);
    match list {
        Some(list) if (most as usize) < list.names.len() => Ok(list.names.clone()),
        Some(list) => Err(unlisted(origin, &most.to_string(), list)),
        None if most < MOST_CLASSES => Ok((0..=most).map(|k| k.to_string()).collect()),
        None => Err(DataError::malformed(
            origin,
            format!("labels from 0 to {}", MOST_CLASSES - 1),
            format!("label {most}"),
            "number the classes from 0 on",
        )),
    }
}

fn unlisted(origin: &str, word: &str, list: &ClassList) -> DataError {
    DataError::malformed(
        origin,
        format!("labels of the {} classes in {}", list.names.len(), list.path.display()),
        format!("label \"{word}\""),
        "add the class to that file, or correct the label",
    )
}
