//! `cargo xtask test`: everything that has to pass.

use std::process::ExitCode;
use std::time::Instant;

use crate::cargo;

/// The steps of `test`, in the order in which they fail fastest. Each is a call of cargo.
const STEPS: &[(&str, &[&str])] = &[
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("tests", &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]),
    ("examples in documentation", &["test", "--workspace", "--locked", "--doc"]),
    ("documentation", &["doc", "--workspace", "--locked", "--no-deps", "--document-private-items"]),
];

/// Runs all steps until one fails.
pub(crate) fn run() -> ExitCode {
    if !cargo(&["nextest", "--version"], true) {
        eprintln!("xtask: installing cargo-nextest, which runs the tests");
        if !cargo(&["install", "cargo-nextest", "--locked"], false) {
            eprintln!("xtask: cargo-nextest cannot be installed; see https://nexte.st");
            return ExitCode::FAILURE;
        }
    }
    for (name, args) in STEPS {
        let start = Instant::now();
        eprintln!("xtask: {name}: cargo {}", args.join(" "));
        if !cargo(args, false) {
            eprintln!("xtask: {name} failed");
            return ExitCode::FAILURE;
        }
        eprintln!("xtask: {name}: passed in {:.0} s", start.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}
