//! The claims of the lecture, by their numbers in `docs/lecture.md`.

mod classical;
mod history;
mod support;
mod units;
