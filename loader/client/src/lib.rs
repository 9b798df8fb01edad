//! Reads one stream of training batches from any number of mixfeed loaders.
//!
//! A batch is a pure function of the dataset, the algorithm, the spec and its index, so any loader can
//! make any batch. This crate asks for batches by index, from whichever replica is expected to deliver
//! soonest, checks every answer, asks again elsewhere when a replica is lost, late or wrong, and hands
//! the batches out in order, each exactly once.
//!
//! It stands between the loaders (`mixfeed.v1` on the wire) and the trainer's thread. It computes
//! nothing about the content of a batch, opens no file and reads no flag.
//!
//! Start with [`BatchStream`], or with [`BlockingStream`] in a plain thread.
//!
//! ```
//! use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
//! use mixfeed_fake::{FakeLoader, Script};
//!
//! // In place of two loaders: fakes, which speak the same protocol.
//! let loaders = [FakeLoader::start(Script::default())?, FakeLoader::start(Script::default())?];
//! let endpoints = loaders.iter().map(|loader| loader.address().into()).collect();
//!
//! let spec = StreamSpec { batch_size: 4, ..StreamSpec::default() };
//! let config = StreamConfig { end: StreamEnd::Batch(3), ..StreamConfig::new(endpoints, spec) };
//! let batches = BlockingStream::open(config)?.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(batches.iter().map(|batch| batch.index).collect::<Vec<_>>(), [0, 1, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answers;
mod audit;
mod backoff;
mod batch;
mod blocking;
mod checks;
mod config;
mod discovery;
mod driver;
mod endpoint;
mod error;
mod failures;
mod geometry;
mod history;
mod identity;
mod idle;
mod interrupt;
mod mailbox;
mod normalise;
mod opening;
mod parts;
mod patience;
mod recorded;
mod release;
mod remedy;
mod roster;
mod scheduler;
mod security;
mod session;
mod stats;
mod stream;
mod transport;

pub use audit::{AuditPolicy, chance_to_find};
pub use batch::Batch;
pub use blocking::BlockingStream;
pub use config::{Expected, StreamConfig, StreamEnd, Tuning};
pub use endpoint::{Endpoint, EndpointError};
pub use error::StreamError;
pub use history::{LoaderHistory, LoaderRecord, Unconfirmed};
pub use identity::{BadRecordsInfo, DatasetInfo, LeftOutInfo, StreamInfo, classes_digest};
pub use interrupt::Interrupt;
pub use mixfeed_streamspec::*;
pub use normalise::Normaliser;
pub use recorded::read_recorded;
pub use remedy::{has_remedy, with_remedy, with_token_remedy};
pub use security::Security;
pub use stats::StreamStats;
pub use stream::BatchStream;
