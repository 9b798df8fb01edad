//! Requests to `TrainerService` over a connection: the first byte names the method, the others are the message.

use bytes::{Buf as _, BufMut as _};
use mixfeed_ops::grpc::Access;
use mixfeed_proto::v1;
use mixfeed_trainer::machine::stop::Stop;
use mixfeed_trainer::remote::Served;
use prost::Message as _;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const METHODS: [&str; 3] = ["GetStatus", "Watch", "Stop"];
const WATCH: usize = 1;

/// Far above what an answer takes that comes at once.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    // Made by what makes the seeds, before memory is watched.
    static TRAINER: Trainer = Trainer::start();
}

struct Trainer {
    runtime: Runtime,
    client: Grpc<Channel>,
    _served: Served,
}

impl Trainer {
    fn start() -> Self {
        let served =
            Served::start("127.0.0.1:0".parse().unwrap(), &Access::open("--listen-"), &Stop::default())
                .unwrap();
        // It answers the trainer's pings while other targets are fed.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let endpoint = Channel::from_shared(format!("http://{}", served.address())).unwrap();
        let client = Grpc::new(runtime.block_on(endpoint.connect()).unwrap());
        Self { runtime, client, _served: served }
    }

    /// Sends a message as it is, and returns the first answer.
    fn call(&self, method: usize, message: &[u8]) -> Result<Vec<u8>, Status> {
        let path = format!("/mixfeed.v1.TrainerService/{}", METHODS[method]);
        let path = PathAndQuery::try_from(path).unwrap();
        let mut client = self.client.clone();
        let request = Request::new(message.to_vec());
        self.runtime.block_on(async {
            client.ready().await.unwrap();
            let first = async {
                let mut answers = client.server_streaming(request, path, Raw).await?.into_inner();
                Ok(answers.message().await?.expect("an answer comes"))
            };
            tokio::time::timeout(PATIENCE, first).await.expect("an answer comes at once")
        })
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let watch = |interval_milliseconds| v1::WatchRequest { interval_milliseconds }.encode_to_vec();
    let seeds = [(0, vec![]), (1, watch(0)), (1, watch(100)), (1, watch(60_000)), (2, vec![])];
    seeds
        .map(|(method, message)| {
            TRAINER.with(|trainer| trainer.call(usize::from(method), &message)).unwrap();
            [vec![method], message].concat()
        })
        .into()
}

pub(super) fn run(input: &[u8], _: &Path) {
    let Some((first, message)) = input.split_first() else { return };
    let method = usize::from(*first) % METHODS.len();
    let answer = TRAINER.with(|trainer| trainer.call(method, message));
    let in_range = method != WATCH
        || v1::WatchRequest::decode(message)
            .is_ok_and(|watch| matches!(watch.interval_milliseconds, 0 | 100..=60_000));
    match answer {
        Ok(answer) => {
            assert!(in_range, "a request beyond its range is answered");
            if method != 2 {
                // Both have the status as their first field.
                v1::WatchResponse::decode(answer.as_slice()).unwrap().status.unwrap();
            }
        }
        // What cannot be read, and what is out of range. Too many watch where earlier ones have not gone yet.
        Err(status) => {
            let known = [Code::Internal, Code::InvalidArgument, Code::OutOfRange, Code::ResourceExhausted];
            assert!(known.contains(&status.code()), "{status}");
        }
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}
