//! What is asked to be done to each image before it is mixed, and the check of it.
//!
//! How it is drawn and done is in [`augment`](crate::augment).

use super::SpecError;
use super::checked::check_range;
use crate::augment::Custom;
use crate::dataset::ImageShape;

/// Largest ratio of width to height (or the other way) of a part or a hole.
pub const MAX_RATIO: f64 = 100.0;

/// Largest strength of a change of colour.
pub const MAX_STRENGTH: f64 = 10.0;

/// What is done to each image before it is mixed, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// A random part is brought to the image's size.
    pub resized_crop: Option<ResizedCrop>,
    /// Black pixels added on each side before a part of the image's own size is cut out: 0 (no
    /// crop) to the smaller side less 1, so that something of the image is always seen.
    pub crop_padding: u32,
    /// The share of images that is mirrored left to right, 0 to 1.
    pub flip_probability: f64,
    /// Whether one change of TrivialAugment is made.
    pub trivial_augment: bool,
    /// Random changes of colour.
    pub color_jitter: ColorJitter,
    /// A random rectangle is erased.
    pub random_erasing: Option<RandomErasing>,
    /// Side of the square that is cut out, in pixels: 0 (none), or 2 to twice the larger side.
    pub cutout_size: u32,
    /// What the values of an erased pixel become.
    pub erased_value: u8,
    /// A transform of one's own.
    pub custom: Option<Custom>,
}

/// A random part is brought to the image's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizedCrop {
    /// The part's share of the image's area, above 0 to 1.
    pub area: Interval,
    /// Its width over its height.
    pub ratio: Interval,
}

/// A random rectangle is erased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomErasing {
    /// The share of images with a hole, 0 to 1.
    pub probability: f64,
    /// The hole's share of the image's area, above 0 to 1.
    pub area: Interval,
    /// Its height over its width.
    pub ratio: Interval,
}

/// Random changes of colour; 0 leaves one out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorJitter {
    /// Brightness is multiplied by max(0, 1 - b) to 1 + b; b is 0 to [`MAX_STRENGTH`].
    pub brightness: f64,
    /// Contrast, likewise.
    pub contrast: f64,
    /// Saturation, likewise.
    pub saturation: f64,
    /// The hue turns by up to this share of the circle either way, 0 to 0.5.
    pub hue: f64,
}

/// From the least to the most, both among them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Augmentation {
    /// Images stay as they are.
    pub const NONE: Self = Self {
        resized_crop: None,
        crop_padding: 0,
        flip_probability: 0.0,
        trivial_augment: false,
        color_jitter: ColorJitter::NONE,
        random_erasing: None,
        cutout_size: 0,
        erased_value: 0,
        custom: None,
    };

    /// Everything built in at once, for probes and tests; at no strength that anyone would train with.
    pub const EVERY: Self = Self {
        resized_crop: Some(ResizedCrop::IMAGENET),
        crop_padding: 2,
        flip_probability: 0.5,
        trivial_augment: true,
        color_jitter: ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
        random_erasing: Some(RandomErasing::PUBLISHED),
        cutout_size: 2,
        erased_value: 128,
        custom: None,
    };

    /// Checks what is asked for against the shape of the images.
    pub(super) fn check(&self, image: ImageShape) -> Result<(), SpecError> {
        let Self {
            resized_crop,
            crop_padding,
            flip_probability,
            trivial_augment,
            color_jitter,
            random_erasing,
            cutout_size,
            erased_value,
            custom,
        } = *self;
        if let Some(ResizedCrop { area, ratio }) = resized_crop {
            area.check("augmentation.resized_crop.area", f64::MIN_POSITIVE, 1.0)?;
            ratio.check("augmentation.resized_crop.ratio", 1.0 / MAX_RATIO, MAX_RATIO)?;
        }
        let most = image.height.min(image.width).saturating_sub(1);
        if crop_padding > most {
            let allowed = format!("0 to {most}, so that something of the image is seen");
            return Err(SpecError::new("augmentation.crop_padding", crop_padding, allowed));
        }
        check_range("augmentation.flip_probability", flip_probability, 1.0)?;
        color_jitter.check()?;
        if let Some(RandomErasing { probability, area, ratio }) = random_erasing {
            check_range("augmentation.random_erasing.probability", probability, 1.0)?;
            area.check("augmentation.random_erasing.area", f64::MIN_POSITIVE, 1.0)?;
            ratio.check("augmentation.random_erasing.ratio", 1.0 / MAX_RATIO, MAX_RATIO)?;
        }
        let most = 2 * u64::from(image.height.max(image.width));
        if cutout_size == 1 || u64::from(cutout_size) > most {
            return Err(SpecError::new(
                "augmentation.cutout_size",
                cutout_size,
                format!("0, or 2 to {most}"),
            ));
        }
        // A setting that would do nothing is a mistake, and would give one stream two digests.
        if erased_value > 0 && cutout_size == 0 && random_erasing.is_none() {
            let allowed = "0 unless something is erased";
            return Err(SpecError::new("augmentation.erased_value", erased_value, allowed));
        }
        if image.channels != 3 && (trivial_augment || color_jitter != ColorJitter::NONE) {
            let field =
                if trivial_augment { "augmentation.trivial_augment" } else { "augmentation.color_jitter" };
            return Err(SpecError::new(field, "set", "for images of three channels only"));
        }
        if let Some(custom) = custom {
            custom.check(image).map_err(|allowed| SpecError::new("augmentation.custom", custom, allowed))?;
        }
        Ok(())
    }
}

impl ResizedCrop {
    /// What trainings on ImageNet do, and torchvision's defaults.
    pub const IMAGENET: Self = Self {
        area: Interval { least: 0.08, most: 1.0 },
        ratio: Interval { least: 3.0 / 4.0, most: 4.0 / 3.0 },
    };
}

impl RandomErasing {
    /// torchvision's defaults: the paper's, but for the ratio's 1/0.3, rounded.
    pub const PUBLISHED: Self = Self {
        probability: 0.5,
        area: Interval { least: 0.02, most: 0.33 },
        ratio: Interval { least: 0.3, most: 3.3 },
    };
}

impl ColorJitter {
    /// Colours stay as they are.
    pub const NONE: Self = Self { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };

    fn check(&self) -> Result<(), SpecError> {
        let Self { brightness, contrast, saturation, hue } = *self;
        check_range("augmentation.color_jitter.brightness", brightness, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.contrast", contrast, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.saturation", saturation, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.hue", hue, 0.5)
    }
}

impl Interval {
    /// Checks that both ends are in order and within these. NaN is refused.
    fn check(self, field: &'static str, least: f64, most: f64) -> Result<(), SpecError> {
        if least <= self.least && self.least <= self.most && self.most <= most {
            return Ok(());
        }
        let above = if least < 1e-300 { "above 0".into() } else { format!("from {least}") };
        Err(SpecError::new(
            field,
            format!("{} to {}", self.least, self.most),
            format!("an interval {above} to {most}"),
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
            let interval = |(least, most)| Interval { least, most };
            Augmentation {
                resized_crop: Some(ResizedCrop { area: interval(area), ratio: interval(ratio) }),
                ..NONE
            }
        };
        let jitter = |brightness, hue| Augmentation {
            color_jitter: ColorJitter { brightness, hue, ..ColorJitter::NONE },
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
        let custom = Some(Custom::new(&crate::augment::custom::tests::Brighter));
        let flat = ImageShape { height: 1, ..IMAGE };
        let error = Augmentation { custom, ..NONE }.check(flat).unwrap_err().to_string();
        assert_eq!(error, "augmentation.custom: brighter:2 is not allowed, for images of two rows or more");
    }

    #[test]
    fn everything_at_once_is_allowed() {
        assert_eq!(Augmentation::EVERY.check(IMAGE), Ok(()));
        assert_eq!(Augmentation { cutout_size: 64, ..Augmentation::EVERY }.check(IMAGE), Ok(()));
    }
}
