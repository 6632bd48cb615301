//! Threads and instruction set, as the command line and the environment ask for them.

use ocelli::{Engine, Error};
use ocelli_kernels::{Element, Isa, Precision};

use crate::console::Console;

/// The variable that forces an instruction set.
const VARIABLE: &str = "OCELLI_ISA";

/// The engine with so many threads (`None`: one per core).
///
/// # Errors
/// An instruction set that this machine lacks, or threads that cannot be started.
pub(crate) fn engine(threads: Option<usize>) -> Result<Engine, Error> {
    Engine::new(threads.unwrap_or(0), isa()?)
}

/// Warns where a precision was asked for that the instruction set makes nothing of.
pub(crate) fn warn_of_precision(precision: Precision, isa: Isa, console: Console) {
    if f32::kernels_of(isa, precision).precision != precision {
        console.warn(format!(
            "--precision {}: {} has no unit for such products, which are computed in f32",
            precision.name(),
            isa.name()
        ));
    }
}

/// The instruction set that `OCELLI_ISA` names, or the best one.
///
/// # Errors
/// An instruction set that this machine lacks, or that nobody knows.
pub(crate) fn isa() -> Result<Isa, Error> {
    let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(Isa::detect());
    };
    let name = value.to_string_lossy();
    let available: Vec<&str> = Isa::ALL.iter().filter(|isa| isa.available()).map(|isa| isa.name()).collect();
    let choose = format!("this machine has {}; unset {VARIABLE} for the best one", available.join(", "));
    match Isa::from_name(&name) {
        Some(isa) if isa.available() => Ok(isa),
        Some(_) => Err(Error::Usage(format!("{VARIABLE}={name}: this CPU cannot run it; {choose}"))),
        None => Err(Error::Usage(format!("{VARIABLE}={name}: no instruction set has this name; {choose}"))),
    }
}
