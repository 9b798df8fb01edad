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
        let session = Session::new(context, Arc::new(pool), lease, outbound, None, draining);
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
    let answers = Outgoing { receiver: client.answers, progress: None, sizes, rest: None, _lease: lease };
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
