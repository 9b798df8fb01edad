//! Mixfeed's loader service.
//!
//! In the order data meets them: [`source`] reads files into a dataset, [`service`] answers gRPC
//! calls and opens streams, [`pool`] builds batches on worker threads, [`server`] carries them.
//! [`embedded`] puts these together inside another process; [`config`] and [`commands`] are the
//! command line, and [`extensions`] what a binary of one's own adds to it, which
//! [`conformance`] checks.
//!
//! What is deliberately not here: what a batch contains (`mixfeed-pipeline`), and who reads it
//! (`mixfeed-client`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods))]

mod assembly;
mod batch;
pub mod commands;
pub mod config;
pub mod conformance;
pub mod embedded;
pub mod extensions;
mod failures;
mod heartbeat;
mod memory;
pub mod metrics;
pub mod parallel;
pub mod pool;
pub mod server;
pub mod service;
pub mod source;
