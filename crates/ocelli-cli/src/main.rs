//! The `ocelli` command: verbs, progress, output and exit codes. What it does stands in the libraries.

mod args;
mod bar;
mod bench;
mod bug;
mod check;
mod compare;
mod completions;
mod console;
mod counting;
mod data;
mod engine;
mod eval;
mod explain;
mod failure;
mod interrupt;
mod lecture;
mod man;
mod model;
mod network;
mod output;
mod plan;
mod predict;
mod progress;
mod text;
mod train;
mod variation;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;

use args::Verb;
use console::Console;
use failure::Failure;
use text::quoted;

fn main() -> ExitCode {
    bug::catch(|| {
        interrupt::heed_limits();
        match args::parse() {
            Ok(cli) => {
                let console = Console::new(cli.quiet, cli.verbose);
                run(&cli.verb, console).unwrap_or_else(|failure| failure.report(console))
            }
            Err(message) => instead(&message),
        }
    })
}

/// Says what clap has to say instead of running: a refusal, help or the version.
fn instead(message: &clap::Error) -> ExitCode {
    let console = Console::new(false, false);
    if message.kind() == ErrorKind::InvalidUtf8 {
        return Failure::usage(not_text(std::env::args_os().skip(1))).report(console);
    }
    let printed = message.print().and_then(|()| std::io::stdout().flush());
    match printed {
        // Help and version are results.
        Err(e) if !message.use_stderr() => Failure::Output(e).report(console),
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2)),
    }
}

/// Which arguments are no text, where names of data and networks have to be.
fn not_text(arguments: impl Iterator<Item = OsString>) -> String {
    let mut before = String::new();
    let mut found = Vec::new();
    for argument in arguments {
        match argument.to_str() {
            Some(text) => before = if text.starts_with("--") { format!("{text} ") } else { String::new() },
            None => found.push(format!("{before}{}", quoted(argument))),
        }
    }
    format!("not UTF-8 text: {}; names of data and networks have to be, so rename the file", found.join(", "))
}

fn run(verb: &Verb, console: Console) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Train(args) => train::run(args, console),
        Verb::Data(args) => data::run(args, console),
        Verb::Eval(args) => eval::run(args, console),
        Verb::Predict(args) => predict::run(args, console),
        Verb::Compare(args) => compare::run(args, console),
        Verb::Plan(args) => plan::run(args, console),
        Verb::Check(args) => check::run(args, console),
        Verb::Bench(args) => bench::run(args, console),
        Verb::Explain(args) => explain::run(args, console),
        Verb::Lecture(args) => lecture::run(args, console),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
    }
}
