//! Between wire types and ours, both ways. Every status of the service is made here or beside the
//! check that it reports.

use crate::extensions::Extensions;
use crate::pool::{BuildError, Finished};
use mixfeed_pipeline::spec::{
    Augmentation, ColorJitter, Interval, LambdaScope, Mixing, MixingKind, PartnerSource, PixelLayout,
    PixelType, RandomErasing, Remainder, ResizedCrop, RowShard, SpecError,
};
use mixfeed_pipeline::{CheckedSpec, Dataset, Fault, ImageShape, Seed, Split, StreamSpec};
use mixfeed_proto::limits::{MAX_BAD_RECORD_BYTES, MAX_BAD_RECORDS, MAX_LEFT_OUT, MAX_RUN_ID_CHARS, cut};
use mixfeed_proto::v1;
use tonic::Status;

/// Understands a spec, filling in what unspecified values mean. Ranges are checked later.
pub(crate) fn stream_spec(spec: &v1::StreamSpec, extensions: &Extensions) -> Result<StreamSpec, SpecError> {
    Ok(StreamSpec {
        split: match v1::Split::try_from(spec.split) {
            Ok(v1::Split::Train) => Split::Train,
            Ok(v1::Split::Test) => Split::Test,
            _ => return Err(SpecError::new("split", spec.split, "1 (train) or 2 (test)")),
        },
        limit: spec.limit,
        seed: Seed(spec.seed),
        batch_size: spec.batch_size,
        remainder: match v1::Remainder::try_from(spec.remainder) {
            Ok(v1::Remainder::Unspecified | v1::Remainder::Keep) => Remainder::Keep,
            Ok(v1::Remainder::Drop) => Remainder::Drop,
            Err(_) => return Err(SpecError::new("remainder", spec.remainder, "0 to 2")),
        },
        shuffle: spec.shuffle,
        mixing: spec.mixing.as_ref().map(mixing).transpose()?,
        shard: match spec.shard {
            None => RowShard::WHOLE,
            Some(v1::RowShard { rank, world }) => RowShard { rank, world },
        },
        pixel_type: match v1::PixelType::try_from(spec.pixel_type) {
            Ok(v1::PixelType::Unspecified | v1::PixelType::U8) => PixelType::U8,
            Ok(v1::PixelType::F32) => PixelType::F32,
            Err(_) => return Err(SpecError::new("pixel_type", spec.pixel_type, "0 to 2")),
        },
        pixel_layout: match v1::PixelLayout::try_from(spec.pixel_layout) {
            Ok(v1::PixelLayout::Unspecified | v1::PixelLayout::Nhwc) => PixelLayout::Nhwc,
            Ok(v1::PixelLayout::Nchw) => PixelLayout::Nchw,
            Err(_) => return Err(SpecError::new("pixel_layout", spec.pixel_layout, "0 to 2")),
        },
        augmentation: match &spec.augmentation {
            None => Augmentation::NONE,
            Some(wire) => augmentation(wire, extensions)?,
        },
    })
}

fn augmentation(augmentation: &v1::Augmentation, extensions: &Extensions) -> Result<Augmentation, SpecError> {
    let interval = |least, most| Interval { least, most };
    Ok(Augmentation {
        resized_crop: augmentation.resized_crop.map(|it| ResizedCrop {
            area: interval(it.min_area, it.max_area),
            ratio: interval(it.min_ratio, it.max_ratio),
        }),
        crop_padding: augmentation.crop_padding,
        flip_probability: augmentation.flip_probability,
        trivial_augment: augmentation.trivial_augment,
        color_jitter: augmentation.color_jitter.map_or(ColorJitter::NONE, |it| ColorJitter {
            brightness: it.brightness,
            contrast: it.contrast,
            saturation: it.saturation,
            hue: it.hue,
        }),
        random_erasing: augmentation.random_erasing.map(|it| RandomErasing {
            probability: it.probability,
            area: interval(it.min_area, it.max_area),
            ratio: interval(it.min_ratio, it.max_ratio),
        }),
        cutout_size: augmentation.cutout_size,
        erased_value: u8::try_from(augmentation.erased_value).map_err(|_too_large| {
            SpecError::new("augmentation.erased_value", augmentation.erased_value, "0 to 255")
        })?,
        custom: match &augmentation.custom {
            None => None,
            Some(it) => Some(extensions.augmentation(&it.name, it.version)?),
        },
    })
}

fn mixing(mixing: &v1::Mixing) -> Result<Mixing, SpecError> {
    Ok(Mixing {
        kind: mixing_kind(mixing)?,
        alpha: mixing.alpha,
        probability: mixing.probability,
        lambda_scope: match v1::LambdaScope::try_from(mixing.lambda_scope) {
            Ok(v1::LambdaScope::Unspecified | v1::LambdaScope::Sample) => LambdaScope::Sample,
            Ok(v1::LambdaScope::Batch) => LambdaScope::Batch,
            Err(_) => return Err(SpecError::new("mixing.lambda_scope", mixing.lambda_scope, "0 to 2")),
        },
        partner_source: match v1::PartnerSource::try_from(mixing.partner_source) {
            Ok(v1::PartnerSource::Unspecified | v1::PartnerSource::Dataset) => PartnerSource::Dataset,
            Ok(v1::PartnerSource::Batch) => PartnerSource::Batch,
            Err(_) => return Err(SpecError::new("mixing.partner_source", mixing.partner_source, "0 to 2")),
        },
    })
}

fn mixing_kind(mixing: &v1::Mixing) -> Result<MixingKind, SpecError> {
    let v1::Mixing { cutmix_alpha, switch_probability, .. } = *mixing;
    let kind = match v1::MixingKind::try_from(mixing.kind) {
        Ok(v1::MixingKind::Mixup) => MixingKind::Mixup,
        Ok(v1::MixingKind::Cutmix) => MixingKind::Cutmix,
        Ok(v1::MixingKind::MixupOrCutmix) => {
            return Ok(MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability });
        }
        _ => {
            let allowed = "1 (mixup), 2 (CutMix) or 3 (one of the two)";
            return Err(SpecError::new("mixing.kind", mixing.kind, allowed));
        }
    };
    // A setting that would do nothing is a mistake, and would give one stream two digests.
    for (field, value) in
        [("mixing.cutmix_alpha", cutmix_alpha), ("mixing.switch_probability", switch_probability)]
    {
        if value.to_bits() != 0 {
            return Err(SpecError::new(field, value, "0 unless mixing.kind is 3 (mixup or CutMix)"));
        }
    }
    Ok(kind)
}

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
        image: Some(image(dataset.image)),
        splits: vec![split(Split::Train, v1::Split::Train), split(Split::Test, v1::Split::Test)],
        whole_digest: dataset.whole_digest.map(Vec::from).unwrap_or_default(),
        bad_records,
        bad_record_examples,
    }
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

pub(super) fn opened(checked: &CheckedSpec, window_batches: usize) -> v1::StreamOpened {
    v1::StreamOpened {
        samples_per_epoch: checked.samples_per_epoch(),
        batches_per_epoch: checked.batches_per_epoch(),
        image: Some(image(checked.image())),
        window_batches: window_batches as u32,
    }
}

fn image(shape: ImageShape) -> v1::ImageShape {
    v1::ImageShape { height: shape.height, width: shape.width, channels: shape.channels }
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
            checksum: built.checksum,
        }),
        Err(error) => {
            let reason = match &error {
                BuildError::Data(error) => match error.fault {
                    Fault::Damaged => v1::FailureReason::DataLoss,
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
    use mixfeed_proto::limits;

    fn stream_spec(spec: &v1::StreamSpec) -> Result<StreamSpec, SpecError> {
        super::stream_spec(spec, &Extensions::default())
    }

    #[test]
    fn limits_on_the_wire_are_those_of_the_core() {
        assert_eq!(limits::MAX_BATCH_SIZE, mixfeed_pipeline::spec::MAX_BATCH_SIZE);
        assert_eq!(limits::MAX_BATCH_BYTES, mixfeed_pipeline::spec::MAX_BATCH_BYTES);
        assert_eq!(limits::MAX_IMAGE_BYTES, mixfeed_pipeline::spec::MAX_IMAGE_BYTES);
        assert_eq!(limits::LAMBDA_ONE, mixfeed_pipeline::Lambda::ONE.to_q16());
    }

    #[test]
    fn unspecified_means_what_the_contract_says() {
        let spec = v1::StreamSpec {
            split: 1,
            batch_size: 8,
            mixing: Some(v1::Mixing { kind: 1, alpha: 0.2, probability: 0.2, ..Default::default() }),
            ..Default::default()
        };
        let understood = stream_spec(&spec).unwrap();
        assert_eq!(understood.remainder, Remainder::Keep);
        assert_eq!(understood.shard, RowShard::WHOLE);
        assert_eq!((understood.pixel_type, understood.pixel_layout), (PixelType::U8, PixelLayout::Nhwc));
        let mixing = understood.mixing.unwrap();
        assert_eq!(
            (mixing.lambda_scope, mixing.partner_source),
            (LambdaScope::Sample, PartnerSource::Dataset)
        );
        assert_eq!(understood.augmentation, Augmentation::NONE);
    }

    #[test]
    fn kinds_of_mixing_and_augmentation_are_understood() {
        let mixed =
            |mixing| stream_spec(&v1::StreamSpec { split: 1, mixing: Some(mixing), ..Default::default() });
        let either = v1::Mixing { kind: 3, cutmix_alpha: 1.0, switch_probability: 0.5, ..Default::default() };
        assert_eq!(
            mixed(either).unwrap().mixing.unwrap().kind,
            MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 }
        );
        let cutmix = v1::Mixing { kind: 2, ..Default::default() };
        assert_eq!(mixed(cutmix).unwrap().mixing.unwrap().kind, MixingKind::Cutmix);
        let augmentation = Some(v1::Augmentation {
            crop_padding: 4,
            flip_probability: 0.5,
            resized_crop: Some(v1::ResizedCrop {
                min_area: 0.08,
                max_area: 1.0,
                min_ratio: 3.0 / 4.0,
                max_ratio: 4.0 / 3.0,
            }),
            trivial_augment: true,
            color_jitter: Some(v1::ColorJitter { brightness: 0.1, contrast: 0.2, saturation: 0.3, hue: 0.4 }),
            random_erasing: Some(v1::RandomErasing {
                probability: 0.5,
                min_area: 0.02,
                max_area: 0.33,
                min_ratio: 0.3,
                max_ratio: 3.3,
            }),
            cutout_size: 16,
            erased_value: 128,
            custom: None,
        });
        let spec = stream_spec(&v1::StreamSpec { split: 1, augmentation, ..Default::default() }).unwrap();
        assert_eq!(
            spec.augmentation,
            Augmentation {
                resized_crop: Some(ResizedCrop::IMAGENET),
                crop_padding: 4,
                flip_probability: 0.5,
                trivial_augment: true,
                color_jitter: ColorJitter { brightness: 0.1, contrast: 0.2, saturation: 0.3, hue: 0.4 },
                random_erasing: Some(RandomErasing::PUBLISHED),
                cutout_size: 16,
                erased_value: 128,
                custom: None,
            }
        );
    }

    #[test]
    fn values_of_no_meaning_are_refused_by_field() {
        let good = v1::StreamSpec { split: 1, batch_size: 8, ..Default::default() };
        let mixing = v1::Mixing { kind: 1, ..Default::default() };
        let mixed = |mixing| v1::StreamSpec { mixing: Some(mixing), ..good.clone() };
        let cases = [
            (v1::StreamSpec { split: 0, ..good.clone() }, "split"),
            (v1::StreamSpec { split: 3, ..good.clone() }, "split"),
            (v1::StreamSpec { remainder: -1, ..good.clone() }, "remainder"),
            (v1::StreamSpec { pixel_type: 9, ..good.clone() }, "pixel_type"),
            (v1::StreamSpec { pixel_layout: 9, ..good.clone() }, "pixel_layout"),
            (mixed(v1::Mixing { kind: 0, ..mixing }), "mixing.kind"),
            (mixed(v1::Mixing { kind: 4, ..mixing }), "mixing.kind"),
            (mixed(v1::Mixing { cutmix_alpha: 1.0, ..mixing }), "mixing.cutmix_alpha"),
            (mixed(v1::Mixing { kind: 2, switch_probability: 0.5, ..mixing }), "mixing.switch_probability"),
            (mixed(v1::Mixing { lambda_scope: 3, ..mixing }), "mixing.lambda_scope"),
            (mixed(v1::Mixing { partner_source: 3, ..mixing }), "mixing.partner_source"),
            (
                v1::StreamSpec {
                    augmentation: Some(v1::Augmentation { erased_value: 256, ..Default::default() }),
                    ..good.clone()
                },
                "augmentation.erased_value",
            ),
        ];
        for (spec, field) in cases {
            assert_eq!(stream_spec(&spec).unwrap_err().field, field);
        }
    }

    #[test]
    fn run_ids_cannot_forge_log_lines() {
        assert!(check_run_id("").is_ok() && check_run_id("run-7f.a").is_ok());
        for wrong in ["two words", "line\nbreak", "ümlaut", &"x".repeat(65)] {
            assert!(check_run_id(wrong).is_err(), "{wrong}");
        }
    }
}
