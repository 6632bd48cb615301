//! ocelli-core
