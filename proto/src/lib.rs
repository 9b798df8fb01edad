//! Mixfeed's gRPC contract, as code.
//!
//! What is here: the messages and services of `mixfeed/v1/*.proto`, the limits that both ends
//! share, the two pure functions that the contract itself defines (the canonical spec digest
//! and the batch checksum), and the translation of the spec's types (`mixfeed-streamspec`) to messages and back.
//! Every other crate meets the wire through this one.
//!
//! What is deliberately not here: any behaviour. Checking a request is the loader's business,
//! checking an answer the client's.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod canonical;
mod checksum;
pub mod limits;
mod wire;

// Generated code follows protobuf's style, not ours.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
mod generated {
    tonic::include_proto!("mixfeed.v1");
}

pub use canonical::spec_digest;
pub use checksum::{BatchBytes, batch_checksum, batch_digest};
pub use wire::digest_of;

/// Messages and services of package `mixfeed.v1`.
pub mod v1 {
    pub use crate::generated::*;
}

/// The encoded `FileDescriptorSet` of the loader's service, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mixfeed.v1.bin"));

/// Name of the protocol, as printed by `--version`.
pub const PROTOCOL: &str = "mixfeed.v1";
