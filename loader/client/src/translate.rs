//! The one file that knows both the plain spec and the spec on the wire.

use crate::spec::{
    Augmentation, ColorJitter, CustomAugmentation, LambdaScope, Mixing, MixingKind, PartnerSource,
    PixelLayout, PixelType, RandomErasing, Remainder, ResizedCrop, RowShard, Split, StreamSpec,
};
use mixfeed_proto::v1;

/// Returns the message for `spec`, with every enum spelled out.
pub(crate) fn stream_spec(spec: &StreamSpec) -> v1::StreamSpec {
    let StreamSpec {
        split,
        limit,
        seed,
        batch_size,
        remainder,
        shuffle,
        mixing,
        shard,
        pixel_type,
        pixel_layout,
        ref augmentation,
    } = *spec;
    v1::StreamSpec {
        split: match split {
            Split::Train => v1::Split::Train,
            Split::Test => v1::Split::Test,
        }
        .into(),
        limit,
        seed,
        batch_size,
        remainder: match remainder {
            Remainder::Keep => v1::Remainder::Keep,
            Remainder::Drop => v1::Remainder::Drop,
        }
        .into(),
        shuffle,
        mixing: mixing.map(mixing_message),
        shard: shard.map(|RowShard { rank, world }| v1::RowShard { rank, world }),
        pixel_type: match pixel_type {
            PixelType::U8 => v1::PixelType::U8,
            PixelType::F32 => v1::PixelType::F32,
        }
        .into(),
        pixel_layout: match pixel_layout {
            PixelLayout::Nhwc => v1::PixelLayout::Nhwc,
            PixelLayout::Nchw => v1::PixelLayout::Nchw,
        }
        .into(),
        augmentation: (!augmentation.is_none()).then_some(augmentation_message(augmentation)),
    }
}

impl From<&StreamSpec> for v1::StreamSpec {
    fn from(spec: &StreamSpec) -> Self {
        stream_spec(spec)
    }
}

fn augmentation_message(augmentation: &Augmentation) -> v1::Augmentation {
    let Augmentation {
        crop_padding,
        flip_probability,
        trivial_augment,
        cutout_size,
        erased_value,
        resized_crop,
        color_jitter,
        random_erasing,
        ref custom,
    } = *augmentation;
    v1::Augmentation {
        crop_padding,
        flip_probability,
        resized_crop: resized_crop.map(|it| {
            let ResizedCrop { min_area, max_area, min_ratio, max_ratio } = it;
            v1::ResizedCrop { min_area, max_area, min_ratio, max_ratio }
        }),
        trivial_augment,
        color_jitter: color_jitter.map(|it| {
            let ColorJitter { brightness, contrast, saturation, hue } = it;
            v1::ColorJitter { brightness, contrast, saturation, hue }
        }),
        random_erasing: random_erasing.map(|it| {
            let RandomErasing { probability, min_area, max_area, min_ratio, max_ratio } = it;
            v1::RandomErasing { probability, min_area, max_area, min_ratio, max_ratio }
        }),
        cutout_size,
        erased_value: erased_value.into(),
        custom: custom.as_ref().map(|CustomAugmentation { name, version }| v1::CustomAugmentation {
            name: name.clone(),
            version: *version,
        }),
    }
}

fn mixing_message(mixing: Mixing) -> v1::Mixing {
    let Mixing { kind, alpha, probability, lambda_scope, partner_source } = mixing;
    let (kind, cutmix_alpha, switch_probability) = match kind {
        MixingKind::Mixup => (v1::MixingKind::Mixup, 0.0, 0.0),
        MixingKind::Cutmix => (v1::MixingKind::Cutmix, 0.0, 0.0),
        MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } => {
            (v1::MixingKind::MixupOrCutmix, cutmix_alpha, switch_probability)
        }
    };
    v1::Mixing {
        kind: kind.into(),
        alpha,
        probability,
        lambda_scope: match lambda_scope {
            LambdaScope::Sample => v1::LambdaScope::Sample,
            LambdaScope::Batch => v1::LambdaScope::Batch,
        }
        .into(),
        partner_source: match partner_source {
            PartnerSource::Dataset => v1::PartnerSource::Dataset,
            PartnerSource::Batch => v1::PartnerSource::Batch,
        }
        .into(),
        cutmix_alpha,
        switch_probability,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_spec_moves_its_digest() {
        let mixing = Mixing {
            kind: MixingKind::Mixup,
            alpha: 0.2,
            probability: 0.2,
            lambda_scope: LambdaScope::Sample,
            partner_source: PartnerSource::Dataset,
        };
        let either =
            |cutmix_alpha, switch_probability| MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability };
        let plain = StreamSpec { mixing: Some(mixing), ..StreamSpec::default() };
        let augmented = |change: fn(&mut Augmentation)| {
            let mut spec = plain.clone();
            change(&mut spec.augmentation);
            spec
        };
        let mut digests = vec![plain.digest()];
        let variants = [
            StreamSpec { split: Split::Test, ..plain.clone() },
            StreamSpec { limit: 7, ..plain.clone() },
            StreamSpec { seed: 7, ..plain.clone() },
            StreamSpec { batch_size: 7, ..plain.clone() },
            StreamSpec { remainder: Remainder::Drop, ..plain.clone() },
            StreamSpec { shuffle: false, ..plain.clone() },
            StreamSpec { mixing: None, ..plain.clone() },
            StreamSpec { mixing: Some(Mixing { alpha: 1.0, ..mixing }), ..plain.clone() },
            StreamSpec { mixing: Some(Mixing { probability: 1.0, ..mixing }), ..plain.clone() },
            StreamSpec {
                mixing: Some(Mixing { lambda_scope: LambdaScope::Batch, ..mixing }),
                ..plain.clone()
            },
            StreamSpec {
                mixing: Some(Mixing { partner_source: PartnerSource::Batch, ..mixing }),
                ..plain.clone()
            },
            StreamSpec { mixing: Some(Mixing { kind: MixingKind::Cutmix, ..mixing }), ..plain.clone() },
            StreamSpec { mixing: Some(Mixing { kind: either(1.0, 0.5), ..mixing }), ..plain.clone() },
            StreamSpec { mixing: Some(Mixing { kind: either(0.5, 0.5), ..mixing }), ..plain.clone() },
            StreamSpec { mixing: Some(Mixing { kind: either(1.0, 0.7), ..mixing }), ..plain.clone() },
            augmented(|it| it.crop_padding = 4),
            augmented(|it| it.flip_probability = 0.5),
            augmented(|it| it.trivial_augment = true),
            augmented(|it| it.cutout_size = 16),
            augmented(|it| it.erased_value = 128),
            augmented(|it| it.resized_crop = Some(ResizedCrop::default())),
            augmented(|it| it.color_jitter = Some(ColorJitter { hue: 0.1, ..ColorJitter::default() })),
            augmented(|it| it.random_erasing = Some(RandomErasing::default())),
            StreamSpec { shard: Some(RowShard { rank: 0, world: 2 }), ..plain.clone() },
            StreamSpec { pixel_type: PixelType::F32, ..plain.clone() },
            StreamSpec { pixel_layout: PixelLayout::Nchw, ..plain.clone() },
        ];
        for variant in variants {
            assert!(!digests.contains(&variant.digest()), "{variant:?}");
            digests.push(variant.digest());
        }
    }
}
