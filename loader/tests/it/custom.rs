//! Loaders of one's own, as `examples/custom.rs` builds them: the same bytes from any of them, and none from
//! a loader that is another one.

#[allow(dead_code)]
#[path = "../../examples/custom.rs"]
mod example;

use example::extensions;
use mixfeed_client::{
    Augmentation, Batch, BlockingStream, CustomTransform, Mixing, MixingKind, StreamConfig, StreamEnd,
    StreamError, StreamSpec,
};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_loader::extensions::Extensions;
use mixfeed_loader::source::open_with;
use mixfeed_pipeline::{BatchBuffer, BatchPlan, Scratch, collate};
use std::time::Duration;

const DATA: &str = "gradients:200";
const BATCHES: u64 = 24;

fn spec(version: u32) -> StreamSpec {
    let custom = Some(CustomTransform::new("posterise", version).unwrap());
    StreamSpec {
        batch_size: 25,
        mixing: Some(Mixing {
            kind: MixingKind::Mixup,
            alpha: 1.0,
            probability: 0.5,
            lambda_scope: Default::default(),
            partner_source: Default::default(),
        }),
        augmentation: Augmentation { crop_padding: 2, custom, ..Augmentation::default() },
        ..StreamSpec::default()
    }
}

fn loader(workers: usize) -> EmbeddedLoader {
    EmbeddedLoader::start_with(&DATA.parse().unwrap(), Some(workers), &extensions()).unwrap()
}

fn open(loaders: &[&EmbeddedLoader], version: u32) -> Result<BlockingStream, StreamError> {
    let loaders = loaders.iter().map(|loader| loader.address().to_string().parse().unwrap()).collect();
    let mut config = StreamConfig::new(loaders, spec(version));
    config.end = StreamEnd::Epoch(3);
    config.loader_timeout = Duration::from_secs(20);
    config.tuning.window_batches = 4;
    BlockingStream::open(config)
}

/// The pixels of all batches, computed without any loader.
fn batches_of(spec: &StreamSpec) -> Vec<Vec<u8>> {
    let data = open_with(&DATA.parse().unwrap(), extensions().sources()).unwrap();
    let checked = extensions().check(*spec, &data).unwrap();
    let mut buffer = BatchBuffer::default();
    let batch = |index| {
        let plan = BatchPlan::new(&checked, index);
        collate(&checked, &plan, data.train.as_ref(), &mut Scratch::default(), &mut buffer).unwrap();
        buffer.pixels.to_vec()
    };
    (0..BATCHES).map(batch).collect()
}

#[test]
fn any_number_of_them_gives_the_same_bytes_whatever_is_lost() {
    let golden = batches_of(&spec(1));
    for workers in [&[1][..], &[3], &[1, 2, 2]] {
        let mut loaders: Vec<_> = workers.iter().map(|workers| loader(*workers)).collect();
        let stream = open(&loaders.iter().collect::<Vec<_>>(), 1).unwrap();
        let mut came: Vec<Batch> = Vec::new();
        for batch in stream {
            came.push(batch.unwrap());
            if came.len() == 8 && loaders.len() > 1 {
                drop(loaders.remove(0));
            }
        }
        let same = came.iter().map(|batch| batch.pixels.to_vec()).eq(golden.iter().cloned());
        assert!(same, "{} batches of {} loaders", came.len(), workers.len());
    }
    let plain = StreamSpec { augmentation: Augmentation { custom: None, ..spec(1).augmentation }, ..spec(1) };
    assert_ne!(golden, batches_of(&plain), "the transform is at work");
}

#[test]
fn a_loader_without_it_or_with_another_version_is_refused_by_name() {
    let mine = loader(1);
    let message = open(&[&mine], 2).unwrap_err().to_string();
    assert!(message.contains("posterise:2 is not allowed, this loader has posterise:1"), "{message}");

    let plain = EmbeddedLoader::start("synthetic:200", Some(1)).unwrap();
    let message = open(&[&plain], 1).unwrap_err().to_string();
    assert!(message.contains("posterise:1 is not allowed, this loader has no custom transform"), "{message}");

    assert_ne!(extensions().fingerprint().unwrap(), Extensions::default().fingerprint().unwrap());
}

#[test]
fn a_source_that_is_not_there_is_a_file_that_is_not_there() {
    let error = EmbeddedLoader::start(DATA, Some(1)).unwrap_err().to_string();
    assert_eq!(error, "gradients:200: no such file or folder");
    let error =
        EmbeddedLoader::start_with(&"gradients:many".parse().unwrap(), Some(1), &extensions()).unwrap_err();
    assert_eq!(error.to_string(), "gradients:many: invalid digit found in string");
}
