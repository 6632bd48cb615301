//! ocelli

pub mod report;
