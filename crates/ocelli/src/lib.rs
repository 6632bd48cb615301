//! ocelli

pub mod io;
pub mod report;
