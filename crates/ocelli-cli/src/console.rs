//! Standard error: what is told beside the result.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// How much is told, and whether in colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    quiet: bool,
    verbose: bool,
    terminal: bool,
    color: bool,
}

impl Console {
    /// By the options `-q` and `-v`, the environment, and where standard error goes.
    pub(crate) fn new(quiet: bool, verbose: bool) -> Console {
        let terminal = io::stderr().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Console { quiet, verbose, terminal: terminal && !dumb, color: terminal && !dumb && !set("NO_COLOR") }
    }

    /// Whether a progress bar can be drawn and is wanted.
    pub(crate) fn draws(self) -> bool {
        self.terminal && !self.quiet
    }

    /// Whether colours are wanted.
    pub(crate) fn colors(self) -> bool {
        self.color
    }

    /// Whether `-v` asks for more.
    pub(crate) fn verbose(self) -> bool {
        self.verbose
    }

    /// A line that is told unless `-q`.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            self.always(line);
        }
    }

    /// A fact under its name, unless `-q`: `run     runs/digits-1`.
    pub(crate) fn fact(self, name: &str, value: impl Display) {
        self.say(&format!("{name:<8}{value}"));
    }

    /// A line that is told whatever the options are.
    pub(crate) fn always(self, line: &str) {
        // Where standard error is closed, there is nobody to tell.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Something that the user should know.
    pub(crate) fn warn(self, message: impl Display) {
        self.always(&format!("{} {message}", self.paint("33", "warning:")));
    }

    /// Why there is no result.
    pub(crate) fn error(self, message: impl Display) {
        self.always(&format!("{} {message}", self.paint("31", "error:")));
    }

    /// In bold and this colour (an ANSI code), if colours are wanted.
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
