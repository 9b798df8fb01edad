//! The serving end: a listener, a small thread, and the three calls.

use super::{Broadcast, RemoteError, State, Status};
use crate::machine::stop::{Stop, StopCause};
use mixfeed_ops::address::BindError;
use mixfeed_ops::grpc::{
    Access, Guard, Limits, Listener, Reach, RefusedConnections, ServerTls, incoming, transport,
};
use mixfeed_proto::v1;
use mixfeed_proto::v1::trainer_service_server::{TrainerService, TrainerServiceServer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::InterceptorLayer;
use tonic::{Request, Response};

/// Those who watch at a time: a few people, a dashboard.
const MAX_WATCHERS: usize = 16;

/// Calls on one connection.
const MAX_CALLS_PER_CONNECTION: u32 = 8;

/// Connections: those who watch, and as many who ask once or come to end it.
const MAX_CONNECTIONS: usize = 2 * MAX_WATCHERS;

/// Requests are all but empty.
const MAX_REQUEST_BYTES: usize = 1 << 10;

/// Time that those who watch have to hear how training ended.
const GRACE: Duration = Duration::from_secs(2);

const INTERVAL_MILLISECONDS: std::ops::RangeInclusive<u32> = 100..=60_000;
const DEFAULT_INTERVAL_MILLISECONDS: u32 = 500;

/// A training that can be watched and ended from outside. Dropping it ends the serving.
pub struct Served {
    address: SocketAddr,
    status: Arc<watch::Sender<Status>>,
    /// There from starting to dropping.
    runtime: Option<Runtime>,
    serving: Option<JoinHandle<()>>,
}

impl Served {
    /// Listens on `address` (port 0 picks one) for those whom `access` lets in; a call of Stop makes the wish
    /// `stop`.
    ///
    /// # Errors
    /// When the address is taken or not ours, or a file of `access` cannot be used.
    pub fn start(address: SocketAddr, access: &Access, stop: &Stop) -> Result<Self, RemoteError> {
        let (tls, token) = access.read()?;
        let error = |source| BindError::new(address, source);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("trainer-service")
            .enable_all()
            .build()
            .map_err(error)?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        let status =
            Arc::new(watch::Sender::new(Status { state: State::Starting.into(), ..Status::default() }));
        let calls = Calls {
            status: Arc::clone(&status),
            stop: stop.clone(),
            address,
            may_end: access.asks_for_proof() || Reach::of(address) == Reach::Machine,
            room: Arc::new(Semaphore::new(MAX_WATCHERS)),
        };
        let serving = runtime.spawn(serve(listener, tls, Guard::new(token), calls));
        Ok(Served { address, status, runtime: Some(runtime), serving: Some(serving) })
    }

    /// The bound address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells a training to those who watch.
    pub(crate) fn observer(&self, label: String, run: String, following: u64) -> Broadcast {
        Broadcast::new(Arc::clone(&self.status), label, run, following)
    }

    /// Tells those who watch how it ended.
    pub fn end(&self, ending: String) {
        self.status.send_modify(|status| {
            status.set_state(State::Ended);
            status.ending = ending;
        });
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Also when nobody said how it ended: nothing more happens.
        self.status.send_modify(|status| status.set_state(State::Ended));
        if let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) {
            let _ = runtime.block_on(async { tokio::time::timeout(GRACE, serving).await });
            runtime.shutdown_background();
        }
    }
}

/// Answers until training has ended and all calls have.
async fn serve(listener: TcpListener, tls: Option<ServerTls>, guard: Guard, calls: Calls) {
    let mut status = calls.status.subscribe();
    let ended = async move { drop(status.wait_for(|status| status.state() == State::Ended).await) };
    let service = TrainerServiceServer::new(calls).max_decoding_message_size(MAX_REQUEST_BYTES);
    let limits = Limits { connections: MAX_CONNECTIONS, ..Limits::default() };
    let refused = RefusedConnections::counted_as(crate::report::metrics::REFUSED_CONNECTIONS);
    let served = transport(MAX_CALLS_PER_CONNECTION)
        .layer(InterceptorLayer::new(guard))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming(Listener::Tcp(listener), tls, limits, refused), ended)
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "the progress service has stopped");
    }
}

/// The three calls.
struct Calls {
    status: Arc<watch::Sender<Status>>,
    stop: Stop,
    address: SocketAddr,
    /// Whether those who are let in may end the training.
    may_end: bool,
    room: Arc<Semaphore>,
}

type Answer<T> = Result<Response<T>, tonic::Status>;

#[tonic::async_trait]
impl TrainerService for Calls {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, tonic::Status>>;

    async fn get_status(&self, _request: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        let status = self.status.borrow().clone();
        Ok(Response::new(v1::GetStatusResponse { status: Some(status) }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let interval = match request.into_inner().interval_milliseconds {
            0 => DEFAULT_INTERVAL_MILLISECONDS,
            given if INTERVAL_MILLISECONDS.contains(&given) => given,
            given => {
                let (min, max) = (INTERVAL_MILLISECONDS.start(), INTERVAL_MILLISECONDS.end());
                let text = format!("interval_milliseconds is {given}, it must be {min} to {max}");
                return Err(tonic::Status::invalid_argument(text));
            }
        };
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            let text = format!("{MAX_WATCHERS} watch already");
            return Err(tonic::Status::resource_exhausted(text));
        };
        // One answer waits at most: who reads slowly hears less, and what it hears is fresh.
        let (answers, stream) = mpsc::channel(1);
        let status = self.status.subscribe();
        let interval = Duration::from_millis(interval.into());
        tokio::spawn(async move {
            tell(status, interval, &answers).await;
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn stop(&self, _request: Request<v1::StopRequest>) -> Answer<v1::StopResponse> {
        if !self.may_end {
            return Err(tonic::Status::permission_denied(format!(
                "it listens on {}, beyond its own machine, and cannot tell who asks; give it \
                 --listen-auth-token-file, let it listen on 127.0.0.1, or send it SIGTERM",
                self.address
            )));
        }
        tracing::info!("stop requested: finishing the step, evaluating, and writing a checkpoint");
        self.status.send_if_modified(|status| {
            let stops = status.state() != State::Ended;
            if stops {
                status.set_state(State::Stopping);
            }
            stops
        });
        self.stop.request(StopCause::Call);
        Ok(Response::new(v1::StopResponse {}))
    }
}

/// Sends the status now and whenever it has changed, but not more often than once in an `interval`, and the
/// last one at once.
async fn tell(
    mut status: watch::Receiver<Status>,
    interval: Duration,
    answers: &mpsc::Sender<Result<v1::WatchResponse, tonic::Status>>,
) {
    let mut end = status.clone();
    loop {
        let now = status.borrow_and_update().clone();
        let ended = now.state() == State::Ended;
        let answer = v1::WatchResponse { status: Some(now) };
        if answers.send(Ok(answer)).await.is_err() || ended {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = end.wait_for(|status| status.state() == State::Ended) => {}
            () = answers.closed() => return,
        }
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = answers.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_proto::v1::trainer_service_client::TrainerServiceClient;
    use tonic::Code;
    use tonic::transport::Channel;

    fn serve(status: Status) -> (Served, Stop) {
        let stop = Stop::default();
        let served =
            Served::start("127.0.0.1:0".parse().unwrap(), &Access::open("--listen-"), &stop).unwrap();
        served.status.send_replace(status);
        (served, stop)
    }

    /// Calls from a runtime of its own, as another process would.
    fn call<T>(served: &Served, call: impl AsyncFnOnce(TrainerServiceClient<Channel>) -> T) -> T {
        let address = format!("http://{}", served.address());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { call(TrainerServiceClient::connect(address).await.unwrap()).await })
    }

    fn watch(interval_milliseconds: u32) -> v1::WatchRequest {
        v1::WatchRequest { interval_milliseconds }
    }

    #[test]
    fn the_status_is_told_and_the_wish_to_end_is_heard() {
        let training = Status { state: State::Training.into(), step: 7, steps: 9, ..Status::default() };
        let (served, stop) = serve(training.clone());
        call(&served, async |mut client| {
            let answer = client.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
            assert_eq!(answer.status.unwrap(), training);
            assert_eq!(stop.requested(), None);
            client.stop(v1::StopRequest {}).await.unwrap();
            assert_eq!(stop.requested(), Some(StopCause::Call));
            let answer = client.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
            assert_eq!(answer.status.unwrap().state(), State::Stopping);
        });
    }

    #[test]
    fn who_watches_hears_the_end_at_once_and_nothing_after_it() {
        let (served, _) = serve(Status { state: State::Training.into(), ..Status::default() });
        call(&served, async |mut client| {
            // The longest interval: waiting for it would fail this test by its time.
            let mut stream = client.watch(watch(60_000)).await.unwrap().into_inner();
            let first = stream.message().await.unwrap().unwrap().status.unwrap();
            assert_eq!(first.state(), State::Training);
            served.end("finished".to_owned());
            let last = stream.message().await.unwrap().unwrap().status.unwrap();
            assert_eq!((last.state(), &*last.ending), (State::Ended, "finished"));
            assert_eq!(stream.message().await.unwrap(), None);
        });
    }

    #[test]
    fn intervals_out_of_range_and_too_many_who_watch_are_refused() {
        let (served, _) = serve(Status::default());
        call(&served, async |mut client| {
            for wrong in [1, 99, 60_001] {
                assert_eq!(client.watch(watch(wrong)).await.unwrap_err().code(), Code::InvalidArgument);
            }
        });
        // Each has a connection of its own: one alone may not have so many calls.
        call(&served, async |_| {
            let address = format!("http://{}", served.address());
            let connect = async || TrainerServiceClient::connect(address.clone()).await.unwrap();
            let mut watching = Vec::new();
            for _ in 0..MAX_WATCHERS {
                let mut client = connect().await;
                let stream = client.watch(watch(0)).await.unwrap();
                watching.push((client, stream));
            }
            assert_eq!(connect().await.watch(watch(0)).await.unwrap_err().code(), Code::ResourceExhausted);
        });
    }
}
