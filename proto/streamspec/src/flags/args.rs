//! The flags of a recipe: how images are augmented and mixed. What they come to is said beside them, in [`super`].

use crate::{
    Augmentation, ColorJitter, CustomTransform, ImageSize, Output, RandAugment, RandomErasing, Resize,
    ResizedCrop,
};
use serde::{Deserialize, Serialize};

/// Flags that say how images are augmented and mixed; as a file, the same names in TOML. Names are timm's where it has
/// them.
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
    /// Mix the first EPOCHS epochs only [default: all]
    #[arg(long, value_name = "EPOCHS")]
    pub mixup_until: Option<u64>,
    /// Mix otherwise from some epochs (counted from 0) on: mixup-alpha, mixup-prob, cutmix-alpha and switch-prob, what is not named
    /// being as the flags say, or off, or on (as the flags say), e.g. 0:mixup-alpha=0.2,mixup-prob=1;20:off [default: all epochs
    /// alike]
    #[arg(long, value_name = "EPOCH:SETTINGS;…")]
    pub mixup_schedule: Option<crate::MixupSchedule>,
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
    /// Label noise: the probability that a training sample's label is replaced by one drawn from all classes, for this sample
    /// in every epoch; evaluation keeps the true labels [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub label_noise: Option<f64>,
    /// Custom transform of the loaders, after all others. (Order: random resized crop, random crop, flip, TrivialAugment,
    /// RandAugment, color jitter, grayscale, random erasing, Cutout, custom; then mixup or CutMix.)
    #[arg(long, value_name = "NAME:VERSION")]
    pub custom_augmentation: Option<CustomTransform>,
}

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
            "label_noise" => "--label-noise",
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

/// In a settings file it is the text of its flag.
mod rand_augment_text {
    use crate::RandAugment;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Option<RandAugment>, to: S) -> Result<S::Ok, S::Error> {
        value.map(|it| it.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RandAugment>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse()).transpose().map_err(de::Error::custom)
    }
}
