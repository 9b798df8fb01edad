use super::*;
use crate::v1::{
    Augmentation, ColorJitter, CustomAugmentation, Mixing, MixingChange, Output, RandAugment, RandomErasing,
    ResizedCrop, RowShard,
};
use prost_reflect::ReflectMessage as _;

/// No spec that a loader takes: every field is set.
const OUTPUT: Output =
    Output { height: 224, width: 176, resize: 1, resize_side: 256, fill_value: 9, scaled_decoding: true };

const MIXING: Mixing = Mixing {
    kind: 1,
    alpha: 0.2,
    probability: 0.2,
    lambda_scope: 1,
    partner_source: 2,
    cutmix_alpha: 1.0,
    switch_probability: 0.5,
};

fn full() -> StreamSpec {
    StreamSpec {
        split: 1,
        limit: 1000,
        seed: u64::MAX,
        batch_size: 128,
        remainder: 2,
        shuffle: true,
        mixing: Some(MIXING),
        shard: Some(RowShard { rank: 1, world: 4 }),
        pixel_type: 2,
        pixel_layout: 1,
        augmentation: Some(Augmentation {
            crop_padding: 4,
            flip_probability: 0.5,
            resized_crop: Some(ResizedCrop {
                min_area: 0.08,
                max_area: 1.0,
                min_ratio: 0.75,
                max_ratio: 1.5,
            }),
            trivial_augment: true,
            color_jitter: Some(ColorJitter { brightness: 0.1, contrast: 0.2, saturation: 0.3, hue: 0.4 }),
            random_erasing: Some(RandomErasing {
                probability: 0.5,
                min_area: 0.02,
                max_area: 0.33,
                min_ratio: 0.3,
                max_ratio: 3.3,
            }),
            cutout_size: 16,
            erased_value: 128,
            custom: Some(CustomAugmentation { name: "posterise".into(), version: 3 }),
            grayscale_probability: 0.2,
            rand_augment: Some(RandAugment { num_ops: 2, magnitude: 9 }),
        }),
        output: Some(OUTPUT),
        sample_ids: true,
        label_noise: 0.4,
        mixing_schedule: vec![
            MixingChange { epoch: 3, mixing: Some(MIXING) },
            MixingChange { epoch: 20, mixing: Some(MIXING) },
        ],
    }
}

#[test]
fn the_example_sets_every_field_and_each_has_an_encoding() {
    sets_every_field(&dynamic(&full()));
}

fn sets_every_field(message: &DynamicMessage) {
    let (set, all) = (message.fields().count(), message.descriptor().fields().count());
    assert_eq!(set, all, "the example must set every field of {}", message.descriptor().name());
    for (_, value) in message.fields() {
        match value {
            Value::Message(inner) => sets_every_field(inner),
            Value::List(elements) => {
                elements.iter().filter_map(Value::as_message).for_each(sets_every_field);
            }
            _ => {}
        }
    }
}

#[test]
fn every_field_moves_the_digest() {
    let mut seen = vec![spec_digest(&full())];
    let mixing = MIXING;
    let changed = |changes: &[(u64, Option<Mixing>)]| {
        let changes = changes.iter().map(|&(epoch, mixing)| MixingChange { epoch, mixing });
        StreamSpec { mixing_schedule: changes.collect(), ..full() }
    };
    let augmentation = full().augmentation.expect("set above");
    let sized = |output| StreamSpec { output: Some(output), ..full() };
    let variants = [
        StreamSpec { split: 2, ..full() },
        StreamSpec { limit: 999, ..full() },
        StreamSpec { seed: 0, ..full() },
        StreamSpec { batch_size: 1, ..full() },
        StreamSpec { remainder: 1, ..full() },
        StreamSpec { shuffle: false, ..full() },
        StreamSpec { mixing: None, ..full() },
        StreamSpec { mixing: Some(Mixing { kind: 0, ..mixing }), ..full() },
        StreamSpec { mixing: Some(Mixing { alpha: 1.0, ..mixing }), ..full() },
        StreamSpec { mixing: Some(Mixing { probability: 0.0, ..mixing }), ..full() },
        StreamSpec { mixing: Some(Mixing { lambda_scope: 2, ..mixing }), ..full() },
        StreamSpec { mixing: Some(Mixing { partner_source: 1, ..mixing }), ..full() },
        StreamSpec { mixing: Some(Mixing { cutmix_alpha: 0.0, ..mixing }), ..full() },
        StreamSpec { mixing: Some(Mixing { switch_probability: 0.0, ..mixing }), ..full() },
        StreamSpec { shard: None, ..full() },
        StreamSpec { shard: Some(RowShard { rank: 0, world: 4 }), ..full() },
        StreamSpec { shard: Some(RowShard { rank: 1, world: 2 }), ..full() },
        StreamSpec { pixel_type: 1, ..full() },
        StreamSpec { pixel_layout: 2, ..full() },
        StreamSpec { augmentation: None, ..full() },
        StreamSpec { output: None, ..full() },
        StreamSpec { sample_ids: false, ..full() },
        StreamSpec { label_noise: 0.2, ..full() },
        changed(&[]),
        changed(&[(3, Some(MIXING))]),
        changed(&[(20, Some(MIXING))]),
        changed(&[(20, Some(MIXING)), (3, Some(MIXING))]),
        changed(&[(3, None), (20, Some(MIXING))]),
        changed(&[(3, Some(MIXING)), (20, None)]),
        changed(&[(3, Some(Mixing { alpha: 0.3, ..MIXING })), (20, Some(MIXING))]),
        sized(Output { height: 176, ..OUTPUT }),
        sized(Output { width: 224, ..OUTPUT }),
        sized(Output { resize: 2, ..OUTPUT }),
        sized(Output { resize_side: 0, ..OUTPUT }),
        sized(Output { fill_value: 0, ..OUTPUT }),
        sized(Output { scaled_decoding: false, ..OUTPUT }),
    ];
    let augmented = |change: &dyn Fn(&mut Augmentation)| {
        let mut changed = augmentation.clone();
        change(&mut changed);
        StreamSpec { augmentation: Some(changed), ..full() }
    };
    let named = |name: &str, version| Some(CustomAugmentation { name: name.into(), version });
    let augmentations = [
        augmented(&|it| it.crop_padding = 0),
        augmented(&|it| it.flip_probability = 1.0),
        augmented(&|it| it.custom = None),
        augmented(&|it| it.custom = named("posterise", 4)),
        augmented(&|it| it.custom = named("posteris", 3)),
        augmented(&|it| it.resized_crop = None),
        augmented(&|it| it.resized_crop = Some(ResizedCrop::default())),
        augmented(&|it| it.trivial_augment = false),
        augmented(&|it| it.color_jitter = None),
        augmented(&|it| it.color_jitter = Some(ColorJitter { hue: 0.4, ..Default::default() })),
        augmented(&|it| it.color_jitter = Some(ColorJitter { saturation: 0.4, ..Default::default() })),
        augmented(&|it| it.random_erasing = None),
        augmented(&|it| {
            it.random_erasing = Some(RandomErasing { probability: 0.3, ..Default::default() });
        }),
        augmented(&|it| it.cutout_size = 0),
        augmented(&|it| it.erased_value = 0),
        augmented(&|it| it.grayscale_probability = 0.0),
        augmented(&|it| it.rand_augment = None),
        augmented(&|it| it.rand_augment = Some(RandAugment { num_ops: 3, magnitude: 9 })),
        augmented(&|it| it.rand_augment = Some(RandAugment { num_ops: 2, magnitude: 8 })),
    ];
    for variant in variants.into_iter().chain(augmentations) {
        let digest = spec_digest(&variant);
        assert!(!seen.contains(&digest), "{variant:?} has the digest of another spec");
        seen.push(digest);
    }
}

#[test]
fn a_field_left_at_its_default_does_not_move_the_digest() {
    // Frozen when neither augmentation nor CutMix nor an output nor sample ids nor label noise nor schedules existed.
    let mixing = Mixing { cutmix_alpha: 0.0, switch_probability: 0.0, ..MIXING };
    let before = StreamSpec {
        mixing: Some(mixing),
        augmentation: None,
        output: None,
        sample_ids: false,
        label_noise: 0.0,
        mixing_schedule: Vec::new(),
        ..full()
    };
    let digest: String = spec_digest(&before).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "6d36f2c969418097e46bd2df3dbcf331bda6b49705f8f46bb589f8a11c24ea12");
}

#[test]
fn an_element_of_a_list_is_encoded_as_a_field_of_its_own() {
    let change = |epoch| MixingChange { epoch, mixing: None };
    let spec = StreamSpec { mixing_schedule: vec![change(1), change(2)], ..StreamSpec::default() };
    let element = |epoch: u8| {
        // Field 15, a message of 12 bytes: field 1, and the epoch.
        [&[15, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, epoch][..], &[0; 7]].concat()
    };
    assert_eq!(encoding(&dynamic(&spec)), [element(1), element(2)].concat());
}

#[test]
fn the_digest_of_the_empty_spec_is_the_hash_of_the_domain() {
    let expected: [u8; 32] = Sha256::digest(DOMAIN).into();
    assert_eq!(spec_digest(&StreamSpec::default()), expected);
}
