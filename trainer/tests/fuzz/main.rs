//! Damaged data against what the trainer reads: checkpoints, run files, settings, and requests to `TrainerService`.
//! How it is fed is the loader's harness.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

#[path = "../../../loader/tests/fuzz/harness/mod.rs"]
mod harness;
mod targets;

#[test]
fn no_input_panics_or_takes_too_much_memory_or_time() {
    harness::run_all(&targets::all());
}
