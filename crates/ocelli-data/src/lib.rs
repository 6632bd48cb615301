//! ocelli-data
