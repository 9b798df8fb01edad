//! Between wire types and ours, both ways. Every status of the service is made here or beside the
//! check that it reports.

use crate::batch::BuildError;
use crate::pool::Finished;
use mixfeed_pipeline::spec::ImageSize;
use mixfeed_pipeline::{CheckedSpec, Dataset, Fault, SpecError, Split};
use mixfeed_proto::limits::{MAX_BAD_RECORD_BYTES, MAX_BAD_RECORDS, MAX_LEFT_OUT, MAX_RUN_ID_CHARS, cut};
use mixfeed_proto::v1;
use tonic::Status;

/// The status for a spec that is out of range.
pub(super) fn refused(error: &SpecError) -> Status {
    Status::invalid_argument(format!("spec.{error}"))
}

#[allow(clippy::result_large_err)]
pub(super) fn check_run_id(run_id: &str) -> Result<(), Status> {
    // What is logged must not be able to forge log lines.
    if run_id.len() <= MAX_RUN_ID_CHARS && run_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "run_id: at most {MAX_RUN_ID_CHARS} printable ASCII characters without spaces"
    )))
}

pub(super) fn dataset(dataset: &Dataset) -> v1::DatasetDescription {
    let split = |split: Split, wire: v1::Split| {
        let left_out = dataset.samples(split).left_out();
        let left_out =
            if left_out.numbers().len() > MAX_LEFT_OUT { &[] } else { left_out.numbers() }.to_vec();
        v1::SplitDescription { split: wire.into(), samples: dataset.samples(split).count(), left_out }
    };
    let (bad_records, bad_record_examples) = bad_records(dataset);
    v1::DatasetDescription {
        name: dataset.name.clone(),
        digest: dataset.digest.to_vec(),
        classes: dataset.classes.clone(),
        image: dataset.output.map(|output| output.size.rgb()).or(dataset.image).map(Into::into),
        sizes: sizes(dataset),
        splits: vec![split(Split::Train, v1::Split::Train), split(Split::Test, v1::Split::Test)],
        whole_digest: dataset.whole_digest.map(Vec::from).unwrap_or_default(),
        bad_records,
        bad_record_examples,
    }
}

/// The least and the largest sides, where images are of many sizes.
fn sizes(dataset: &Dataset) -> Option<v1::ImageSizes> {
    let samples = [&dataset.train, &dataset.test];
    let sizes =
        samples.into_iter().flat_map(|split| (0..split.count()).filter_map(|sample| split.size(sample)));
    let join = |all: v1::ImageSizes, one: v1::ImageSizes| v1::ImageSizes {
        min_height: all.min_height.min(one.min_height),
        min_width: all.min_width.min(one.min_width),
        max_height: all.max_height.max(one.max_height),
        max_width: all.max_width.max(one.max_width),
    };
    let of = |ImageSize { height, width }: ImageSize| v1::ImageSizes {
        min_height: height,
        min_width: width,
        max_height: height,
        max_width: width,
    };
    sizes.map(of).reduce(join).filter(|_| dataset.image.is_none())
}

/// How many records of both splits are known to be bad, and the first of them.
fn bad_records(dataset: &Dataset) -> (u64, Vec<v1::BadRecord>) {
    let short = |text: String| cut(&text, MAX_BAD_RECORD_BYTES).to_owned();
    let (mut count, mut examples) = (0, Vec::new());
    for (split, wire) in [(Split::Train, v1::Split::Train), (Split::Test, v1::Split::Test)] {
        let (bad, first) = dataset.samples(split).known_bad(MAX_BAD_RECORDS - examples.len());
        count += bad;
        examples.extend(first.into_iter().map(|error| v1::BadRecord {
            split: wire.into(),
            sample: error.sample,
            record: short(error.record),
            reason: short(error.reason),
        }));
    }
    (count, examples)
}

pub(super) fn opened(checked: &CheckedSpec, window_batches: usize, instance: [u8; 16]) -> v1::StreamOpened {
    v1::StreamOpened {
        samples_per_epoch: checked.epochs().samples(),
        batches_per_epoch: checked.epochs().batches(),
        image: Some(checked.image().into()),
        window_batches: window_batches as u32,
        instance_id: instance.to_vec(),
    }
}

pub(super) fn finished(finished: Finished) -> v1::StreamBatchesResponse {
    use v1::stream_batches_response::Kind;
    let index = finished.index;
    let kind = match finished.outcome {
        Ok(built) => Kind::Batch(v1::Batch {
            index,
            pixels: built.pixels,
            labels: built.labels,
            partner_labels: built.partner_labels,
            lambdas: built.lambdas,
            samples: built.samples,
            checksum: built.checksum,
        }),
        Err(error) => {
            let reason = match &error {
                BuildError::Data(error) => match error.fault {
                    Fault::Damaged | Fault::Transform => v1::FailureReason::DataLoss,
                    Fault::Changed => v1::FailureReason::Changed,
                    Fault::Unavailable => v1::FailureReason::Unavailable,
                },
                BuildError::Panicked(_) => v1::FailureReason::Internal,
            };
            Kind::Failure(v1::BatchFailure { index, reason: reason.into(), message: error.to_string() })
        }
    };
    v1::StreamBatchesResponse { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn one_is_the_same_on_the_wire_and_in_the_core() {
        assert_eq!(mixfeed_proto::limits::LAMBDA_ONE, mixfeed_pipeline::Lambda::ONE.to_q16());
    }

    #[test]
    fn run_ids_cannot_forge_log_lines() {
        assert!(check_run_id("").is_ok() && check_run_id("run-7f.a").is_ok());
        for wrong in ["two words", "line\nbreak", "ümlaut", &"x".repeat(65)] {
            assert!(check_run_id(wrong).is_err(), "{wrong}");
        }
    }
}
