//! What a user asks for: the plain form of a stream spec.
//!
//! These types go into configuration files and run folders; `translate.rs` turns them into the
//! message on the wire. Whether a value is in range is the loader's judgement, since it is the
//! loader that knows the data.

mod augmentation;

pub use augmentation::{Augmentation, ColorJitter, CustomAugmentation, RandomErasing, ResizedCrop};

use serde::{Deserialize, Serialize};

/// Everything that shapes the content of a stream of batches.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StreamSpec {
    /// Which part of the data set.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixing: Option<Mixing>,
    /// The rows of each global batch that this client gets; `None` means all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<RowShard>,
    /// Type of a pixel value.
    pub pixel_type: PixelType,
    /// Order of the pixel values.
    pub pixel_layout: PixelLayout,
    /// What is done to each image before it is mixed.
    #[serde(skip_serializing_if = "Augmentation::is_none")]
    pub augmentation: Augmentation,
}

impl Default for StreamSpec {
    fn default() -> Self {
        Self {
            split: Split::Train,
            limit: 0,
            seed: 0,
            batch_size: 128,
            remainder: Remainder::Keep,
            shuffle: true,
            mixing: None,
            shard: None,
            pixel_type: PixelType::U8,
            pixel_layout: PixelLayout::Nhwc,
            augmentation: Augmentation::default(),
        }
    }
}

impl StreamSpec {
    /// Returns the digest that names this spec on the wire, in logs and in checksums.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        mixfeed_proto::spec_digest(&crate::translate::stream_spec(self))
    }
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Samples to train on.
    #[default]
    Train,
    /// Samples to evaluate on.
    Test,
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

/// How samples are mixed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mixing {
    /// The method.
    pub kind: MixingKind,
    /// lambda is drawn from Beta(alpha, alpha). Where mixup and CutMix take turns, this is mixup's.
    pub alpha: f64,
    /// The share of samples, or of batches, that is mixed.
    pub probability: f64,
    /// What has a lambda of its own.
    #[serde(default)]
    pub lambda_scope: LambdaScope,
    /// Where partners come from.
    #[serde(default)]
    pub partner_source: PartnerSource,
}

/// A method of mixing.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum MixingKind {
    /// mixup (arXiv:1710.09412): the weighted sum of two images.
    #[default]
    Mixup,
    /// CutMix (arXiv:1905.04899): a box of the partner, pasted over the image.
    Cutmix,
    /// One of the two, drawn for each sample (or batch).
    MixupOrCutmix {
        /// CutMix's alpha.
        cutmix_alpha: f64,
        /// Of what is mixed, the share that CutMix gets.
        switch_probability: f64,
    },
}

/// What has a lambda of its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LambdaScope {
    /// Each mixed sample.
    #[default]
    Sample,
    /// Each global batch.
    Batch,
}

/// Where partners come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerSource {
    /// Any sample of the split.
    #[default]
    Dataset,
    /// A permutation of the global batch.
    Batch,
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

/// Type of a pixel value.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelType {
    /// 0 to 255.
    #[default]
    U8,
    /// 0.0 to 1.0, little-endian.
    F32,
}

impl PixelType {
    /// Bytes of one value.
    #[must_use]
    pub fn bytes(self) -> u64 {
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
        for mixing in [
            None,
            Some(either()),
            Some(Mixing { kind: MixingKind::Cutmix, ..either() }),
            Some(Mixing { kind: MixingKind::Mixup, ..either() }),
        ] {
            for augmentation in [Augmentation::default(), augmentation::tests::every()] {
                let spec = StreamSpec { mixing, augmentation, ..StreamSpec::default() };
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
        assert!(!toml::to_string(&StreamSpec::default()).unwrap().contains("augmentation"));
    }
}
