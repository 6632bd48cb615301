//! The claims of the lecture, by their numbers in `docs/lecture.md`.

mod backprop;
mod classical;
mod digits;
mod document;
mod experiments;
mod history;
mod lenet5;
mod support;
mod training;
mod units;
mod windows;
