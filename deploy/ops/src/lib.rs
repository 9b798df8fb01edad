//! What both binaries need to be operated: exit codes, logs, metrics, signals, settings, the serving end of gRPC, and who
//! they are. It stands at the edges of the journey, where a process starts, reports and stops.
//!
//! What is deliberately not here: anything about batches. The crate knows no other crate of ours.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address;
pub mod build;
pub mod command_line;
pub mod config;
pub mod exit;
pub mod files;
pub mod grpc;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod output;
pub mod signals;
pub mod stderr;
pub mod stdin;
pub mod testing;
pub mod text;
