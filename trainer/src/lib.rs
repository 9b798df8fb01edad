//! Trains image classifiers on batches that come from any number of loader replicas.
//!
//! The last stretch of the road: batches arrive by gRPC, in order, whoever made them ([`feed`]); they
//! become tensors on the device ([`staging`]); a model learns from them ([`train`]); what is left on
//! disk is a run folder ([`run_folder`]) that a person, Python and a later run can read.
//!
//! What is deliberately not here: any dataset and anything random about a batch. Even the clean test
//! images come over the same RPC, so that the trainer trains alike on whatever a loader can read. The
//! only random thing is the initial weights, and they follow from the seed ([`model`]).
//!
//! This is the only crate that meets libtorch.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(windows)]
compile_error!("mixfeed-trainer does not build on Windows: use WSL2 or the container images");

pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod config;
pub mod curves;
pub mod device;
pub mod ema;
pub mod error;
pub mod evaluate;
pub mod feed;
pub mod image_error;
pub mod loaders;
pub mod loss;
pub mod metrics;
pub mod model;
pub mod observer;
pub mod openmp;
pub mod optimizer;
pub mod outcome;
pub mod panics;
pub mod precision;
pub mod predict;
pub mod remote;
pub mod resume;
pub mod run_folder;
pub mod schedule;
pub mod staging;
pub mod stop;
pub mod tally;
pub mod train;
pub mod usage;
pub mod weights;

mod canvas;
mod clock;
mod cuda;
mod eta;
mod heat_map;
mod left_out;
mod pace;
mod progress;
#[cfg(test)]
mod reference;
mod shim;
mod table;
mod tensorboard;
