//! `ocelli completions`: what a shell needs to complete commands and options.

use std::process::ExitCode;

use clap_complete::Shell;
use ocelli::arch::ARCHITECTURES;

use crate::failure::Failure;
use crate::output::print;

/// Options of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  ocelli completions bash > ~/.local/share/bash-completion/completions/ocelli
  ocelli completions zsh > ~/.zfunc/_ocelli
  ocelli completions fish > ~/.config/fish/completions/ocelli.fish";

/// Prints the script.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::command(), "ocelli", &mut script);
    let script = String::from_utf8_lossy(&script);
    print(&match args.shell {
        Shell::Bash => or_files(&script),
        _ => script.into_owned(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A network is a name or a file; clap's script offers the names alone.
fn or_files(script: &str) -> String {
    let names: Vec<&str> = ARCHITECTURES.iter().map(|network| network.name).collect();
    let names = format!("-W \"{}\"", names.join(" "));
    script.replace(&format!("compgen {names}"), &format!("compgen -f {names}"))
}
