//! What an experiment finds: figures held against what was expected, tables and drawings.

use std::fmt;

use crate::figure::{Drawing, Sheet, number};

/// What an experiment found.
#[derive(Default)]
pub struct Finding {
    /// Which data it used, as a part of a sentence: "1,797 embedded digits". Empty where it used none.
    pub data: String,
    /// What it measured, in the order of its text.
    pub checks: Vec<Check>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Drawings.
    pub figures: Vec<Figure>,
    /// What is seen, in sentences.
    pub remarks: Vec<String>,
}

impl Finding {
    /// Whether everything was found as expected.
    pub fn accepted(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }

    /// Notes a value that has to be as expected.
    pub(crate) fn check(&mut self, what: impl Into<String>, found: f64, expected: Expected) {
        self.checks.push(Check { what: what.into(), found, expected, said: String::new() });
    }

    /// Notes a value beside what the lecture or a paper says of it, in words.
    pub(crate) fn said(&mut self, what: impl Into<String>, found: f64, expected: Expected, said: &str) {
        self.checks.push(Check { what: what.into(), found, expected, said: said.to_owned() });
    }

    /// Notes that something is so, or is not.
    pub(crate) fn holds(&mut self, what: impl Into<String>, is_so: bool) {
        self.check(what, f64::from(u8::from(is_so)), Expected::True);
    }

    /// Notes what is seen.
    pub(crate) fn remark(&mut self, sentence: impl Into<String>) {
        self.remarks.push(sentence.into());
    }

    /// Adds a figure.
    pub(crate) fn figure(&mut self, name: &'static str, caption: impl Into<String>, sheet: Sheet) {
        self.drawing(name, caption, sheet.draw());
    }

    /// Adds a figure that is drawn already.
    pub(crate) fn drawing(&mut self, name: &'static str, caption: impl Into<String>, drawing: Drawing) {
        self.figures.push(Figure { name, caption: caption.into(), drawing });
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }
}

/// A value that was measured.
pub struct Check {
    /// What it is, with its unit.
    pub what: String,
    /// It.
    pub found: f64,
    /// What it has to be.
    pub expected: Expected,
    /// What the lecture or a paper says of it, in words, where numbers do not say all.
    pub said: String,
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Whatever it is: it is shown.
    Anything,
    /// 1: something is so.
    True,
    /// This very number.
    Exactly(f64),
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Within these ends, both included.
    Between(f64, f64),
    /// This number, give or take so large a fraction of it.
    Near(f64, f64),
}

impl Check {
    /// Whether the value is as expected. What is not a number is not.
    pub fn holds(&self) -> bool {
        let x = self.found;
        match self.expected {
            Expected::Anything => true,
            Expected::True => x == 1.0,
            Expected::Exactly(value) => x == value,
            Expected::AtMost(most) => x <= most,
            Expected::AtLeast(least) => x >= least,
            Expected::Between(least, most) => (least..=most).contains(&x),
            Expected::Near(value, within) => (x - value).abs() <= within * value.abs(),
        }
    }

    /// The value as people read it.
    pub fn shown(&self) -> String {
        match self.expected {
            Expected::True => if self.holds() { "yes" } else { "no" }.to_owned(),
            _ => plain(self.found),
        }
    }

    /// What was expected, as people read it, followed by what was said; empty where there is neither.
    pub fn wanted(&self) -> String {
        let expected = self.expected.to_string();
        let between = if expected.is_empty() || self.said.is_empty() { "" } else { "; " };
        format!("{expected}{between}{}", self.said)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Expected::Anything => Ok(()),
            Expected::True => f.write_str("yes"),
            Expected::Exactly(value) => write!(f, "exactly {}", plain(value)),
            Expected::AtMost(most) => write!(f, "at most {}", plain(most)),
            Expected::AtLeast(least) => write!(f, "at least {}", plain(least)),
            Expected::Between(least, most) => write!(f, "{} to {}", plain(least), plain(most)),
            Expected::Near(value, within) => write!(f, "{} ± {:.0} %", plain(value), 100.0 * within),
        }
    }
}

/// A whole number as it is, others with four digits at most.
fn plain(value: f64) -> String {
    if value.is_finite() && value == value.round() && value.abs() < 1e9 {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", number::count(value.abs() as u64));
    }
    let text = number::significant(value, 4);
    let (digits, exponent) = text.split_once('e').map_or((text.as_str(), None), |(d, e)| (d, Some(e)));
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    exponent.map_or_else(|| digits.to_owned(), |exponent| format!("{digits}e{exponent}")).replacen(
        '-',
        "−",
        usize::from(value < 0.0),
    )
}

/// A table for people. Cells of the first column are names, the others values.
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub heading: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<const N: usize>(title: &str, heading: [&str; N]) -> Table {
        Table { title: title.to_owned(), heading: heading.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.heading.len(), "a cell for each column");
        self.rows.push(cells);
    }
}

/// A figure.
pub struct Figure {
    /// Its name within the experiment.
    pub name: &'static str,
    /// What it shows, in sentences.
    pub caption: String,
    /// It.
    pub drawing: Drawing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: f64, expected: Expected) -> Check {
        Check { what: String::new(), found, expected, said: String::new() }
    }

    #[test]
    fn values_are_held_against_what_is_expected() {
        let kinds = [
            (Expected::True, 1.0, 0.0),
            (Expected::Exactly(2.0), 2.0, 2.1),
            (Expected::AtMost(2.0), 2.0, 2.1),
            (Expected::AtLeast(2.0), 2.0, 1.9),
            (Expected::Between(1.0, 2.0), 1.5, 2.5),
            (Expected::Near(-2.0, 0.1), -2.15, -2.25),
        ];
        for (expected, good, bad) in kinds {
            assert!(check(good, expected).holds() && !check(bad, expected).holds(), "{expected:?}");
            assert!(!check(f64::NAN, expected).holds(), "{expected:?}");
        }
        assert!(check(f64::NAN, Expected::Anything).holds());
    }

    #[test]
    fn values_are_written_without_digits_that_say_nothing() {
        let shown = [0.0, 558.0, 61_706.0, -3.0, 0.25, 1.5e-12, -0.123_456, -2e-7].map(plain);
        assert_eq!(shown, ["0", "558", "61,706", "−3", "0.25", "1.5e-12", "−0.1235", "−2e-7"]);
        assert_eq!(check(0.0, Expected::True).shown(), "no");
        let told = Check { said: "558 in the paper".to_owned(), ..check(1.0, Expected::AtMost(2000.0)) };
        assert_eq!(told.wanted(), "at most 2,000; 558 in the paper");
    }
}
