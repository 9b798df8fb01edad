//! What is done to each image before it is mixed: the setting of each transform, its range, its flag and its words.

mod areas;
mod color_jitter;
#[cfg(test)]
mod tests;

pub use areas::{Interval, MAX_RATIO, RandomErasing, ResizedCrop};
pub use color_jitter::{ColorJitter, MAX_STRENGTH};

use crate::error::{SpecError, check_range};
use crate::{CustomTransform, ImageShape};
#[cfg(feature = "flags")]
use crate::{ImageSize, Output, Resize};
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
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
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

/// In a settings file it is the text of its flag.
#[cfg(feature = "flags")]
mod rand_augment_text {
    use super::RandAugment;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Option<RandAugment>, to: S) -> Result<S::Ok, S::Error> {
        value.map(|it| it.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RandAugment>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse()).transpose().map_err(de::Error::custom)
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

/// Flags that say how images are augmented and mixed; as a file, the same names in TOML. Names are timm's where it has
/// them.
#[cfg(feature = "flags")]
#[derive(Clone, Debug, Default, merge::Merge, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[merge(strategy = merge::option::overwrite_none)]
#[allow(rustdoc::broken_intra_doc_links)] // Help is shown as it is written here.
pub struct AugmentationArgs {
    /// mixup: draw lambda from Beta(ALPHA, ALPHA); 0 disables mixup [default: 0.2; paper: 1]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    pub mixup_alpha: Option<f64>,
    /// Probability of mixup or CutMix, 0 to 1, drawn for each sample, or for each batch with --lambda-per batch [default: 0.2;
    /// paper, photo and `preview`: 1; fast: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub mixup_prob: Option<f64>,
    /// CutMix: draw lambda from Beta(ALPHA, ALPHA); 0 disables CutMix [default: 0]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    pub cutmix_alpha: Option<f64>,
    /// With mixup and CutMix: probability of CutMix instead of mixup [default: 0.5]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub switch_prob: Option<f64>,
    /// Draw one lambda per sample or per batch [default: sample; paper and photo: batch]
    #[arg(long, value_name = "sample|batch")]
    pub lambda_per: Option<crate::LambdaScope>,
    /// Partner, the second image of a mixed pair: from the whole dataset, or from a permutation of the batch [default: dataset;
    /// paper and photo: batch]
    #[arg(long, value_name = "dataset|batch")]
    pub partner: Option<crate::PartnerSource>,
    /// Random crop: zero padding on each side before it; 0 disables it [default: 0; paper and fast: 4]
    #[arg(long, value_name = "PIXELS")]
    pub crop_padding: Option<u32>,
    /// Horizontal flip: its probability [default: 0; others than article: 0.5]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub flip_prob: Option<f64>,
    /// Size of the images as sent, HEIGHTxWIDTH or one side: a random resized crop of the original is resized to it, otherwise
    /// the whole image, as --resize says [default: their own size, the same for all;
    /// photo: 224]
    #[arg(long, value_name = "SIZE")]
    pub image_size: Option<ImageSize>,
    /// Resize to --image-size without a random resized crop, as in evaluation: center-crop (shorter side to SIDE pixels, then the
    /// center; without SIDE the image just covers the size), stretch, or letterbox (padded with VALUE, 0 to 255) [default:
    /// center-crop; photo: center-crop:256]
    #[arg(long, value_name = "center-crop[:SIDE]|stretch|letterbox[:VALUE]")]
    pub resize: Option<Resize>,
    /// Decode JPEG files at 1/2, 1/4 or 1/8 (scaled IDCT) where that is still at least --image-size: faster, other pixels
    /// [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub scaled_decoding: Option<bool>,
    /// Random resized crop: minimum scale, the fraction of the image's area, e.g. 0.08 for scale=(0.08, 1), ratio=(3/4, 4/3); 0
    /// disables it [default: 0; photo: 0.08]
    #[arg(long, value_name = "AREA", allow_negative_numbers = true)]
    pub resized_crop: Option<f64>,
    /// TrivialAugment (wide) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub trivial_augment: Option<bool>,
    /// RandAugment: number of operations, 1 to 8, and their magnitude, 0 to 30 [default: off; 2,9 where no value is given]
    #[arg(long, value_name = "OPS,MAGNITUDE", num_args = 0..=1, default_missing_value = "2,9")]
    #[serde(with = "rand_augment_text")]
    pub rand_augment: Option<RandAugment>,
    /// Color jitter: brightness, contrast, saturation (0 to 10 each) and hue (0 to 0.5), or one value for the first three
    /// [default: 0]
    #[arg(long, value_name = "BCS|B,C,S[,H]", value_delimiter = ',', allow_negative_numbers = true)]
    pub color_jitter: Option<Vec<f64>>,
    /// Random grayscale: its probability [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub grayscale_prob: Option<f64>,
    /// Random erasing: its probability, with scale=(0.02, 0.33), ratio=(0.3, 3.3) [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub erase_prob: Option<f64>,
    /// Cutout: side of the erased square in pixels; 0 disables it [default: 0]
    #[arg(long, value_name = "PIXELS")]
    pub cutout: Option<u32>,
    /// Value of erased pixels, 0 to 255 [default: 0]
    #[arg(long, value_name = "VALUE")]
    pub erased_value: Option<u8>,
    /// Custom transform of the loaders, after all others. (Order: random resized crop, random crop, flip, TrivialAugment,
    /// RandAugment, color jitter, grayscale, random erasing, Cutout, custom; then mixup or CutMix.)
    #[arg(long, value_name = "NAME:VERSION")]
    pub custom_augmentation: Option<CustomTransform>,
}

#[cfg(feature = "flags")]
impl AugmentationArgs {
    pub(crate) fn augmentation(&self) -> Result<Augmentation, String> {
        let color_jitter = ColorJitter::of_strengths(self.color_jitter.as_deref().unwrap_or_default())
            .ok_or("--color-jitter takes one, three or four numbers")?;
        let share = |value: Option<f64>| value.filter(|share| *share != 0.0);
        if let Some(area) = self.resized_crop.filter(|area| !(0.0..=1.0).contains(area)) {
            return Err(format!("--resized-crop is {area}, it must be 0 to 1"));
        }
        Ok(Augmentation {
            resized_crop: share(self.resized_crop)
                .map(|min_area| ResizedCrop { min_area, ..ResizedCrop::IMAGENET }),
            crop_padding: self.crop_padding.unwrap_or(0),
            flip_probability: self.flip_prob.unwrap_or(0.0),
            trivial_augment: self.trivial_augment.unwrap_or(false),
            rand_augment: self.rand_augment,
            color_jitter: (color_jitter != ColorJitter::NONE).then_some(color_jitter),
            grayscale_probability: self.grayscale_prob.unwrap_or(0.0),
            random_erasing: share(self.erase_prob)
                .map(|probability| RandomErasing { probability, ..RandomErasing::PUBLISHED }),
            cutout_size: self.cutout.unwrap_or(0),
            erased_value: self.erased_value.unwrap_or(0),
            custom: self.custom_augmentation,
        })
    }

    pub(crate) fn output(&self) -> Option<Output> {
        let (resize, scaled_decoding) =
            (self.resize.unwrap_or_default(), self.scaled_decoding.unwrap_or(false));
        self.image_size.map(|size| Output { size, resize, scaled_decoding })
    }

    /// The flag that sets a field of the augmentation; none where no flag does.
    pub(crate) fn augmentation_flag(field: &str) -> Option<&'static str> {
        Some(match field {
            "output.height" | "output.width" | "output" => "--image-size",
            "output.resize_side" => "--resize",
            "augmentation.crop_padding" => "--crop-padding",
            "augmentation.flip_probability" => "--flip-prob",
            "augmentation.trivial_augment" => "--trivial-augment",
            "augmentation.grayscale_probability" => "--grayscale-prob",
            "augmentation.random_erasing.probability" => "--erase-prob",
            "augmentation.cutout_size" => "--cutout",
            "augmentation.erased_value" => "--erased-value",
            "augmentation.custom" => "--custom-augmentation",
            field if field.starts_with("augmentation.rand_augment") => "--rand-augment",
            field if field.starts_with("augmentation.color_jitter") => "--color-jitter",
            _ => return None,
        })
    }
}
