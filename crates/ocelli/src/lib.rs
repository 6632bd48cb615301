//! ocelli
