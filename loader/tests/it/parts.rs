//! Batches that are larger than one message.

use super::service::{Open, mixed, opening, spec};
use mixfeed_client::{
    BatchStream, Endpoint, LambdaScope, Mixing, MixingKind, PartnerSource, PixelType, StreamConfig, StreamEnd,
};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_loader::extensions::Extensions;
use mixfeed_loader::service::MessageSizes;
use mixfeed_proto::v1::stream_batches_response::Kind;
use mixfeed_proto::v1::{Batch, StreamOpen, StreamSpec};
use tonic::Code;

const DATA: &str = "synthetic:50";

/// A loader that makes messages of few pixels.
fn loader(sizes: MessageSizes) -> EmbeddedLoader {
    let place = DATA.parse().unwrap();
    EmbeddedLoader::start_sending(&place, Some(2), &Extensions::default(), sizes).unwrap()
}

fn accepting(spec: StreamSpec) -> StreamOpen {
    StreamOpen { accepts_parts: true, ..opening(spec) }
}

/// The next batch, put together, and the pixel bytes of each of its messages.
async fn put_together(stream: &mut Open) -> (Batch, Vec<usize>) {
    let (mut pixels, mut sizes, mut index) = (Vec::new(), Vec::new(), None);
    loop {
        match stream.answers.message().await.unwrap().unwrap().kind.unwrap() {
            Kind::Opened(_) => {}
            Kind::Part(part) => {
                assert_eq!(
                    (part.index, part.offset),
                    (*index.get_or_insert(part.index), pixels.len() as u64)
                );
                sizes.push(part.pixels.len());
                pixels.extend_from_slice(&part.pixels);
            }
            Kind::Batch(mut batch) => {
                assert_eq!(batch.index, *index.get_or_insert(batch.index), "nothing comes in between");
                sizes.push(batch.pixels.len());
                pixels.extend_from_slice(&batch.pixels);
                batch.pixels = pixels.into();
                return (batch, sizes);
            }
            other @ (Kind::Failure(_) | Kind::Progress(_)) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_batch_larger_than_a_message_is_the_same_batch_in_parts_and_a_smaller_one_is_whole() {
    let whole = EmbeddedLoader::start(DATA, Some(2)).unwrap();
    let spec = mixed(1.0, 0.5);
    for (sizes, messages) in [
        (MessageSizes { whole: 49_151, part: 20_000 }, vec![20_000, 20_000, 9152]),
        (MessageSizes { whole: 40_000, part: 1024 }, vec![1024; 48]),
        (MessageSizes { whole: 49_152, part: 20_000 }, vec![49_152]),
    ] {
        let loader = loader(sizes);
        let mut expected = Open::new(&whole, opening(spec.clone())).await.unwrap();
        let mut stream = Open::new(&loader, accepting(spec.clone())).await.unwrap();
        // The last batch of an epoch has two rows.
        for (index, messages) in [(0, messages), (3, vec![6144])] {
            expected.want([index]).await;
            stream.want([index]).await;
            let (batch, sent) = put_together(&mut stream).await;
            assert_eq!(batch, expected.batch().await);
            assert_eq!(sent, messages, "{sizes:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_no_parts_is_refused_batches_that_need_them_and_no_others() {
    let loader = loader(MessageSizes { whole: 15 * 3072, part: 3072 });
    let refused = Open::new(&loader, opening(spec())).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        refused.message(),
        "spec.batch_size: 16 is not allowed, 1 to 15, so that a batch has at most 46080 bytes: this client takes none \
         in parts"
    );
    let fits = StreamSpec { batch_size: 15, ..spec() };
    let mut stream = Open::new(&loader, opening(fits)).await.unwrap();
    stream.want([0]).await;
    assert_eq!(stream.batch().await.pixels.len(), 15 * 3072);
}

async fn read(loaders: &[&EmbeddedLoader], change: impl FnOnce(&mut StreamConfig)) -> Vec<[u8; 32]> {
    let loaders = loaders.iter().map(|loader| Endpoint::from(loader.address())).collect();
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha: 1.0,
        probability: 0.5,
        lambda_scope: LambdaScope::Sample,
        partner_source: PartnerSource::Dataset,
    };
    let spec = mixfeed_client::StreamSpec { batch_size: 16, mixing: Some(mixing), ..Default::default() };
    let mut config = StreamConfig { end: StreamEnd::Epoch(6), ..StreamConfig::new(loaders, spec) };
    change(&mut config);
    let mut stream = BatchStream::open(config).await.unwrap();
    let mut digests = Vec::new();
    while let Some(batch) = stream.next().await {
        digests.push(batch.unwrap().digest());
    }
    assert_eq!(stream.stats().corrupt, 0);
    digests
}

#[tokio::test]
async fn clients_read_the_same_from_loaders_that_send_parts_and_from_those_that_do_not() {
    let whole = EmbeddedLoader::start(DATA, Some(2)).unwrap();
    let expected = read(&[&whole], |_| {}).await;
    assert_eq!(expected.len(), 24);
    let parts = loader(MessageSizes { whole: 10_000, part: 7000 });
    let fine = loader(MessageSizes { whole: 500, part: 499 });
    assert_eq!(read(&[&parts], |_| {}).await, expected);
    assert_eq!(read(&[&parts, &whole, &fine], |config| config.tuning.audit_every = 3).await, expected);
}

#[tokio::test]
async fn a_batch_of_more_than_64_mib_is_read() {
    // 5,500 images of f32 are 67.6 MB.
    let loader = EmbeddedLoader::start("synthetic:5500", Some(2)).unwrap();
    let started = std::time::Instant::now();
    let digests = read(&[&loader], |config| {
        config.end = StreamEnd::Epoch(1);
        config.spec.batch_size = 5500;
        config.spec.pixel_type = PixelType::F32;
    })
    .await;
    eprintln!("{:?}", started.elapsed());
    assert_eq!(digests.len(), 1);
}
