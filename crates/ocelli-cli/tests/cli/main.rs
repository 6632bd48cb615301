//! The command as its users meet it: the binary is run, and its output, exit codes and files are looked at.

mod bench;
mod challenge;
mod data;
mod errors;
mod explain;
#[cfg(unix)]
mod interrupted;
mod lecture;
mod models;
mod networks;
mod results;
mod streams;
mod support;
mod training;
