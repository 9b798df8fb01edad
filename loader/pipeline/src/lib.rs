//! Mixfeed's pure core: what a batch contains.
//!
//! A batch is a pure function of the dataset, the algorithm, the stream spec and the batch index.
//! This crate is that function. [`BatchPlan`] makes every random choice from keyed generators;
//! [`collate`](collate::collate) turns the plan into bytes without a generator in scope.
//!
//! In the order data meets them: [`dataset`] (with [`cifar`], [`synthetic`] and [`decode`]) is what
//! batches are made of; [`spec`] is what is asked for, and [`CheckedSpec`] that it can be had; [`key`], [`order`] (with [`left_out`]) and [`lambda`] are the
//! draws that [`plan`] consists of, together with [`augment`] and [`blend`], which say what is done to
//! images; [`mix`] and [`mod@collate`] do the arithmetic; [`fingerprint`] names the algorithm by what it
//! computes, and [`conformance`] is what custom transforms and datasets keep to.
//!
//! What is deliberately not here: files, sockets, clocks, threads, environment and async. Bytes
//! come in as slices, results go out in buffers.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod augment;
pub mod blend;
mod checked;
pub mod cifar;
pub mod collate;
pub mod conformance;
pub mod content;
pub mod dataset;
pub mod decode;
pub mod fingerprint;
pub mod key;
pub mod lambda;
pub mod left_out;
pub mod mix;
pub mod order;
pub mod plan;
mod planar;
mod simd;
pub mod synthetic;

pub use checked::CheckedSpec;
pub use collate::{BatchBuffer, Scratch, collate, collate_row};
pub use dataset::{Dataset, Fault, SampleError, SampleMemory, Samples};
pub use key::Seed;
pub use lambda::Lambda;
pub use left_out::LeftOut;
pub use mixfeed_streamspec as spec;
pub use plan::{BatchPlan, RowPlan};
pub use spec::{ImageShape, SpecError, Split, StreamSpec};
