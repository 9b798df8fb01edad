//! A loader process and a client that checks every batch.

use super::process::{Process, own_cpu_seconds, own_pss_bytes};
use super::report::{Gaps, Started, Streamed};
use crate::commands::failure::Failure;
use crate::config::BenchArgs;
use mixfeed_client::{
    BlockingStream, Normaliser, PixelLayout, Security, StreamConfig, StreamEnd, StreamSpec,
};
use std::time::{Duration, Instant};

/// The loader is there and has read its data: a stream that has no batch after this long will have none, as with a
/// certificate that the client refuses.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that a stream runs before it is measured.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);

/// What becomes of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Consumer {
    /// It is dropped.
    Drop,
    /// Its pixels become normalised f32 in planes, in memory that is used again and again.
    Float,
}

/// Reads from a loader for `time`.
pub(super) fn measure(
    loader: &Process,
    spec: &StreamSpec,
    security: Security,
    time: Duration,
    consumer: Consumer,
) -> Result<Streamed, Failure> {
    let mut batches = open(loader, spec, security, StreamEnd::Never)?;
    let mut floats = Vec::new();
    let normaliser = match consumer {
        Consumer::Drop => None,
        // The mean and deviation of CIFAR-10; any others cost the same.
        Consumer::Float => Some(Normaliser::new(
            batches.info().image,
            [0.4914, 0.4822, 0.4465],
            [0.2470, 0.2435, 0.2616],
            PixelLayout::Nchw,
        )),
    };
    let mut read = |time: Duration| -> Result<(u64, f64, Vec<f64>), Failure> {
        let (started, mut images, mut gaps) = (Instant::now(), 0, Vec::new());
        let mut before = started;
        while started.elapsed() < time {
            let batch = batches.next().ok_or_else(|| Failure::other("the stream ended"))?;
            let batch = batch.map_err(Failure::other)?;
            images += batch.rows as u64;
            if let Some(normaliser) = &normaliser {
                normaliser.write(&batch, &mut floats);
                std::hint::black_box(&floats);
            }
            let now = Instant::now();
            gaps.push(now.duration_since(before).as_secs_f64());
            before = now;
        }
        Ok((images, started.elapsed().as_secs_f64(), gaps))
    };
    read(WARM_UP)?;
    let before = (loader.cpu_seconds(), own_cpu_seconds());
    let (images, seconds, gaps) = read(time)?;
    let cpu_seconds = [loader.cpu_seconds() - before.0, own_cpu_seconds() - before.1];
    Ok(Streamed::new(images, seconds, cpu_seconds, Gaps::of(gaps)))
}

/// Starts a loader and reads an epoch.
pub(super) fn start(args: &BenchArgs, spec: &StreamSpec) -> Result<Started, Failure> {
    let started = Instant::now();
    let loader = Process::serve(args, "127.0.0.1:0", &[])?;
    let mut batches = open(&loader, spec, Security::default(), StreamEnd::Epoch(1))?;
    let first = batches.next().ok_or_else(|| Failure::other("the epoch is empty"))?;
    first.map_err(Failure::other)?;
    let first_batch_seconds = started.elapsed().as_secs_f64();
    for batch in batches.by_ref() {
        batch.map_err(Failure::other)?;
    }
    Ok(Started {
        first_batch_seconds,
        loader_pss_bytes: loader.pss_bytes(),
        client_pss_bytes: own_pss_bytes(),
    })
}

fn open(
    loader: &Process,
    spec: &StreamSpec,
    security: Security,
    end: StreamEnd,
) -> Result<BlockingStream, Failure> {
    let address = loader.address().parse().map_err(Failure::other)?;
    let config = StreamConfig {
        end,
        security,
        loader_timeout: PATIENCE,
        run_id: "bench".into(),
        ..StreamConfig::new(vec![address], *spec)
    };
    BlockingStream::open(config).map_err(Failure::other)
}
