//! `docs/lecture.md` names tests, experiments and files that exist, and claims and experiments agree with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ocelli::lecture::EXPERIMENTS;

const DOCUMENT: &str = include_str!("../../../../docs/lecture.md");

/// The sources of these tests.
const SOURCES: [&str; 10] = [
    include_str!("backprop.rs"),
    include_str!("classical.rs"),
    include_str!("digits.rs"),
    include_str!("experiments.rs"),
    include_str!("history.rs"),
    include_str!("lenet5.rs"),
    include_str!("training.rs"),
    include_str!("units.rs"),
    include_str!("windows.rs"),
    include_str!("document.rs"),
];

/// Words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether that is the name of a test of a claim or of several, and not the pattern of such names.
fn is_test(word: &str) -> bool {
    (word.starts_with("item_") || word.starts_with("items_")) && word.is_ascii()
}

/// The rows of the table of claims: number and the rest of the row.
fn claims() -> BTreeMap<u8, &'static str> {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    rows.filter_map(|(number, row)| Some((number.parse().ok()?, row))).collect()
}

#[test]
fn tests_that_it_names_exist_and_every_test_of_a_claim_is_named() {
    let named: BTreeSet<&str> = quoted(DOCUMENT).filter(|word| is_test(word)).collect();
    let functions = SOURCES.iter().flat_map(|source| source.split("\nfn ").skip(1));
    let existing: BTreeSet<&str> =
        functions.filter_map(|f| f.split_once('(')).map(|f| f.0).filter(|f| is_test(f)).collect();
    let missing: Vec<_> = named.difference(&existing).collect();
    let unnamed: Vec<_> = existing.difference(&named).collect();
    assert!(missing.is_empty() && unnamed.is_empty(), "no such tests: {missing:#?}\nnot named: {unnamed:#?}");
}

#[test]
fn files_that_it_names_exist() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for word in quoted(DOCUMENT).filter(|word| word.ends_with(".rs") || word.ends_with('/')) {
        assert!(crates.join(word).exists() || crates.join("..").join(word).exists(), "{word}");
    }
}

#[test]
fn experiments_stand_in_the_rows_of_their_claims_and_in_no_others() {
    let claims = claims();
    for experiment in EXPERIMENTS {
        for number in experiment.checklist {
            let row =
                claims.get(number).unwrap_or_else(|| panic!("no claim {number}, of {}", experiment.name));
            assert!(
                quoted(row).any(|word| word == experiment.name),
                "{} in claim {number}: {row}",
                experiment.name
            );
        }
    }
    for (number, row) in &claims {
        for experiment in EXPERIMENTS.iter().filter(|e| quoted(row).any(|word| word == e.name)) {
            assert!(
                experiment.checklist.contains(number),
                "{} says nothing of claim {number}",
                experiment.name
            );
        }
    }
}
