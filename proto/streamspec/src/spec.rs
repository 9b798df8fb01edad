//! The spec and its parts.

use crate::augmentation::is_default;
use crate::error::{SpecError, check_range};
use crate::{Augmentation, ImageShape, Mixing, MixingSchedule, Output};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Rows of a global batch, at most. Beyond this a step is no longer a mini-batch, and one message no longer a unit of
/// scheduling.
pub const MAX_BATCH_SIZE: u32 = 65_536;

/// Pixel bytes of one batch, at most: 1,700 photographs of 224 × 224 in f32. What a stream holds of such is what the
/// loader has memory for.
pub const MAX_BATCH_BYTES: u64 = 1 << 30;

/// Everything that shapes the content of a stream of batches.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StreamSpec {
    /// Which part of the dataset.
    pub split: Split,
    /// Use only the first `limit` samples; 0 uses all.
    pub limit: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Rows of a global batch.
    pub batch_size: u32,
    /// What happens to the samples left over at the end of an epoch.
    pub remainder: Remainder,
    /// Whether each epoch has its own order.
    pub shuffle: bool,
    /// How samples are mixed; `None` leaves them alone.
    pub mixing: Option<Mixing>,
    /// How they are mixed otherwise from some epochs on.
    #[serde(skip_serializing_if = "MixingSchedule::is_none")]
    pub mixing_schedule: MixingSchedule,
    /// The rows of each global batch that this client gets; `None` means all of them.
    pub shard: Option<RowShard>,
    /// Type of a pixel value.
    pub pixel_type: PixelType,
    /// Order of the pixel values.
    pub pixel_layout: PixelLayout,
    /// Size of the images as sent; `None` sends them as they are, all of one size.
    pub output: Option<Output>,
    /// What is done to each image before it is mixed.
    #[serde(skip_serializing_if = "Augmentation::is_none")]
    pub augmentation: Augmentation,
    /// Whether each row says which samples it is made of.
    #[serde(skip_serializing_if = "is_default")]
    pub sample_ids: bool,
    /// Label noise, symmetric: the share of training samples whose label is replaced by one drawn uniformly from all
    /// classes, its own among them, 0 to 1.
    ///
    /// So it is in mixup's experiment with corrupted labels (Zhang, Cisse, Dauphin, Lopez-Paz, ICLR 2018, arXiv:1710.09412),
    /// which takes it from Zhang, Bengio, Hardt, Recht, Vinyals, "Understanding deep learning requires rethinking
    /// generalization", ICLR 2017 (arXiv:1611.03530). Of k classes, a share of (k - 1) / k of the replaced labels is wrong:
    /// at 0.4 and 10 classes, 36 % of all.
    #[serde(skip_serializing_if = "is_default")]
    pub label_noise: f64,
}

impl Default for StreamSpec {
    /// [`StreamSpec::train`] with seed 0 and 128 rows.
    fn default() -> Self {
        Self::train(0, 128)
    }
}

impl StreamSpec {
    /// Returns the plainest stream to train on: the whole split, shuffled, nothing mixed or augmented, all rows, u8 in
    /// NHWC.
    #[must_use]
    pub const fn train(seed: u64, batch_size: u32) -> Self {
        Self {
            split: Split::Train,
            limit: 0,
            seed,
            batch_size,
            remainder: Remainder::Keep,
            shuffle: true,
            mixing: None,
            mixing_schedule: MixingSchedule::NONE,
            shard: None,
            pixel_type: PixelType::U8,
            pixel_layout: PixelLayout::Nhwc,
            output: None,
            augmentation: Augmentation::NONE,
            sample_ids: false,
            label_noise: 0.0,
        }
    }

    /// Checks all that does not depend on the number of samples, for images that are sent in the shape `image`.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, image: ImageShape) -> Result<(), SpecError> {
        if !(1..=MAX_BATCH_SIZE).contains(&self.batch_size) {
            return Err(SpecError::new("batch_size", self.batch_size, format!("1 to {MAX_BATCH_SIZE}")));
        }
        let image_bytes = self.image_bytes(image) as u64;
        if u64::from(self.batch_size) * image_bytes > MAX_BATCH_BYTES {
            let max = MAX_BATCH_BYTES / image_bytes;
            let allowed = format!("1 to {max}, so that a batch has at most {MAX_BATCH_BYTES} bytes");
            return Err(SpecError::new("batch_size", self.batch_size, allowed));
        }
        self.check_labels()?;
        self.check_mixing()?;
        self.check_output()?;
        self.augmentation.check(image)
    }

    /// Checks labels, mixing and augmentation as far as they do not depend on the images: some images allow them.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check_recipe(&self) -> Result<(), SpecError> {
        const LARGEST_SIDE: u32 = 1 << 16;
        self.check_labels()?;
        self.check_mixing()?;
        self.check_output()?;
        let any = ImageShape { height: LARGEST_SIDE, width: LARGEST_SIDE, channels: 3 };
        self.augmentation.check(self.output.map_or(any, |output| output.size.rgb()))
    }

    fn check_labels(&self) -> Result<(), SpecError> {
        check_range("label_noise", self.label_noise, 1.0)?;
        if self.label_noise > 0.0 && self.split != Split::Train {
            let allowed = "0 for the test split, whose labels stay as they are";
            return Err(SpecError::new("label_noise", self.label_noise, allowed));
        }
        Ok(())
    }

    fn check_output(&self) -> Result<(), SpecError> {
        self.output.map_or(Ok(()), Output::check)
    }

    fn check_mixing(&self) -> Result<(), SpecError> {
        self.mixing.as_ref().map_or(Ok(()), Mixing::check)?;
        self.mixing_schedule.check(self.mixing)
    }

    /// Returns the shape of images as sent, where those of the dataset have the shape `image`, or none in common.
    #[must_use]
    pub fn sent(&self, image: Option<ImageShape>) -> Option<ImageShape> {
        let channels = image.map_or(3, |image| image.channels);
        self.output.map(|output| ImageShape { channels, ..output.size.rgb() }).or(image)
    }

    /// Returns the bytes of one image that is sent in the shape `image`.
    #[must_use]
    pub fn image_bytes(&self, image: ImageShape) -> usize {
        image.values() * self.pixel_type.bytes()
    }
}

/// A part of a dataset.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Samples to train on.
    #[default]
    Train,
    /// Samples to evaluate on.
    Test,
}

impl Split {
    /// Both, in the order of the dataset digest.
    pub const ALL: [Self; 2] = [Self::Train, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// What happens to the samples left over at the end of an epoch.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remainder {
    /// The last batch of an epoch is short.
    #[default]
    Keep,
    /// They are left out.
    Drop,
}

/// Rows `n * rank / world` to `n * (rank + 1) / world` of each global batch of `n` rows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RowShard {
    /// 0 to `world - 1`.
    pub rank: u32,
    /// How many clients share a global batch.
    pub world: u32,
}

impl RowShard {
    /// All rows.
    pub const WHOLE: Self = Self { rank: 0, world: 1 };
}

/// Type of a pixel value.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelType {
    /// 0 to 255.
    #[default]
    U8,
    /// IEEE 754 single precision, little-endian, 0.0 to 1.0.
    F32,
}

impl PixelType {
    /// Bytes of one value.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
        }
    }
}

/// Order of the pixel values of an image.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelLayout {
    /// Row, column, channel.
    #[default]
    Nhwc,
    /// Channel, row, column.
    Nchw,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSize, LambdaScope, MAX_ALPHA, MixingKind, PartnerSource, Resize};

    const IMAGE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };
    const SPEC: StreamSpec = StreamSpec::train(0, 8);
    const MIXUP: Mixing = Mixing::mixup(0.2, 0.2);
    const OUTPUT: Output = Output::center_crop(ImageSize { height: 48, width: 32 });

    fn either() -> Mixing {
        Mixing {
            kind: MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 },
            alpha: 0.8,
            probability: 1.0,
            lambda_scope: LambdaScope::Batch,
            partner_source: PartnerSource::Batch,
        }
    }

    #[test]
    fn a_spec_survives_a_settings_file() {
        let custom = "posterise:3".parse().ok();
        for mixing in [
            None,
            Some(either()),
            Some(Mixing { kind: MixingKind::Cutmix, ..either() }),
            Some(Mixing { kind: MixingKind::Mixup, ..either() }),
        ] {
            for augmentation in [Augmentation::NONE, Augmentation { custom, ..Augmentation::EVERY }] {
                let output = Some(Output { resize: Resize::Letterbox { fill: 9 }, ..OUTPUT });
                let spec =
                    StreamSpec { mixing, augmentation, output, label_noise: 0.4, ..StreamSpec::default() };
                let text = toml::to_string(&spec).unwrap();
                assert_eq!(toml::from_str::<StreamSpec>(&text).unwrap(), spec, "{text}");
            }
        }
        let wrong = "[mixing]\nalpha = 1.0\nprobability = 1.0\n\
            kind = { mixup-or-cutmix = { cutmix-alpha = 1.0, switch-probability = 0.5, more = 1 } }\n";
        assert!(toml::from_str::<StreamSpec>(wrong).is_err());
    }

    #[test]
    fn a_spec_that_uses_nothing_new_reads_as_it_did() {
        let text = toml::to_string(&StreamSpec::default()).unwrap();
        for new in ["augmentation", "sample-ids", "label-noise", "schedule"] {
            assert!(!text.contains(new), "{text}");
        }
    }

    #[test]
    fn fields_out_of_range_are_named_with_what_is_allowed() {
        let mixing =
            |alpha, probability| StreamSpec { mixing: Some(Mixing { alpha, probability, ..MIXUP }), ..SPEC };
        let either = |cutmix_alpha, switch_probability| {
            let kind = MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability };
            StreamSpec { mixing: Some(Mixing { kind, ..MIXUP }), ..SPEC }
        };
        for (spec, message) in [
            (StreamSpec { batch_size: 0, ..SPEC }, "batch_size: 0 is not allowed, 1 to 65536"),
            (StreamSpec { batch_size: 65_537, ..SPEC }, "batch_size: 65537 is not allowed, 1 to 65536"),
            (mixing(-1.0, 0.2), "mixing.alpha: -1 is not allowed, 0 to 1000"),
            (mixing(f64::NAN, 0.2), "mixing.alpha: NaN is not allowed, 0 to 1000"),
            (mixing(f64::INFINITY, 0.2), "mixing.alpha: inf is not allowed, 0 to 1000"),
            (mixing(0.2, 2.0), "mixing.probability: 2 is not allowed, 0 to 1"),
            (mixing(0.2, f64::NAN), "mixing.probability: NaN is not allowed, 0 to 1"),
            (either(-1.0, 0.5), "mixing.cutmix_alpha: -1 is not allowed, 0 to 1000"),
            (either(1.0, 1.5), "mixing.switch_probability: 1.5 is not allowed, 0 to 1"),
            (StreamSpec { label_noise: 1.5, ..SPEC }, "label_noise: 1.5 is not allowed, 0 to 1"),
            (StreamSpec { label_noise: f64::NAN, ..SPEC }, "label_noise: NaN is not allowed, 0 to 1"),
            (
                StreamSpec { label_noise: 0.4, split: Split::Test, ..SPEC },
                "label_noise: 0.4 is not allowed, 0 for the test split, whose labels stay as they are",
            ),
        ] {
            assert_eq!(spec.check(IMAGE).unwrap_err().to_string(), message);
        }
        let large = ImageShape { height: 4096, width: 4096, channels: 3 };
        let error = StreamSpec::train(0, 22).check(large).unwrap_err().to_string();
        assert_eq!(
            error,
            "batch_size: 22 is not allowed, 1 to 21, so that a batch has at most 1073741824 bytes"
        );
    }

    #[test]
    fn the_ends_of_each_range_are_allowed() {
        for spec in [
            StreamSpec { batch_size: 65_536, ..SPEC },
            StreamSpec { mixing: Some(Mixing { alpha: 0.0, probability: 0.0, ..MIXUP }), ..SPEC },
            StreamSpec { mixing: Some(Mixing { alpha: MAX_ALPHA, probability: 1.0, ..MIXUP }), ..SPEC },
            StreamSpec { label_noise: 1.0, ..SPEC },
        ] {
            assert_eq!(spec.check(IMAGE), Ok(()));
        }
    }
}
