//! The lecture's claims, one by one: the number in a test's name is that of `docs/lecture.md`.

mod backprop;
mod lenet5;
mod support;
mod training;
mod windows;
