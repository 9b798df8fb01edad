//! Damaged data against every reader and decoder of the loader, and what peers may send against both ends of the wire.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod harness;
mod targets;
#[allow(dead_code)]
#[path = "../../src/source/tests/write.rs"]
mod write;

#[test]
fn no_input_panics_or_takes_too_much_memory_or_time() {
    harness::run_all(&targets::all());
}
