//! The loader's metrics. Their names live here and nowhere else.

use crate::batch::{BuildError, BuiltBatch};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use mixfeed_ops::grpc::RefusedConnections;
use std::time::Duration;

/// Bytes of one lambda on the wire: one entry a row.
const LAMBDA_BYTES: usize = 4;

/// Tasks of the runtime that serves. Like open descriptors, they are as many as before once clients are gone.
pub(crate) const TASKS: &str = "mixfeed_loader_tasks";

/// Connections that were not taken, by reason.
const REFUSED_CONNECTIONS: &str = "mixfeed_loader_refused_connections_total";

const MEMORY_BOUND: &str = "mixfeed_loader_memory_bound_bytes";

/// Handles of the loader's metrics. They count for nothing where no recorder is installed, so one
/// has to be installed before this is made.
#[derive(Debug)]
pub struct LoaderMetrics {
    batches: Counter,
    images: Counter,
    failed_batches: Counter,
    build_seconds: Histogram,
    /// Jobs that wait for a worker.
    pub queue_depth: Gauge,
    /// Open streams.
    pub streams: Gauge,
    /// Streams refused because there was no memory for their batches.
    pub(crate) refused_streams: Counter,
    pub(crate) refused_connections: RefusedConnections,
    /// The most memory that the process takes.
    pub(crate) memory_bound: Gauge,
}

impl Default for LoaderMetrics {
    fn default() -> Self {
        describe_counter!("mixfeed_loader_batches_total", "Batches built");
        describe_counter!("mixfeed_loader_images_total", "Images in batches built");
        describe_counter!("mixfeed_loader_failed_batches_total", "Batches that could not be built");
        describe_histogram!("mixfeed_loader_batch_build_seconds", "Time to build one batch on a worker");
        describe_gauge!("mixfeed_loader_queue_depth", "Batches waiting for a worker");
        describe_gauge!("mixfeed_loader_streams", "Open streams");
        describe_counter!(
            "mixfeed_loader_refused_streams_total",
            "Streams refused because other streams had reserved the memory for batches"
        );
        describe_gauge!(MEMORY_BOUND, "Memory in bytes that the loader takes at most");
        Self {
            batches: counter!("mixfeed_loader_batches_total"),
            images: counter!("mixfeed_loader_images_total"),
            failed_batches: counter!("mixfeed_loader_failed_batches_total"),
            build_seconds: histogram!("mixfeed_loader_batch_build_seconds"),
            queue_depth: gauge!("mixfeed_loader_queue_depth"),
            streams: gauge!("mixfeed_loader_streams"),
            refused_streams: counter!("mixfeed_loader_refused_streams_total"),
            memory_bound: gauge!(MEMORY_BOUND),
            refused_connections: RefusedConnections::counted_as(REFUSED_CONNECTIONS),
        }
    }
}

impl LoaderMetrics {
    pub(crate) fn built(&self, outcome: &Result<BuiltBatch, BuildError>, took: Duration) {
        match outcome {
            Ok(batch) => {
                self.batches.increment(1);
                self.images.increment((batch.lambdas.len() / LAMBDA_BYTES) as u64);
                self.build_seconds.record(took);
            }
            Err(_) => self.failed_batches.increment(1),
        }
    }
}
