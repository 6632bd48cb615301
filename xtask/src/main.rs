//! What the developers of Ocelli run: `cargo xtask test` passes or fails the whole project.
#![allow(clippy::print_stderr)] // it reports to a terminal

use std::process::{Command, ExitCode};
use std::time::Instant;

const USAGE: &str = "usage: cargo xtask test    formatting, lints, all tests, documentation";

/// The steps of `test`, in the order in which they fail fastest. Each is a call of cargo.
const STEPS: &[(&str, &[&str])] = &[
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("tests", &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]),
    ("examples in documentation", &["test", "--workspace", "--locked", "--doc"]),
    ("documentation", &["doc", "--workspace", "--locked", "--no-deps", "--document-private-items"]),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("test"), None) => test(),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn test() -> ExitCode {
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

/// Runs cargo and says whether it succeeded.
fn cargo(args: &[&str], quiet: bool) -> bool {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).env("RUSTDOCFLAGS", "-D warnings");
    if quiet {
        return command.output().is_ok_and(|output| output.status.success());
    }
    command.status().is_ok_and(|status| status.success())
}
