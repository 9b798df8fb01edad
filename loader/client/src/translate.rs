//! The one file that knows both the plain spec and the spec on the wire.

use crate::spec::{
    Augmentation, LambdaScope, Mixing, MixingKind, PartnerSource, PixelLayout, PixelType, Remainder,
    RowShard, Split, StreamSpec,
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
        augmentation,
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

fn augmentation_message(augmentation: Augmentation) -> v1::Augmentation {
    let Augmentation { crop_padding, flip_probability } = augmentation;
    v1::Augmentation { crop_padding, flip_probability }
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
            StreamSpec {
                augmentation: Augmentation { crop_padding: 4, flip_probability: 0.0 },
                ..plain.clone()
            },
            StreamSpec {
                augmentation: Augmentation { crop_padding: 0, flip_probability: 0.5 },
                ..plain.clone()
            },
            StreamSpec { shard: Some(RowShard { rank: 0, world: 2 }), ..plain.clone() },
            StreamSpec { pixel_type: PixelType::F32, ..plain.clone() },
            StreamSpec { pixel_layout: PixelLayout::Nchw, ..plain },
        ];
        for variant in variants {
            assert!(!digests.contains(&variant.digest()), "{variant:?}");
            digests.push(variant.digest());
        }
    }
}
