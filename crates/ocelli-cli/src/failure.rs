//! Why a command ended without its result, and the exit code of that.

use std::io;
use std::process::ExitCode;

use ocelli::Error;

use crate::console::Console;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The libraries refused, or could not go on.
    Error(Error),
    /// Standard output could not be written.
    Output(io::Error),
}

impl Failure {
    /// A wrong option, name or configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::Error(Error::Usage(message.into()))
    }

    /// Says why, and gives the exit code. A reader of the output that has seen enough is no error.
    pub(crate) fn report(self, console: Console) -> ExitCode {
        match self {
            Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Output(e) => {
                Failure::Error(Error::Io(format!("cannot write to standard output: {e}"))).report(console)
            }
            Failure::Error(Error::Interrupted(run)) => {
                console.always(&format!("interrupted; to continue: {}", crate::train::resume_command(&run)));
                ExitCode::from(Error::Interrupted(Default::default()).exit_code())
            }
            Failure::Error(error) => {
                console.error(&error);
                ExitCode::from(error.exit_code())
            }
        }
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Error(error.into())
    }
}
