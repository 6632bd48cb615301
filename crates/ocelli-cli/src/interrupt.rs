//! Signals: the first Ctrl-C asks for an end, the second is one; a closed terminal asks too.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ocelli::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of an interrupted command.
const EXIT_CODE: i32 = 130;

/// A flag that the first SIGINT or SIGTERM sets; the next one ends the process at once. A hang-up sets it too.
///
/// # Errors
/// A system that does not allow it.
pub(crate) fn watch() -> Result<Arc<AtomicBool>, Error> {
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let refused = |e| Error::Io(format!("cannot watch for Ctrl-C: {e}"));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, passes, and sets it. A hang-up does not set this one: what
        // follows it at once when a terminal closes must not cut the checkpoint off.
        flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(refused)?;
    }
    #[cfg(unix)]
    unix::watch_hangup(&stop).map_err(refused)?;
    Ok(stop)
}

/// Makes a file that would grow beyond `ulimit -f` an error of writing instead of the process's end.
pub(crate) fn heed_limits() {
    #[cfg(unix)]
    unix::heed_file_size();
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGXFSZ};
    use signal_hook::flag;

    /// Sets the flag when the terminal closes, unless the process was told to ignore that, as nohup does. A second
    /// hang-up changes nothing: a shell and the terminal may each send one.
    pub(super) fn watch_hangup(stop: &Arc<AtomicBool>) -> io::Result<()> {
        match ignored(SIGHUP) {
            true => Ok(()),
            false => flag::register(SIGHUP, Arc::clone(stop)).map(|_| ()),
        }
    }

    pub(super) fn heed_file_size() {
        // Any handler keeps the signal from ending the process. Without one it does as it always did.
        let _ = flag::register(SIGXFSZ, Arc::default());
    }

    /// Whether this process ignores a signal. Where the system does not say, the signal is left as it is.
    fn ignored(signal: i32) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
    }
}
