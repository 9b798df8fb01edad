//! `preview`: a page of mixed images, each with its two sources, their labels and its lambda.

use super::page::Page;
use super::{Failure, open_data};
use crate::config::{PreviewArgs, RecipeArgs};
use mixfeed_pipeline::spec::{Augmentation, Mixing, MixingKind};
use mixfeed_pipeline::{CheckedSpec, StreamSpec};

pub(super) fn run(args: &PreviewArgs) -> Result<(), Failure> {
    let dataset = open_data(&args.data, &args.source)?;
    let spec = spec(&args.recipe, args.mixup_prob, StreamSpec::train(args.seed, args.rows * args.columns));
    let title = format!("{}: {}, seed {}, batch {}", dataset.name, describe(&spec), args.seed, args.index);
    Page::of_batch(title, args.columns, &dataset, &CheckedSpec::new(spec, &dataset)?, args.index)?
        .save(&args.output)?;
    println!("{}", args.output.display());
    Ok(())
}

/// The stream that the flags ask for.
fn spec(recipe: &RecipeArgs, probability: f64, plain: StreamSpec) -> StreamSpec {
    let RecipeArgs { mixup_alpha, cutmix_alpha, switch_prob, crop_padding, flip_prob } = *recipe;
    // An alpha of 0 switches its way of mixing off. One that is out of range is the check's business.
    let (kind, alpha) = if cutmix_alpha == 0.0 {
        (MixingKind::Mixup, mixup_alpha)
    } else if mixup_alpha == 0.0 {
        (MixingKind::Cutmix, cutmix_alpha)
    } else {
        (MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability: switch_prob }, mixup_alpha)
    };
    StreamSpec {
        mixing: Some(Mixing { kind, ..Mixing::mixup(alpha, probability) }),
        augmentation: Augmentation { crop_padding, flip_probability: flip_prob },
        ..plain
    }
}

fn describe(spec: &StreamSpec) -> String {
    let mut parts = Vec::new();
    if let Some(Mixing { kind, alpha, probability, .. }) = spec.mixing {
        let how = match kind {
            MixingKind::Mixup => format!("mixup, Beta({alpha}, {alpha})"),
            MixingKind::Cutmix => format!("CutMix, Beta({alpha}, {alpha})"),
            MixingKind::MixupOrCutmix { cutmix_alpha: cut, switch_probability } => format!(
                "mixup, Beta({alpha}, {alpha}), or CutMix, Beta({cut}, {cut}), {switch_probability} of the time"
            ),
        };
        parts.push(format!("{how}, probability {probability}"));
    }
    if spec.augmentation.crop_padding > 0 {
        parts.push(format!("crop {}", spec.augmentation.crop_padding));
    }
    if spec.augmentation.flip_probability > 0.0 {
        parts.push(format!("flip {}", spec.augmentation.flip_probability));
    }
    parts.join(", ")
}
