//! Lists of pictures, and their true labels.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ocelli_data::{CsvPicture, is_picture, pictures_in_csv};

use super::{Categories, lines, read_text, wrong};
use crate::Error;

/// A list of pictures: a line for each, with its path and, where it is known, its label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    source: String,
    entries: Vec<Entry>,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// The path as it is written.
    pub file: String,
    /// The label as it is written.
    pub label: Option<String>,
}

impl List {
    /// Reads a list file (see [`List::parse`]), or a CSV file by its columns of paths and, if there is one, labels.
    ///
    /// # Errors
    /// A file that cannot be read, is no text or lists nothing; a CSV file without a column of paths.
    pub fn read(path: &Path, categories: Option<&Categories>) -> Result<List, Error> {
        let source = path.display().to_string();
        let Some(pictures) = pictures_in_csv(path)? else {
            return List::parse(&source, &read_text(path)?, categories);
        };
        let entry = |CsvPicture { line, path, label }| Entry { line, file: path, label };
        List::of(source, pictures.into_iter().map(entry).collect())
    }

    /// # Errors
    /// No entries.
    fn of(source: String, entries: Vec<Entry>) -> Result<List, Error> {
        match entries.is_empty() {
            true => Err(Error::Bad(format!(
                "{source}: the list is empty; give a line with a path for each picture"
            ))),
            false => Ok(List { source, entries }),
        }
    }

    /// Reads the text of a list, which messages call `source`. Path and label are separated by a tab, or by a space that follows
    /// the name of a picture or comes before a number or a class that `categories` knows; a line without these, or whose end is a
    /// picture's name, is a path, spaces and all. Lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// A list of nothing.
    pub fn parse(source: &str, text: &str, categories: Option<&Categories>) -> Result<List, Error> {
        let is_label = |label: &str| {
            label.bytes().all(|b| b.is_ascii_digit()) || categories.is_some_and(|c| c.number(label).is_some())
        };
        let entry = |(line, text): (usize, &str)| {
            let picture = |name: &str| is_picture(name.as_bytes());
            let divides =
                |&(file, label): &(&str, &str)| is_label(label) || picture(file.trim()) && !picture(text);
            let split =
                text.rsplit_once('\t').or_else(|| text.rsplit_once(char::is_whitespace).filter(divides));
            let (file, label) = split.map_or((text, None), |(file, label)| (file.trim(), Some(label.trim())));
            Entry { line, file: file.to_string(), label: label.map(str::to_string) }
        };
        let entries = lines(text).filter(|(_, line)| !line.starts_with('#')).map(entry);
        List::of(source.to_string(), entries.collect())
    }

    /// What messages call this list.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its lines.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether each picture stands in it once.
    ///
    /// # Errors
    /// [`Error::Bad`] names the line that repeats one.
    pub fn check_unique(&self) -> Result<(), Error> {
        let mut seen = HashMap::new();
        for Entry { line, file, .. } in &self.entries {
            if let Some(before) = seen.insert(file, line) {
                return Err(wrong(&self.source, *line, format!("'{file}' stands in line {before} already")));
            }
        }
        Ok(())
    }
}

/// The true label of each picture of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    source: String,
    pub(super) labels: BTreeMap<String, u32>,
    pub(super) categories: Categories,
}

impl Truth {
    /// The labels of a list. Without `categories`, the classes are those that the list names: numbers from 0 to
    /// the largest, or names in alphabetical order.
    ///
    /// # Errors
    /// Lines without a label, with one that is no class, or with a picture that comes twice.
    pub fn new(list: &List, categories: Option<&Categories>) -> Result<Truth, Error> {
        list.check_unique()?;
        let categories = match categories {
            Some(categories) => categories.clone(),
            None => Categories::of_names(&own_classes(list)).with_source(list.source()),
        };
        let mut labels = BTreeMap::new();
        for Entry { line, file, label } in &list.entries {
            let refuse = |problem: String| wrong(&list.source, *line, problem);
            let label = label.as_deref().ok_or_else(|| {
                refuse(format!(
                    "'{file}' has no label, so nothing can be scored; give lines such as val/1.jpg 61"
                ))
            })?;
            let number = categories.number(label);
            let number = number
                .ok_or_else(|| refuse(format!("label '{label}' is no class; {}", categories.in_words())))?;
            labels.insert(file.clone(), number);
        }
        Ok(Truth { source: list.source.clone(), labels, categories })
    }

    /// What messages call the list.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The names of the classes that a list speaks of.
fn own_classes(list: &List) -> Vec<String> {
    let labels = || list.entries.iter().filter_map(|entry| entry.label.as_deref());
    let numbers: Option<Vec<u32>> = labels().map(|label| label.parse().ok()).collect();
    match numbers.and_then(|numbers| numbers.into_iter().max()) {
        // A list with a wild number would name as many classes.
        Some(largest) if largest < MOST_CLASSES => (0..=largest).map(|number| number.to_string()).collect(),
        _ => {
            let mut names: Vec<String> = labels().map(str::to_string).collect();
            names.sort();
            names.dedup();
            names
        }
    }
}

/// Numbers from here on are names, not places in an order.
const MOST_CLASSES: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_paths_with_labels_or_without() {
        let categories = Categories::parse("c.txt", "/a/abbey 0\n/b/bar 1").unwrap();
        let text = "val/1.jpg 1\r\n  val/2.jpg\n\nmy photo.jpg\nmy photo 3.jpg 0\nx.jpg b/bar\ny z.jpg\tb/bar\n1 2\n# 3\nz.PNG cat\n";
        let list = List::parse("val.txt", text, Some(&categories)).unwrap();
        let found: Vec<_> =
            list.entries().iter().map(|e| (e.line, e.file.as_str(), e.label.as_deref())).collect();
        let wanted = [
            (1, "val/1.jpg", Some("1")),
            (2, "val/2.jpg", None),
            (4, "my photo.jpg", None),
            (5, "my photo 3.jpg", Some("0")),
            (6, "x.jpg", Some("b/bar")),
            (7, "y z.jpg", Some("b/bar")),
            (8, "1", Some("2")),
            (10, "z.PNG", Some("cat")),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn csv_files_are_lists_by_their_columns() {
        let place = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::write(&path, text).unwrap();
            List::read(&path, None).map_err(|e| e.to_string())
        };
        let list = read("a.csv", "id,label,file\n7,bar,\"x, y.jpg\"\n8,,z.jpg\n").unwrap();
        let found: Vec<_> =
            list.entries().iter().map(|e| (e.line, e.file.as_str(), e.label.as_deref())).collect();
        assert_eq!(found, [(2, "x, y.jpg", Some("bar")), (3, "z.jpg", None)]);
        assert_eq!(read("b.TSV", "path\nq r.jpg\n").unwrap().entries()[0].file, "q r.jpg");
        for (text, wanted) in [
            ("name,label\nx.jpg,1\n", "a column of paths"),
            ("path\n", "the list is empty"),
            ("path,label\n,1\n", "line 2"),
            ("path,label\nx.jpg\n", "line 2"),
        ] {
            let said = read("c.csv", text).unwrap_err();
            assert!(said.contains(wanted), "{said}");
        }
    }

    fn truth(text: &str, categories: Option<&str>) -> Result<Truth, String> {
        let categories = categories.map(|text| Categories::parse("c.txt", text).unwrap());
        let list = List::parse("val.txt", text, categories.as_ref()).map_err(|e| e.to_string())?;
        Truth::new(&list, categories.as_ref()).map_err(|e| e.to_string())
    }

    #[test]
    fn labels_are_those_of_the_categories_or_of_the_list() {
        let labels = |truth: Result<Truth, String>| truth.unwrap().labels.into_values().collect::<Vec<_>>();
        assert_eq!(labels(truth("a.jpg 7\nb.jpg /x/bar", Some("/x/abbey 7\n/x/bar 3"))), [7, 3]);
        assert_eq!(labels(truth("a.jpg 7\nb.jpg 3", None)), [7, 3]);
        assert_eq!(labels(truth("a.jpg\tdog\nb.jpg\tcat\nc.jpg\tdog", None)), [1, 0, 1]);
        assert_eq!(labels(truth("a.jpg 4294967295\nb.jpg 3", None)), [1, 0]);
    }

    #[test]
    fn lists_that_cannot_be_scored_are_refused_by_line() {
        let cases = [
            ("a.jpg 0\nb.jpg", None, "val.txt:2: 'b.jpg' has no label"),
            (
                "a.jpg 0\nb.jpg 9",
                Some("/x/abbey 0"),
                "val.txt:2: label '9' is no class; labels go from 0 to 0, as c.txt",
            ),
            ("a.jpg 0\nb.jpg 1\na.jpg 0", None, "val.txt:3: 'a.jpg' stands in line 1 already"),
            ("\n \n", None, "val.txt: the list is empty"),
        ];
        for (text, categories, part) in cases {
            let error = truth(text, categories).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
