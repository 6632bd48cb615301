//! ocelli

pub mod io;
