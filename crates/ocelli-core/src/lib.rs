//! ocelli-core

pub mod init;
pub mod loss;
pub mod optim;
pub mod role;
pub mod schedule;
pub mod setting;
