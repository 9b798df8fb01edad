//! What a fake loader says that it is.

use crate::script::Script;
use mixfeed_proto::{limits, v1};

pub(crate) fn of(script: &Script, instance: &[u8; 16]) -> v1::DescribeResponse {
    let data = &script.data;
    let split = |split: v1::Split, samples| v1::SplitDescription {
        split: split.into(),
        samples,
        ..Default::default()
    };
    v1::DescribeResponse {
        dataset: Some(v1::DatasetDescription {
            name: data.name.clone(),
            digest: data.digest.to_vec(),
            classes: (0..data.classes).map(|class| format!("class {class}")).collect(),
            image: Some(data.image.into()),
            splits: vec![
                split(v1::Split::Train, data.train_samples),
                split(v1::Split::Test, data.test_samples),
            ],
            ..Default::default()
        }),
        algorithm_version: 1,
        algorithm_fingerprint: data.fingerprint.to_vec(),
        limits: Some(v1::Limits {
            max_batch_size: limits::MAX_BATCH_SIZE,
            max_batch_bytes: limits::MAX_BATCH_BYTES,
            max_wanted: limits::MAX_WANTED,
            max_indices_per_request: limits::MAX_INDICES_PER_REQUEST,
            max_message_bytes: script.message_bytes as u64,
        }),
        workers: 1,
        open_streams: 0,
        release: data.release.clone(),
        instance_id: instance.to_vec(),
    }
}
