//! The loader from outside: its commands as processes, its service over gRPC.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod chaos;
mod commands;
mod fleet;
mod python;
mod rolling;
mod service;
