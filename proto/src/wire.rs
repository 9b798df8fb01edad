//! The spec as a message, and back: the one file that knows both forms.

#[cfg(test)]
mod tests;

use crate::{spec_digest, v1};
use mixfeed_streamspec::{
    Augmentation, ColorJitter, CustomTransform, ImageShape, ImageSize, LambdaScope, Mixing, MixingChange,
    MixingKind, MixingSchedule, Output, PartnerSource, PixelLayout, PixelType, RandAugment, RandomErasing,
    Remainder, Resize, ResizedCrop, RowShard, SpecError, Split, StreamSpec,
};

/// Returns the digest that names `spec` on the wire, in logs and in checksums.
#[must_use]
pub fn digest_of(spec: &StreamSpec) -> [u8; 32] {
    spec_digest(&spec.into())
}

/// The two directions of an enum whose variants have the same names in both forms. What unspecified means, if anything,
/// stands behind `0 =>`.
macro_rules! enumeration {
    ($number:ident, $value:ident, $field:literal, $plain:ident { $($variant:ident),+ $(; 0 => $default:ident)? }) => {
        fn $number(value: $plain) -> i32 {
            match value {
                $($plain::$variant => v1::$plain::$variant.into(),)+
            }
        }

        fn $value(number: i32) -> Result<$plain, SpecError> {
            match v1::$plain::try_from(number) {
                $(Ok(v1::$plain::$variant) => Ok($plain::$variant),)+
                $(Ok(v1::$plain::Unspecified) => Ok($plain::$default),)?
                #[allow(unreachable_patterns)]
                _ => {
                    let known: Vec<_> = [$(v1::$plain::$variant),+]
                        .into_iter()
                        .map(|known| format!("{} ({})", known as i32, format!("{known:?}").to_lowercase()))
                        .collect();
                    Err(SpecError::new($field, number, known.join(" or ")))
                }
            }
        }
    };
}

enumeration!(split_number, split, "split", Split { Train, Test });
enumeration!(remainder_number, remainder, "remainder", Remainder { Keep, Drop; 0 => Keep });
enumeration!(lambda_scope_number, lambda_scope, "mixing.lambda_scope", LambdaScope { Sample, Batch; 0 => Sample });
enumeration!(
    partner_source_number,
    partner_source,
    "mixing.partner_source",
    PartnerSource { Dataset, Batch; 0 => Dataset }
);
enumeration!(pixel_type_number, pixel_type, "pixel_type", PixelType { U8, F32; 0 => U8 });
enumeration!(pixel_layout_number, pixel_layout, "pixel_layout", PixelLayout { Nhwc, Nchw; 0 => Nhwc });

// All structs are taken apart without `..`, so that a new field cannot be forgotten.

impl From<&StreamSpec> for v1::StreamSpec {
    /// Every enum is spelled out.
    fn from(spec: &StreamSpec) -> Self {
        let StreamSpec {
            split,
            limit,
            seed,
            batch_size,
            remainder,
            shuffle,
            mixing,
            mixing_schedule,
            shard,
            pixel_type,
            pixel_layout,
            output,
            augmentation,
            sample_ids,
            label_noise,
        } = *spec;
        Self {
            split: split_number(split),
            limit,
            seed,
            batch_size,
            remainder: remainder_number(remainder),
            shuffle,
            mixing: mixing.map(Into::into),
            mixing_schedule: mixing_schedule.changes().iter().map(|change| (*change).into()).collect(),
            shard: shard.map(|RowShard { rank, world }| v1::RowShard { rank, world }),
            pixel_type: pixel_type_number(pixel_type),
            pixel_layout: pixel_layout_number(pixel_layout),
            augmentation: (!augmentation.is_none()).then(|| augmentation.into()),
            output: output.map(Into::into),
            sample_ids,
            label_noise,
        }
    }
}

impl TryFrom<&v1::StreamSpec> for StreamSpec {
    type Error = SpecError;

    /// Fills in what unspecified values mean. Ranges are checked elsewhere.
    fn try_from(spec: &v1::StreamSpec) -> Result<Self, SpecError> {
        let v1::StreamSpec {
            split: split_number,
            limit,
            seed,
            batch_size,
            remainder: remainder_number,
            shuffle,
            mixing,
            mixing_schedule,
            shard,
            pixel_type: pixel_type_number,
            pixel_layout: pixel_layout_number,
            augmentation,
            output,
            sample_ids,
            label_noise,
        } = spec;
        Ok(Self {
            split: split(*split_number)?,
            limit: *limit,
            seed: *seed,
            batch_size: *batch_size,
            remainder: remainder(*remainder_number)?,
            shuffle: *shuffle,
            mixing: mixing.map(TryInto::try_into).transpose()?,
            mixing_schedule: changes(mixing_schedule)?,
            shard: shard.map(|v1::RowShard { rank, world }| RowShard { rank, world }),
            pixel_type: pixel_type(*pixel_type_number)?,
            pixel_layout: pixel_layout(*pixel_layout_number)?,
            output: output.map(TryInto::try_into).transpose()?,
            augmentation: augmentation.as_ref().map_or(Ok(Augmentation::NONE), TryInto::try_into)?,
            sample_ids: *sample_ids,
            label_noise: *label_noise,
        })
    }
}

impl From<Output> for v1::Output {
    fn from(Output { size: ImageSize { height, width }, resize, scaled_decoding }: Output) -> Self {
        let (kind, resize_side, fill_value) = match resize {
            Resize::CenterCrop { side } => (v1::Resize::CenterCrop, side, 0),
            Resize::Stretch => (v1::Resize::Stretch, 0, 0),
            Resize::Letterbox { fill } => (v1::Resize::Letterbox, 0, fill),
        };
        Self {
            height,
            width,
            resize: kind.into(),
            resize_side,
            fill_value: fill_value.into(),
            scaled_decoding,
        }
    }
}

impl TryFrom<v1::Output> for Output {
    type Error = SpecError;

    fn try_from(output: v1::Output) -> Result<Self, SpecError> {
        let v1::Output { height, width, resize, resize_side, fill_value, scaled_decoding } = output;
        // A setting that would do nothing is a mistake, and would give one stream two digests.
        let unused = |field, value: u32, needs: &str| match value {
            0 => Ok(()),
            _ => Err(SpecError::new(field, value, format!("0 unless output.resize is {needs}"))),
        };
        let kind = v1::Resize::try_from(resize);
        if kind != Ok(v1::Resize::Letterbox) {
            unused("output.fill_value", fill_value, "3 (letterbox)")?;
        }
        if kind != Ok(v1::Resize::CenterCrop) {
            unused("output.resize_side", resize_side, "1 (center crop)")?;
        }
        let resize = match kind {
            Ok(v1::Resize::CenterCrop) => Resize::CenterCrop { side: resize_side },
            Ok(v1::Resize::Stretch) => Resize::Stretch,
            Ok(v1::Resize::Letterbox) => {
                let fill = u8::try_from(fill_value);
                let fill =
                    fill.map_err(|_too_large| SpecError::new("output.fill_value", fill_value, "0 to 255"))?;
                Resize::Letterbox { fill }
            }
            Ok(v1::Resize::Unspecified) | Err(_) => {
                let allowed = "1 (center crop), 2 (stretch) or 3 (letterbox)";
                return Err(SpecError::new("output.resize", resize, allowed));
            }
        };
        Ok(Self { size: ImageSize { height, width }, resize, scaled_decoding })
    }
}

impl From<MixingChange> for v1::MixingChange {
    fn from(MixingChange { epoch, mixing }: MixingChange) -> Self {
        Self { epoch, mixing: mixing.map(Into::into) }
    }
}

fn changes(changes: &[v1::MixingChange]) -> Result<MixingSchedule, SpecError> {
    let change = |&v1::MixingChange { epoch, mixing }: &v1::MixingChange| {
        Ok(MixingChange { epoch, mixing: mixing.map(TryInto::try_into).transpose()? })
    };
    MixingSchedule::new(&changes.iter().map(change).collect::<Result<Vec<_>, SpecError>>()?)
}

impl From<Mixing> for v1::Mixing {
    fn from(mixing: Mixing) -> Self {
        let Mixing { kind, alpha, probability, lambda_scope, partner_source } = mixing;
        let (kind, cutmix_alpha, switch_probability) = match kind {
            MixingKind::Mixup => (v1::MixingKind::Mixup, 0.0, 0.0),
            MixingKind::Cutmix => (v1::MixingKind::Cutmix, 0.0, 0.0),
            MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } => {
                (v1::MixingKind::MixupOrCutmix, cutmix_alpha, switch_probability)
            }
        };
        Self {
            kind: kind.into(),
            alpha,
            probability,
            lambda_scope: lambda_scope_number(lambda_scope),
            partner_source: partner_source_number(partner_source),
            cutmix_alpha,
            switch_probability,
        }
    }
}

impl TryFrom<v1::Mixing> for Mixing {
    type Error = SpecError;

    fn try_from(mixing: v1::Mixing) -> Result<Self, SpecError> {
        let v1::Mixing {
            kind,
            alpha,
            probability,
            lambda_scope: lambda_scope_number,
            partner_source: partner_source_number,
            cutmix_alpha,
            switch_probability,
        } = mixing;
        let kind = match v1::MixingKind::try_from(kind) {
            Ok(v1::MixingKind::Mixup) => MixingKind::Mixup,
            Ok(v1::MixingKind::Cutmix) => MixingKind::Cutmix,
            Ok(v1::MixingKind::MixupOrCutmix) => {
                MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability }
            }
            _ => {
                let allowed = "1 (mixup), 2 (CutMix) or 3 (one of the two)";
                return Err(SpecError::new("mixing.kind", kind, allowed));
            }
        };
        let is_either = matches!(kind, MixingKind::MixupOrCutmix { .. });
        // A setting that would do nothing is a mistake, and would give one stream two digests.
        for (field, value) in
            [("mixing.cutmix_alpha", cutmix_alpha), ("mixing.switch_probability", switch_probability)]
        {
            if !is_either && value.to_bits() != 0 {
                return Err(SpecError::new(field, value, "0 unless mixing.kind is 3 (mixup or CutMix)"));
            }
        }
        Ok(Self {
            kind,
            alpha,
            probability,
            lambda_scope: lambda_scope(lambda_scope_number)?,
            partner_source: partner_source(partner_source_number)?,
        })
    }
}

impl From<Augmentation> for v1::Augmentation {
    fn from(augmentation: Augmentation) -> Self {
        let Augmentation {
            crop_padding,
            flip_probability,
            trivial_augment,
            cutout_size,
            erased_value,
            resized_crop,
            color_jitter,
            random_erasing,
            grayscale_probability,
            rand_augment,
            custom,
        } = augmentation;
        Self {
            crop_padding,
            flip_probability,
            resized_crop: resized_crop.map(|ResizedCrop { min_area, max_area, min_ratio, max_ratio }| {
                v1::ResizedCrop { min_area, max_area, min_ratio, max_ratio }
            }),
            trivial_augment,
            color_jitter: color_jitter.map(|ColorJitter { brightness, contrast, saturation, hue }| {
                v1::ColorJitter { brightness, contrast, saturation, hue }
            }),
            random_erasing: random_erasing.map(|it| {
                let RandomErasing { probability, min_area, max_area, min_ratio, max_ratio } = it;
                v1::RandomErasing { probability, min_area, max_area, min_ratio, max_ratio }
            }),
            cutout_size,
            erased_value: erased_value.into(),
            grayscale_probability,
            rand_augment: rand_augment
                .map(|RandAugment { num_ops, magnitude }| v1::RandAugment { num_ops, magnitude }),
            custom: custom
                .map(|it| v1::CustomAugmentation { name: it.name().to_owned(), version: it.version() }),
        }
    }
}

impl TryFrom<&v1::Augmentation> for Augmentation {
    type Error = SpecError;

    fn try_from(augmentation: &v1::Augmentation) -> Result<Self, SpecError> {
        let v1::Augmentation {
            crop_padding,
            flip_probability,
            resized_crop,
            trivial_augment,
            color_jitter,
            random_erasing,
            cutout_size,
            erased_value,
            custom,
            grayscale_probability,
            rand_augment,
        } = augmentation;
        Ok(Self {
            crop_padding: *crop_padding,
            flip_probability: *flip_probability,
            trivial_augment: *trivial_augment,
            grayscale_probability: *grayscale_probability,
            rand_augment: rand_augment
                .map(|v1::RandAugment { num_ops, magnitude }| RandAugment { num_ops, magnitude }),
            cutout_size: *cutout_size,
            erased_value: u8::try_from(*erased_value).map_err(|_too_large| {
                SpecError::new("augmentation.erased_value", erased_value, "0 to 255")
            })?,
            resized_crop: resized_crop.map(|v1::ResizedCrop { min_area, max_area, min_ratio, max_ratio }| {
                ResizedCrop { min_area, max_area, min_ratio, max_ratio }
            }),
            color_jitter: color_jitter.map(|v1::ColorJitter { brightness, contrast, saturation, hue }| {
                ColorJitter { brightness, contrast, saturation, hue }
            }),
            random_erasing: random_erasing.map(|it| {
                let v1::RandomErasing { probability, min_area, max_area, min_ratio, max_ratio } = it;
                RandomErasing { probability, min_area, max_area, min_ratio, max_ratio }
            }),
            custom: match custom {
                None => None,
                Some(v1::CustomAugmentation { name, version }) => Some(CustomTransform::new(name, *version)?),
            },
        })
    }
}

impl From<ImageShape> for v1::ImageShape {
    fn from(ImageShape { height, width, channels }: ImageShape) -> Self {
        Self { height, width, channels }
    }
}

impl TryFrom<v1::ImageShape> for ImageShape {
    /// What is wrong, as in "its images have the impossible shape 0x0x3".
    type Error = String;

    fn try_from(v1::ImageShape { height, width, channels }: v1::ImageShape) -> Result<Self, String> {
        let shape = Self { height, width, channels };
        let impossible = || format!("its images have the impossible shape {height}x{width}x{channels}");
        shape.is_possible().then_some(shape).ok_or_else(impossible)
    }
}
