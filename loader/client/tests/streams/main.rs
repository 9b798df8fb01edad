//! Streams over real connections, from scripted loaders that come, go, stall and lie.
//!
//! Each test states one behaviour of the client as the trainer sees it. What every test checks
//! besides: batches come in order, each once, with exactly the bytes that the spec calls for.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod damage;
mod logs;
mod loss;
mod network;
mod opening;
mod order;
mod pace;
mod parts;
mod threads;
mod trust;

use mixfeed_client::{Batch, BatchStream, StreamConfig, StreamEnd, StreamError, StreamSpec, Tuning};
use mixfeed_fake::{FakeData, FakeLoader, Script};
use mixfeed_proto::v1;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Once;
use std::time::Duration;

/// Long enough for anything that should happen, so that a test that waits for it in vain ends.
const PATIENCE: Duration = Duration::from_secs(30);

fn spec() -> StreamSpec {
    StreamSpec { batch_size: 16, seed: 7, ..StreamSpec::default() }
}

/// The message for `spec()`, written out again, so that the translation is not tested against itself.
fn message() -> v1::StreamSpec {
    v1::StreamSpec {
        split: v1::Split::Train.into(),
        seed: 7,
        batch_size: 16,
        remainder: v1::Remainder::Keep.into(),
        shuffle: true,
        pixel_type: v1::PixelType::U8.into(),
        pixel_layout: v1::PixelLayout::Nhwc.into(),
        ..v1::StreamSpec::default()
    }
}

/// A stream of `batches` batches from `loaders`, with short periods.
fn config(loaders: &[&FakeLoader], batches: u64) -> StreamConfig {
    let mut config =
        StreamConfig::new(loaders.iter().map(|loader| loader.address().into()).collect(), spec());
    config.end = StreamEnd::Batch(batches);
    config.run_id = "test".into();
    config.loader_timeout = PATIENCE;
    config.tuning = Tuning {
        idle_timeout: Duration::from_millis(600),
        connect_timeout: Duration::from_secs(2),
        retry_cap: Duration::from_millis(200),
        resolve_interval: Duration::from_millis(100),
        quarantine: Duration::from_millis(300),
        ..Tuning::default()
    };
    config
}

fn loader(script: Script) -> FakeLoader {
    // What is logged first by a thread without a subscriber may be off for all, also for one that collects lines meanwhile: with
    // this, every thread has one.
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| drop(tracing::subscriber::set_global_default(tracing_subscriber::registry())));
    FakeLoader::start(script).unwrap()
}

/// Where nobody listens, and nobody will: on Linux all of 127.0.0.0/8 is this machine, and other tests' loaders are at its
/// first address.
fn closed_port() -> SocketAddr {
    let host = if cfg!(target_os = "linux") { [127, 99, 99, 99] } else { [127, 0, 0, 1] };
    TcpListener::bind((Ipv4Addr::from(host), 0)).unwrap().local_addr().unwrap()
}

/// A loader that takes a few milliseconds for each batch, so that others get their share.
fn steady() -> Script {
    Script { latency: Duration::from_millis(2), ..Script::default() }
}

async fn open(config: StreamConfig) -> BatchStream {
    tokio::time::timeout(PATIENCE, BatchStream::open(config)).await.expect("opens in time").unwrap()
}

async fn fails_to_open(config: StreamConfig) -> StreamError {
    tokio::time::timeout(PATIENCE, BatchStream::open(config)).await.expect("fails in time").unwrap_err()
}

/// Reads the next batch and checks it against what it must be.
async fn read_one(stream: &mut BatchStream, index: u64) -> Batch {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await;
    let batch = next.unwrap_or_else(|_| panic!("batch {index} does not come")).expect("no end yet").unwrap();
    assert_sound(&batch, index);
    batch
}

fn assert_sound(batch: &Batch, index: u64) {
    assert_eq!(batch.index, index);
    let expected = mixfeed_fake::batch(&FakeData::default(), &message(), index);
    assert_eq!(batch.pixels, expected.pixels, "batch {index}");
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(words(&batch.labels), expected.labels, "batch {index}");
    assert_eq!(words(&batch.partner_labels), expected.partner_labels, "batch {index}");
    assert_eq!(words(&batch.lambdas), expected.lambdas, "batch {index}");
    assert_eq!(batch.rows, batch.labels.len());
}

/// Reads to the end and returns how many batches came.
async fn read_all(stream: &mut BatchStream, from: u64) -> u64 {
    let mut index = from;
    while let Some(batch) = tokio::time::timeout(PATIENCE, stream.next()).await.expect("goes on") {
        assert_sound(&batch.unwrap(), index);
        index += 1;
    }
    index - from
}

/// Reads until a loader was found wrong, however late that one was met, and a hundred batches more.
async fn read_past_a_fault(stream: &mut BatchStream) {
    let (mut index, mut end) = (0, u64::MAX);
    while index < end {
        read_one(stream, index).await;
        index += 1;
        if end == u64::MAX && stream.stats().corrupt > 0 {
            end = index + 100;
        }
    }
}

async fn read_error(stream: &mut BatchStream) -> StreamError {
    loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await.expect("goes on") {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("the stream ended without an error"),
        }
    }
}
