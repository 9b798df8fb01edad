//! Fields of a spec that flags asked for: an error says which flag it is about.

use super::Failure;
use crate::config::RecipeArgs;
use crate::extensions::Extensions;
use mixfeed_pipeline::{CheckedSpec, Dataset, SpecError, StreamSpec};

/// Checks a spec that was made of flags.
pub(super) fn checked(
    spec: StreamSpec,
    recipe: &RecipeArgs,
    dataset: &Dataset,
    extensions: &Extensions,
) -> Result<CheckedSpec, Failure> {
    extensions.check(spec, dataset).map_err(|error| named(error, recipe))
}

fn named(error: SpecError, recipe: &RecipeArgs) -> Failure {
    let Some(flag) = flag(error.field, recipe) else { return error.into() };
    Failure::usage(format!("{flag} {} is not allowed, {}", error.value, error.allowed))
}

/// The flag that a field comes from; none for one that no flag sets.
fn flag(field: &str, recipe: &RecipeArgs) -> Option<&'static str> {
    Some(match field {
        "mixing.alpha" if recipe.mixup_alpha == 0.0 => "--cutmix-alpha",
        "mixing.alpha" => "--mixup-alpha",
        "mixing.cutmix_alpha" => "--cutmix-alpha",
        "mixing.probability" => "--mixup-prob",
        "mixing.switch_probability" => "--switch-prob",
        "augmentation.crop_padding" => "--crop-padding",
        "augmentation.flip_probability" => "--flip-prob",
        "augmentation.resized_crop.area" => "--resized-crop",
        "augmentation.trivial_augment" => "--trivial-augment",
        "augmentation.random_erasing.probability" => "--erase-prob",
        "augmentation.cutout_size" => "--cutout",
        "augmentation.erased_value" => "--erased-value",
        "augmentation.custom" => "--custom-augmentation",
        field if field.starts_with("augmentation.color_jitter") => "--color-jitter",
        _ => return None,
    })
}
