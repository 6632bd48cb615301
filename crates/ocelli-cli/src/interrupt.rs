//! Ctrl-C: the first asks for an end, the second is one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ocelli::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of an interrupted command.
const EXIT_CODE: i32 = 130;

/// A flag that the first SIGINT or SIGTERM sets; the next one ends the process at once.
///
/// # Errors
/// A system that does not allow it.
pub(crate) fn watch() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, passes, and sets it.
        flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|e| Error::Io(format!("cannot watch for Ctrl-C: {e}")))?;
    }
    Ok(stop)
}
