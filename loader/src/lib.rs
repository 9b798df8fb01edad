//! Mixfeed's loader service.
//!
//! In the order data meets them: [`source`] reads files into a data set, [`service`] answers gRPC
//! calls and opens streams, [`pool`] builds batches on worker threads, [`server`] carries them.
//! [`embedded`] puts these together inside another process; [`config`] and [`commands`] are the
//! command line, and [`extensions`] what a binary of one's own adds to it.
//!
//! What is deliberately not here: what a batch contains (`mixfeed-pipeline`), and who reads it
//! (`mixfeed-client`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods))]

pub mod commands;
pub mod config;
pub mod embedded;
pub mod extensions;
mod failures;
mod memory;
pub mod metrics;
pub mod pool;
pub mod server;
pub mod service;
pub mod source;

/// Understands a spec as it came over the wire, filling in what unspecified values mean; ranges are
/// checked by [`mixfeed_pipeline::CheckedSpec`]. Transforms of one's own are those of `extensions`.
///
/// # Errors
/// Names the first field whose value means nothing.
pub fn understood(
    spec: &mixfeed_proto::v1::StreamSpec,
    extensions: &extensions::Extensions,
) -> Result<mixfeed_pipeline::StreamSpec, mixfeed_pipeline::SpecError> {
    service::translate::stream_spec(spec, extensions)
}
