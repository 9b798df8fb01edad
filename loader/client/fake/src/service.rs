//! The service of a fake loader: it answers as scripted.

use crate::content::{batch, seal};
use crate::description;
use crate::parts::{self, Step};
use crate::script::{At, FaultKind, Point, Script};
use bytes::Bytes;
use mixfeed_proto::limits;
use mixfeed_proto::v1;
use mixfeed_proto::v1::stream_batches_request::Kind as RequestKind;
use mixfeed_proto::v1::stream_batches_response::Kind as ResponseKind;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Answers that wait for the connection.
const ANSWERS: usize = 4;

/// Fakes that were started in this process.
static STARTED: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) script: Mutex<Script>,
    /// Random id of the process that it passes for.
    pub(crate) instance: [u8; 16],
    pub(crate) described: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) streams: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) asked: Mutex<Vec<u64>>,
    pub(crate) frozen: AtomicBool,
    pub(crate) freeze: Notify,
    pub(crate) drain: Notify,
}

impl State {
    pub(crate) fn new(script: Script) -> Self {
        let number = u128::from(STARTED.fetch_add(1, Ordering::Relaxed) + 1);
        Self {
            instance: script.instance.unwrap_or(number.to_be_bytes()),
            script: Mutex::new(script),
            described: AtomicU64::new(0),
            served: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            open: AtomicU64::new(0),
            asked: Mutex::new(Vec::new()),
            frozen: AtomicBool::new(false),
            freeze: Notify::new(),
            drain: Notify::new(),
        }
    }

    /// Takes the first fault that meets the batch and that `wanted` picks.
    fn fault(&self, index: u64, wanted: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
        let served = self.served.load(Ordering::SeqCst);
        let mut script = lock(&self.script);
        let fault = script.faults.iter_mut().find(|fault| {
            let meets = match fault.at {
                At::Index(at) => index == at,
                At::From(at) => index >= at,
                At::Every(nth) => index.is_multiple_of(nth.max(1)),
                At::Served(count) => served >= count,
            };
            meets && fault.times > 0 && wanted(&fault.kind)
        })?;
        fault.times -= 1;
        Some(fault.kind.clone())
    }

    fn falls_silent(&self, at: Point) -> bool {
        self.fault(0, |kind| matches!(kind, FaultKind::Mute(point) if *point == at)).is_some()
    }

    /// Blocks the whole runtime while the loader is frozen.
    pub(crate) async fn freeze(&self) {
        loop {
            self.freeze.notified().await;
            while self.frozen.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Debug)]
pub(crate) struct Service(pub(crate) Arc<State>);

type Answer = Result<v1::StreamBatchesResponse, Status>;

#[tonic::async_trait]
impl v1::loader_service_server::LoaderService for Service {
    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        if self.0.fault(0, |kind| matches!(kind, FaultKind::Starting)).is_some() {
            return Err(Status::unavailable("starting"));
        }
        if self.0.falls_silent(Point::Describe) {
            std::future::pending::<()>().await;
        }
        self.0.described.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(description::of(&lock(&self.0.script), &self.0.instance)))
    }

    type StreamBatchesStream = ReceiverStream<Answer>;

    async fn stream_batches(
        &self,
        request: Request<Streaming<v1::StreamBatchesRequest>>,
    ) -> Result<Response<Self::StreamBatchesStream>, Status> {
        let mut requests = request.into_inner();
        let Some(v1::StreamBatchesRequest { kind: Some(RequestKind::Open(open)) }) =
            requests.message().await?
        else {
            return Err(Status::invalid_argument("the first message does not open the stream"));
        };
        if let Some(FaultKind::RefuseOpen(message)) =
            self.0.fault(0, |kind| matches!(kind, FaultKind::RefuseOpen(_)))
        {
            return Err(Status::invalid_argument(message));
        }
        let spec = open.spec.ok_or_else(|| Status::invalid_argument("no spec"))?;
        let knows_no_mixing = self.0.fault(0, |kind| matches!(kind, FaultKind::KnowsNoMixing)).is_some();
        if open.spec_digest != mixfeed_proto::spec_digest(&spec) || (knows_no_mixing && spec.mixing.is_some())
        {
            return Err(Status::failed_precondition("spec_digest: it is not the digest of the spec"));
        }
        if self.0.falls_silent(Point::Call) {
            std::future::pending::<()>().await;
        }
        let (answers, out) = mpsc::channel(ANSWERS);
        if self.0.falls_silent(Point::Opening) {
            tokio::spawn(async move { answers.closed().await });
            return Ok(Response::new(ReceiverStream::new(out)));
        }
        let data = lock(&self.0.script).data.clone();
        let (samples_per_epoch, batches_per_epoch) = data.epoch(&spec);
        let opened = v1::StreamOpened {
            samples_per_epoch,
            batches_per_epoch,
            image: Some(data.image.into()),
            window_batches: lock(&self.0.script).window_batches,
            instance_id: self.0.instance.to_vec(),
        };
        let _ = answers.try_send(Ok(v1::StreamBatchesResponse { kind: Some(ResponseKind::Opened(opened)) }));
        self.0.streams.fetch_add(1, Ordering::SeqCst);
        self.0.open.fetch_add(1, Ordering::SeqCst);
        let (prepared, message_bytes) = {
            let script = lock(&self.0.script);
            (script.prepared.then(|| batch(&data, &spec, 0)), script.message_bytes)
        };
        let message_bytes = if open.accepts_parts { message_bytes } else { usize::MAX };
        let (state, wanted) = (self.0.clone(), VecDeque::new());
        tokio::spawn(Stream { prepared, message_bytes, state, spec, answers, wanted }.run(requests));
        Ok(Response::new(ReceiverStream::new(out)))
    }
}

struct Stream {
    state: Arc<State>,
    spec: v1::StreamSpec,
    answers: mpsc::Sender<Answer>,
    wanted: VecDeque<u64>,
    prepared: Option<v1::Batch>,
    message_bytes: usize,
}

/// The batch that is being made.
struct Making {
    index: u64,
    fault: Option<FaultKind>,
    /// When it is done; `None` for never.
    done_at: Option<Instant>,
}

impl Making {
    async fn done(&self) {
        match self.done_at {
            // A timer takes a millisecond at least.
            Some(at) if at <= Instant::now() => {}
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Stream {
    async fn run(mut self, mut requests: Streaming<v1::StreamBatchesRequest>) {
        let state = self.state.clone();
        let drained = state.drain.notified();
        tokio::pin!(drained);
        let mut more = true;
        let mut making: Option<Making> = None;
        loop {
            if making.as_ref().is_none_or(|making| self.wanted.front() != Some(&making.index)) {
                making = self.wanted.front().map(|index| self.begin(*index));
            }
            if making.is_none() && !more {
                return;
            }
            tokio::select! {
                () = &mut drained => return,
                request = requests.message(), if more => match request {
                    Ok(Some(request)) => {
                        if let Err(status) = self.take(request) {
                            let _ = self.answers.send(Err(status)).await;
                            return;
                        }
                    }
                    Ok(None) => more = false,
                    Err(_) => return,
                },
                () = async { if let Some(making) = &making { making.done().await } }, if making.is_some() => {
                    self.wanted.pop_front();
                    if let Some(making) = making.take() && !self.serve(making).await {
                        return;
                    }
                }
            }
        }
    }

    fn take(&mut self, request: v1::StreamBatchesRequest) -> Result<(), Status> {
        let Some(RequestKind::Request(request)) = request.kind else {
            return Err(Status::invalid_argument("the stream is open already"));
        };
        self.wanted.retain(|index| !request.withdrawn.contains(index));
        for index in request.wanted {
            if self.wanted.contains(&index) {
                return Err(Status::invalid_argument(format!("batch {index} is owed already")));
            }
            lock(&self.state.asked).push(index);
            self.wanted.push_back(index);
        }
        Ok(())
    }

    fn begin(&self, index: u64) -> Making {
        let fault = self.state.fault(index, |kind| {
            !matches!(
                kind,
                FaultKind::Starting
                    | FaultKind::Mute(_)
                    | FaultKind::RefuseOpen(_)
                    | FaultKind::KnowsNoMixing
            )
        });
        let mut latency = lock(&self.state.script).latency;
        if let Some(FaultKind::Delay(delay)) = fault {
            latency += delay;
        }
        let done_at = (!matches!(fault, Some(FaultKind::Stall))).then(|| Instant::now() + latency);
        Making { index, fault, done_at }
    }

    async fn send(&self, kind: ResponseKind) -> bool {
        self.answers.send(Ok(v1::StreamBatchesResponse { kind: Some(kind) })).await.is_ok()
    }

    async fn fail(&self, index: u64, reason: v1::FailureReason, message: &str) -> bool {
        let message = message.into();
        self.send(ResponseKind::Failure(v1::BatchFailure { index, reason: reason.into(), message })).await
    }

    /// Sends one batch, with its fault. False ends the stream.
    async fn serve(&self, making: Making) -> bool {
        let Making { index, fault, .. } = making;
        let data = lock(&self.state.script).data.clone();
        let mut wrong_parts = None;
        let mut message = match &self.prepared {
            Some(prepared) => {
                let mut message = v1::Batch { index, ..prepared.clone() };
                seal(&mut message, &self.spec);
                message
            }
            None => batch(&data, &self.spec, index),
        };
        let first_word = |bytes: &Bytes, value: u32| {
            let mut bytes = bytes.to_vec();
            bytes[..4].copy_from_slice(&value.to_le_bytes());
            Bytes::from(bytes)
        };
        match fault {
            Some(FaultKind::FlipBit) => message.pixels = flipped(&message.pixels),
            Some(FaultKind::OtherPixels) => {
                message.pixels = flipped(&message.pixels);
                seal(&mut message, &self.spec);
            }
            Some(FaultKind::ForgedPixels) => message.pixels = forged(&message.pixels),
            Some(FaultKind::Nothing) => {
                return self.answers.send(Ok(v1::StreamBatchesResponse { kind: None })).await.is_ok();
            }
            Some(FaultKind::Reopens) => {
                return self.send(ResponseKind::Opened(v1::StreamOpened::default())).await;
            }
            Some(FaultKind::Overdone) => {
                return self
                    .send(ResponseKind::Progress(v1::Progress { index, rows_done: 2, rows: 1 }))
                    .await;
            }
            Some(FaultKind::MissingRow) => {
                message.labels.truncate(message.labels.len() - 4);
                seal(&mut message, &self.spec);
            }
            Some(FaultKind::Label) => {
                message.labels = first_word(&message.labels, data.classes);
                seal(&mut message, &self.spec);
            }
            Some(FaultKind::Lambda) => {
                message.lambdas = first_word(&message.lambdas, limits::LAMBDA_ONE + 1);
                seal(&mut message, &self.spec);
            }
            Some(FaultKind::Unasked) => message = batch(&data, &self.spec, index + 1_000_000),
            Some(FaultKind::Twice) => {
                self.state.served.fetch_add(1, Ordering::SeqCst);
                if !self.send(ResponseKind::Batch(message.clone())).await {
                    return false;
                }
            }
            Some(FaultKind::Parts(fault)) => wrong_parts = Some(fault),
            Some(FaultKind::Drain) => return false,
            Some(FaultKind::Break) => {
                let _ = self.answers.send(Err(Status::internal("broken"))).await;
                return false;
            }
            Some(FaultKind::DataLoss) => {
                return self.fail(index, v1::FailureReason::DataLoss, "record 7 is damaged").await;
            }
            Some(FaultKind::Unavailable) => {
                return self.fail(index, v1::FailureReason::Unavailable, "record 7 cannot be read").await;
            }
            Some(FaultKind::Changed) => {
                return self.fail(index, v1::FailureReason::Changed, "record 7 is gone").await;
            }
            Some(FaultKind::Lengthy(bytes)) => {
                return self.fail(index, v1::FailureReason::Internal, &"x".repeat(bytes)).await;
            }
            Some(FaultKind::Internal) => {
                return self.fail(index, v1::FailureReason::Internal, "a worker failed").await;
            }
            _ => {}
        }
        self.state.served.fetch_add(1, Ordering::SeqCst);
        for step in parts::steps(message, self.message_bytes, wrong_parts) {
            match step {
                Step::Send(kind) => {
                    if !self.send(kind).await {
                        return false;
                    }
                }
                Step::Stall => {
                    self.answers.closed().await;
                    return false;
                }
                Step::Break => {
                    let _ = self.answers.send(Err(Status::unavailable("broken"))).await;
                    return false;
                }
                Step::Drain => return false,
            }
        }
        true
    }
}

fn flipped(pixels: &Bytes) -> Bytes {
    let mut bytes = pixels.to_vec();
    if let Some(byte) = bytes.last_mut() {
        *byte ^= 1;
    }
    bytes.into()
}

/// Other bytes of the same CRC-32: a multiple of its polynomial is added, which leaves the remainder as it is.
fn forged(bytes: &Bytes) -> Bytes {
    const POLYNOMIAL: u64 = 0x1_04C1_1DB7;
    let mut bytes = bytes.to_vec();
    for place in 0..33 {
        let bit = (POLYNOMIAL >> (32 - place)) & 1;
        bytes[place / 8] ^= (bit as u8) << (place % 8);
    }
    bytes.into()
}
