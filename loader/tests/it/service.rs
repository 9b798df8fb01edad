//! The service, met by a client that knows nothing but the contract.

use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_proto::v1::loader_service_client::LoaderServiceClient;
use mixfeed_proto::v1::stream_batches_request::Kind as RequestKind;
use mixfeed_proto::v1::stream_batches_response::Kind as ResponseKind;
use mixfeed_proto::v1::{
    Augmentation, Batch, BatchRequest, DescribeRequest, DescribeResponse, Mixing, StreamBatchesRequest,
    StreamBatchesResponse, StreamOpen, StreamSpec,
};
use mixfeed_proto::{BatchBytes, batch_checksum, spec_digest};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

pub(crate) fn spec() -> StreamSpec {
    StreamSpec { split: 1, batch_size: 16, seed: 5, shuffle: true, ..Default::default() }
}

pub(crate) fn mixed(alpha: f64, probability: f64) -> StreamSpec {
    let mixing = Mixing { kind: 1, alpha, probability, ..Default::default() };
    StreamSpec { mixing: Some(mixing), ..spec() }
}

pub(crate) fn opening(spec: StreamSpec) -> StreamOpen {
    StreamOpen { spec_digest: spec_digest(&spec).to_vec(), spec: Some(spec), ..Default::default() }
}

async fn connect(loader: &EmbeddedLoader) -> LoaderServiceClient<Channel> {
    LoaderServiceClient::connect(format!("http://{}", loader.address())).await.unwrap()
}

pub(crate) struct Open {
    requests: mpsc::Sender<StreamBatchesRequest>,
    pub(crate) answers: Streaming<StreamBatchesResponse>,
}

impl Open {
    pub(crate) async fn new(loader: &EmbeddedLoader, open: StreamOpen) -> Result<Self, Status> {
        Self::by(&mut connect(loader).await, open).await
    }

    /// The same on a connection that there is.
    pub(crate) async fn by(
        client: &mut LoaderServiceClient<Channel>,
        open: StreamOpen,
    ) -> Result<Self, Status> {
        let (requests, outbound) = mpsc::channel(8);
        requests.send(StreamBatchesRequest { kind: Some(RequestKind::Open(open)) }).await.unwrap();
        let answers = client.stream_batches(ReceiverStream::new(outbound)).await?.into_inner();
        Ok(Self { requests, answers })
    }

    pub(crate) async fn want(&self, wanted: impl IntoIterator<Item = u64>) {
        let request = BatchRequest { wanted: wanted.into_iter().collect(), withdrawn: Vec::new() };
        let request = StreamBatchesRequest { kind: Some(RequestKind::Request(request)) };
        self.requests.send(request).await.unwrap();
    }

    pub(crate) async fn batch(&mut self) -> Batch {
        loop {
            match self.answers.message().await.unwrap().unwrap().kind.unwrap() {
                ResponseKind::Opened(_) => {}
                ResponseKind::Batch(batch) => return batch,
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn refusal(loader: &EmbeddedLoader, open: StreamOpen) -> (Code, String) {
    let status = Open::new(loader, open).await.err().expect("a refusal");
    (status.code(), status.message().to_string())
}

#[tokio::test]
async fn describes_what_it_serves() {
    let loader = EmbeddedLoader::start("synthetic:50", Some(2)).unwrap();
    let description = connect(&loader).await.describe(DescribeRequest {}).await.unwrap().into_inner();
    let dataset = description.dataset.unwrap();
    assert_eq!((dataset.name.as_str(), dataset.digest.len(), dataset.classes.len()), ("synthetic", 32, 10));
    assert_eq!(dataset.splits.iter().map(|split| split.samples).collect::<Vec<_>>(), [50, 10]);
    assert_eq!((description.workers, description.algorithm_fingerprint.len()), (2, 32));
    assert_eq!(description.limits.unwrap().max_wanted, 1024);
}

#[tokio::test]
async fn an_epoch_comes_with_checksums_and_a_short_last_batch() {
    let loader = EmbeddedLoader::start("synthetic:50", Some(2)).unwrap();
    // Mixup or CutMix, of augmented images: the answer has the same form.
    let mut spec = mixed(1.0, 0.5);
    spec.augmentation = Some(Augmentation { crop_padding: 4, flip_probability: 0.5, ..Default::default() });
    spec.mixing = spec.mixing.map(|m| Mixing { kind: 3, cutmix_alpha: 1.0, switch_probability: 0.5, ..m });
    let mut stream = Open::new(&loader, opening(spec.clone())).await.unwrap();
    let Some(ResponseKind::Opened(opened)) = stream.answers.message().await.unwrap().unwrap().kind else {
        panic!("the first answer must be opened")
    };
    assert_eq!((opened.samples_per_epoch, opened.batches_per_epoch), (50, 4));
    stream.want(0..4).await;
    let mut rows = [0; 4];
    for _ in 0..4 {
        let batch = stream.batch().await;
        assert_eq!(batch.checksum, batch_checksum(&BatchBytes::of(&batch, &spec_digest(&spec))));
        rows[batch.index as usize] = batch.labels.len() / 4;
        assert_eq!(batch.pixels.len(), rows[batch.index as usize] * 3072);
    }
    assert_eq!(rows, [16, 16, 16, 2]);
    drop(stream.requests);
    assert!(stream.answers.message().await.unwrap().is_none(), "the stream ends once its client is done");
}

#[tokio::test]
async fn two_replicas_give_the_same_bytes_in_any_order() {
    let (one, two) =
        (EmbeddedLoader::start("synthetic:64", Some(1)), EmbeddedLoader::start("synthetic:64", Some(4)));
    let mut all = Vec::new();
    for (loader, indices) in [(one.unwrap(), [0, 1, 2, 1_000_000]), (two.unwrap(), [1_000_000, 2, 1, 0])] {
        let mut stream = Open::new(&loader, opening(mixed(0.2, 0.2))).await.unwrap();
        stream.want(indices).await;
        let mut batches = Vec::new();
        for _ in indices {
            batches.push(stream.batch().await);
        }
        batches.sort_by_key(|batch| batch.index);
        all.push(batches);
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn specs_out_of_range_are_refused_with_field_and_range() {
    let loader = EmbeddedLoader::start("synthetic:50", Some(1)).unwrap();
    for (spec, message) in [
        (StreamSpec { split: 0, ..spec() }, "spec.split: 0 is not allowed, 1 (train) or 2 (test)"),
        (StreamSpec { batch_size: 0, ..spec() }, "spec.batch_size: 0 is not allowed, 1 to 65536"),
        (mixed(-1.0, 0.2), "spec.mixing.alpha: -1 is not allowed, 0 to 1000"),
        (mixed(f64::NAN, 0.2), "spec.mixing.alpha: NaN is not allowed, 0 to 1000"),
        (mixed(0.2, 2.0), "spec.mixing.probability: 2 is not allowed, 0 to 1"),
        (
            StreamSpec {
                augmentation: Some(Augmentation { crop_padding: 32, ..Default::default() }),
                ..spec()
            },
            "spec.augmentation.crop_padding: 32 is not allowed, 0 to 31, so that something of the image is seen",
        ),
        (
            StreamSpec {
                augmentation: Some(Augmentation { erased_value: 7, ..Default::default() }),
                ..spec()
            },
            "spec.augmentation.erased_value: 7 is not allowed, 0 unless something is erased",
        ),
    ] {
        assert_eq!(refusal(&loader, opening(spec)).await, (Code::InvalidArgument, message.into()));
    }
    assert_eq!(
        refusal(&loader, StreamOpen::default()).await,
        (Code::InvalidArgument, "spec: missing".into())
    );
}

#[tokio::test]
async fn another_dataset_or_algorithm_than_expected_is_refused_by_name() {
    let loader = EmbeddedLoader::start("synthetic:50", Some(1)).unwrap();
    for (open, what) in [
        (
            StreamOpen { expected_dataset_digest: vec![1; 32], ..opening(spec()) },
            "dataset digest: expected 0101",
        ),
        (
            StreamOpen { expected_algorithm_fingerprint: vec![2; 32], ..opening(spec()) },
            "algorithm fingerprint: expected 0202",
        ),
    ] {
        let (code, message) = refusal(&loader, open).await;
        assert_eq!(code, Code::FailedPrecondition);
        assert!(message.starts_with(what), "{message}");
    }
}

/// A spec of a later release: field 99 is not known here.
#[derive(Clone, PartialEq, prost::Message)]
struct LaterSpec {
    #[prost(int32, tag = "1")]
    split: i32,
    #[prost(uint32, tag = "4")]
    batch_size: u32,
    #[prost(uint32, tag = "99")]
    novelty: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LaterOpen {
    #[prost(message, optional, tag = "1")]
    spec: Option<LaterSpec>,
    #[prost(bytes = "vec", tag = "2")]
    spec_digest: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LaterRequest {
    #[prost(message, optional, tag = "1")]
    open: Option<LaterOpen>,
}

#[tokio::test]
async fn a_spec_with_an_unknown_field_is_refused() {
    let loader = EmbeddedLoader::start("synthetic:50", Some(1)).unwrap();
    let channel =
        Channel::from_shared(format!("http://{}", loader.address())).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    let later = async |grpc: &mut tonic::client::Grpc<Channel>, novelty: u32| {
        let mut hasher = Sha256::new();
        hasher.update(b"mixfeed.v1.StreamSpec");
        for (number, value) in [(1_u32, 1_u64), (4, 16), (99, novelty.into())] {
            if value != 0 {
                hasher.update(number.to_le_bytes());
                hasher.update(value.to_le_bytes());
            }
        }
        let spec = LaterSpec { split: 1, batch_size: 16, novelty };
        let open = LaterOpen { spec: Some(spec), spec_digest: hasher.finalize().to_vec() };
        let request = Request::new(tokio_stream::once(LaterRequest { open: Some(open) }));
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/mixfeed.v1.LoaderService/StreamBatches");
        let codec = tonic_prost::ProstCodec::<LaterRequest, StreamBatchesResponse>::default();
        grpc.streaming(request, path, codec).await
    };
    assert!(later(&mut grpc, 0).await.is_ok(), "a later release that uses nothing new is served");
    let status = later(&mut grpc, 1).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("a field that this loader does not know"), "{}", status.message());
}

/// A call that is begun and whose request does not come takes a place, but not for long.
#[tokio::test]
async fn a_call_whose_request_does_not_come_is_ended() {
    let loader = EmbeddedLoader::start("synthetic:64", Some(1)).unwrap();
    let client = connect(&loader).await;
    let patience = Duration::from_secs(40);
    let calling = async {
        let silent = client.clone().stream_batches(tokio_stream::pending()).await;
        silent.expect_err("nothing opens it").code()
    };
    let asking = async {
        let channel = Channel::from_shared(format!("http://{}", loader.address())).unwrap();
        let mut grpc = tonic::client::Grpc::new(channel.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/mixfeed.v1.LoaderService/Describe");
        let codec = tonic_prost::ProstCodec::<DescribeRequest, DescribeResponse>::default();
        let silent = Request::new(tokio_stream::pending());
        grpc.client_streaming(silent, path, codec).await.expect_err("nothing is asked").code()
    };
    let both = async { tokio::join!(calling, asking) };
    let ended = tokio::time::timeout(patience, both).await.expect("both end");
    assert_eq!(ended, (Code::DeadlineExceeded, Code::Cancelled));
    assert!(Open::by(&mut client.clone(), opening(spec())).await.is_ok());
}
