//! The canonical encoding of a `StreamSpec` and its digest, as `loader.proto` defines them.
//!
//! Both ends compute this digest: the client over what it means, the loader over what it
//! understood. prost drops fields that it does not know, so a spec with such a field comes out
//! with another digest and is refused instead of being half obeyed.

use crate::v1::{
    Augmentation, ColorJitter, CustomAugmentation, Mixing, RandomErasing, ResizedCrop, RowShard, StreamSpec,
};
use sha2::{Digest, Sha256};

/// The first bytes of what is hashed: a digest of another message can never be mistaken for one.
const DOMAIN: &[u8] = b"mixfeed.v1.StreamSpec";

/// Returns the SHA-256 of the canonical encoding of `spec`.
#[must_use]
pub fn spec_digest(spec: &StreamSpec) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(stream_spec(spec));
    hasher.finalize().into()
}

/// Fields in ascending order of number, those at their default left out.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn integer(mut self, number: u32, value: u64) -> Self {
        if value != 0 {
            self.0.extend(number.to_le_bytes());
            self.0.extend(value.to_le_bytes());
        }
        self
    }

    /// Negative zero is not the default: its bits differ.
    fn double(self, number: u32, value: f64) -> Self {
        self.integer(number, value.to_bits())
    }

    /// Enums are signed on the wire; an unknown negative value still has one encoding.
    fn enumeration(self, number: u32, value: i32) -> Self {
        self.integer(number, i64::from(value).cast_unsigned())
    }

    fn message(self, number: u32, value: Option<Vec<u8>>) -> Self {
        match value {
            None => self,
            Some(encoding) => self.bytes(number, &encoding),
        }
    }

    fn string(self, number: u32, value: &str) -> Self {
        if value.is_empty() { self } else { self.bytes(number, value.as_bytes()) }
    }

    fn bytes(mut self, number: u32, value: &[u8]) -> Self {
        self.0.extend(number.to_le_bytes());
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value);
        self
    }
}

// Destructured without `..`, so that a new field cannot be forgotten here.

fn stream_spec(spec: &StreamSpec) -> Vec<u8> {
    let StreamSpec {
        split,
        limit,
        seed,
        batch_size,
        remainder,
        shuffle,
        mixing: mixing_field,
        shard,
        pixel_type,
        pixel_layout,
        augmentation: augmentation_field,
    } = spec;
    Fields::default()
        .enumeration(1, *split)
        .integer(2, *limit)
        .integer(3, *seed)
        .integer(4, u64::from(*batch_size))
        .enumeration(5, *remainder)
        .integer(6, u64::from(*shuffle))
        .message(7, mixing_field.as_ref().map(mixing))
        .message(8, shard.as_ref().map(row_shard))
        .enumeration(9, *pixel_type)
        .enumeration(10, *pixel_layout)
        .message(11, augmentation_field.as_ref().map(augmentation))
        .0
}

fn augmentation(augmentation: &Augmentation) -> Vec<u8> {
    let Augmentation {
        crop_padding,
        flip_probability,
        resized_crop: resized_crop_field,
        trivial_augment,
        color_jitter: color_jitter_field,
        random_erasing: random_erasing_field,
        cutout_size,
        erased_value,
        custom: custom_field,
    } = augmentation;
    Fields::default()
        .integer(1, u64::from(*crop_padding))
        .double(2, *flip_probability)
        .message(3, resized_crop_field.as_ref().map(resized_crop))
        .integer(4, u64::from(*trivial_augment))
        .message(5, color_jitter_field.as_ref().map(color_jitter))
        .message(6, random_erasing_field.as_ref().map(random_erasing))
        .integer(7, u64::from(*cutout_size))
        .integer(8, u64::from(*erased_value))
        .message(9, custom_field.as_ref().map(custom))
        .0
}

/// The encoding of a message of doubles only, numbered from 1.
fn doubles(values: &[f64]) -> Vec<u8> {
    let numbered = (1_u32..).zip(values);
    numbered.fold(Fields::default(), |fields, (number, value)| fields.double(number, *value)).0
}

fn resized_crop(resized_crop: &ResizedCrop) -> Vec<u8> {
    let ResizedCrop { min_area, max_area, min_ratio, max_ratio } = *resized_crop;
    doubles(&[min_area, max_area, min_ratio, max_ratio])
}

fn color_jitter(color_jitter: &ColorJitter) -> Vec<u8> {
    let ColorJitter { brightness, contrast, saturation, hue } = *color_jitter;
    doubles(&[brightness, contrast, saturation, hue])
}

fn random_erasing(random_erasing: &RandomErasing) -> Vec<u8> {
    let RandomErasing { probability, min_area, max_area, min_ratio, max_ratio } = *random_erasing;
    doubles(&[probability, min_area, max_area, min_ratio, max_ratio])
}

fn custom(custom: &CustomAugmentation) -> Vec<u8> {
    let CustomAugmentation { name, version } = custom;
    Fields::default().string(1, name).integer(2, u64::from(*version)).0
}

fn mixing(mixing: &Mixing) -> Vec<u8> {
    let Mixing { kind, alpha, probability, lambda_scope, partner_source, cutmix_alpha, switch_probability } =
        mixing;
    Fields::default()
        .enumeration(1, *kind)
        .double(2, *alpha)
        .double(3, *probability)
        .enumeration(4, *lambda_scope)
        .enumeration(5, *partner_source)
        .double(6, *cutmix_alpha)
        .double(7, *switch_probability)
        .0
}

fn row_shard(shard: &RowShard) -> Vec<u8> {
    let RowShard { rank, world } = shard;
    Fields::default().integer(1, u64::from(*rank)).integer(2, u64::from(*world)).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

    fn full() -> StreamSpec {
        StreamSpec {
            split: 1,
            limit: 1000,
            seed: u64::MAX,
            batch_size: 128,
            remainder: 2,
            shuffle: true,
            mixing: Some(Mixing {
                kind: 1,
                alpha: 0.2,
                probability: 0.2,
                lambda_scope: 1,
                partner_source: 2,
                cutmix_alpha: 1.0,
                switch_probability: 0.5,
            }),
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
            }),
        }
    }

    /// The encoding again, from the descriptor alone: this is what another language would write.
    fn by_reflection(message: &DynamicMessage) -> Vec<u8> {
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(|(field, _)| field.number());
        let mut out = Vec::new();
        for (field, value) in fields {
            out.extend(field.number().to_le_bytes());
            let word = match value {
                Value::Bool(v) => u64::from(*v),
                Value::U32(v) => u64::from(*v),
                Value::U64(v) => *v,
                Value::EnumNumber(v) => i64::from(*v).cast_unsigned(),
                Value::F64(v) => v.to_bits(),
                Value::Message(_) | Value::String(_) => {
                    let inner = match value {
                        Value::String(text) => text.as_bytes().to_vec(),
                        other => by_reflection(other.as_message().expect("one of two")),
                    };
                    out.extend((inner.len() as u64).to_le_bytes());
                    out.extend(inner);
                    continue;
                }
                other => panic!("no canonical encoding for {other:?}"),
            };
            out.extend(word.to_le_bytes());
        }
        out
    }

    fn dynamic(spec: &StreamSpec) -> DynamicMessage {
        let pool = DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).expect("descriptors");
        let descriptor = pool.get_message_by_name("mixfeed.v1.StreamSpec").expect("StreamSpec");
        DynamicMessage::decode(descriptor, spec.encode_to_vec().as_slice()).expect("decodes")
    }

    #[test]
    fn follows_the_descriptor_field_by_field() {
        for spec in [full(), StreamSpec::default(), StreamSpec { mixing: Some(Mixing::default()), ..full() }]
        {
            assert_eq!(stream_spec(&spec), by_reflection(&dynamic(&spec)));
        }
        sets_every_field(&dynamic(&full()));
    }

    fn sets_every_field(message: &DynamicMessage) {
        let (set, all) = (message.fields().count(), message.descriptor().fields().count());
        assert_eq!(set, all, "the example must set every field of {}", message.descriptor().name());
        for (_, value) in message.fields() {
            if let Value::Message(inner) = value {
                sets_every_field(inner);
            }
        }
    }

    #[test]
    fn every_field_moves_the_digest() {
        let mut seen = vec![spec_digest(&full())];
        let mixing = full().mixing.expect("set above");
        let augmentation = full().augmentation.expect("set above");
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
        ];
        for variant in variants.into_iter().chain(augmentations) {
            let digest = spec_digest(&variant);
            assert!(!seen.contains(&digest), "{variant:?} has the digest of another spec");
            seen.push(digest);
        }
    }

    #[test]
    fn a_field_left_at_its_default_does_not_move_the_digest() {
        // Frozen when neither augmentation nor CutMix existed.
        let mixing =
            Mixing { cutmix_alpha: 0.0, switch_probability: 0.0, ..full().mixing.expect("set above") };
        let before = StreamSpec { mixing: Some(mixing), augmentation: None, ..full() };
        let digest: String = spec_digest(&before).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "6d36f2c969418097e46bd2df3dbcf331bda6b49705f8f46bb589f8a11c24ea12");
    }

    #[test]
    fn the_digest_of_the_empty_spec_is_the_hash_of_the_domain() {
        let expected: [u8; 32] = Sha256::digest(DOMAIN).into();
        assert_eq!(spec_digest(&StreamSpec::default()), expected);
    }
}
