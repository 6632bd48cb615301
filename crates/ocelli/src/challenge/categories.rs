//! Which number stands for which class.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{lines, read_text, wrong};
use crate::Error;

/// The classes of a challenge and their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories {
    source: String,
    names: BTreeMap<u32, String>,
    numbers: HashMap<String, u32>,
}

impl Categories {
    /// Classes that are numbered from 0 in this order.
    pub fn of_names(names: &[impl AsRef<str>]) -> Categories {
        let mut categories =
            Categories { source: "the order of the classes".to_string(), ..Categories::default() };
        for (name, number) in names.iter().zip(0..) {
            categories.numbers.insert(plain(name.as_ref()).to_string(), number);
            categories.names.insert(number, name.as_ref().to_string());
        }
        categories
    }

    /// Reads a file with a class and its number in each line: `/a/abbey 0`; or with classes alone, which are numbered from 0 in
    /// their order.
    ///
    /// # Errors
    /// A file that cannot be read, some lines without a number, and classes or numbers that come twice.
    pub fn read(path: &Path) -> Result<Categories, Error> {
        Categories::parse(&path.display().to_string(), &read_text(path)?)
    }

    /// Reads the text of such a file; `source` is what messages call it.
    ///
    /// # Errors
    /// As [`Categories::read`].
    pub fn parse<'a>(source: &str, text: &'a str) -> Result<Categories, Error> {
        let mut categories = Categories { source: source.to_string(), ..Categories::default() };
        let numbered = |line: &'a str| -> Option<(&'a str, u32)> {
            let (name, label) = line.rsplit_once(char::is_whitespace)?;
            Some((plain(name.trim()), label.parse().ok()?))
        };
        let ends_in_number = |line: &str| {
            line.rsplit(char::is_whitespace).next().is_some_and(|word| word.parse::<i64>().is_ok())
        };
        let in_order = !lines(text).any(|(_, line)| ends_in_number(line));
        for ((number, line), place) in lines(text).zip(0..) {
            let refuse = |problem: String| wrong(source, number, problem);
            let found = if in_order { Some((plain(line.trim()), place)) } else { numbered(line) };
            let (name, label) = found.ok_or_else(|| {
                refuse(format!("'{line}' is not a class and its number, such as /a/abbey 0"))
            })?;
            if let Some(before) = categories.names.insert(label, name.to_string()) {
                return Err(refuse(format!("number {label} stands for '{before}' already")));
            }
            if let Some(before) = categories.numbers.insert(name.to_string(), label) {
                return Err(refuse(format!("class '{name}' has the number {before} already")));
            }
        }
        match categories.names.is_empty() {
            true => {
                Err(Error::Bad(format!("{source}: no classes in this file; give lines such as /a/abbey 0")))
            }
            false => Ok(categories),
        }
    }

    /// The same under another name in messages.
    pub(super) fn with_source(mut self, source: &str) -> Categories {
        self.source = source.to_string();
        self
    }

    /// What messages call these categories.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of the class of this name. A slash before the name makes no difference.
    pub fn number_of(&self, name: &str) -> Option<u32> {
        self.numbers.get(plain(name)).copied()
    }

    /// The number that a label means: one of the numbers, or the name of a class.
    pub fn number(&self, label: &str) -> Option<u32> {
        match label.parse().ok().filter(|number| self.names.contains_key(number)) {
            Some(number) => Some(number),
            None => self.number_of(label),
        }
    }

    /// Which labels there are, in words.
    pub(super) fn in_words(&self) -> String {
        let (first, last) = (self.names.keys().next(), self.names.keys().next_back());
        match (first, last) {
            (Some(first), Some(last)) => format!("labels go from {first} to {last}, as {} says", self.source),
            _ => "there are no classes".to_string(),
        }
    }
}

/// MiniPlaces writes its classes as paths from a root.
fn plain(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name_and_by_number() {
        let read = Categories::parse("c.txt", "/a/abbey 0\r\n/b/bus station 7\n\n").unwrap();
        assert_eq!(
            (read.len(), read.number_of("a/abbey"), read.number_of("/b/bus station")),
            (2, Some(0), Some(7))
        );
        let labels = ["7", "1", "a/abbey", "/a/abbey", "-1", "x"].map(|label| read.number(label));
        assert_eq!(labels, [Some(7), None, Some(0), Some(0), None, None]);
        assert_eq!(Categories::of_names(&["x", "y"]).number("y"), Some(1));
    }

    #[test]
    fn classes_without_numbers_are_numbered_in_their_order() {
        let read = Categories::parse("c.txt", "/b/bus stop\n\n/a/abbey\n").unwrap();
        assert_eq!((read.len(), read.number("b/bus stop"), read.number("/a/abbey")), (2, Some(0), Some(1)));
    }

    #[test]
    fn lines_that_are_wrong_are_named() {
        let cases = [
            ("/a/abbey\nb 1", "c.txt:1: '/a/abbey' is not a class and its number"),
            ("a 0\nb x", "c.txt:2: 'b x'"),
            ("a\nb\n/a", "c.txt:3: class 'a' has the number 0 already"),
            ("a 0\nb 0", "c.txt:2: number 0 stands for 'a' already"),
            ("a 0\n/a 1", "c.txt:2: class 'a' has the number 0 already"),
            ("a -1", "c.txt:1"),
            ("", "c.txt: no classes"),
        ];
        for (text, part) in cases {
            let error = Categories::parse("c.txt", text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
