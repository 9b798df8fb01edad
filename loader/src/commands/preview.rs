//! `preview`: a page of mixed images, each with its two sources, their labels and its lambda.

use super::data::open_data;
use super::failure::Failure;
use super::flags;
use super::page::Page;
use crate::config::{PreviewArgs, RecipeArgs};
use crate::extensions::Extensions;
use mixfeed_ops::println;
use mixfeed_pipeline::StreamSpec;
use mixfeed_pipeline::spec::{Augmentation, ColorJitter, Mixing, MixingKind, RandomErasing, ResizedCrop};

pub(super) fn run(args: &PreviewArgs, extensions: &Extensions) -> Result<(), Failure> {
    super::page::check_output(&args.output, Some(&args.data))?;
    let dataset = open_data(&args.data, &args.source, extensions)?;
    let plain = StreamSpec::train(args.seed, args.rows * args.columns);
    let spec = spec(&args.recipe, args.mixup_prob, plain)?;
    let title = format!("{}: {}, seed {}, batch {}", dataset.name, describe(&spec), args.seed, args.index);
    let checked = flags::checked(spec, &args.recipe, &dataset, extensions)?;
    Page::of_batch(title, args.columns, &dataset, &checked, args.index)?.save(&args.output)?;
    println!("{}", args.output.display());
    Ok(())
}

/// The stream that the flags ask for.
pub(super) fn spec(recipe: &RecipeArgs, probability: f64, plain: StreamSpec) -> Result<StreamSpec, Failure> {
    let RecipeArgs { mixup_alpha, cutmix_alpha, switch_prob, .. } = *recipe;
    let kind = MixingKind::of_alphas(mixup_alpha, cutmix_alpha, switch_prob);
    Ok(StreamSpec {
        mixing: kind.map(|(kind, alpha)| Mixing { kind, ..Mixing::mixup(alpha, probability) }),
        augmentation: augmentation(recipe)?,
        ..plain
    })
}

fn augmentation(recipe: &RecipeArgs) -> Result<Augmentation, Failure> {
    let RecipeArgs { resized_crop, erase_prob, .. } = *recipe;
    let color_jitter = ColorJitter::of_strengths(&recipe.color_jitter)
        .ok_or_else(|| Failure::usage("--color-jitter takes one, three or four numbers"))?;
    let erasing = RandomErasing { probability: erase_prob, ..RandomErasing::PUBLISHED };
    Ok(Augmentation {
        resized_crop: (resized_crop != 0.0)
            .then_some(ResizedCrop { min_area: resized_crop, ..ResizedCrop::IMAGENET }),
        crop_padding: recipe.crop_padding,
        flip_probability: recipe.flip_prob,
        trivial_augment: recipe.trivial_augment,
        color_jitter: (color_jitter != ColorJitter::NONE).then_some(color_jitter),
        random_erasing: (erase_prob != 0.0).then_some(erasing),
        cutout_size: recipe.cutout,
        erased_value: recipe.erased_value,
        custom: recipe.custom_augmentation,
    })
}

fn describe(spec: &StreamSpec) -> String {
    let mut parts = Vec::new();
    let mixing = spec.mixing.filter(|mixing| mixing.probability > 0.0);
    if mixing.is_none() {
        parts.push("no mixing".to_owned());
    }
    if let Some(Mixing { kind, alpha, probability, .. }) = mixing {
        let how = match kind {
            MixingKind::Mixup => format!("mixup, Beta({alpha}, {alpha})"),
            MixingKind::Cutmix => format!("CutMix, Beta({alpha}, {alpha})"),
            MixingKind::MixupOrCutmix { cutmix_alpha: cut, switch_probability } => format!(
                "mixup, Beta({alpha}, {alpha}), or CutMix, Beta({cut}, {cut}), {switch_probability} of the time"
            ),
        };
        parts.push(format!("{how}, probability {probability}"));
    }
    let Augmentation {
        resized_crop,
        crop_padding,
        flip_probability,
        trivial_augment,
        color_jitter,
        random_erasing,
        cutout_size,
        erased_value: _,
        custom,
    } = spec.augmentation;
    let mut say = |is_set: bool, text: String| parts.extend(is_set.then_some(text));
    let part = resized_crop.map_or(0.0, |it| it.min_area);
    say(part > 0.0, format!("random resized crop (area ≥ {part})"));
    say(crop_padding > 0, format!("random crop (padding {crop_padding})"));
    say(flip_probability > 0.0, format!("flip {flip_probability}"));
    say(trivial_augment, "TrivialAugment".into());
    if let Some(ColorJitter { brightness, contrast, saturation, hue }) = color_jitter {
        say(true, format!("colour jitter ({brightness}, {contrast}, {saturation}, {hue})"));
    }
    let erased = random_erasing.map_or(0.0, |it| it.probability);
    say(erased > 0.0, format!("random erasing {erased}"));
    say(cutout_size > 0, format!("Cutout {cutout_size}"));
    parts.extend(custom.map(|transform| transform.to_string()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(mixing: Option<Mixing>, augmentation: Augmentation) -> String {
        describe(&StreamSpec { mixing, augmentation, ..StreamSpec::train(0, 8) })
    }

    #[test]
    fn a_title_names_mixing_and_augmentation_or_says_that_there_is_none() {
        let augmentation = Augmentation {
            resized_crop: Some(ResizedCrop { min_area: 0.2, ..ResizedCrop::IMAGENET }),
            flip_probability: 0.5,
            ..Augmentation::NONE
        };
        let expected = "no mixing, random resized crop (area ≥ 0.2), flip 0.5";
        for mixing in [None, Some(Mixing::mixup(0.2, 0.0))] {
            assert_eq!(described(mixing, augmentation), expected);
        }
        let padded = Augmentation { crop_padding: 4, cutout_size: 8, ..Augmentation::NONE };
        let expected = "mixup, Beta(0.2, 0.2), probability 1, random crop (padding 4), Cutout 8";
        assert_eq!(described(Some(Mixing::mixup(0.2, 1.0)), padded), expected);
        let cutmix = Mixing { kind: MixingKind::Cutmix, ..Mixing::mixup(1.0, 0.5) };
        assert_eq!(described(Some(cutmix), Augmentation::NONE), "CutMix, Beta(1, 1), probability 0.5");
    }
}
