//! Trains image classifiers on batches that come from any number of loader replicas.
//!
//! The last stretch of the road: batches arrive by gRPC, in order, whoever made them ([`feed`]); they
//! become tensors on the device, from which a model learns ([`learn`]), step by step ([`train`]); what is left on
//! disk is a run folder ([`run`]) that a person, Python and a later run can read, and [`report`] tells people.
//!
//! What is deliberately not here: any dataset and anything random about a batch. Even the clean test
//! images come over the same RPC, so that the trainer trains alike on whatever a loader can read. The
//! only random thing is the initial weights, and they follow from the seed ([`learn::model`]).
//!
//! This is the only crate that meets libtorch.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(windows)]
compile_error!("mixfeed-trainer does not build on Windows: use WSL2 or the container images");

pub mod cli;
pub mod commands;
pub mod compare;
pub mod config;
pub mod error;
pub mod evaluate;
pub mod feed;
pub mod group;
pub mod learn;
pub mod machine;
pub mod panics;
pub mod peers;
pub mod predict;
pub mod remote;
pub mod report;
pub mod run;
pub mod train;
pub mod usage;
