//! The gRPC service: the border between the wire and the pool.
//!
//! Here a stream is opened (spec checked once, memory reserved); what then happens on it is the
//! business of [`session`]. Generated types are met in this file, in `session` and in `translate`,
//! and nowhere further in.

mod admission;
mod frames;
mod lease;
mod limit;
mod opening;
mod outgoing;
mod session;
pub(crate) mod translate;

use crate::batch::StreamContext;
use crate::extensions::Extensions;
use crate::metrics::LoaderMetrics;
use crate::pool::Pool;
use admission::Admission;
use frames::Handover;
pub(crate) use frames::hand_over;
use lease::Lease;
use mixfeed_pipeline::fingerprint::ALGORITHM_VERSION;
use mixfeed_pipeline::spec::SpecError;
use mixfeed_pipeline::{Dataset, Split, StreamSpec};
use mixfeed_proto::{limits, spec_digest, v1};
pub(crate) use opening::{MAX_OPENING, MAX_PROBING, OPENING_BYTES, Openings};
pub use outgoing::MessageSizes;
use outgoing::Outgoing;
use session::Session;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::Empty;
use tonic::{Request, Response, Status, Streaming};
use v1::stream_batches_request::Kind as RequestKind;
use v1::stream_batches_response::Kind as ResponseKind;

/// How long a client may take to open a stream that it has called for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Batches that a stream may have in memory for each worker. Two keep every worker busy while as
/// many finished batches wait for the wire.
const WINDOW_PER_WORKER: usize = 2;

/// Batches that a stream may have in memory where each is built by several workers, at least: one that is being built, one
/// that waits for the wire, and one that the workers go on to.
const MIN_WINDOW: usize = 3;

/// Batches of so many jobs that a stream may have in memory: a few, whatever the number of workers, where each batch is
/// many jobs.
fn window(workers: usize, runs: u64) -> usize {
    let jobs = WINDOW_PER_WORKER * workers;
    if runs <= 1 { jobs } else { jobs.div_ceil(usize::try_from(runs).unwrap_or(usize::MAX)).max(MIN_WINDOW) }
}

/// Images as sent that a worker has in hand for one row, in pieces of up to four bytes a value: what is pasted and mixed of
/// two samples, and both as the transforms have them.
const IMAGES_IN_HAND: u64 = 10;

/// What a stream may take beside its batches: the indices that it is owed, thrice (in a message, as a set, in order);
/// a message on its way in, in a buffer that has just doubled; its task.
const STREAM_BYTES: u64 =
    limits::MAX_WANTED as u64 * 3 * 16 + 2 * limits::MAX_REQUEST_BYTES as u64 + (16 << 10);

/// What a loader serves, and with what.
#[derive(Debug)]
pub struct Service {
    dataset: Arc<Dataset>,
    fingerprint: [u8; 32],
    pool: Arc<Pool>,
    metrics: Arc<LoaderMetrics>,
    extensions: Extensions,
    admission: Arc<Admission>,
    drain: watch::Receiver<bool>,
    open_streams: Arc<AtomicU32>,
    /// The limit of training samples that was last looked at for missing classes: one run may open many streams.
    limit_seen: AtomicU64,
    sizes: MessageSizes,
    /// Random id of this loader.
    instance: [u8; 16],
}

impl Service {
    /// Puts a service together. `stream_memory_bytes` bounds the batches of all streams, and
    /// `drain` turns true when the loader is to stop.
    #[must_use]
    pub fn new(
        dataset: Arc<Dataset>,
        fingerprint: [u8; 32],
        pool: Pool,
        metrics: Arc<LoaderMetrics>,
        stream_memory_bytes: u64,
        drain: watch::Receiver<bool>,
    ) -> Self {
        Self {
            dataset,
            fingerprint,
            pool: Arc::new(pool),
            metrics,
            extensions: Extensions::default(),
            admission: Arc::new(Admission::new(stream_memory_bytes)),
            drain,
            open_streams: Arc::default(),
            limit_seen: AtomicU64::new(0),
            sizes: MessageSizes::default(),
            instance: instance_id(),
        }
    }

    /// Adds the transforms that streams may ask for, which the fingerprint must cover.
    #[must_use]
    pub(crate) fn with_extensions(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }

    /// Divides pixels among messages in another way than usual.
    #[must_use]
    pub(crate) fn with_message_sizes(self, sizes: MessageSizes) -> Self {
        Self { sizes, ..self }
    }

    /// Returns the dataset served.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Returns the algorithm's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    pub(crate) fn metrics(&self) -> &LoaderMetrics {
        &self.metrics
    }

    /// Checks what a stream is opened with.
    #[allow(clippy::result_large_err)]
    fn check(&self, open: &v1::StreamOpen) -> Result<StreamContext, Status> {
        let spec = open.spec.as_ref().ok_or_else(|| Status::invalid_argument("spec: missing"))?;
        let digest = spec_digest(spec);
        if open.spec_digest != digest {
            return Err(Status::failed_precondition(
                "spec_digest: it is not the digest of the spec as this loader understands it; \
                 the spec has a field that this loader does not know, or the digest is wrong",
            ));
        }
        same(&open.expected_dataset_digest, &self.dataset.digest, "dataset digest")?;
        same(&open.expected_algorithm_fingerprint, &self.fingerprint, "algorithm fingerprint")?;
        translate::check_run_id(&open.run_id)?;
        let spec = StreamSpec::try_from(spec).map_err(|e| translate::refused(&e))?;
        let checked = self.extensions.check(spec, &self.dataset).map_err(|e| translate::refused(&e))?;
        let (bytes, whole) = (checked.max_batch_bytes(), self.sizes.whole);
        if bytes > whole && !open.accepts_parts {
            let allowed = format!(
                "1 to {}, so that a batch has at most {whole} bytes: this client takes none in parts",
                whole / checked.image_bytes()
            );
            let refusal = SpecError::new("batch_size", checked.spec().batch_size, allowed);
            return Err(translate::refused(&refusal));
        }
        Ok(StreamContext::new(checked, digest))
    }
}

/// Sixteen random bytes. They tell one loader from another and shape nothing.
fn instance_id() -> [u8; 16] {
    let halves = [RandomState::new().hash_one(0_u64), RandomState::new().hash_one(1_u64)];
    let mut id = [0; 16];
    id[..8].copy_from_slice(&halves[0].to_le_bytes());
    id[8..].copy_from_slice(&halves[1].to_le_bytes());
    id
}

/// Refuses the stream when the client expects something else than this replica has.
#[allow(clippy::result_large_err)]
fn same(expected: &[u8], own: &[u8; 32], what: &str) -> Result<(), Status> {
    if expected.is_empty() || expected == own {
        return Ok(());
    }
    if expected.len() != own.len() {
        // Not shown: it may be as long as a request.
        let (given, needed) = (expected.len(), own.len());
        return Err(Status::invalid_argument(format!(
            "{what}: {given} bytes are not allowed, {needed} or none"
        )));
    }
    let message = format!("{what}: expected {}, this loader has {}", hex::encode(expected), hex::encode(own));
    Err(Status::failed_precondition(message))
}

#[tonic::async_trait]
impl v1::loader_service_server::LoaderService for Service {
    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(v1::DescribeResponse {
            dataset: Some(translate::dataset(&self.dataset)),
            algorithm_version: ALGORITHM_VERSION,
            algorithm_fingerprint: self.fingerprint.to_vec(),
            limits: Some(v1::Limits {
                max_batch_size: limits::MAX_BATCH_SIZE,
                max_batch_bytes: limits::MAX_BATCH_BYTES,
                max_wanted: limits::MAX_WANTED,
                max_indices_per_request: limits::MAX_INDICES_PER_REQUEST,
                max_message_bytes: self.sizes.whole as u64,
            }),
            workers: self.pool.workers() as u32,
            open_streams: self.open_streams.load(Ordering::Relaxed),
            release: env!("CARGO_PKG_VERSION").into(),
            instance_id: self.instance.to_vec(),
        }))
    }

    /// Never polled: what the client gets instead is in `frames`.
    type StreamBatchesStream = Empty<Result<v1::StreamBatchesResponse, Status>>;

    async fn stream_batches(
        &self,
        request: Request<Streaming<v1::StreamBatchesRequest>>,
    ) -> Result<Response<Self::StreamBatchesStream>, Status> {
        if *self.drain.borrow() {
            return Err(Status::unavailable("this loader is shutting down"));
        }
        let peer = request.remote_addr().map_or_else(|| "local".to_string(), |address| address.to_string());
        let mut request = request;
        let place = request.extensions_mut().remove::<opening::OpeningSlot>();
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(OPEN_TIMEOUT, inbound.message())
            .await
            .map_err(|_elapsed| Status::deadline_exceeded("no open message came within 10 s"))??;
        drop(place);
        let Some(v1::StreamBatchesRequest { kind: Some(RequestKind::Open(open)) }) = first else {
            return Err(Status::invalid_argument("the first message of a stream must be open"));
        };
        let context = Arc::new(self.check(&open).inspect_err(|status| {
            tracing::warn!(%peer, reason = status.message(), "stream refused");
        })?);
        let StreamSpec { limit, split, .. } = *context.checked.spec();
        if split == Split::Train
            && self.limit_seen.swap(limit, Ordering::Relaxed) != limit
            && let Some(warning) = limit::warning(&context.checked, &self.dataset)
        {
            tracing::warn!(%peer, "{warning}");
        }
        let full = window(self.pool.workers(), context.max_runs());
        let rows = u64::from(context.checked.spec().batch_size);
        let beside = limits::bytes_beside_pixels(context.checked.spec().sample_ids);
        let batch_bytes = context.checked.max_batch_bytes() as u64 + beside * rows;
        let in_hand =
            IMAGES_IN_HAND * 4 * context.checked.image().values() as u64 * self.pool.workers() as u64;
        let window = self.admission.reserve(batch_bytes, STREAM_BYTES + in_hand, full);
        let window = window.inspect_err(|status| {
            tracing::warn!(%peer, reason = status.message(), "stream refused");
            self.metrics.refused_streams.increment(1);
        })?;

        let lease = Arc::new(Lease::new(window, &self.open_streams, &self.metrics));
        let (sender, receiver) = mpsc::channel(lease.window.batches());
        let opened = translate::opened(&context.checked, lease.window.batches(), self.instance);
        let opened = v1::StreamBatchesResponse { kind: Some(ResponseKind::Opened(opened)) };
        sender.try_send(Ok(opened)).map_err(|_full| Status::internal("a new stream has no room"))?;

        let (tell, progress) = open.accepts_progress.then(|| mpsc::channel(1)).unzip();
        let session = Session::new(
            context,
            Arc::clone(&self.pool),
            Arc::clone(&lease),
            sender,
            tell,
            self.drain.clone(),
        );
        let run_id = open.run_id;
        tokio::spawn(async move {
            let spec = hex::encode(&session.context().spec_digest[..6]);
            tracing::info!(%peer, run_id, spec, "stream opened");
            let ended = session.run(inbound).await;
            tracing::info!(%peer, run_id, spec, batches = ended.batches, reason = ended.reason, "stream closed");
        });
        let mut response = Response::new(tokio_stream::empty());
        let answers = Outgoing { receiver, progress, sizes: self.sizes, rest: None, _lease: lease };
        response.extensions_mut().insert(Handover::new(answers));
        Ok(response)
    }
}
