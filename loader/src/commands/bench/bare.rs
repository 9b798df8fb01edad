//! A bare gRPC stream: the same messages, with nothing done to make or check them.

use super::process::{Process, own_cpu_seconds};
use super::report::{Gaps, Streamed};
use super::stream::WARM_UP;
use crate::commands::failure::Failure;
use mixfeed_ops::eprintln;
use mixfeed_pipeline::synthetic::SHAPE;
use mixfeed_proto::limits::MAX_MESSAGE_BYTES;
use mixfeed_proto::v1;
use mixfeed_proto::v1::loader_service_client::LoaderServiceClient;
use mixfeed_proto::v1::loader_service_server::{LoaderService, LoaderServiceServer};
use mixfeed_proto::v1::stream_batches_response::Kind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_stream::Iter;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// The client's own settings, with which a bare stream is faster too.
const WINDOW_BYTES: u32 = 1 << 20;
const FRAME_BYTES: u32 = 1 << 20;

/// Serves until it is killed.
pub(super) fn serve(rows: u32) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Failure::other)?;
        eprintln!("listening address={}", listener.local_addr().map_err(Failure::other)?);
        let service = LoaderServiceServer::new(Bare::new(rows)).max_encoding_message_size(MAX_MESSAGE_BYTES);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder().add_service(service).serve_with_incoming(incoming).await.map_err(Failure::other)
    })
}

struct Bare {
    message: v1::StreamBatchesResponse,
}

impl Bare {
    fn new(rows: u32) -> Self {
        let rows = rows as usize;
        let words = bytes::Bytes::from(vec![1; 4 * rows]);
        let batch = v1::Batch {
            index: 0,
            pixels: vec![7; rows * SHAPE.values()].into(),
            labels: words.clone(),
            partner_labels: words.clone(),
            lambdas: words,
            checksum: 1,
            samples: bytes::Bytes::new(),
        };
        Self { message: v1::StreamBatchesResponse { kind: Some(Kind::Batch(batch)) } }
    }
}

type Endless = std::iter::Map<
    std::iter::Repeat<v1::StreamBatchesResponse>,
    fn(v1::StreamBatchesResponse) -> Result<v1::StreamBatchesResponse, Status>,
>;

#[tonic::async_trait]
impl LoaderService for Bare {
    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Err(Status::unimplemented("this server only measures the transport"))
    }

    type StreamBatchesStream = Iter<Endless>;

    async fn stream_batches(
        &self,
        _: Request<Streaming<v1::StreamBatchesRequest>>,
    ) -> Result<Response<Self::StreamBatchesStream>, Status> {
        // Cloning shares the bytes: a message costs its encoding and no more.
        let messages: Endless = std::iter::repeat(self.message.clone()).map(Ok);
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

/// How the reading end sets up its connection.
#[derive(Clone, Copy)]
pub(super) enum Settings {
    /// As mixfeed's client does.
    Ours,
    /// As tonic does when nothing is said.
    Defaults,
}

/// Reads from a bare server for `time`.
pub(super) fn measure(server: &Process, time: Duration, settings: Settings) -> Result<Streamed, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
    runtime.block_on(async {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", server.address())).map_err(Failure::other)?;
        let endpoint = match settings {
            Settings::Defaults => endpoint,
            Settings::Ours => endpoint
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .max_frame_size(FRAME_BYTES),
        };
        let client = LoaderServiceClient::new(endpoint.connect().await.map_err(Failure::other)?);
        let mut client = client.max_decoding_message_size(MAX_MESSAGE_BYTES);
        let requests = tokio_stream::pending::<v1::StreamBatchesRequest>();
        let mut batches = client.stream_batches(requests).await.map_err(Failure::other)?.into_inner();
        let mut read = async |time: Duration| -> Result<(u64, f64, Vec<f64>), Failure> {
            let (started, mut images, mut gaps) = (Instant::now(), 0, Vec::new());
            let mut before = started;
            while started.elapsed() < time {
                let message = batches.message().await.map_err(Failure::other)?;
                let Some(Kind::Batch(batch)) = message.and_then(|message| message.kind) else {
                    return Err(Failure::other("the bare stream ended"));
                };
                images += (batch.labels.len() / 4) as u64;
                let now = Instant::now();
                gaps.push(now.duration_since(before).as_secs_f64());
                before = now;
            }
            Ok((images, started.elapsed().as_secs_f64(), gaps))
        };
        read(WARM_UP).await?;
        let before = (server.cpu_seconds(), own_cpu_seconds());
        let (images, seconds, gaps) = read(time).await?;
        let cpu_seconds = [server.cpu_seconds() - before.0, own_cpu_seconds() - before.1];
        Ok(Streamed::new(images, seconds, cpu_seconds, Gaps::of(gaps)))
    })
}
