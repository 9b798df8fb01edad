//! What is asked for, and the border where it is checked.
//!
//! [`StreamSpec`] is a wish that may be nonsense; [`CheckedSpec`] is one that cannot be, bound to
//! the split it reads. Everything after the border takes the checked one and trusts it.

mod augmentation;
mod checked;

pub use augmentation::{
    Augmentation, ColorJitter, Interval, MAX_RATIO, MAX_STRENGTH, RandomErasing, ResizedCrop,
};
pub use checked::CheckedSpec;

use crate::dataset::Split;
use crate::key::Seed;

/// Rows of a global batch, at most.
pub const MAX_BATCH_SIZE: u32 = 65_536;

/// Pixel bytes of one batch, at most.
pub const MAX_BATCH_BYTES: u64 = 1 << 30;

/// Bytes of one image of bytes, at most.
pub const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// Largest alpha of Beta(alpha, alpha). Far below, every lambda is already about one half.
pub const MAX_ALPHA: f64 = 1000.0;

/// Everything that shapes the content of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamSpec {
    /// The split that is read.
    pub split: Split,
    /// Only the first `limit` samples of the split; 0 is all.
    pub limit: u64,
    /// Seed of everything random.
    pub seed: Seed,
    /// Rows of the global batch.
    pub batch_size: u32,
    /// What becomes of the samples left over at the end of an epoch.
    pub remainder: Remainder,
    /// Whether each epoch has an order of its own; otherwise all run through the split in order.
    pub shuffle: bool,
    /// How samples are mixed, if they are.
    pub mixing: Option<Mixing>,
    /// Which rows of each global batch are made.
    pub shard: RowShard,
    /// How a pixel value is written.
    pub pixel_type: PixelType,
    /// In which order the pixel values of an image come.
    pub pixel_layout: PixelLayout,
    /// What is done to each image before it is mixed.
    pub augmentation: Augmentation,
}

impl StreamSpec {
    /// Returns the plainest stream to train on: the whole split, shuffled, nothing mixed or
    /// augmented, all rows, u8 in NHWC.
    #[must_use]
    pub const fn train(seed: u64, batch_size: u32) -> Self {
        Self {
            split: Split::Train,
            limit: 0,
            seed: Seed(seed),
            batch_size,
            remainder: Remainder::Keep,
            shuffle: true,
            mixing: None,
            shard: RowShard::WHOLE,
            pixel_type: PixelType::U8,
            pixel_layout: PixelLayout::Nhwc,
            augmentation: Augmentation::NONE,
        }
    }
}

/// What becomes of the samples left over at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// They form a short last batch.
    Keep,
    /// They are left out.
    Drop,
}

/// How samples are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixing {
    /// The way of combining two images.
    pub kind: MixingKind,
    /// lambda is drawn from Beta(alpha, alpha): 0 (no mixing) to [`MAX_ALPHA`]. Where mixup and
    /// CutMix take turns, this is mixup's.
    pub alpha: f64,
    /// The share of samples (or batches) that is mixed, 0 to 1.
    pub probability: f64,
    /// Who shares a lambda.
    pub lambda_scope: LambdaScope,
    /// Where a partner comes from.
    pub partner_source: PartnerSource,
}

impl Mixing {
    /// Returns mixup as the article does it: a lambda for each sample, partners from the whole set.
    #[must_use]
    pub const fn mixup(alpha: f64, probability: f64) -> Self {
        Self {
            kind: MixingKind::Mixup,
            alpha,
            probability,
            lambda_scope: LambdaScope::Sample,
            partner_source: PartnerSource::Dataset,
        }
    }
}

/// The way of combining two images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MixingKind {
    /// Weighted sum of the pixels (arXiv:1710.09412).
    Mixup,
    /// A box of the partner, pasted over the image (arXiv:1905.04899).
    Cutmix,
    /// One of the two, drawn for each sample (or batch).
    MixupOrCutmix {
        /// CutMix's alpha, 0 to [`MAX_ALPHA`].
        cutmix_alpha: f64,
        /// Of what is mixed, the share that CutMix gets, 0 to 1.
        switch_probability: f64,
    },
}

/// Who shares a lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LambdaScope {
    /// Every sample has its own.
    Sample,
    /// One for a global batch.
    Batch,
}

/// Where the partner of a sample comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerSource {
    /// Any sample of the split, uniformly.
    Dataset,
    /// A permutation of the global batch.
    Batch,
}

/// Rows `[n * rank / world, n * (rank + 1) / world)` of each global batch of n rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowShard {
    /// 0 to `world - 1`.
    pub rank: u32,
    /// Number of shards.
    pub world: u32,
}

impl RowShard {
    /// All rows.
    pub const WHOLE: Self = Self { rank: 0, world: 1 };
}

/// How a pixel value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelType {
    /// One byte, 0 to 255.
    U8,
    /// IEEE 754 single precision, little-endian, 0.0 to 1.0.
    F32,
}

impl PixelType {
    /// Returns the bytes of one value.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
        }
    }
}

/// In which order the pixel values of an image come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelLayout {
    /// Image row, image column, channel.
    Nhwc,
    /// Channel, image row, image column.
    Nchw,
}

/// A field of a spec that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not allowed, {allowed}")]
pub struct SpecError {
    /// Name of the field.
    pub field: &'static str,
    /// The value found.
    pub value: String,
    /// What would be allowed.
    pub allowed: String,
}

impl SpecError {
    /// Makes an error about `field`.
    #[allow(clippy::needless_pass_by_value)] // Callers hand in numbers.
    pub fn new(field: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self { field, value: value.to_string(), allowed: allowed.into() }
    }
}
