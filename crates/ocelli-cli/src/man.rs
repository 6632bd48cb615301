//! `ocelli man`: manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::Man;
use ocelli::Error;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::print;

/// Options of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write a page for each verb into this folder instead
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  ocelli man | man -l -
  ocelli man ~/.local/share/man/man1";

/// Prints the page, or writes all.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    match &args.folder {
        Some(folder) => {
            let refused = |e| Error::Io(format!("cannot write manual pages into {}: {e}", folder.display()));
            std::fs::create_dir_all(folder).map_err(refused)?;
            clap_mangen::generate_to(command, folder).map_err(refused)?;
        }
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).map_err(Failure::Output)?;
            print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
