//! `ocelli man`: manual pages.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;
use ocelli::Error;

use crate::failure::Failure;
use crate::output::{print, write_file};

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
    let mut command = crate::args::command().disable_help_subcommand(true);
    command.build();
    match &args.folder {
        Some(folder) => {
            let refused = |e| Error::Io(format!("cannot write manual pages into {}: {e}", folder.display()));
            std::fs::create_dir_all(folder).map_err(refused)?;
            for command in with_below(&command) {
                let file = folder.join(format!("{}.1", name_of(command)));
                write_file(&file, &page(command).map_err(refused)?)?;
            }
        }
        None => print(&page(&command).map_err(Failure::Output)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A command, its verbs, and what is below those.
fn with_below(command: &Command) -> Vec<&Command> {
    std::iter::once(command).chain(command.get_subcommands().flat_map(with_below)).collect()
}

/// `ocelli-train`.
fn name_of(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// The page of one command: clap's sections, then what stands below its help.
fn page(command: &Command) -> io::Result<String> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    // Each section begins with clap_mangen's definition of the apostrophe; one is enough.
    let page = String::from_utf8_lossy(&page);
    let defines = |line: &&str| line.starts_with(".ie ") || line.starts_with(".el ");
    let apostrophe = page.lines().take_while(defines);
    let body = page.lines().filter(|line| !defines(line));
    let lines: Vec<&str> = apostrophe.chain(body).collect();
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    Ok(format!("{}{}\n{}", title(command), lines.join("\n"), sections(&below)))
}

/// The head and foot of a page. Not clap_mangen's, which leaves the empty date unquoted, so that the version takes its
/// place.
fn title(command: &Command) -> String {
    let (name, version) = (escaped(name_of(command)), env!("CARGO_PKG_VERSION"));
    format!(".TH {name} 1 \"\" \"ocelli {version}\" \"User Commands\"\n")
}

/// How the block of examples begins.
const HEADING: &str = "Examples:";

/// NOTES and EXAMPLES from the text below a command's help: blocks with an empty line between them. Lines of examples
/// stay as they are; others are prose, which roff fills.
fn sections(text: &str) -> String {
    let blocks = || text.split("\n\n").map(str::trim_end).filter(|block| !block.is_empty());
    let mut out = String::new();
    for (i, block) in blocks().filter(|block| !block.starts_with(HEADING)).enumerate() {
        out += if i == 0 { ".SH NOTES\n" } else { ".PP\n" };
        out += &block.lines().map(escaped).collect::<Vec<_>>().join("\n.br\n");
        out.push('\n');
    }
    for block in blocks().filter_map(|block| block.strip_prefix(HEADING)) {
        out += ".SH EXAMPLES\n.nf\n";
        for line in block.trim_start_matches('\n').lines() {
            out += &escaped(line.strip_prefix("  ").unwrap_or(line));
            out.push('\n');
        }
        out += ".fi\n";
    }
    out
}

/// A line of text in which roff finds no commands, and hyphens that can be copied.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', r"\e").replace('-', r"\-");
    if text.starts_with(['.', '\'']) { format!(r"\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_prose_is_filled() {
        let text = sections("Some prose.\n\nExamples:\n  ocelli man | man -l -\n  .x\n\nMore.");
        let wanted = ".SH NOTES\nSome prose.\n.PP\nMore.\n\
            .SH EXAMPLES\n.nf\nocelli man | man \\-l \\-\n\\&.x\n.fi\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn every_page_says_its_version() {
        let mut command = crate::args::command();
        command.build();
        for command in command.get_subcommands() {
            let page = page(command).expect("memory takes any page");
            assert!(page.contains(concat!("\"ocelli ", env!("CARGO_PKG_VERSION"), "\"")), "{page}");
        }
    }
}
