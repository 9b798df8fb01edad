//! A loader process and a client that checks every batch.

use super::super::Failure;
use super::process::{Process, own_cpu_seconds};
use super::{Streamed, WARM_UP};
use mixfeed_client::{
    BlockingStream, LambdaScope, Mixing, MixingKind, PartnerSource, StreamConfig, StreamEnd, StreamSpec,
};
use std::time::{Duration, Instant};

/// Reads from a loader for `time`.
pub(super) fn measure(loader: &Process, batch_size: u32, time: Duration) -> Result<Streamed, Failure> {
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha: 0.2,
        probability: 0.2,
        lambda_scope: LambdaScope::Sample,
        partner_source: PartnerSource::Dataset,
    };
    let spec = StreamSpec { batch_size, mixing: Some(mixing), ..StreamSpec::default() };
    let address = loader.address().parse().map_err(Failure::other)?;
    let config = StreamConfig {
        end: StreamEnd::Never,
        run_id: "bench".into(),
        ..StreamConfig::new(vec![address], spec)
    };
    let mut batches = BlockingStream::open(config).map_err(Failure::other)?;
    let mut read = |time: Duration| -> Result<(u64, f64), Failure> {
        let (started, mut images) = (Instant::now(), 0);
        while started.elapsed() < time {
            let batch = batches.next().ok_or_else(|| Failure::other("the stream ended"))?;
            images += batch.map_err(Failure::other)?.rows as u64;
        }
        Ok((images, started.elapsed().as_secs_f64()))
    };
    read(WARM_UP)?;
    let before = (loader.cpu_seconds(), own_cpu_seconds());
    let (images, seconds) = read(time)?;
    Ok(Streamed::new(images, seconds, loader.cpu_seconds() - before.0, own_cpu_seconds() - before.1))
}
