//! What is said when Ocelli itself is wrong: a panic that nothing in the libraries expected.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The exit code of a bug.
const EXIT_CODE: u8 = 101;

/// Message and place of the panic at hand. Hooks are called before anybody knows whether a panic will be caught, as
/// those of picture decoders are; so the hook notes, and only what arrives here is told.
static LATEST: Mutex<Option<String>> = Mutex::new(None);

/// Runs the command; if it panics, says that this is a bug and what to report.
pub(crate) fn catch(command: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(note));
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|panic| {
        let noted = LATEST.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Where standard error is closed, the exit code has to do.
        let _ = io::stderr().write_all(report(&noted.unwrap_or_else(|| message(&*panic))).as_bytes());
        ExitCode::from(EXIT_CODE)
    })
}

fn note(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
    let text = format!("{}{place}", message(panic.payload()));
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_string())
}

fn report(what: &str) -> String {
    // Not `args`, which panics at words that are no text.
    let command: Vec<String> = std::env::args_os().map(crate::text::quoted).collect();
    format!(
        "\nthis is a bug in Ocelli: {what}\n  Nothing of yours is at fault, and checkpoints that were written stay whole.\n  \
         Please report it at {}/issues, with these lines:\n    ocelli {} on {}-{}\n    {}\n",
        env!("CARGO_PKG_REPOSITORY"),
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        command.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_says_what_happened_and_where_to_report_it() {
        let text = report("invariant broken (src/x.rs:1:2)");
        for part in ["this is a bug in Ocelli: invariant broken", "/issues", env!("CARGO_PKG_VERSION")] {
            assert!(text.contains(part), "no '{part}' in {text}");
        }
    }

    #[test]
    fn messages_of_panics_are_text_of_both_kinds() {
        assert_eq!(message(&"constant"), "constant");
        assert_eq!(message(&"made".to_string()), "made");
        assert_eq!(message(&7), "no message");
    }
}
