//! Areas and ratios of what is cut out of an image, and of what is erased in one.

use crate::error::{SpecError, check_range};
use serde::{Deserialize, Serialize};

/// Largest ratio of width to height (or the other way) of a crop or an erased rectangle.
pub const MAX_RATIO: f64 = 100.0;

/// Random resized crop: a random part, brought to the image's size by a bilinear filter (torchvision's
/// RandomResizedCrop).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResizedCrop {
    /// The least share of the image's area, above 0 to 1.
    pub min_area: f64,
    /// The largest.
    pub max_area: f64,
    /// The least ratio of width to height, 1/[`MAX_RATIO`] to [`MAX_RATIO`].
    pub min_ratio: f64,
    /// The largest.
    pub max_ratio: f64,
}

/// Random erasing: a random rectangle is overwritten (torchvision's RandomErasing with one value).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandomErasing {
    /// The share of images with an erased rectangle, 0 to 1.
    pub probability: f64,
    /// The least share of the image's area, above 0 to 1.
    pub min_area: f64,
    /// The largest.
    pub max_area: f64,
    /// The least ratio of height to width, 1/[`MAX_RATIO`] to [`MAX_RATIO`].
    pub min_ratio: f64,
    /// The largest.
    pub max_ratio: f64,
}

/// From `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The least value.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl ResizedCrop {
    /// What trainings on ImageNet do, and torchvision's defaults.
    pub const IMAGENET: Self =
        Self { min_area: 0.08, max_area: 1.0, min_ratio: 3.0 / 4.0, max_ratio: 4.0 / 3.0 };

    pub(super) fn check(self) -> Result<(), SpecError> {
        self.area().check("augmentation.resized_crop.area", f64::MIN_POSITIVE, 1.0)?;
        self.ratio().check("augmentation.resized_crop.ratio", 1.0 / MAX_RATIO, MAX_RATIO)
    }

    /// The crop's share of the image's area.
    #[must_use]
    pub const fn area(&self) -> Interval {
        Interval { min: self.min_area, max: self.max_area }
    }

    /// The crop's ratio of width to height.
    #[must_use]
    pub const fn ratio(&self) -> Interval {
        Interval { min: self.min_ratio, max: self.max_ratio }
    }
}

impl Default for ResizedCrop {
    /// [`ResizedCrop::IMAGENET`].
    fn default() -> Self {
        Self::IMAGENET
    }
}

impl RandomErasing {
    /// torchvision's defaults: the paper's, but for the ratio's 1/0.3, rounded.
    pub const PUBLISHED: Self =
        Self { probability: 0.5, min_area: 0.02, max_area: 0.33, min_ratio: 0.3, max_ratio: 3.3 };

    pub(super) fn check(self) -> Result<(), SpecError> {
        check_range("augmentation.random_erasing.probability", self.probability, 1.0)?;
        self.area().check("augmentation.random_erasing.area", f64::MIN_POSITIVE, 1.0)?;
        self.ratio().check("augmentation.random_erasing.ratio", 1.0 / MAX_RATIO, MAX_RATIO)
    }

    /// The rectangle's share of the image's area.
    #[must_use]
    pub const fn area(&self) -> Interval {
        Interval { min: self.min_area, max: self.max_area }
    }

    /// The rectangle's ratio of height to width.
    #[must_use]
    pub const fn ratio(&self) -> Interval {
        Interval { min: self.min_ratio, max: self.max_ratio }
    }
}

impl Default for RandomErasing {
    /// [`RandomErasing::PUBLISHED`].
    fn default() -> Self {
        Self::PUBLISHED
    }
}

impl Interval {
    /// Checks that both ends are in order and within `min` to `max`. NaN is refused.
    fn check(self, field: &'static str, min: f64, max: f64) -> Result<(), SpecError> {
        if min <= self.min && self.min <= self.max && self.max <= max {
            return Ok(());
        }
        let above = if min < 1e-300 { "above 0".into() } else { format!("from {min}") };
        Err(SpecError::new(
            field,
            format!("{} to {}", self.min, self.max),
            format!("an interval {above} to {max}"),
        ))
    }
}
