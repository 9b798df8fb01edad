//! What is done to each image before it is mixed: the setting of each transform, its range, its flag and its words.

mod areas;
mod color_jitter;
#[cfg(test)]
mod tests;

pub use areas::{Interval, MAX_RATIO, RandomErasing, ResizedCrop};
pub use color_jitter::{ColorJitter, MAX_STRENGTH};

use crate::error::{SpecError, check_range};
use crate::{CustomTransform, ImageShape};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Augmentation: what is done to each image before it is mixed. The contract says in which order: [`resized_crop`],
/// [`crop_padding`], [`flip_probability`], [`trivial_augment`], [`rand_augment`], [`color_jitter`],
/// [`grayscale_probability`], [`random_erasing`], [`cutout_size`], [`custom`]. Each time a sample comes, as itself or as a partner, it is drawn for anew.
///
/// [`resized_crop`]: Self::resized_crop
/// [`crop_padding`]: Self::crop_padding
/// [`flip_probability`]: Self::flip_probability
/// [`trivial_augment`]: Self::trivial_augment
/// [`rand_augment`]: Self::rand_augment
/// [`color_jitter`]: Self::color_jitter
/// [`grayscale_probability`]: Self::grayscale_probability
/// [`random_erasing`]: Self::random_erasing
/// [`cutout_size`]: Self::cutout_size
/// [`custom`]: Self::custom
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Augmentation {
    /// Random crop with zero padding: black pixels added on each side before a part of the image's own size is cut out.
    /// 0 (no crop) to the smaller side less 1, so that something of the image is always seen.
    pub crop_padding: u32,
    /// Horizontal flip: the share of images that is mirrored left to right, 0 to 1.
    pub flip_probability: f64,
    /// TrivialAugment (arXiv:2103.10158), wide: one change out of 14, at one strength out of 31.
    #[serde(skip_serializing_if = "is_default")]
    pub trivial_augment: bool,
    /// Random grayscale: the share of images whose three channels all become their luma, 0 to 1 (torchvision's
    /// RandomGrayscale).
    #[serde(skip_serializing_if = "is_default")]
    pub grayscale_probability: f64,
    /// Cutout (arXiv:1708.04552): side in pixels of the square that is erased: 0 (none), or 2 to twice the larger side.
    #[serde(skip_serializing_if = "is_default")]
    pub cutout_size: u32,
    /// What the values of an erased pixel become.
    #[serde(skip_serializing_if = "is_default")]
    pub erased_value: u8,
    /// Random resized crop: a random part is brought to the image's size.
    pub resized_crop: Option<ResizedCrop>,
    /// RandAugment (arXiv:1909.13719): several changes out of 14, at one strength.
    pub rand_augment: Option<RandAugment>,
    /// Color jitter.
    pub color_jitter: Option<ColorJitter>,
    /// Random erasing (arXiv:1708.04896).
    pub random_erasing: Option<RandomErasing>,
    /// A custom transform.
    pub custom: Option<CustomTransform>,
}

/// RandAugment: changes drawn one after the other out of 14, each equally likely (torchvision's RandAugment with 31 bins;
/// the default is its default). As text `OPS,MAGNITUDE`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandAugment {
    /// How many changes, 1 to [`MAX_OPS`](Self::MAX_OPS).
    pub num_ops: u32,
    /// How strong they are, 0 to [`MAX_MAGNITUDE`](Self::MAX_MAGNITUDE).
    pub magnitude: u32,
}

/// A run that does not use a setting writes the file that it wrote before there was one.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Augmentation {
    /// Images stay as they are.
    pub const NONE: Self = Self {
        crop_padding: 0,
        flip_probability: 0.0,
        trivial_augment: false,
        grayscale_probability: 0.0,
        cutout_size: 0,
        erased_value: 0,
        resized_crop: None,
        rand_augment: None,
        color_jitter: None,
        random_erasing: None,
        custom: None,
    };

    /// Everything built in at once, for probes and tests; at no strength that anyone would train with.
    pub const EVERY: Self = Self {
        crop_padding: 2,
        flip_probability: 0.5,
        trivial_augment: true,
        grayscale_probability: 0.5,
        cutout_size: 2,
        erased_value: 128,
        resized_crop: Some(ResizedCrop::IMAGENET),
        rand_augment: Some(RandAugment::PUBLISHED),
        color_jitter: Some(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
        random_erasing: Some(RandomErasing::PUBLISHED),
        custom: None,
    };

    /// Tells whether images stay as they are.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Checks what is asked for against the shape of the images.
    pub(crate) fn check(&self, image: ImageShape) -> Result<(), SpecError> {
        let Self {
            resized_crop,
            crop_padding,
            flip_probability,
            trivial_augment,
            rand_augment,
            color_jitter,
            grayscale_probability,
            random_erasing,
            cutout_size,
            erased_value,
            custom: _, // The loader that has it checks it.
        } = *self;
        resized_crop.map_or(Ok(()), ResizedCrop::check)?;
        let max = image.height.min(image.width).saturating_sub(1);
        if crop_padding > max {
            let allowed = format!("0 to {max}, so that something of the image is seen");
            return Err(SpecError::new("augmentation.crop_padding", crop_padding, allowed));
        }
        check_range("augmentation.flip_probability", flip_probability, 1.0)?;
        rand_augment.map_or(Ok(()), RandAugment::check)?;
        color_jitter.map_or(Ok(()), ColorJitter::check)?;
        check_range("augmentation.grayscale_probability", grayscale_probability, 1.0)?;
        random_erasing.map_or(Ok(()), RandomErasing::check)?;
        let max = 2 * u64::from(image.height.max(image.width));
        if cutout_size == 1 || u64::from(cutout_size) > max {
            return Err(SpecError::new("augmentation.cutout_size", cutout_size, format!("0, or 2 to {max}")));
        }
        // A setting that would do nothing is a mistake, and would give one stream two digests.
        if erased_value > 0 && cutout_size == 0 && random_erasing.is_none() {
            let allowed = "0 unless something is erased";
            return Err(SpecError::new("augmentation.erased_value", erased_value, allowed));
        }
        for (is_set, field) in [
            (trivial_augment, "augmentation.trivial_augment"),
            (rand_augment.is_some(), "augmentation.rand_augment"),
            (color_jitter.is_some_and(|it| it != ColorJitter::NONE), "augmentation.color_jitter"),
            (grayscale_probability > 0.0, "augmentation.grayscale_probability"),
        ] {
            if is_set && image.channels != 3 {
                return Err(SpecError::new(field, "set", "for images of three channels only"));
            }
        }
        Ok(())
    }
}

impl RandAugment {
    /// torchvision's defaults.
    pub const PUBLISHED: Self = Self { num_ops: 2, magnitude: 9 };

    /// Changes of an image, at most: more than its authors tried.
    pub const MAX_OPS: u32 = 8;

    /// The greatest strength: the last of torchvision's 31 bins.
    pub const MAX_MAGNITUDE: u32 = 30;

    fn check(self) -> Result<(), SpecError> {
        let Self { num_ops, magnitude } = self;
        if !(1..=Self::MAX_OPS).contains(&num_ops) {
            let allowed = format!("1 to {} operations", Self::MAX_OPS);
            return Err(SpecError::new("augmentation.rand_augment.num_ops", num_ops, allowed));
        }
        if magnitude > Self::MAX_MAGNITUDE {
            let allowed = format!("a magnitude of 0 to {}", Self::MAX_MAGNITUDE);
            return Err(SpecError::new("augmentation.rand_augment.magnitude", magnitude, allowed));
        }
        Ok(())
    }
}

impl Default for RandAugment {
    /// [`RandAugment::PUBLISHED`].
    fn default() -> Self {
        Self::PUBLISHED
    }
}

impl FromStr for RandAugment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(',').and_then(|(ops, magnitude)| {
            Some(Self { num_ops: ops.parse().ok()?, magnitude: magnitude.parse().ok()? })
        });
        numbers.ok_or_else(|| format!("{text:?}: expected a number of operations and a magnitude, e.g. 2,9"))
    }
}

impl fmt::Display for RandAugment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.num_ops, self.magnitude)
    }
}

impl fmt::Display for Augmentation {
    /// Each transform that is used, in the order in which they are applied, as in "random crop (padding 4), flip 0.5".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resized_crop,
            crop_padding,
            flip_probability,
            trivial_augment,
            rand_augment,
            color_jitter,
            grayscale_probability,
            random_erasing,
            cutout_size,
            erased_value: _, // Said by what erases.
            custom,
        } = *self;
        let said = [
            resized_crop.map(|it| format!("random resized crop (area ≥ {})", it.min_area)),
            (crop_padding > 0).then(|| format!("random crop (padding {crop_padding})")),
            (flip_probability > 0.0).then(|| format!("flip {flip_probability}")),
            trivial_augment.then(|| "TrivialAugment".into()),
            rand_augment
                .map(|it| format!("RandAugment ({} operations, magnitude {})", it.num_ops, it.magnitude)),
            color_jitter.map(|it| it.to_string()),
            (grayscale_probability > 0.0).then(|| format!("random grayscale {grayscale_probability}")),
            random_erasing.map(|it| format!("random erasing {}", it.probability)),
            (cutout_size > 0).then(|| format!("Cutout {cutout_size}")),
            custom.map(|it| it.to_string()),
        ];
        f.write_str(&said.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}
