//! Requests to the loader, as a body of gRPC: through the whole service, but for the socket.
//!
//! Damage alone is refused by the digest of the spec most of the time, so each input is tried a second time with the
//! digest that its spec has, as a client would send it that means what it says.

use super::ranges::out_of_range;
use http_body::{Body as _, Frame};
use mixfeed_loader::embedded::prepare;
use mixfeed_loader::extensions::Extensions;
use mixfeed_loader::server::calls;
use mixfeed_proto::v1::stream_batches_request::Kind as RequestKind;
use mixfeed_proto::v1::stream_batches_response::Kind as ResponseKind;
use mixfeed_proto::{BatchBytes, batch_checksum, limits, spec_digest, v1};
use prost::Message;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Bytes, Service as _};

/// The service's batches, and as much again for what it reads, makes and sends.
pub(super) const BYTES: usize = 4 * STREAM_BYTES as usize;

/// Memory for streams: a few batches of the largest that is tried.
const STREAM_BYTES: u64 = 4 << 20;

/// Samples of the set, for training and for testing; drawings of 32 by 32 pixels.
pub(super) const SAMPLES: [u64; 2] = [40, 8];
pub(super) const SIDE: u32 = 32;

/// gRPC's prefix: a byte that is 0, and the length of the message as u32 big-endian.
const PREFIX_BYTES: usize = 5;

thread_local! {
    // Made by what makes the seeds, before memory is watched.
    static LOADER: Loader = Loader::start();
}

type Answering = Pin<Box<dyn Future<Output = Response<Body>>>>;

/// A loader without a socket.
struct Loader {
    runtime: Runtime,
    call: Box<dyn Fn(Request<Body>) -> Answering>,
    _drain: watch::Sender<bool>,
}

impl Loader {
    fn start() -> Self {
        let (drain, draining) = watch::channel(false);
        let place = format!("synthetic:{}", SAMPLES[0]).parse().unwrap();
        let service = prepare(&place, Some(1), STREAM_BYTES, draining, &Extensions::default()).unwrap();
        let samples = mixfeed_pipeline::Split::ALL.map(|split| service.dataset().samples(split).count());
        assert_eq!(samples, SAMPLES);
        let calls = calls(service);
        let call = move |request| {
            let mut calls = calls.clone();
            Box::pin(async move { calls.call(request).await.unwrap() }) as Answering
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, call: Box::new(call), _drain: drain }
    }

    /// Calls a method with these bytes, and hands on each message of the answer.
    fn call(&self, method: &str, body: &[u8], mut message: impl FnMut(&[u8])) {
        let request = Request::builder()
            .method("POST")
            .uri(format!("/mixfeed.v1.LoaderService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::new(Pieces(cut(body))))
            .unwrap();
        self.runtime.block_on(async {
            let mut answer = (self.call)(request).await.into_body();
            let mut received = Vec::new();
            while let Some(frame) = poll_fn(|context| Pin::new(&mut answer).poll_frame(context)).await {
                let Ok(data) = frame.unwrap().into_data() else { continue };
                received.extend_from_slice(&data);
                while let Some((_, bytes, rest)) = first_message(&received) {
                    message(bytes);
                    received = rest.to_vec();
                }
            }
            assert!(received.is_empty(), "an answer ends with a message");
        });
    }
}

/// A body in pieces, with nothing behind.
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// Cuts bytes into pieces, as a network may.
pub(super) fn cut(bytes: &[u8]) -> VecDeque<Bytes> {
    let mut pieces = VecDeque::new();
    let mut rest = bytes;
    for size in [1, 4, 7, 300, 5000].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at(rest.len().min(size));
        pieces.push_back(Bytes::copy_from_slice(piece));
        rest = more;
    }
    pieces
}

/// Splits off the first message: its first byte, the message, and what follows.
pub(super) fn first_message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
    let (message, rest) = rest.split_at_checked(length)?;
    Some((prefix[0], message, rest))
}

/// All whole messages of a body; nothing when one of them is none.
pub(super) fn messages<M: Message + Default>(mut bytes: &[u8]) -> Option<Vec<M>> {
    let mut messages = Vec::new();
    while let Some((_, message, rest)) = first_message(bytes) {
        messages.push(M::decode(message).ok()?);
        bytes = rest;
    }
    Some(messages)
}

/// A body of these messages.
pub(super) fn body(messages: &[impl Message]) -> Vec<u8> {
    messages.iter().fold(Vec::new(), |mut bytes, message| {
        bytes.push(0);
        bytes.extend((message.encoded_len() as u32).to_be_bytes());
        message.encode(&mut bytes).unwrap();
        bytes
    })
}

/// The whole answer to a body of requests.
pub(super) fn answer(method: &str, body: &[u8]) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    LOADER.with(|loader| loader.call(method, body, |message| answers.push(message.to_vec())));
    answers
}

pub(super) fn opening(spec: v1::StreamSpec) -> v1::StreamBatchesRequest {
    let spec_digest = spec_digest(&spec).to_vec();
    let open = v1::StreamOpen { spec: Some(spec), spec_digest, run_id: "fuzz".into(), ..Default::default() };
    v1::StreamBatchesRequest { kind: Some(RequestKind::Open(open)) }
}

pub(super) fn request(wanted: &[u64], withdrawn: &[u64]) -> v1::StreamBatchesRequest {
    let request = v1::BatchRequest { wanted: wanted.into(), withdrawn: withdrawn.into() };
    v1::StreamBatchesRequest { kind: Some(RequestKind::Request(request)) }
}

/// A spec that sets every field that there is, but for custom transforms.
pub(super) fn full_spec() -> v1::StreamSpec {
    v1::StreamSpec {
        split: v1::Split::Train.into(),
        sample_ids: true,
        label_noise: 0.4,
        mixing_schedule: vec![v1::MixingChange { epoch: 3, mixing: None }],
        limit: 30,
        seed: 7,
        batch_size: 8,
        remainder: v1::Remainder::Drop.into(),
        shuffle: true,
        mixing: Some(v1::Mixing {
            kind: v1::MixingKind::MixupOrCutmix.into(),
            alpha: 0.2,
            probability: 0.5,
            lambda_scope: v1::LambdaScope::Sample.into(),
            partner_source: v1::PartnerSource::Dataset.into(),
            cutmix_alpha: 1.0,
            switch_probability: 0.5,
        }),
        shard: Some(v1::RowShard { rank: 1, world: 2 }),
        pixel_type: v1::PixelType::F32.into(),
        pixel_layout: v1::PixelLayout::Nchw.into(),
        augmentation: Some(v1::Augmentation {
            crop_padding: 4,
            flip_probability: 0.5,
            resized_crop: Some(v1::ResizedCrop {
                min_area: 0.08,
                max_area: 1.0,
                min_ratio: 0.75,
                max_ratio: 1.5,
            }),
            trivial_augment: true,
            color_jitter: Some(v1::ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
            random_erasing: Some(v1::RandomErasing {
                probability: 0.25,
                min_area: 0.02,
                max_area: 0.33,
                min_ratio: 0.3,
                max_ratio: 3.3,
            }),
            cutout_size: 8,
            erased_value: 128,
            custom: None,
            grayscale_probability: 0.25,
            rand_augment: Some(v1::RandAugment { num_ops: 2, magnitude: 9 }),
        }),
        output: Some(v1::Output {
            height: 24,
            width: 20,
            resize: v1::Resize::Letterbox.into(),
            resize_side: 0,
            fill_value: 9,
            scaled_decoding: true,
        }),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let plain = v1::StreamSpec { split: v1::Split::Test.into(), batch_size: 3, ..Default::default() };
    let custom = v1::CustomAugmentation { name: "posterise".into(), version: 3 };
    let augmentation = v1::Augmentation { custom: Some(custom), ..Default::default() };
    let known = v1::StreamOpen {
        expected_dataset_digest: vec![1; 32],
        expected_algorithm_fingerprint: vec![2; 32],
        ..Default::default()
    };
    let seeds = vec![
        body(&[opening(full_spec()), request(&[0, 1, 2], &[]), request(&[1 << 40, u64::MAX], &[2])]),
        body(&[opening(plain.clone()), request(&[5], &[])]),
        body(&[opening(v1::StreamSpec { augmentation: Some(augmentation), ..plain })]),
        body(&[v1::StreamBatchesRequest { kind: Some(RequestKind::Open(known)) }]),
    ];
    // The opening, and a batch for each index; of one that is withdrawn it may come or not.
    let answers: Vec<_> = seeds.iter().map(|seed| serve(seed)).collect();
    assert!(matches!(answers[..], [5 | 6, 2, 0, 0]), "{answers:?}");
    seeds
}

pub(super) fn run(input: &[u8], _: &Path) {
    serve(input);
    // What cannot be read was refused just now.
    let Some(mut sent) = messages::<v1::StreamBatchesRequest>(input) else { return };
    let Some(RequestKind::Open(open)) = sent.first_mut().and_then(|first| first.kind.as_mut()) else {
        return;
    };
    let Some(digest) = open.spec.as_ref().map(|spec| spec_digest(spec).to_vec()) else { return };
    if open.spec_digest != digest {
        open.spec_digest = digest;
        serve(&body(&sent));
    }
}

/// Sends requests, holds every answer against what the contract says, and counts them.
fn serve(requests: &[u8]) -> usize {
    let sent = || {
        let mut rest = requests;
        std::iter::from_fn(move || {
            let (_, message, more) = first_message(rest)?;
            rest = more;
            v1::StreamBatchesRequest::decode(message).ok()?.kind
        })
    };
    let mut wanted = BTreeMap::<u64, u32>::new();
    for kind in sent() {
        if let RequestKind::Request(request) = kind {
            request.wanted.iter().for_each(|index| *wanted.entry(*index).or_default() += 1);
        }
    }
    let open = match sent().next() {
        Some(RequestKind::Open(open)) => Some(open),
        _ => None,
    };
    let spec = open.as_ref().and_then(|open| open.spec.as_ref());
    let mut answers = 0;
    LOADER.with(|loader| {
        loader.call("StreamBatches", requests, |message| {
            answers += 1;
            match v1::StreamBatchesResponse::decode(message).unwrap().kind.unwrap() {
                ResponseKind::Opened(_) => {
                    let open = open.as_ref().expect("a stream is opened by an opening");
                    let spec = spec.expect("a stream has a spec");
                    assert_eq!(open.spec_digest, spec_digest(spec), "the digest is the spec's");
                    assert_eq!(out_of_range(spec), None, "{spec:?}");
                    assert!(open.run_id.len() <= limits::MAX_RUN_ID_CHARS, "{:?}", open.run_id);
                    assert!(open.run_id.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", open.run_id);
                    assert!(matches!(open.expected_dataset_digest.len(), 0 | 32));
                    assert!(matches!(open.expected_algorithm_fingerprint.len(), 0 | 32));
                }
                ResponseKind::Batch(batch) => {
                    let left = wanted.get_mut(&batch.index).filter(|left| **left > 0);
                    *left.expect("a batch was asked for") -= 1;
                    check(&batch, spec.expect("a stream has a spec"));
                }
                ResponseKind::Progress(progress) => {
                    assert!(progress.rows_done <= progress.rows, "{progress:?}");
                    answers -= 1;
                }
                ResponseKind::Part(part) => panic!("a part of batch {}, which fits one message", part.index),
                // Drawings are never damaged, so that only a panic can be behind it.
                ResponseKind::Failure(failure) => panic!("batch {}: {}", failure.index, failure.message),
            }
        });
    });
    answers
}

fn check(batch: &v1::Batch, spec: &v1::StreamSpec) {
    assert_eq!(batch_checksum(&BatchBytes::of(batch, &spec_digest(spec))), batch.checksum);
    let value_bytes = if spec.pixel_type() == v1::PixelType::F32 { 4 } else { 1 };
    let rows = batch.labels.len() / 4;
    assert!((1..=spec.batch_size as usize).contains(&rows), "{rows} rows");
    let (height, width) = spec.output.map_or((SIDE, SIDE), |output| (output.height, output.width));
    assert_eq!(batch.pixels.len(), rows * (height * width * 3) as usize * value_bytes);
    assert!(batch.partner_labels.len() == 4 * rows && batch.lambdas.len() == 4 * rows);
    assert_eq!(batch.samples.len(), if spec.sample_ids { 16 * rows } else { 0 });
}
