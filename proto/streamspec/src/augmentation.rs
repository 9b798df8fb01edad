//! What is done to each image before it is mixed, and its ranges.

use crate::error::{SpecError, check_range};
use crate::{CustomTransform, ImageShape};
use serde::{Deserialize, Serialize};

/// Largest ratio of width to height (or the other way) of a crop or an erased rectangle.
pub const MAX_RATIO: f64 = 100.0;

/// Largest strength of a change of color.
pub const MAX_STRENGTH: f64 = 10.0;

/// Augmentation: what is done to each image before it is mixed. The contract says in which order: [`resized_crop`],
/// [`crop_padding`], [`flip_probability`], [`trivial_augment`], [`color_jitter`], [`random_erasing`], [`cutout_size`],
/// [`custom`]. Each time a sample comes, as itself or as a partner, it is drawn for anew.
///
/// [`resized_crop`]: Self::resized_crop
/// [`crop_padding`]: Self::crop_padding
/// [`flip_probability`]: Self::flip_probability
/// [`trivial_augment`]: Self::trivial_augment
/// [`color_jitter`]: Self::color_jitter
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
    /// Cutout (arXiv:1708.04552): side in pixels of the square that is erased: 0 (none), or 2 to twice the larger side.
    #[serde(skip_serializing_if = "is_default")]
    pub cutout_size: u32,
    /// What the values of an erased pixel become.
    #[serde(skip_serializing_if = "is_default")]
    pub erased_value: u8,
    /// Random resized crop: a random part is brought to the image's size.
    pub resized_crop: Option<ResizedCrop>,
    /// Color jitter.
    pub color_jitter: Option<ColorJitter>,
    /// Random erasing (arXiv:1708.04896).
    pub random_erasing: Option<RandomErasing>,
    /// A custom transform.
    pub custom: Option<CustomTransform>,
}

/// A run that does not use a setting writes the file that it wrote before there was one.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

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

/// Color jitter: brightness, contrast and saturation are multiplied by a factor from max(0, 1 - s) to 1 + s
/// (torchvision's ColorJitter); s is 0 (no change) to [`MAX_STRENGTH`].
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ColorJitter {
    /// Strength for the brightness.
    pub brightness: f64,
    /// Strength for the contrast.
    pub contrast: f64,
    /// Strength for the saturation.
    pub saturation: f64,
    /// The hue turns by up to this share of the circle either way, 0 to 0.5.
    pub hue: f64,
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

impl Augmentation {
    /// Images stay as they are.
    pub const NONE: Self = Self {
        crop_padding: 0,
        flip_probability: 0.0,
        trivial_augment: false,
        cutout_size: 0,
        erased_value: 0,
        resized_crop: None,
        color_jitter: None,
        random_erasing: None,
        custom: None,
    };

    /// Everything built in at once, for probes and tests; at no strength that anyone would train with.
    pub const EVERY: Self = Self {
        crop_padding: 2,
        flip_probability: 0.5,
        trivial_augment: true,
        cutout_size: 2,
        erased_value: 128,
        resized_crop: Some(ResizedCrop::IMAGENET),
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
            color_jitter,
            random_erasing,
            cutout_size,
            erased_value,
            custom: _, // The loader that has it checks it.
        } = *self;
        if let Some(crop) = resized_crop {
            crop.area().check("augmentation.resized_crop.area", f64::MIN_POSITIVE, 1.0)?;
            crop.ratio().check("augmentation.resized_crop.ratio", 1.0 / MAX_RATIO, MAX_RATIO)?;
        }
        let max = image.height.min(image.width).saturating_sub(1);
        if crop_padding > max {
            let allowed = format!("0 to {max}, so that something of the image is seen");
            return Err(SpecError::new("augmentation.crop_padding", crop_padding, allowed));
        }
        check_range("augmentation.flip_probability", flip_probability, 1.0)?;
        color_jitter.map_or(Ok(()), ColorJitter::check)?;
        if let Some(erasing) = random_erasing {
            check_range("augmentation.random_erasing.probability", erasing.probability, 1.0)?;
            erasing.area().check("augmentation.random_erasing.area", f64::MIN_POSITIVE, 1.0)?;
            erasing.ratio().check("augmentation.random_erasing.ratio", 1.0 / MAX_RATIO, MAX_RATIO)?;
        }
        let max = 2 * u64::from(image.height.max(image.width));
        if cutout_size == 1 || u64::from(cutout_size) > max {
            return Err(SpecError::new("augmentation.cutout_size", cutout_size, format!("0, or 2 to {max}")));
        }
        // A setting that would do nothing is a mistake, and would give one stream two digests.
        if erased_value > 0 && cutout_size == 0 && random_erasing.is_none() {
            let allowed = "0 unless something is erased";
            return Err(SpecError::new("augmentation.erased_value", erased_value, allowed));
        }
        if image.channels != 3 && (trivial_augment || color_jitter.is_some_and(|it| it != ColorJitter::NONE))
        {
            let field =
                if trivial_augment { "augmentation.trivial_augment" } else { "augmentation.color_jitter" };
            return Err(SpecError::new(field, "set", "for images of three channels only"));
        }
        Ok(())
    }
}

impl ResizedCrop {
    /// What trainings on ImageNet do, and torchvision's defaults.
    pub const IMAGENET: Self =
        Self { min_area: 0.08, max_area: 1.0, min_ratio: 3.0 / 4.0, max_ratio: 4.0 / 3.0 };

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

impl ColorJitter {
    /// Colors stay as they are.
    pub const NONE: Self = Self { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };

    /// Returns the color jitter of one strength for brightness, contrast and saturation, of one for each, or of these
    /// and the hue's; [`ColorJitter::NONE`] of no strength at all, and nothing of another number of them.
    #[must_use]
    pub fn of_strengths(strengths: &[f64]) -> Option<Self> {
        Some(match *strengths {
            [] => Self::NONE,
            [all] => Self { brightness: all, contrast: all, saturation: all, hue: 0.0 },
            [brightness, contrast, saturation] => Self { brightness, contrast, saturation, hue: 0.0 },
            [brightness, contrast, saturation, hue] => Self { brightness, contrast, saturation, hue },
            _ => return None,
        })
    }

    fn check(self) -> Result<(), SpecError> {
        let Self { brightness, contrast, saturation, hue } = self;
        check_range("augmentation.color_jitter.brightness", brightness, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.contrast", contrast, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.saturation", saturation, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.hue", hue, 0.5)
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

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: ImageShape = ImageShape { height: 24, width: 32, channels: 3 };
    const NONE: Augmentation = Augmentation::NONE;

    #[test]
    fn settings_out_of_range_are_named_with_what_is_allowed() {
        let part = |area: (f64, f64), ratio: (f64, f64)| {
            let ((min_area, max_area), (min_ratio, max_ratio)) = (area, ratio);
            let resized_crop = Some(ResizedCrop { min_area, max_area, min_ratio, max_ratio });
            Augmentation { resized_crop, ..NONE }
        };
        let jitter = |brightness, hue| Augmentation {
            color_jitter: Some(ColorJitter { brightness, hue, ..ColorJitter::NONE }),
            ..NONE
        };
        let erasing = |probability| Augmentation {
            random_erasing: Some(RandomErasing { probability, ..RandomErasing::PUBLISHED }),
            ..NONE
        };
        for (wrong, message) in [
            (
                part((0.0, 1.0), (1.0, 1.0)),
                "augmentation.resized_crop.area: 0 to 1 is not allowed, an interval above 0 to 1",
            ),
            (
                part((0.5, 0.4), (1.0, 1.0)),
                "augmentation.resized_crop.area: 0.5 to 0.4 is not allowed, an interval above 0 to 1",
            ),
            (
                part((0.5, 1.0), (f64::NAN, 1.0)),
                "augmentation.resized_crop.ratio: NaN to 1 is not allowed, an interval from 0.01 to 100",
            ),
            (
                Augmentation { crop_padding: 24, ..NONE },
                "augmentation.crop_padding: 24 is not allowed, 0 to 23, so that something of the image is seen",
            ),
            (
                Augmentation { flip_probability: f64::NAN, ..NONE },
                "augmentation.flip_probability: NaN is not allowed, 0 to 1",
            ),
            (jitter(11.0, 0.0), "augmentation.color_jitter.brightness: 11 is not allowed, 0 to 10"),
            (jitter(0.0, 0.6), "augmentation.color_jitter.hue: 0.6 is not allowed, 0 to 0.5"),
            (erasing(-0.1), "augmentation.random_erasing.probability: -0.1 is not allowed, 0 to 1"),
            (
                Augmentation { cutout_size: 1, ..NONE },
                "augmentation.cutout_size: 1 is not allowed, 0, or 2 to 64",
            ),
            (
                Augmentation { cutout_size: 65, ..NONE },
                "augmentation.cutout_size: 65 is not allowed, 0, or 2 to 64",
            ),
            (
                Augmentation { erased_value: 7, ..NONE },
                "augmentation.erased_value: 7 is not allowed, 0 unless something is erased",
            ),
        ] {
            assert_eq!(wrong.check(IMAGE).unwrap_err().to_string(), message);
        }
        let grey = ImageShape { channels: 1, ..IMAGE };
        let error = Augmentation { trivial_augment: true, ..NONE }.check(grey).unwrap_err();
        assert_eq!(error.field, "augmentation.trivial_augment");
    }

    #[test]
    fn everything_at_once_and_the_ends_of_ranges_are_allowed() {
        assert_eq!(Augmentation::EVERY.check(IMAGE), Ok(()));
        let ends = Augmentation { crop_padding: 23, flip_probability: 1.0, ..NONE };
        assert_eq!(ends.check(IMAGE), Ok(()));
        assert_eq!(Augmentation { cutout_size: 64, ..Augmentation::EVERY }.check(IMAGE), Ok(()));
    }

    #[test]
    fn strengths_of_color_are_one_three_or_four() {
        let jitter = |brightness, contrast, saturation, hue| {
            Some(ColorJitter { brightness, contrast, saturation, hue })
        };
        assert_eq!(ColorJitter::of_strengths(&[]), Some(ColorJitter::NONE));
        assert_eq!(ColorJitter::of_strengths(&[0.4]), jitter(0.4, 0.4, 0.4, 0.0));
        assert_eq!(ColorJitter::of_strengths(&[0.1, 0.2, 0.3]), jitter(0.1, 0.2, 0.3, 0.0));
        assert_eq!(ColorJitter::of_strengths(&[0.1, 0.2, 0.3, 0.4]), jitter(0.1, 0.2, 0.3, 0.4));
        assert_eq!(ColorJitter::of_strengths(&[0.1, 0.2]), None);
        assert_eq!(ColorJitter::of_strengths(&[0.1; 5]), None);
    }

    #[test]
    fn what_is_not_used_is_not_written() {
        let text = toml::to_string(&Augmentation { crop_padding: 4, ..NONE }).unwrap();
        assert_eq!(text, "crop-padding = 4\nflip-probability = 0.0\n");
    }
}
