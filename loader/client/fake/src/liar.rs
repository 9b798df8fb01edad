//! A loader that passes calls on to a real one and changes what comes back: for tests of what clients believe.

use crate::running::Running;
use crate::script::Lie;
use bytes::Bytes;
use mixfeed_proto::v1;
use mixfeed_proto::v1::loader_service_client::LoaderServiceClient;
use mixfeed_proto::v1::loader_service_server::LoaderService;
use mixfeed_proto::v1::stream_batches_request::Kind as RequestKind;
use mixfeed_proto::v1::stream_batches_response::Kind as ResponseKind;
use mixfeed_proto::{BatchBytes, batch_checksum, limits};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

type Answer = Result<v1::StreamBatchesResponse, Status>;

/// Pause between two empty answers of a loader that stalls.
const TRICKLE: Duration = Duration::from_millis(300);

/// A loader that lies. Dropping it ends it.
#[derive(Debug)]
pub struct Liar {
    told: Arc<AtomicU64>,
    running: Running,
}

impl Liar {
    /// Starts one on a free port of the loopback interface, in front of the loader at `honest`.
    ///
    /// # Errors
    /// Those of binding a socket and starting a thread, and an address that is none.
    pub fn start(honest: &str, lie: Lie) -> io::Result<Self> {
        let endpoint = Endpoint::try_from(format!("http://{honest}")).map_err(io::Error::other)?;
        let told = Arc::new(AtomicU64::new(0));
        let counter = told.clone();
        let make = move || Service { honest: endpoint.connect_lazy(), lie, told: counter };
        let running = Running::start((Ipv4Addr::LOCALHOST, 0).into(), make, std::future::pending())?;
        Ok(Self { told, running })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        self.running.address.to_string()
    }

    /// Lies that it told.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Debug)]
struct Service {
    honest: Channel,
    lie: Lie,
    told: Arc<AtomicU64>,
}

impl Service {
    fn client(&self) -> LoaderServiceClient<Channel> {
        LoaderServiceClient::new(self.honest.clone()).max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
    }

    fn tell(&self) {
        self.told.fetch_add(1, Ordering::SeqCst);
    }

    /// Passes one answer on, or something else in its place. False ends the stream.
    async fn pass(
        &self,
        digest: &[u8],
        answer: v1::StreamBatchesResponse,
        out: &mpsc::Sender<Answer>,
    ) -> bool {
        let Some(ResponseKind::Batch(mut batch)) = answer.kind else {
            return out.send(Ok(answer)).await.is_ok();
        };
        let send = |kind| out.send(Ok(v1::StreamBatchesResponse { kind: Some(kind) }));
        let fail = |reason: v1::FailureReason, index| {
            let message = "\u{1b}[31mforged\nsecond line".to_owned();
            ResponseKind::Failure(v1::BatchFailure { index, reason: reason.into(), message })
        };
        let index = batch.index;
        if self.lie.spares(index) {
            return send(ResponseKind::Batch(batch)).await.is_ok();
        }
        self.tell();
        match self.lie {
            Lie::Pixels | Lie::OddPixels => batch.pixels = changed(&batch.pixels, |byte| 255 - byte),
            Lie::Labels => batch.labels = words(&batch.labels, |label| (label + 1) % 10),
            Lie::Lambdas => batch.lambdas = words(&batch.lambdas, |lambda| lambda / 2),
            Lie::Sizes => batch.labels.truncate(batch.labels.len() - 4),
            Lie::Damaged => {
                batch.pixels = changed(&batch.pixels, |byte| byte ^ 1);
                return send(ResponseKind::Batch(batch)).await.is_ok();
            }
            Lie::DataLoss => return send(fail(v1::FailureReason::DataLoss, index)).await.is_ok(),
            Lie::Unavailable => return send(fail(v1::FailureReason::Unavailable, index)).await.is_ok(),
            Lie::Internal => return send(fail(v1::FailureReason::Internal, index)).await.is_ok(),
            Lie::Stall => {
                while out.send(Ok(v1::StreamBatchesResponse { kind: None })).await.is_ok() {
                    tokio::time::sleep(TRICKLE).await;
                }
                return false;
            }
            Lie::Flood => {
                let sound = send(ResponseKind::Batch(batch)).await.is_ok();
                while sound && out.send(Ok(v1::StreamBatchesResponse { kind: None })).await.is_ok() {}
                return false;
            }
            Lie::Hung => {
                out.closed().await;
                return false;
            }
            Lie::Twice => {
                return send(ResponseKind::Batch(batch.clone())).await.is_ok()
                    && send(ResponseKind::Batch(batch)).await.is_ok();
            }
            Lie::Slow(delay) => {
                tokio::time::sleep(delay).await;
                return send(ResponseKind::Batch(batch)).await.is_ok();
            }
            Lie::Flaps | Lie::Classes | Lie::Nameless(_) | Lie::DigestAfterOpening | Lie::Nothing => {
                return send(ResponseKind::Batch(batch)).await.is_ok();
            }
        }
        batch.checksum = batch_checksum(&BatchBytes::of(&batch, digest.try_into().unwrap_or(&[0; 32])));
        send(ResponseKind::Batch(batch)).await.is_ok()
    }
}

fn changed(bytes: &Bytes, change: impl Fn(u8) -> u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes.iter_mut().take(100).for_each(|byte| *byte = change(*byte));
    bytes.into()
}

fn words(bytes: &Bytes, change: impl Fn(u32) -> u32) -> Bytes {
    let words = bytes.as_chunks().0.iter().map(|word| change(u32::from_le_bytes(*word)));
    words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into()
}

#[tonic::async_trait]
impl LoaderService for Service {
    async fn describe(
        &self,
        request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        let mut described = self.client().describe(request.into_inner()).await?;
        let dataset = described.get_mut().dataset.get_or_insert_default();
        match self.lie {
            Lie::Classes => dataset.classes.push("one more".to_owned()),
            Lie::Nameless(count) => dataset.classes = vec![String::new(); count],
            Lie::DigestAfterOpening if self.told.fetch_add(1, Ordering::SeqCst) > 0 => {
                dataset.digest = vec![0x11; 32];
            }
            _ => {}
        }
        Ok(described)
    }

    type StreamBatchesStream = ReceiverStream<Answer>;

    async fn stream_batches(
        &self,
        request: Request<Streaming<v1::StreamBatchesRequest>>,
    ) -> Result<Response<Self::StreamBatchesStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.ok_or_else(|| Status::cancelled("no opening"))?;
        let digest = match &first.kind {
            Some(RequestKind::Open(open)) => open.spec_digest.clone(),
            _ => Vec::new(),
        };
        // What the client closes or breaks is the end of its requests.
        let rest = requests.map_while(Result::ok);
        let answers = self.client().stream_batches(tokio_stream::once(first).chain(rest)).await?;
        let (out, received) = mpsc::channel(4);
        let service = self.clone();
        tokio::spawn(async move {
            let mut answers = answers.into_inner();
            let flap = async {
                match service.lie {
                    Lie::Flaps => tokio::time::sleep(Duration::from_secs(1)).await,
                    _ => std::future::pending().await,
                }
            };
            let all = async {
                while let Some(answer) = answers.next().await {
                    let go_on = match answer {
                        Ok(answer) => service.pass(&digest, answer, &out).await,
                        Err(status) => out.send(Err(status)).await.is_ok(),
                    };
                    if !go_on {
                        return;
                    }
                }
            };
            tokio::select! {
                () = all => {}
                () = flap => service.tell(),
                () = out.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(received)))
    }
}
