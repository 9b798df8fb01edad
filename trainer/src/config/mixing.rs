//! How images are augmented and mixed: the settings of the stream that the loaders carry out.
//!
//! The names are timm's, and those of `mixfeed-loader preview`.

use super::checked::{filled, integer, number};
use super::{Settings, UsageError};
use mixfeed_client::{
    Augmentation, ColorJitter, LambdaScope, Mixing, MixingKind, PartnerSource, RandomErasing, ResizedCrop,
};

/// The most padding in pixels that is asked of a loader, which knows the images and may take less.
const CROP_PADDING: u32 = 4096;

/// Reads what has a lambda of its own.
pub(super) fn lambda_scope(text: &str) -> Result<LambdaScope, String> {
    match text {
        "sample" => Ok(LambdaScope::Sample),
        "batch" => Ok(LambdaScope::Batch),
        _ => Err("give sample or batch".to_owned()),
    }
}

/// Reads where partners come from.
pub(super) fn partner_source(text: &str) -> Result<PartnerSource, String> {
    match text {
        "dataset" => Ok(PartnerSource::Dataset),
        "batch" => Ok(PartnerSource::Batch),
        _ => Err("give dataset or batch".to_owned()),
    }
}

/// Checks the complete settings of this file; none when they mix nothing.
pub(super) fn check(settings: &Settings) -> Result<Option<Mixing>, UsageError> {
    let mixup = number("mixup-alpha", settings.mixup_alpha, 0.0..=1000.0)?;
    let cutmix = number("cutmix-alpha", settings.cutmix_alpha, 0.0..=1000.0)?;
    let switch_probability = number("switch-prob", settings.switch_prob, 0.0..=1.0)?;
    let probability = number("mixup-prob", settings.mixup_prob, 0.0..=1.0)?;
    let lambda_scope = filled("lambda-per", settings.lambda_per)?;
    let partner_source = filled("partner", settings.partner)?;
    let kind = MixingKind::of_alphas(mixup, cutmix, switch_probability).filter(|_| probability > 0.0);
    Ok(kind.map(|(kind, alpha)| Mixing { kind, alpha, probability, lambda_scope, partner_source }))
}

/// Checks what is done to each image before it is mixed. What is not set is not done.
pub(super) fn augmentation(settings: &Settings) -> Result<Augmentation, UsageError> {
    let share = |name, value: Option<f64>| number(name, Some(value.unwrap_or(0.0)), 0.0..=1.0);
    let part = share("resized-crop", settings.resized_crop)?;
    let erasing = share("erase-prob", settings.erase_prob)?;
    Ok(Augmentation {
        crop_padding: integer("crop-padding", settings.crop_padding, 0..=CROP_PADDING)?,
        flip_probability: number("flip-prob", settings.flip_prob, 0.0..=1.0)?,
        trivial_augment: settings.trivial_augment.unwrap_or(false),
        cutout_size: settings.cutout.unwrap_or(0),
        erased_value: settings.erased_value.unwrap_or(0),
        resized_crop: (part > 0.0).then(|| ResizedCrop { min_area: part, ..ResizedCrop::default() }),
        color_jitter: color_jitter(settings.color_jitter.as_deref().unwrap_or_default())?,
        random_erasing: (erasing > 0.0)
            .then(|| RandomErasing { probability: erasing, ..RandomErasing::default() }),
        custom: settings.custom_augmentation,
    })
}

fn color_jitter(strengths: &[f64]) -> Result<Option<ColorJitter>, UsageError> {
    let jitter = ColorJitter::of_strengths(strengths)
        .ok_or_else(|| UsageError::new("--color-jitter takes one, three or four numbers"))?;
    for strength in [jitter.brightness, jitter.contrast, jitter.saturation] {
        number("color-jitter", Some(strength), 0.0..=10.0)?;
    }
    number("color-jitter's hue", Some(jitter.hue), 0.0..=0.5)?;
    Ok((jitter != ColorJitter::NONE).then_some(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let settings = || Settings { data: Some("synthetic".to_owned()), ..Settings::default() };
        for (settings, expected) in [
            (Settings { cutmix_alpha: Some(-1.0), ..settings() }, "--cutmix-alpha is -1"),
            (Settings { switch_prob: Some(1.5), ..settings() }, "--switch-prob is 1.5"),
            (Settings { crop_padding: Some(1 << 20), ..settings() }, "--crop-padding is 1048576"),
            (Settings { flip_prob: Some(f64::NAN), ..settings() }, "--flip-prob is NaN"),
            (Settings { resized_crop: Some(2.0), ..settings() }, "--resized-crop is 2"),
            (Settings { erase_prob: Some(-1.0), ..settings() }, "--erase-prob is -1"),
            (Settings { color_jitter: Some(vec![0.4, 0.4]), ..settings() }, "--color-jitter takes"),
            (Settings { color_jitter: Some(vec![11.0]), ..settings() }, "--color-jitter is 11"),
            (
                Settings { color_jitter: Some(vec![0.0, 0.0, 0.0, 0.7]), ..settings() },
                "--color-jitter's hue is 0.7",
            ),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn one_strength_of_colour_is_for_three_changes_and_what_is_not_set_is_not_done() {
        let augmentation = |settings: Settings| {
            let settings = Settings { data: Some("synthetic".to_owned()), ..settings };
            settings.check().unwrap().training.stream.augmentation
        };
        assert!(augmentation(Settings::default()).is_none());
        let settings =
            Settings { color_jitter: Some(vec![0.4]), resized_crop: Some(0.2), ..Settings::default() };
        let expected = Augmentation {
            color_jitter: Some(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.0 }),
            resized_crop: Some(ResizedCrop { min_area: 0.2, ..ResizedCrop::default() }),
            ..Augmentation::default()
        };
        assert_eq!(augmentation(settings), expected);
    }
}
