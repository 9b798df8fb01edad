//! One batch: what it is made of, and its bytes as they are sent, or why there are none.
//!
//! Deliberately not here: how it is built ([`assembly`](crate::assembly)), and what a batch contains (`mixfeed-pipeline`).

use bytes::Bytes;
use mixfeed_pipeline::{BatchBuffer, CheckedSpec};
use mixfeed_proto::BatchBytes;

/// Pixels, of originals and as sent, of the rows that a worker builds at a time: some milliseconds of decoding photographs, in
/// which a batch is divided among all workers; rows of small images make one job of a batch, as handing them out would take
/// longer than building them.
const RUN_PIXELS: u64 = 1 << 20;

/// Samples whose images tell how large those of a stream are.
const SIZES_SEEN: u64 = 64;

/// What a stream's batches are made of: its spec, checked once, and the name of that spec.
#[derive(Debug)]
pub(crate) struct StreamContext {
    /// The checked spec.
    pub(crate) checked: CheckedSpec,
    /// Its digest, part of every checksum.
    pub(crate) spec_digest: [u8; 32],
    /// Rows of a batch that are one job. It has no part in what a batch contains.
    pub(crate) run_rows: u64,
}

impl StreamContext {
    pub(crate) fn new(checked: CheckedSpec, spec_digest: [u8; 32]) -> Self {
        let pixels = |height: u32, width: u32| u64::from(height) * u64::from(width);
        let step = (checked.samples() / SIZES_SEEN).max(1);
        let seen = || (0..checked.samples()).step_by(step as usize).map(|sample| checked.original(sample));
        let original =
            seen().map(|size| pixels(size.height, size.width)).sum::<u64>() / seen().count() as u64;
        let row = original + pixels(checked.image().height, checked.image().width);
        let run_rows = RUN_PIXELS.div_ceil(row);
        Self { checked, spec_digest, run_rows }
    }

    /// Jobs of the largest batch.
    pub(crate) fn max_runs(&self) -> u64 {
        self.checked.epochs().max_rows().div_ceil(self.run_rows)
    }
}

/// The bytes of a finished batch, as they are sent.
#[derive(Debug)]
pub(crate) struct BuiltBatch {
    pub(crate) pixels: Bytes,
    pub(crate) labels: Bytes,
    pub(crate) partner_labels: Bytes,
    pub(crate) lambdas: Bytes,
    pub(crate) samples: Bytes,
    pub(crate) checksum: u32,
}

/// What checksum and digest of a batch are computed over.
pub(crate) fn bytes_of<'a>(batch: &'a BatchBuffer, spec_digest: &'a [u8; 32], index: u64) -> BatchBytes<'a> {
    let BatchBuffer { pixels, labels, partner_labels, lambdas, samples } = batch;
    BatchBytes { spec_digest, index, pixels, labels, partner_labels, lambdas, samples }
}

/// Why a batch could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// A sample cannot be read.
    #[error("{0}")]
    Data(#[from] mixfeed_pipeline::SampleError),
    /// The job panicked, with these words. Others go on.
    #[error("building the batch panicked; the loader's log has the details")]
    Panicked(String),
}
