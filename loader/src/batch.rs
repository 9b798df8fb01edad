//! One batch: what it is made of, and its bytes as they are sent, or why there are none.
//!
//! Deliberately not here: threads ([`pool`](crate::pool)), and what a batch contains (`mixfeed-pipeline`).

use bytes::Bytes;
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, Scratch, collate};
use mixfeed_proto::{BatchBytes, batch_checksum};

/// What a stream's batches are made of: its spec, checked once, and the name of that spec.
#[derive(Debug)]
pub(crate) struct StreamContext {
    /// The checked spec.
    pub(crate) checked: CheckedSpec,
    /// Its digest, part of every checksum.
    pub(crate) spec_digest: [u8; 32],
}

/// The bytes of a finished batch, as they are sent.
#[derive(Debug)]
pub(crate) struct BuiltBatch {
    pub(crate) pixels: Bytes,
    pub(crate) labels: Bytes,
    pub(crate) partner_labels: Bytes,
    pub(crate) lambdas: Bytes,
    pub(crate) checksum: u32,
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

/// Builds the batch of this index.
pub(crate) fn build(
    context: &StreamContext,
    index: u64,
    dataset: &Dataset,
    scratch: &mut Scratch,
) -> Result<BuiltBatch, BuildError> {
    let StreamContext { checked, spec_digest } = context;
    let plan = BatchPlan::new(checked, index);
    let mut buffer = BatchBuffer::default();
    collate(checked, &plan, dataset.samples(checked.spec().split).as_ref(), scratch, &mut buffer)?;
    let checksum = batch_checksum(&BatchBytes {
        spec_digest,
        index,
        pixels: &buffer.pixels,
        labels: &buffer.labels,
        partner_labels: &buffer.partner_labels,
        lambdas: &buffer.lambdas,
    });
    Ok(BuiltBatch {
        pixels: buffer.pixels.into(),
        labels: buffer.labels.into(),
        partner_labels: buffer.partner_labels.into(),
        lambdas: buffer.lambdas.into(),
        checksum,
    })
}
