//! Trainings on one thread each: libtorch's number of threads is that of the process, and results
//! depend on it, so that tests on two threads are in a process of their own (`same_weights.rs`).

// A test may start threads and look at its environment.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

#[path = "one_thread/chaos.rs"]
mod chaos;
#[path = "one_thread/resume_exactly.rs"]
mod resume_exactly;
mod support;
#[path = "one_thread/virtual_shards.rs"]
mod virtual_shards;
