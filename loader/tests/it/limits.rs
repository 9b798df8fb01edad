//! Every field of a request, at its limits and past them: what is past them is refused by name, in one short
//! line, and what is at them is served.

use crate::service::{Open, mixed, opening, spec};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_proto::v1::stream_batches_response::Kind as ResponseKind;
use mixfeed_proto::v1::{
    Augmentation, ColorJitter, CustomAugmentation, Mixing, MixingChange, RandAugment, RandomErasing,
    ResizedCrop, RowShard, StreamOpen, StreamSpec,
};
use tonic::Code;

/// Training samples of the loader; its images are 32×32×3.
const SAMPLES: u64 = 50;

/// No refusal is longer (a number of 308 digits is shown in full): it travels in a header, and stands in logs.
const MESSAGE_CHARS: usize = 500;

const NOT_FINITE: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// A field, and specs with good and with bad values in it.
struct Field {
    name: &'static str,
    good: Vec<StreamSpec>,
    bad: Vec<StreamSpec>,
}

fn field<T>(
    name: &'static str,
    make: impl Fn(T) -> StreamSpec,
    good: impl IntoIterator<Item = T>,
    bad: impl IntoIterator<Item = T>,
) -> Field {
    let all = |values: Vec<T>| values.into_iter().map(&make).collect();
    let (good, bad) = (good.into_iter().collect(), bad.into_iter().collect());
    Field { name, good: all(good), bad: all(bad) }
}

/// A number from 0 to `most`.
fn share(name: &'static str, make: impl Fn(f64) -> StreamSpec, max: f64) -> Field {
    let past = [-1e-300, -1.0, max.next_up(), f64::MAX];
    field(name, make, [0.0, f64::MIN_POSITIVE, max], past.into_iter().chain(NOT_FINITE))
}

fn augmented(augmentation: Augmentation) -> StreamSpec {
    StreamSpec { augmentation: Some(augmentation), ..spec() }
}

fn rand_augment(num_ops: u32, magnitude: u32) -> Augmentation {
    Augmentation { rand_augment: Some(RandAugment { num_ops, magnitude }), ..Augmentation::default() }
}

fn jittered(jitter: ColorJitter) -> StreamSpec {
    augmented(Augmentation { color_jitter: Some(jitter), ..Augmentation::default() })
}

fn mixing(change: impl Fn(Mixing) -> Mixing) -> StreamSpec {
    let mixed = mixed(1.0, 0.5);
    StreamSpec { mixing: mixed.mixing.map(change), ..mixed }
}

/// A stream that mixes, and stops to in each of these epochs.
fn ends(epochs: Vec<u64>) -> StreamSpec {
    let change = |epoch| MixingChange { epoch, mixing: None };
    StreamSpec { mixing_schedule: epochs.into_iter().map(change).collect(), ..mixed(1.0, 0.5) }
}

/// A stream that stops to mix and begins again, so many times in all.
fn alternating(count: u64) -> StreamSpec {
    let mixed = mixed(1.0, 0.5);
    let change = |epoch| MixingChange { epoch, mixing: mixed.mixing.filter(|_| epoch % 2 == 0) };
    StreamSpec { mixing_schedule: (1..=count).map(change).collect(), ..mixed }
}

/// Either of the two kinds.
fn either(change: impl Fn(Mixing) -> Mixing) -> StreamSpec {
    mixing(|mixing| change(Mixing { kind: 3, cutmix_alpha: 1.0, switch_probability: 0.5, ..mixing }))
}

fn fields() -> Vec<Field> {
    let crop = |min_area, max_area, min_ratio, max_ratio| {
        let resized_crop = Some(ResizedCrop { min_area, max_area, min_ratio, max_ratio });
        augmented(Augmentation { resized_crop, ..Augmentation::default() })
    };
    let erasing = |probability, min_area, max_area| {
        let it = RandomErasing { probability, min_area, max_area, min_ratio: 0.3, max_ratio: 3.3 };
        augmented(Augmentation { random_erasing: Some(it), ..Augmentation::default() })
    };
    let shard = |(rank, world)| StreamSpec { shard: Some(RowShard { rank, world }), ..spec() };
    let custom = |(name, version): (&str, u32)| {
        let custom = Some(CustomAugmentation { name: name.into(), version });
        augmented(Augmentation { custom, ..Augmentation::default() })
    };
    let long = "x".repeat(60_000);
    let whole = |value| augmented(Augmentation { crop_padding: value, ..Augmentation::default() });
    let cutout = |value| augmented(Augmentation { cutout_size: value, ..Augmentation::default() });
    let erased =
        |value| augmented(Augmentation { cutout_size: 2, erased_value: value, ..Augmentation::default() });
    let past_enum = [3, -1, i32::MAX, i32::MIN];
    vec![
        field("spec.split", |split| StreamSpec { split, ..spec() }, [1, 2], [0, 3, -1, i32::MAX, i32::MIN]),
        field("spec.limit", |limit| StreamSpec { limit, ..spec() }, [0, 1, SAMPLES], [SAMPLES + 1, u64::MAX]),
        field("spec.seed", |seed| StreamSpec { seed, ..spec() }, [0, u64::MAX], []),
        field(
            "spec.batch_size",
            |batch_size| StreamSpec { batch_size, ..spec() },
            // 64 MiB of pixels hold 21,845 images.
            [1, 50, 21_845],
            [0, 21_846, 65_536, 65_537, u32::MAX],
        ),
        field("spec.mixing_schedule", ends, [vec![1], vec![u64::MAX]], [vec![0], vec![1, 1]]),
        field("spec.mixing_schedule", alternating, [16], [17, 1_000]),
        share("spec.label_noise", |label_noise| StreamSpec { label_noise, ..spec() }, 1.0),
        field("spec.remainder", |remainder| StreamSpec { remainder, ..spec() }, [0, 1, 2], past_enum),
        field("spec.pixel_type", |pixel_type| StreamSpec { pixel_type, ..spec() }, [0, 1, 2], past_enum),
        field(
            "spec.pixel_layout",
            |pixel_layout| StreamSpec { pixel_layout, ..spec() },
            [0, 1, 2],
            past_enum,
        ),
        // The smallest batch of an epoch has two rows.
        field("spec.shard", shard, [(0, 1), (1, 2)], [(0, 0), (1, 1), (0, 3), (2, 2), (u32::MAX, u32::MAX)]),
        field("spec.mixing.kind", |kind| mixing(|it| Mixing { kind, ..it }), [1, 2], [0, 4, -1, i32::MAX]),
        field(
            "spec.mixing.lambda_scope",
            |lambda_scope| mixing(|it| Mixing { lambda_scope, ..it }),
            [0, 1, 2],
            past_enum,
        ),
        field(
            "spec.mixing.partner_source",
            |partner_source| mixing(|it| Mixing { partner_source, ..it }),
            [0, 1, 2],
            past_enum,
        ),
        share("spec.mixing.alpha", |alpha| mixing(|it| Mixing { alpha, ..it }), 1000.0),
        share("spec.mixing.probability", |probability| mixing(|it| Mixing { probability, ..it }), 1.0),
        share("spec.mixing.cutmix_alpha", |alpha| either(|it| Mixing { cutmix_alpha: alpha, ..it }), 1000.0),
        share(
            "spec.mixing.switch_probability",
            |switch| either(|it| Mixing { switch_probability: switch, ..it }),
            1.0,
        ),
        field("spec.augmentation.crop_padding", whole, [0, 31], [32, u32::MAX]),
        field("spec.augmentation.cutout_size", cutout, [0, 2, 64], [1, 65, u32::MAX]),
        field("spec.augmentation.erased_value", erased, [0, 255], [256, u32::MAX]),
        share(
            "spec.augmentation.flip_probability",
            |flip_probability| augmented(Augmentation { flip_probability, ..Augmentation::default() }),
            1.0,
        ),
        field(
            "spec.augmentation.rand_augment.num_ops",
            |num_ops| augmented(rand_augment(num_ops, 9)),
            [1, 8],
            [0, 9, u32::MAX],
        ),
        field(
            "spec.augmentation.rand_augment.magnitude",
            |magnitude| augmented(rand_augment(2, magnitude)),
            [0, 30],
            [31, u32::MAX],
        ),
        share(
            "spec.augmentation.grayscale_probability",
            |grayscale_probability| {
                augmented(Augmentation { grayscale_probability, ..Augmentation::default() })
            },
            1.0,
        ),
        share(
            "spec.augmentation.color_jitter.hue",
            |hue| jittered(ColorJitter { hue, ..ColorJitter::default() }),
            0.5,
        ),
        field(
            "spec.augmentation.color_jitter.brightness",
            |brightness| jittered(ColorJitter { brightness, ..ColorJitter::default() }),
            [0.0, 1.0],
            [-1.0, f64::MAX].into_iter().chain(NOT_FINITE),
        ),
        field(
            "spec.augmentation.resized_crop.area",
            |(min, max)| crop(min, max, 1.0, 1.0),
            [(0.08, 1.0), (1.0, 1.0)],
            [(0.0, 1.0), (0.5, 0.4), (0.5, 1.0_f64.next_up()), (f64::NAN, 1.0), (0.5, f64::INFINITY)],
        ),
        field(
            "spec.augmentation.resized_crop.ratio",
            |(min, max)| crop(0.5, 1.0, min, max),
            [(0.75, 4.0 / 3.0)],
            [(0.0, 1.0), (2.0, 1.0), (1.0, f64::MAX), (f64::NAN, f64::NAN), (-1.0, 1.0)],
        ),
        share(
            "spec.augmentation.random_erasing.probability",
            |probability| erasing(probability, 0.1, 0.2),
            1.0,
        ),
        field(
            "spec.augmentation.random_erasing.area",
            |(min, max)| erasing(0.5, min, max),
            [(0.02, 1.0)],
            [(0.0, 1.0), (0.2, 0.1), (0.1, 2.0), (f64::NAN, 1.0)],
        ),
        field(
            "spec.augmentation.custom",
            custom,
            [],
            [("none-such", 1), ("", 0), ("a\nb", 1), (&long, u32::MAX)],
        ),
    ]
}

#[tokio::test]
async fn every_field_is_served_at_its_limits_and_refused_by_name_past_them() {
    let loader = EmbeddedLoader::start(&format!("synthetic:{SAMPLES}"), Some(1)).unwrap();
    let mut wrong = Vec::new();
    for Field { name, good, bad } in fields() {
        for spec in good {
            if let Err(status) = Open::new(&loader, opening(spec)).await {
                wrong.push(format!("{name} at its limit: {status}"));
            }
        }
        for spec in bad {
            match Open::new(&loader, opening(spec)).await {
                Ok(_) => wrong.push(format!("{name} past its limit is served")),
                Err(status) => {
                    let message = status.message();
                    let clear = message.starts_with(name)
                        && message.len() <= MESSAGE_CHARS
                        && message.bytes().all(|byte| byte >= b' ');
                    if status.code() != Code::InvalidArgument || !clear {
                        wrong.push(format!("{name}: {:?} {:.400}", status.code(), message));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_opens_a_stream_is_bounded_too() {
    let loader = EmbeddedLoader::start(&format!("synthetic:{SAMPLES}"), Some(1)).unwrap();
    let long = vec![7; 60_000];
    for (open, code, said) in [
        (
            StreamOpen { run_id: "x".repeat(65), ..opening(spec()) },
            Code::InvalidArgument,
            "run_id: at most 64",
        ),
        (StreamOpen { run_id: "a b".into(), ..opening(spec()) }, Code::InvalidArgument, "run_id: "),
        (StreamOpen { spec_digest: vec![], ..opening(spec()) }, Code::FailedPrecondition, "spec_digest: "),
        (
            StreamOpen { spec_digest: long.clone(), ..opening(spec()) },
            Code::FailedPrecondition,
            "spec_digest: ",
        ),
        (
            StreamOpen { expected_dataset_digest: long.clone(), ..opening(spec()) },
            Code::InvalidArgument,
            "dataset digest: 60000 bytes are not allowed, 32 or none",
        ),
        (
            StreamOpen { expected_algorithm_fingerprint: vec![1], ..opening(spec()) },
            Code::InvalidArgument,
            "algorithm fingerprint: 1 bytes",
        ),
        // Past the size of any request, which is refused before it is understood.
        (StreamOpen { spec_digest: vec![7; 70_000], ..opening(spec()) }, Code::OutOfRange, ""),
    ] {
        let status = Open::new(&loader, open).await.err().expect("a refusal");
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().starts_with(said) && status.message().len() <= MESSAGE_CHARS, "{status}");
    }
    let longest = StreamOpen { run_id: "x".repeat(64), ..opening(spec()) };
    assert!(Open::new(&loader, longest).await.is_ok());
}

#[tokio::test]
async fn the_last_index_there_is_can_be_had() {
    let loader = EmbeddedLoader::start(&format!("synthetic:{SAMPLES}"), Some(1)).unwrap();
    let mut stream = Open::new(&loader, opening(spec())).await.unwrap();
    stream.want([u64::MAX, 0, 1 << 63]).await;
    let mut indices = Vec::new();
    for _ in 0..3 {
        indices.push(stream.batch().await.index);
    }
    indices.sort_unstable();
    assert_eq!(indices, [0, 1 << 63, u64::MAX]);
}

#[tokio::test]
async fn more_indices_than_allowed_end_the_stream() {
    let loader = EmbeddedLoader::start(&format!("synthetic:{SAMPLES}"), Some(1)).unwrap();
    let mut stream = Open::new(&loader, opening(spec())).await.unwrap();
    stream.want(0..1025).await;
    let status = loop {
        match stream.answers.message().await {
            Ok(Some(answer)) => assert!(matches!(answer.kind, Some(ResponseKind::Opened(_)))),
            Ok(None) => panic!("it ended in good order"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "wanted: 1025 indices in one message, at most 1024")
    );
}
