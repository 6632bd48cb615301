//! Kinds of data set: what is found, and what is refused with a message worth reading.

mod archives;
mod cifar;
mod folders;
mod screening;
mod support;
mod tables;
