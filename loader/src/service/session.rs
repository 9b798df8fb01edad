//! One stream, from its opening to its end.
//!
//! A session is a task that owns what its client is owed. It takes requests, hands jobs to the pool
//! as the window has room, and passes finished batches on. It holds no lock and waits for nothing
//! but its inputs: every job in hand has its place in the queue to the client reserved, and the places
//! of that queue are the window.

#[cfg(test)]
mod tests;

use super::lease::Lease;
use super::translate;
use crate::assembly::BatchProgress;
use crate::batch::StreamContext;
use crate::heartbeat::Heartbeat;
use crate::pool::{Finished, Job, Pool, Slot};
use mixfeed_proto::limits::{MAX_INDICES_PER_REQUEST, MAX_WANTED};
use mixfeed_proto::v1::stream_batches_request::Kind;
use mixfeed_proto::v1::{BatchRequest, Progress, StreamBatchesRequest, StreamBatchesResponse};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

/// How often a client that waits is told of progress: a third of the silence that it puts up with.
const PROGRESS: Duration = Duration::from_secs(1);

type Answer = Result<StreamBatchesResponse, Status>;

/// How a session ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) batches: u64,
    pub(super) reason: &'static str,
}

/// The state of one stream.
#[derive(Debug)]
pub(super) struct Session {
    context: Arc<StreamContext>,
    pool: Arc<Pool>,
    lease: Arc<Lease>,
    /// The queue to the client: as many places as the window has batches.
    outbound: mpsc::Sender<Answer>,
    drain: watch::Receiver<bool>,
    /// Indices asked for and not answered, withdrawn ones left out.
    owed: HashSet<u64>,
    /// Those of them that no worker has yet. The lowest is built first: it is due first, and one that
    /// is asked for late (because another replica is lost or slow) does not wait behind the rest.
    waiting: BTreeSet<u64>,
    /// The places of jobs that were handed to the pool and have not come back.
    in_hand: Vec<OwnedPermit<Answer>>,
    /// How far each of them is.
    building: BTreeMap<u64, Arc<BatchProgress>>,
    /// Where progress is told, if the client wants to know.
    progress: Option<mpsc::Sender<Progress>>,
    /// Whether something was sent since progress was last thought of.
    has_sent: bool,
    /// Jobs that were handed to the pool.
    dispatched: u64,
    batches: u64,
    /// Whether batches of this stream get on.
    heartbeat: Heartbeat,
}

impl Session {
    pub(super) fn new(
        context: Arc<StreamContext>,
        pool: Arc<Pool>,
        lease: Arc<Lease>,
        outbound: mpsc::Sender<Answer>,
        progress: Option<mpsc::Sender<Progress>>,
        drain: watch::Receiver<bool>,
    ) -> Self {
        let (owed, waiting) = (HashSet::new(), BTreeSet::new());
        let (in_hand, building) = (Vec::new(), BTreeMap::new());
        Self {
            context,
            pool,
            lease,
            outbound,
            drain,
            owed,
            waiting,
            in_hand,
            building,
            progress,
            has_sent: false,
            dispatched: 0,
            batches: 0,
            heartbeat: Heartbeat::new(Instant::now()),
        }
    }

    pub(super) fn context(&self) -> &StreamContext {
        &self.context
    }

    /// Serves the stream until the client closes it or goes away, or the loader drains.
    pub(super) async fn run(
        mut self,
        mut inbound: impl Stream<Item = Result<StreamBatchesRequest, Status>> + Unpin,
    ) -> Ended {
        let (reply, mut finished) = mpsc::channel(self.lease.window.batches());
        let pool = Arc::clone(&self.pool);
        let mut drain = self.drain.clone();
        // The place in the line for a worker. It is kept whatever else happens: who gave it up at each request
        // and each finished batch would stand behind everybody who does nothing but wait.
        let mut room = pin!(None);
        let mut seconds = tokio::time::interval(PROGRESS);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Set once no more requests are taken: what is still owed is sent, then the stream ends.
        let mut closing = None;
        loop {
            if let Some(reason) = closing
                && self.in_hand.is_empty()
                && self.waiting.is_empty()
            {
                return self.ended(reason);
            }
            if self.waiting.is_empty() {
                room.set(None);
            } else if room.is_none() {
                room.set(Some(free_room(self.outbound.clone(), &pool)));
            }
            tokio::select! {
                Some(done) = finished.recv() => self.answer(done),
                request = inbound.next(), if closing.is_none() => match request {
                    None => closing = Some("client done"),
                    Some(Err(_status)) => return self.ended("client gone"),
                    Some(Ok(request)) => if let Err(status) = self.take(request) {
                        tracing::warn!(reason = status.message(), "request refused");
                        // The places of jobs in hand and in line go first: they may be all there are.
                        self.in_hand.clear();
                        room.set(None);
                        // An error means that the client is gone already.
                        drop(self.outbound.send(Err(status)).await);
                        return self.ended("request refused");
                    },
                },
                free = poll_fn(|context| match room.as_mut().as_pin_mut() {
                    Some(room) => room.poll(context),
                    None => Poll::Pending,
                }) => {
                    room.set(None);
                    match free {
                        Some((place, slot)) => self.dispatch(place, slot, &reply),
                        None => return self.ended("client gone"),
                    }
                }
                _ = seconds.tick(), if self.progress.is_some() => self.tell_progress(),
                () = self.outbound.closed() => return self.ended("client gone"),
                () = draining(&mut drain), if closing.is_none() => {
                    // What no worker has begun is left to the other replicas.
                    self.waiting.clear();
                    closing = Some("loader draining");
                }
            }
        }
    }

    fn ended(&self, reason: &'static str) -> Ended {
        Ended { batches: self.batches, reason }
    }

    #[allow(clippy::result_large_err)]
    fn take(&mut self, request: StreamBatchesRequest) -> Result<(), Status> {
        let BatchRequest { wanted, withdrawn } = match request.kind {
            Some(Kind::Request(request)) => request,
            Some(Kind::Open(_)) => return Err(Status::invalid_argument("open: the stream is already open")),
            None => return Err(Status::invalid_argument("kind: a message must be open or request")),
        };
        for (field, indices) in [("wanted", &wanted), ("withdrawn", &withdrawn)] {
            if indices.len() > MAX_INDICES_PER_REQUEST as usize {
                let message = format!(
                    "{field}: {} indices in one message, at most {MAX_INDICES_PER_REQUEST}",
                    indices.len()
                );
                return Err(Status::invalid_argument(message));
            }
        }
        for index in withdrawn {
            if self.owed.remove(&index) {
                self.waiting.remove(&index);
            }
        }
        if self.owed.len() + wanted.len() > MAX_WANTED as usize {
            let message =
                format!("wanted: {} indices are owed already, at most {MAX_WANTED} may be", self.owed.len());
            return Err(Status::invalid_argument(message));
        }
        for index in wanted {
            if !self.owed.insert(index) {
                return Err(Status::invalid_argument(format!("wanted: {index} is owed already")));
            }
            self.waiting.insert(index);
        }
        Ok(())
    }

    fn dispatch(&mut self, place: OwnedPermit<Answer>, slot: Slot<'_>, reply: &mpsc::Sender<Finished>) {
        let Some(index) = self.waiting.pop_first() else { return };
        self.in_hand.push(place);
        self.dispatched += 1;
        let progress = Arc::<BatchProgress>::default();
        self.building.insert(index, Arc::clone(&progress));
        slot.fill(Job { context: Arc::clone(&self.context), index, progress, reply: reply.clone() });
    }

    fn answer(&mut self, done: Finished) {
        let place = self.in_hand.pop().expect("each job in hand has a place");
        self.building.remove(&done.index);
        if !self.owed.remove(&done.index) {
            return; // Withdrawn while it was being built.
        }
        // One that was withdrawn and asked for again while it was being built.
        self.waiting.remove(&done.index);
        self.batches += 1;
        self.has_sent = true;
        // A client that is gone is noticed by the queue's being closed.
        place.send(Ok(translate::finished(done)));
    }
}

impl Session {
    /// Says how far the lowest batch is, unless something was sent meanwhile or the workers hang.
    fn tell_progress(&mut self) {
        let rows_done = self.building.values().map(|progress| progress.rows_done()).sum::<u64>();
        let now = Instant::now();
        let own = self.heartbeat.is_alive(now, self.dispatched + self.batches + rows_done);
        let all = self.pool.is_alive(now);
        let was_sent = std::mem::take(&mut self.has_sent);
        let building = self.building.iter().find(|(index, _)| self.owed.contains(index));
        let building = building.map(|(index, progress)| (*index, progress.rows_done() as u32));
        let lowest = building.or_else(|| self.waiting.first().map(|index| (*index, 0)));
        let (Some((index, rows_done)), Some(told), false) = (lowest, &self.progress, was_sent) else {
            return;
        };
        // Batches that no worker has begun wait for those of other streams.
        let is_begun = self.building.values().any(|progress| progress.is_begun());
        if own || (!is_begun && all) {
            let rows = self.context.checked.epochs().rows(index) as u32;
            // One that has not left yet says as much.
            let _ = told.try_send(Progress { index, rows_done, rows });
        }
    }
}

/// Waits until the loader drains. Cancel safe.
async fn draining(drain: &mut watch::Receiver<bool>) {
    // An error means that whoever could say so is gone, which is as good.
    drop(drain.wait_for(|drain| *drain).await);
}

/// Waits for a place in the queue to the client, then for a slot of the pool. Nothing when the
/// client is gone. Cancel safe, but who cancels it gives up its place in line.
async fn free_room(outbound: mpsc::Sender<Answer>, pool: &Pool) -> Option<(OwnedPermit<Answer>, Slot<'_>)> {
    let place = outbound.reserve_owned().await.ok()?;
    Some((place, pool.slot().await))
}
