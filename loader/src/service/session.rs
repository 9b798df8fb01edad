//! One stream, from its opening to its end.
//!
//! A session is a task that owns what its client is owed. It takes requests, hands jobs to the pool
//! as the window has room, and passes finished batches on. It holds no lock and waits for nothing
//! but its inputs: every job in hand has its place in the queue to the client reserved, and the places
//! of that queue are the window.

use super::lease::Lease;
use super::translate;
use crate::batch::StreamContext;
use crate::pool::{Finished, Job, Pool, Slot};
use mixfeed_proto::limits::{MAX_INDICES_PER_REQUEST, MAX_WANTED};
use mixfeed_proto::v1::stream_batches_request::Kind;
use mixfeed_proto::v1::{BatchRequest, StreamBatchesRequest, StreamBatchesResponse};
use std::collections::{BTreeSet, HashSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

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
    batches: u64,
}

impl Session {
    pub(super) fn new(
        context: Arc<StreamContext>,
        pool: Arc<Pool>,
        lease: Arc<Lease>,
        outbound: mpsc::Sender<Answer>,
        drain: watch::Receiver<bool>,
    ) -> Self {
        let (owed, waiting) = (HashSet::new(), BTreeSet::new());
        Self { context, pool, lease, outbound, drain, owed, waiting, in_hand: Vec::new(), batches: 0 }
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
        slot.fill(Job { context: Arc::clone(&self.context), index, reply: reply.clone() });
    }

    fn answer(&mut self, done: Finished) {
        let place = self.in_hand.pop().expect("each job in hand has a place");
        if !self.owed.remove(&done.index) {
            return; // Withdrawn while it was being built.
        }
        // One that was withdrawn and asked for again while it was being built.
        self.waiting.remove(&done.index);
        self.batches += 1;
        // A client that is gone is noticed by the queue's being closed.
        place.send(Ok(translate::finished(done)));
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

#[cfg(test)]
mod tests {
    use super::super::admission::Admission;
    use super::super::{MessageSizes, Outgoing};
    use super::*;
    use crate::metrics::LoaderMetrics;
    use mixfeed_pipeline::spec::StreamSpec;
    use mixfeed_pipeline::{CheckedSpec, synthetic};
    use mixfeed_proto::v1::StreamOpen;
    use mixfeed_proto::v1::stream_batches_response::Kind as AnswerKind;
    use tokio::sync::mpsc::{Receiver, Sender};
    use tokio::task::JoinHandle;
    use tokio_stream::wrappers::ReceiverStream;

    struct Client {
        requests: Option<Sender<Result<StreamBatchesRequest, Status>>>,
        answers: Receiver<Result<StreamBatchesResponse, Status>>,
        drain: watch::Sender<bool>,
        session: JoinHandle<Ended>,
    }

    impl Client {
        fn new(window: usize) -> Self {
            let window = Arc::new(Admission::new(u64::MAX)).reserve(1, 0, window).unwrap();
            Self::with(Arc::new(Lease::of(window)))
        }

        fn with(lease: Arc<Lease>) -> Self {
            let dataset = Arc::new(synthetic::dataset(100));
            let pool = Pool::start(&dataset, 1, &Arc::new(LoaderMetrics::default())).unwrap();
            let spec = StreamSpec::train(1, 4);
            let checked = CheckedSpec::new(spec, &dataset).unwrap();
            let context = Arc::new(StreamContext::new(checked, [0; 32]));
            let (requests, inbound) = mpsc::channel(8);
            let (outbound, answers) = mpsc::channel(lease.window.batches());
            let (drain, draining) = watch::channel(false);
            let session = Session::new(context, Arc::new(pool), lease, outbound, draining);
            let session = tokio::spawn(session.run(ReceiverStream::new(inbound)));
            Self { requests: Some(requests), answers, drain, session }
        }

        async fn send(&self, wanted: &[u64], withdrawn: &[u64]) {
            let request = BatchRequest { wanted: wanted.to_vec(), withdrawn: withdrawn.to_vec() };
            let request = StreamBatchesRequest { kind: Some(Kind::Request(request)) };
            self.requests.as_ref().unwrap().send(Ok(request)).await.unwrap();
        }

        /// The indices of all batches until the stream ends.
        async fn rest(&mut self) -> Vec<u64> {
            let mut indices = Vec::new();
            while let Some(answer) = self.answers.recv().await {
                match answer.unwrap().kind {
                    Some(AnswerKind::Batch(batch)) => indices.push(batch.index),
                    other => panic!("not a batch: {other:?}"),
                }
            }
            indices.sort_unstable();
            indices
        }

        async fn refusal(&mut self) -> Status {
            loop {
                if let Err(status) = self.answers.recv().await.expect("a status") {
                    return status;
                }
            }
        }
    }

    #[tokio::test]
    async fn everything_asked_for_comes_before_the_stream_ends() {
        let mut client = Client::new(3);
        client.send(&(0..50).collect::<Vec<_>>(), &[]).await;
        client.requests = None;
        assert_eq!(client.rest().await, (0..50).collect::<Vec<_>>());
        assert_eq!(client.session.await.unwrap().reason, "client done");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_gets_no_more_than_its_window_built() {
        let mut client = Client::new(3);
        client.send(&(0..50).collect::<Vec<_>>(), &[]).await;
        while client.answers.len() < 3 {
            tokio::task::yield_now().await;
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.answers.len(), 3);
        client.requests = None;
        assert_eq!(client.rest().await.len(), 50);
    }

    #[tokio::test]
    async fn withdrawn_indices_do_not_come() {
        let mut client = Client::new(1);
        client.send(&(0..40).collect::<Vec<_>>(), &[]).await;
        client.send(&[], &(20..40).collect::<Vec<_>>()).await;
        client.requests = None;
        let came = client.rest().await;
        assert!(came.starts_with(&(0..20).collect::<Vec<_>>()), "{came:?}");
        // At most the one in hand came all the same.
        assert!(came.len() <= 21, "{came:?}");
    }

    #[tokio::test]
    async fn a_withdrawn_index_can_be_asked_for_again() {
        let mut client = Client::new(1);
        client.send(&[1, 2, 3], &[]).await;
        client.send(&[3], &[3, 99]).await;
        client.requests = None;
        assert_eq!(client.rest().await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn memory_stays_reserved_for_what_a_client_has_not_read() {
        let admission = Arc::new(Admission::new(270));
        let lease = Arc::new(Lease::of(admission.reserve(50, 0, 2).unwrap()));
        let mut client = Client::with(Arc::clone(&lease));
        let sizes = MessageSizes::default();
        let answers = Outgoing { receiver: client.answers, sizes, rest: None, _lease: lease };
        let request = BatchRequest { wanted: vec![0, 1], withdrawn: Vec::new() };
        let request = StreamBatchesRequest { kind: Some(Kind::Request(request)) };
        client.requests.take().unwrap().send(Ok(request)).await.unwrap();
        assert_eq!(client.session.await.unwrap().batches, 2);
        assert!(admission.reserve(50, 0, 1).is_err(), "two batches wait, unread");
        drop(answers);
        assert!(admission.reserve(50, 0, 1).is_ok());
    }

    #[tokio::test]
    async fn the_lowest_index_is_built_first() {
        let mut client = Client::new(1);
        client.send(&(100..140).collect::<Vec<_>>(), &[]).await;
        client.send(&[5], &[]).await;
        let mut indices = Vec::new();
        while let Some(Ok(answer)) = client.answers.recv().await {
            let Some(AnswerKind::Batch(batch)) = answer.kind else { panic!("not a batch") };
            indices.push(batch.index);
            if indices.len() == 41 {
                break;
            }
        }
        // At most what was in hand, in the queue or on the way came before it.
        let place = indices.iter().position(|index| *index == 5).unwrap();
        assert!(place <= 4, "{indices:?}");
    }

    #[tokio::test]
    async fn asking_twice_is_refused_by_name() {
        let mut client = Client::new(1);
        client.send(&[7, 8, 7], &[]).await;
        let status = client.refusal().await;
        assert_eq!(
            (status.code(), status.message()),
            (tonic::Code::InvalidArgument, "wanted: 7 is owed already")
        );
    }

    #[tokio::test]
    async fn more_than_may_be_owed_is_refused() {
        let mut client = Client::new(1);
        client.send(&(0..1024).collect::<Vec<_>>(), &[]).await;
        client.send(&(2000..3024).collect::<Vec<_>>(), &[]).await;
        assert!(client.refusal().await.message().contains("at most 1024 may be"));
        let mut client = Client::new(1);
        client.send(&(0..1025).collect::<Vec<_>>(), &[]).await;
        assert_eq!(client.refusal().await.message(), "wanted: 1025 indices in one message, at most 1024");
    }

    #[tokio::test]
    async fn opening_twice_is_refused() {
        let mut client = Client::new(1);
        let open = StreamBatchesRequest { kind: Some(Kind::Open(StreamOpen::default())) };
        client.requests.as_ref().unwrap().send(Ok(open)).await.unwrap();
        assert_eq!(client.refusal().await.message(), "open: the stream is already open");
    }

    #[tokio::test]
    async fn draining_sends_what_is_in_hand_and_ends_cleanly() {
        let mut client = Client::new(2);
        client.send(&(0..1000).collect::<Vec<_>>(), &[]).await;
        assert!(client.answers.recv().await.is_some());
        client.drain.send(true).unwrap();
        assert!(client.rest().await.len() < 999);
        assert_eq!(client.session.await.unwrap().reason, "loader draining");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_the_session() {
        let client = Client::new(2);
        client.send(&(0..1000).collect::<Vec<_>>(), &[]).await;
        drop(client.answers);
        assert_eq!(client.session.await.unwrap().reason, "client gone");
    }
}
