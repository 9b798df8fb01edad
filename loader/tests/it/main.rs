//! The loader from outside: its commands as processes, its service over gRPC.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod authority;
mod bad_records;
mod chaos;
mod commands;
mod custom;
mod digest_cache;
mod endurance;
mod fetch;
mod hostile;
mod index;
mod large;
mod limits;
mod logs;
mod memory;
mod not_files;
mod outputs;
mod parts;
mod photographs;
mod python;
mod python_ends;
mod refusals;
mod rolling;
mod secure;
mod service;
mod skip_lists;
mod slow;
mod splits;
mod tables;
mod verify;
#[allow(dead_code)]
#[path = "../../src/source/tests/write.rs"]
mod write;
