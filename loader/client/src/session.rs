//! One attempt to use one replica, from connecting to the end of its stream.
//!
//! A session connects, asks the replica what it is, waits until the driver accepts it, opens the
//! stream, passes requests on and lets answers through the gate. It reports everything as
//! [`Event`]s and decides nothing: whether and when the replica is tried again is `roster.rs`'s
//! business, who is asked for what the scheduler's.

#[cfg(test)]
mod tests;

use crate::answers::{self, Answers};
use crate::batch::Batch;
use crate::checks::{Fault, Gate};
use crate::config::{Expected, Tuning};
use crate::error;
use crate::geometry::Geometry;
use crate::identity::{self, Identity};
use crate::idle::Idle;
use crate::mailbox::Mailbox;
use crate::parts::Intake;
use crate::release;
use crate::remedy::{with_remedy, with_token_remedy};
use crate::scheduler::{FailureKind, Progress, ReplicaKey};
use crate::security::Security;
use crate::transport::{self, Target};
use mixfeed_proto::v1;
use mixfeed_proto::v1::stream_batches_request::Kind as RequestKind;
use mixfeed_proto::v1::stream_batches_response::Kind as ResponseKind;
use mixfeed_streamspec::StreamSpec;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

/// Requests on the way to a replica. One holds as many indices as there are, so few are enough.
const REQUESTS: usize = 4;

/// Reports of sessions that the driver has not read. It reads them at once; the bound only smooths bursts.
pub(crate) const EVENTS: usize = 16;

/// Something that happened in a session.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) replica: ReplicaKey,
    /// Number of the session; those of an earlier session are stale.
    pub(crate) session: u64,
    pub(crate) news: News,
}

#[derive(Debug)]
pub(crate) enum News {
    /// The replica said what it is, and waits to be accepted.
    Described(Box<Identity>),
    /// The stream is open.
    Opened { geometry: Arc<Geometry>, window_batches: u32, instance: String },
    /// A batch that passed the gate.
    Batch { batch: Batch, checksum: u32 },
    /// How far it is with a batch.
    Progress(Progress),
    /// A batch that the replica cannot make.
    Failure { index: u64, kind: FailureKind, message: String },
    /// The session is over.
    Ended(Ending),
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The replica could not be reached, or went away.
    Lost(String),
    /// It sent nothing for too long while it owed something.
    Silent(Duration),
    /// It ended the stream in good order: it is shutting down.
    Drained,
    /// It does not accept the stream.
    Refused(String),
    /// It sent something that must not be used.
    Bad(String),
}

/// What all sessions of a stream share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) spec: StreamSpec,
    pub(crate) message: v1::StreamSpec,
    pub(crate) spec_digest: [u8; 32],
    pub(crate) run_id: String,
    pub(crate) security: Security,
    pub(crate) tuning: Tuning,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) replica: ReplicaKey,
    pub(crate) number: u64,
    pub(crate) target: Target,
    pub(crate) idle_timeout: Duration,
    pub(crate) common: Arc<Common>,
    pub(crate) mailbox: Mailbox,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Session {
    /// Runs to the end, which is reported too.
    pub(crate) async fn run(self) {
        let ending = match self.attempt().await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        self.report(News::Ended(ending)).await;
    }

    async fn report(&self, news: News) {
        // The driver is gone when nobody receives; it takes this task with it.
        let _ = self.events.send(Event { replica: self.replica, session: self.number, news }).await;
    }

    async fn attempt(&self) -> Result<std::convert::Infallible, Ending> {
        let tuning = &self.common.tuning;
        let security = &self.common.security;
        let tls = transport::tls(&self.target, security).is_some();
        let unreached = |reason| Ending::Lost(with_remedy(reason, tls));
        let connected = transport::connect(&self.target, security, tuning).await;
        let mut connection = connected.map_err(unreached)?;
        let timeout = tuning.connect_timeout;
        let described = match tokio::time::timeout(timeout, connection.describe()).await {
            Ok(Ok(described)) => described.into_inner(),
            Ok(Err(status)) => {
                return Err(refusal(&status, security).unwrap_or_else(|| unreached(describe(&status))));
            }
            Err(_) => return Err(Ending::Lost(format!("no answer within {timeout:?}"))),
        };
        let identity = Identity::read(described).map_err(Ending::Bad)?;
        let classes = u32::try_from(identity.dataset.classes.len()).unwrap_or(u32::MAX);
        let per_request = (identity.max_indices_per_request as usize)
            .min(mixfeed_proto::limits::MAX_INDICES_PER_REQUEST as usize);
        let expected = identity.expected();
        let (geometry, limit) =
            (identity.geometry(&self.common.spec), message_bytes(&self.common.spec, &identity));
        let release = identity.release.clone();
        self.report(News::Described(Box::new(identity))).await;
        self.mailbox.accepted().await;

        let (requests, outgoing) = mpsc::channel(REQUESTS);
        let _ = requests.try_send(self.opening(&expected));
        let call = answers::stream_batches(&mut connection, ReceiverStream::new(outgoing), limit);
        let mut answers = match tokio::time::timeout(tuning.connect_timeout, call).await {
            Err(_) => return Err(Ending::Lost(format!("no stream within {:?}", tuning.connect_timeout))),
            Ok(Err(status)) => return Err(opening_failed(&status, &release, security)),
            Ok(Ok(answers)) => answers,
        };
        let geometry = Arc::new(geometry.map_err(Ending::Bad)?);
        let (window_batches, instance) = self.opened(&mut answers, &geometry, &release).await?;
        self.report(News::Opened { geometry: geometry.clone(), window_batches, instance }).await;
        let intake = Intake::new(Gate { geometry, spec_digest: self.common.spec_digest, classes });
        let pump = Pump { session: self, intake, requests, answers, per_request, owed: HashSet::new() };
        Err(pump.run().await)
    }

    fn opening(&self, expected: &Expected) -> v1::StreamBatchesRequest {
        let open = v1::StreamOpen {
            spec: Some(self.common.message.clone()),
            spec_digest: self.common.spec_digest.to_vec(),
            run_id: self.common.run_id.clone(),
            expected_dataset_digest: expected.dataset_digest.to_vec(),
            expected_algorithm_fingerprint: expected.algorithm_fingerprint.to_vec(),
            accepts_parts: true,
            accepts_progress: true,
        };
        v1::StreamBatchesRequest { kind: Some(RequestKind::Open(open)) }
    }

    async fn opened(
        &self,
        answers: &mut Answers,
        geometry: &Geometry,
        release: &str,
    ) -> Result<(u32, String), Ending> {
        let timeout = self.common.tuning.connect_timeout;
        match tokio::time::timeout(timeout, answers.message()).await {
            Err(_) => Err(Ending::Lost(format!("no answer to the opening within {timeout:?}"))),
            Ok(Err(status)) => Err(opening_failed(&status, release, &self.common.security)),
            Ok(Ok(None)) => Err(Ending::Drained),
            Ok(Ok(Some(answer))) => opened_by(geometry, &answer).map_err(Ending::Bad),
        }
    }
}

/// What the largest answer can have, so that a replica cannot make us buffer more.
pub(crate) fn message_bytes(spec: &StreamSpec, identity: &Identity) -> usize {
    // Without a shape it is refused before.
    let row = spec.sent(identity.image).map_or(0, |image| spec.image_bytes(image)) + 12;
    let max = row.saturating_mul(spec.batch_size as usize).saturating_add(64 << 10);
    max.min(mixfeed_proto::limits::MAX_MESSAGE_BYTES)
}

/// The window of the stream and the id of the process, from the first answer of a replica that described a stream of this shape;
/// an error says what is wrong with it.
pub(crate) fn opened_by(
    geometry: &Geometry,
    answer: &v1::StreamBatchesResponse,
) -> Result<(u32, String), String> {
    let Some(ResponseKind::Opened(opened)) = &answer.kind else {
        return Err("its first answer does not open the stream".into());
    };
    geometry.check(opened)?;
    Ok((opened.window_batches.max(1), identity::instance(&opened.instance_id)))
}

/// The open stream of one session.
struct Pump<'a> {
    session: &'a Session,
    intake: Intake,
    requests: mpsc::Sender<v1::StreamBatchesRequest>,
    answers: Answers,
    per_request: usize,
    /// What the replica was asked for and has not answered; the silence counts while there is any.
    owed: HashSet<u64>,
}

impl Pump<'_> {
    async fn run(mut self) -> Ending {
        let mut idle = Idle::new(self.session.idle_timeout);
        loop {
            if self.pass_on_requests() {
                idle.heard();
            }
            let stuck = !self.session.mailbox.is_empty();
            tokio::select! {
                // An answer that is there is read before its lateness is judged.
                biased;
                answer = self.answers.message() => {
                    idle.heard();
                    match answer {
                        Ok(Some(answer)) => match self.read(answer).await {
                            Ok(()) => {}
                            Err(ending) => return ending,
                        },
                        Ok(None) => return Ending::Drained,
                        Err(status) => return stream_failed(&status),
                    }
                }
                () = self.session.mailbox.posted(), if !stuck => {}
                room = async { self.requests.reserve().await.is_ok() }, if stuck => {
                    if !room {
                        return Ending::Lost("it closed its side of the stream".into());
                    }
                }
                () = idle.expired(), if stuck || !self.owed.is_empty() => {
                    return Ending::Silent(self.session.idle_timeout);
                }
            }
        }
    }

    /// Sends what the driver wants, as far as there is room. True when the replica owed nothing before.
    fn pass_on_requests(&mut self) -> bool {
        let owed_nothing = self.owed.is_empty();
        while !self.session.mailbox.is_empty() {
            let Ok(permit) = self.requests.try_reserve() else { break };
            let request = self.session.mailbox.take(self.per_request);
            for index in &request.withdrawn {
                self.owed.remove(index);
            }
            self.owed.extend(&request.wanted);
            let request = v1::BatchRequest { wanted: request.wanted, withdrawn: request.withdrawn };
            permit.send(v1::StreamBatchesRequest { kind: Some(RequestKind::Request(request)) });
        }
        owed_nothing && !self.owed.is_empty()
    }

    async fn read(&mut self, answer: v1::StreamBatchesResponse) -> Result<(), Ending> {
        let news = match answer.kind {
            Some(ResponseKind::Batch(message)) => {
                let (index, checksum) = (message.index, message.checksum);
                let batch = self.intake.batch(message)?;
                self.owed.remove(&index);
                News::Batch { batch, checksum }
            }
            Some(ResponseKind::Part(part)) => return Ok(self.intake.part(&part)?),
            Some(ResponseKind::Failure(failure)) => {
                self.intake.other()?;
                self.owed.remove(&failure.index);
                let kind = match failure.reason() {
                    v1::FailureReason::DataLoss => FailureKind::DataLoss,
                    v1::FailureReason::Changed => FailureKind::Changed,
                    v1::FailureReason::Unavailable => FailureKind::Unavailable,
                    _ => FailureKind::Internal,
                };
                News::Failure { index: failure.index, kind, message: shortened(failure.message) }
            }
            Some(ResponseKind::Opened(_)) => return Err(Ending::Bad("it opened its stream twice".into())),
            Some(ResponseKind::Progress(v1::Progress { index, rows_done, rows })) => {
                self.intake.other()?;
                if rows_done > rows {
                    return Err(Ending::Bad(format!(
                        "it has built {rows_done} of {rows} rows of batch {index}"
                    )));
                }
                News::Progress(Progress { index, rows_done, rows })
            }
            // Later releases send only what this one says it reads.
            None => return Err(Ending::Bad("its answer is neither a batch nor a failure".into())),
        };
        self.session.report(news).await;
        Ok(())
    }
}

/// A message that does not fill the log, whatever the loader sends.
fn shortened(mut message: String) -> String {
    const MOST: usize = 2000;
    if message.len() > MOST {
        message.truncate(mixfeed_proto::limits::cut(&message, MOST).len());
        message.push('…');
    }
    message
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Ending::Bad(fault.to_string())
    }
}

// The translation of an RPC status; there is no other on this side.

/// A token that is missing or wrong will be so the next time.
fn refusal(status: &Status, security: &Security) -> Option<Ending> {
    let said = describe(status);
    match status.code() {
        Code::Unauthenticated => {
            Some(Ending::Refused(with_token_remedy(&said, "loader", security.has_token())))
        }
        Code::PermissionDenied => Some(Ending::Refused(said)),
        _ => None,
    }
}

/// Of a loader of this release.
fn opening_failed(status: &Status, release: &str, security: &Security) -> Ending {
    let own = status.message();
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition => {
            Ending::Refused(release::explain(own, release).unwrap_or_else(|| own.to_owned()))
        }
        _ => refusal(status, security).unwrap_or_else(|| Ending::Lost(describe(status))),
    }
}

fn stream_failed(status: &Status) -> Ending {
    match status.code() {
        // What we sent was in order when the stream opened, so these are the replica's fault; so is a
        // message beyond the size that its own description allows.
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => Ending::Bad(describe(status)),
        _ if has_ended(status) => {
            Ending::Lost("the connection ended: the loader is gone, or what lies between".into())
        }
        _ => Ending::Lost(describe(status)),
    }
}

/// Whether the connection ended without a farewell, as HTTP/2 and operating systems call it.
fn has_ended(status: &Status) -> bool {
    let said = error::chain(status).to_lowercase();
    ["connection reset", "broken pipe", "unexpected end of file"].iter().any(|end| said.contains(end))
}

fn describe(status: &Status) -> String {
    let code = status.code();
    let mut text = error::chain(status);
    if !status.message().is_empty() {
        text = status.message().to_owned();
        if let Some(source) = std::error::Error::source(status) {
            text = format!("{text}: {}", error::chain(source));
        }
    }
    format!("{text} ({code:?})")
}
