//! `preview`: a page of mixed images, each with its two sources, their labels and its lambda.

use super::data::open_data;
use super::failure::Failure;
use super::page::Page;
use super::spec::{asked, checked};
use crate::config::PreviewArgs;
use crate::extensions::Extensions;
use mixfeed_ops::println;
use mixfeed_pipeline::StreamSpec;

pub(super) fn run(args: &PreviewArgs, extensions: &Extensions) -> Result<(), Failure> {
    super::page::check_output(&args.output, Some(&args.data))?;
    let dataset = open_data(&args.data, &args.source, extensions)?;
    let plain = StreamSpec::train(args.seed, args.rows * args.columns);
    let spec = asked(&args.augmentation, 1.0, plain)?;
    let checked = checked(&args.augmentation, spec, &dataset, extensions)?;
    let first = args.epoch.checked_mul(checked.epochs().batches());
    let index = first.and_then(|first| first.checked_add(args.index)).ok_or_else(|| {
        Failure::usage(format!("--epoch is {}, it must be one whose batches can be counted", args.epoch))
    })?;
    let epoch = checked.epochs().epoch(index);
    let at = if epoch > 0 { format!("epoch {epoch}, batch {index}") } else { format!("batch {index}") };
    let title = format!("{}: {}, seed {}, {at}", dataset.name, describe(&spec, epoch), args.seed);
    Page::of_batch(title, args.columns, &dataset, &checked, index)?.save(&args.output)?;
    println!("{}", args.output.display());
    Ok(())
}

/// What is done to images in an epoch.
fn describe(spec: &StreamSpec, epoch: u64) -> String {
    let mixing = spec.mixing_at(epoch).filter(|mixing| mixing.probability > 0.0);
    let mixing = mixing.map_or("no mixing".into(), |mixing| mixing.to_string());
    let augmentation = (!spec.augmentation.is_none()).then(|| spec.augmentation.to_string());
    let noise = (spec.label_noise > 0.0).then(|| format!("label noise {}", spec.label_noise));
    [Some(mixing), augmentation, noise].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::spec::{Augmentation, Mixing, MixingKind, MixingSchedule, ResizedCrop};

    fn described(mixing: Option<Mixing>, augmentation: Augmentation) -> String {
        describe(&StreamSpec { mixing, augmentation, ..StreamSpec::train(0, 8) }, 0)
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
        let noisy = StreamSpec { label_noise: 0.4, ..StreamSpec::train(0, 8) };
        assert_eq!(describe(&noisy, 0), "no mixing, label noise 0.4");
        let mixing_schedule = MixingSchedule::once(20, None);
        let until =
            StreamSpec { mixing: Some(Mixing::mixup(0.2, 1.0)), mixing_schedule, ..StreamSpec::train(0, 8) };
        let at = [19, 20].map(|epoch| describe(&until, epoch));
        assert_eq!(at, ["mixup, Beta(0.2, 0.2), probability 1", "no mixing"]);
    }
}
