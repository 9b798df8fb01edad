use super::*;
use bytes::Bytes;
use mixfeed_client::{DatasetInfo, ImageShape};

fn info() -> StreamInfo {
    StreamInfo {
        dataset: DatasetInfo {
            name: "two pixels".to_owned(),
            digest: [0; 32],
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            train_samples: 2,
            test_samples: 2,
            ..DatasetInfo::default()
        },
        algorithm_version: 1,
        algorithm_fingerprint: [0; 32],
        image: ImageShape { height: 1, width: 2, channels: 3 },
        samples_per_epoch: 2,
        batches_per_epoch: 1,
    }
}

fn batch() -> Batch {
    Batch {
        index: 0,
        epoch: 0,
        rows: 2,
        pixels: Bytes::from_static(&[0, 51, 102, 153, 204, 255, 255, 204, 153, 102, 51, 0]),
        labels: vec![0, 2],
        partner_labels: vec![1, 2],
        lambdas: vec![49_152, 16_384],
        samples: Vec::new(),
        spec_digest: [0; 32],
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.contiguous().flatten(0, -1).try_into().unwrap()
}

fn assert_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }
}

#[test]
fn pixels_are_normalised_and_seen_channels_first() {
    let staged = Stager::new(&info(), Normalisation::default(), Device::Cpu).stage(&batch());
    assert_eq!(staged.images.size(), [2, 3, 1, 2]);
    // Row by row, then channel, then column: 0 and 153 are the two reds of the first image.
    let expected = [-1.0, 0.2, -0.6, 0.6, -0.2, 1.0, 1.0, -0.2, 0.6, -0.6, 0.2, -1.0];
    assert_close(&values(&staged.images), &expected);
    assert!(!staged.images.is_contiguous(), "memory stays channels last");
}

#[test]
fn targets_share_one_between_label_and_partner() {
    let staged = Stager::new(&info(), Normalisation::default(), Device::Cpu).stage(&batch());
    assert_close(&values(&staged.targets), &[0.75, 0.25, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn a_lambda_of_one_leaves_the_label_alone() {
    let batch = Batch { partner_labels: vec![0, 2], lambdas: vec![65_536; 2], ..batch() };
    let staged = Stager::new(&info(), Normalisation::default(), Device::Cpu).stage(&batch);
    assert_close(&values(&staged.targets), &[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
}
