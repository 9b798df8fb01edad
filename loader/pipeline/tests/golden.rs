//! Frozen digests: what a spec gave once, it gives for ever.
//!
//! When one of these moves without intent, something broke. When the change is intended, raise
//! `ALGORITHM_VERSION`, replace the lines of `golden.txt` by the ones printed here, and mark the
//! change with **changes batches** in the changelog, all in one commit.
#![allow(clippy::unwrap_used)]

use mixfeed_pipeline::fingerprint::algorithm_fingerprint;
use mixfeed_pipeline::spec::{
    Augmentation, ColorJitter, LambdaScope, Mixing, MixingKind, MixingSchedule, PartnerSource, PixelLayout,
    PixelType, RandAugment, RandomErasing, ResizedCrop, StreamSpec,
};
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Scratch, Split, collate, synthetic};
use std::fmt::Write as _;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn batch(spec: StreamSpec, index: u64) -> String {
    let data = synthetic::dataset(1000);
    let checked = CheckedSpec::new(spec, &data).unwrap();
    let plan = BatchPlan::new(&checked, index);
    let mut buffer = BatchBuffer::default();
    let samples = data.samples(spec.split);
    collate(&checked, &plan, samples.as_ref(), &mut Scratch::default(), &mut buffer).unwrap();
    let mut hasher = blake3::Hasher::new();
    for part in [&buffer.pixels[..], &buffer.labels, &buffer.partner_labels, &buffer.lambdas] {
        hasher.update(part);
    }
    hex(hasher.finalize().as_bytes())
}

#[test]
fn frozen_specs_give_the_frozen_batches() {
    let article = StreamSpec { mixing: Some(Mixing::mixup(0.2, 0.2)), ..StreamSpec::train(1, 128) };
    let paper = StreamSpec {
        mixing: Some(Mixing {
            kind: MixingKind::Mixup,
            alpha: 1.0,
            probability: 1.0,
            lambda_scope: LambdaScope::Batch,
            partner_source: PartnerSource::Batch,
        }),
        ..article
    };
    let planar = StreamSpec { pixel_type: PixelType::F32, pixel_layout: PixelLayout::Nchw, ..article };
    let clean = StreamSpec { split: Split::Test, shuffle: false, mixing: None, ..article };
    let augmentation = Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE };
    let augmented = StreamSpec { augmentation, ..article };
    let every = Augmentation {
        crop_padding: 2,
        flip_probability: 0.5,
        trivial_augment: true,
        cutout_size: 2,
        erased_value: 128,
        resized_crop: Some(ResizedCrop::IMAGENET),
        color_jitter: Some(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
        random_erasing: Some(RandomErasing::PUBLISHED),
        ..Augmentation::NONE
    };
    let grayscale =
        StreamSpec { augmentation: Augmentation { grayscale_probability: 0.5, ..every }, ..article };
    let rand_augment = Some(RandAugment { num_ops: 3, magnitude: 14 });
    let rand_augment = StreamSpec { augmentation: Augmentation { rand_augment, ..every }, ..article };
    let every = StreamSpec { augmentation: every, ..article };
    let cutmix = Mixing { kind: MixingKind::Cutmix, ..Mixing::mixup(1.0, 0.5) };
    let cutmix = StreamSpec { mixing: Some(cutmix), ..article };
    let either = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
    let either = |mixing: Option<Mixing>| mixing.map(|mixing| Mixing { kind: either, ..mixing });
    let shared = StreamSpec { mixing: either(paper.mixing), ..augmented };
    let planar_either = StreamSpec { mixing: either(cutmix.mixing), ..planar };
    let scheduled = StreamSpec { mixing_schedule: MixingSchedule::once(1, cutmix.mixing), ..article };
    let found: Vec<(&str, String)> = vec![
        ("algorithm-fingerprint", hex(&algorithm_fingerprint().unwrap())),
        ("synthetic-1000-dataset", hex(&synthetic::dataset(1000).digest)),
        ("article-batch-0", batch(article, 0)),
        ("article-batch-7-short", batch(article, 7)),
        ("article-batch-1000003", batch(article, 1_000_003)),
        ("paper-batch-9", batch(paper, 9)),
        ("planar-f32-batch-3", batch(planar, 3)),
        ("clean-test-batch-1", batch(clean, 1)),
        ("augmented-batch-2", batch(augmented, 2)),
        ("cutmix-batch-5", batch(cutmix, 5)),
        ("shared-either-batch-1", batch(shared, 1)),
        ("shared-either-batch-2", batch(shared, 2)),
        ("planar-f32-either-batch-3", batch(planar_either, 3)),
        ("every-augmentation-batch-4", batch(every, 4)),
        ("grayscale-batch-4", batch(grayscale, 4)),
        ("rand-augment-batch-4", batch(rand_augment, 4)),
        ("scheduled-batch-10", batch(scheduled, 10)),
        ("label-noise-batch-4", batch(StreamSpec { label_noise: 0.4, ..article }, 4)),
    ];
    let found = found.iter().fold(String::new(), |mut text, (name, digest)| {
        writeln!(text, "{name} {digest}").unwrap();
        text
    });
    assert!(found == include_str!("golden.txt"), "batch content moved; it is now\n{found}");
}
