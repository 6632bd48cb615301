//! The `ocelli` command: verbs, progress, output and exit codes. What it does stands in the libraries.

mod args;
mod bug;
mod check;
mod completions;
mod console;
mod engine;
mod eval;
mod failure;
mod interrupt;
mod man;
mod model;
mod output;
mod plan;
mod predict;
mod progress;
mod text;
mod train;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Verb};
use console::Console;
use failure::Failure;

fn main() -> ExitCode {
    bug::catch(|| match Cli::try_parse() {
        Ok(cli) => {
            let console = Console::new(cli.quiet, cli.verbose);
            run(&cli.verb, console).unwrap_or_else(|failure| failure.report(console))
        }
        // Help and version are results too: clap knows where each goes. A reader that left early is no error.
        Err(message) => {
            let _ = message.print();
            ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2))
        }
    })
}

fn run(verb: &Verb, console: Console) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Train(args) => train::run(args, console),
        Verb::Eval(args) => eval::run(args, console),
        Verb::Predict(args) => predict::run(args, console),
        Verb::Plan(args) => plan::run(args),
        Verb::Check(args) => check::run(args, console),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
    }
}
