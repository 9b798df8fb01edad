//! The most memory that a loader takes, whatever its clients do, and what it is made of.
//!
//! Each part is a bound that is kept elsewhere (admission, connections, calls being opened, the cache of samples);
//! here they are added up, so that whoever gives a container its limit has a number.

use crate::service::{MAX_OPENING, MAX_PROBING, OPENING_BYTES};
use mixfeed_ops::grpc::CONNECTION_BYTES;
use mixfeed_pipeline::{Dataset, SampleMemory};

/// Memory for batches of all streams, unless said otherwise. Several trainers' worth of windows
/// (2.4 MB for two workers and batches of 128 CIFAR images) by far.
pub(crate) const DEFAULT_STREAM_MEMORY_BYTES: u64 = 768 << 20;

/// What lies unused between pieces in use, as a share of what is in use. Measured at the limits, it was less
/// (`loader/tests/it/endurance.rs`).
const BETWEEN: u64 = 8;

/// The parts, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorstCase {
    /// What the process has once its data is ready: the data, tables of it, the program.
    resident: u64,
    /// Samples that are kept as they are asked for.
    to_keep: u64,
    /// Batches of all streams, and what streams take beside them: `--stream-memory`.
    streams: u64,
    connections: u64,
    /// Calls whose request is being read.
    opening: u64,
    workers: u64,
    between: u64,
}

impl WorstCase {
    /// Adds up, for a loader that has read its data and serves nobody yet.
    pub(crate) fn new(
        dataset: &Dataset,
        workers: usize,
        stream_memory_bytes: u64,
        connections: usize,
    ) -> Self {
        let samples = [dataset.train.memory(), dataset.test.memory()];
        let decoding = samples.iter().map(|SampleMemory { decoding_bytes, .. }| *decoding_bytes).max();
        let mut all = Self {
            resident: mixfeed_ops::memory::resident_bytes().unwrap_or(0),
            to_keep: samples.iter().map(|samples| samples.to_keep_bytes).fold(0, u64::saturating_add),
            streams: stream_memory_bytes,
            connections: connections as u64 * CONNECTION_BYTES,
            // Probes and reflection have places of their own.
            opening: (MAX_OPENING + 2 * MAX_PROBING) as u64 * OPENING_BYTES,
            workers: decoding.unwrap_or(0).saturating_mul(workers as u64),
            between: 0,
        };
        all.between = all.total().saturating_sub(all.resident) / BETWEEN;
        all
    }

    /// Returns the sum.
    pub(crate) fn total(&self) -> u64 {
        let Self { resident, to_keep, streams, connections, opening, workers, between } = *self;
        [to_keep, streams, connections, opening, workers, between]
            .into_iter()
            .fold(resident, u64::saturating_add)
    }

    /// Tells in one line what there is, what limits it, and what it is at most and of what.
    pub(crate) fn log(&self) {
        let mib = |bytes: u64| bytes >> 20;
        let limit = mixfeed_ops::memory::limit();
        tracing::info!(
            now_mib = mib(self.resident),
            limit_mib = limit.as_ref().map(|limit| mib(limit.bytes)),
            limit = limit.as_ref().map(|limit| limit.by.as_str()),
            at_most_mib = mib(self.total()),
            samples_to_keep_mib = mib(self.to_keep),
            streams_mib = mib(self.streams),
            connections_mib = mib(self.connections),
            calls_mib = mib(self.opening),
            workers_mib = mib(self.workers),
            between_mib = mib(self.between),
            "memory; at most where clients take all that their limits allow"
        );
        if let Some(limit) = limit.filter(|limit| self.without_clients() > limit.bytes) {
            tracing::warn!(
                needed_mib = mib(self.without_clients()),
                limit_mib = mib(limit.bytes),
                limit = limit.by,
                "the memory limit is below what this data needs; give less to --cache-memory, or fewer --workers"
            );
        }
    }

    /// What it comes to with few clients.
    fn without_clients(&self) -> u64 {
        let Self { resident, to_keep, workers, .. } = *self;
        resident.saturating_add(to_keep).saturating_add(workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::{SampleError, Samples, synthetic};
    use std::sync::Arc;

    /// An image that takes 2 MiB to be decoded.
    #[derive(Debug)]
    struct Encoded;

    impl Samples for Encoded {
        fn count(&self) -> u64 {
            1
        }
        fn label(&self, _sample: u64) -> u32 {
            0
        }
        fn image<'a>(&'a self, _: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
            Ok(scratch)
        }
        fn memory(&self) -> SampleMemory {
            SampleMemory { decoding_bytes: 2 << 20, ..SampleMemory::default() }
        }
    }

    #[test]
    fn the_sum_grows_with_each_of_its_bounds() {
        let dataset = Dataset { train: Arc::new(Encoded), ..synthetic::dataset(10) };
        let of =
            |workers, streams, connections| WorstCase::new(&dataset, workers, streams, connections).total();
        let few = of(1, 1 << 30, 10);
        assert!(few > 1 << 30);
        // What the process has by itself changes meanwhile, by less than these.
        assert!(of(1, 3 << 30, 10) > few + (1 << 30));
        assert!(of(1, 1 << 30, 10_000) > few + (1 << 30));
        assert!(of(200, 1 << 30, 10) > few + (200 << 20));
        assert_eq!(of(1, u64::MAX, 10), u64::MAX);
    }
}
