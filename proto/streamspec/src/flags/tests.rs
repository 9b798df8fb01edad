use super::*;
use crate::{Augmentation, ColorJitter, ResizedCrop};

fn spec(args: &AugmentationArgs) -> Result<StreamSpec, String> {
    args.spec(StreamSpec::train(0, 8))
}

#[test]
fn values_out_of_range_are_named_by_their_flags() {
    let none = AugmentationArgs::default;
    for (args, expected) in [
        (AugmentationArgs { mixup_alpha: Some(-1.0), ..none() }, "--mixup-alpha is -1, it must be 0 to 1000"),
        (AugmentationArgs { cutmix_alpha: Some(-1.0), ..none() }, "--cutmix-alpha is -1"),
        (
            AugmentationArgs { mixup_prob: Some(f64::NAN), ..none() }.or_mixup(0.2),
            "--mixup-prob is NaN, it must be 0 to 1",
        ),
        (
            AugmentationArgs { switch_prob: Some(1.5), cutmix_alpha: Some(1.0), ..none() }.or_mixup(0.2),
            "--switch-prob is 1.5",
        ),
        (AugmentationArgs { label_noise: Some(1.5), ..none() }, "--label-noise is 1.5, it must be 0 to 1"),
        (AugmentationArgs { label_noise: Some(-0.1), ..none() }, "--label-noise is -0.1, it must be 0 to 1"),
        (AugmentationArgs { crop_padding: Some(1 << 30), ..none() }, "--crop-padding is 1073741824"),
        (AugmentationArgs { flip_prob: Some(f64::NAN), ..none() }, "--flip-prob is NaN"),
        (AugmentationArgs { resized_crop: Some(2.0), ..none() }, "--resized-crop is 2, it must be 0 to 1"),
        (
            AugmentationArgs { rand_augment: "2,31".parse().ok(), ..none() },
            "--rand-augment is 31, it must be a magnitude of 0 to 30",
        ),
        (AugmentationArgs { grayscale_prob: Some(1.5), ..none() }, "--grayscale-prob is 1.5"),
        (AugmentationArgs { erase_prob: Some(-1.0), ..none() }, "--erase-prob is -1"),
        (AugmentationArgs { cutout: Some(1), ..none() }, "--cutout is 1"),
        (
            AugmentationArgs { erased_value: Some(1), ..none() },
            "--erased-value is 1, it must be 0 unless something is erased",
        ),
        (AugmentationArgs { color_jitter: Some(vec![0.4, 0.4]), ..none() }, "--color-jitter takes"),
        (
            AugmentationArgs { color_jitter: Some(vec![11.0]), ..none() },
            "--color-jitter is 11, it must be 0 to 10",
        ),
        (
            AugmentationArgs { color_jitter: Some(vec![0.0, 0.0, 0.0, 0.7]), ..none() },
            "--color-jitter is 0.7, it must be 0 to 0.5",
        ),
    ] {
        let error = spec(&args).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn labels_of_the_test_split_stay_as_they_are() {
    let noisy = AugmentationArgs { label_noise: Some(0.4), ..AugmentationArgs::default() };
    let test = StreamSpec { split: crate::Split::Test, ..StreamSpec::train(0, 8) };
    let expected = "--label-noise is 0.4, it must be 0 for the test split, whose labels stay as they are";
    assert_eq!(noisy.spec(test), Err(expected.to_owned()));
}

#[test]
fn what_is_not_set_is_not_done() {
    let spec = |args| spec(&args).unwrap();
    assert_eq!(spec(AugmentationArgs::default()), StreamSpec::train(0, 8));
    let one = AugmentationArgs {
        color_jitter: Some(vec![0.4]),
        resized_crop: Some(0.2),
        ..AugmentationArgs::default()
    };
    let expected = Augmentation {
        color_jitter: Some(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.0 }),
        resized_crop: Some(ResizedCrop { min_area: 0.2, ..ResizedCrop::IMAGENET }),
        ..Augmentation::NONE
    };
    assert_eq!(spec(one).augmentation, expected);
    let noisy = AugmentationArgs { label_noise: Some(0.4), ..AugmentationArgs::default() };
    assert_eq!(spec(noisy), StreamSpec { label_noise: 0.4, ..StreamSpec::train(0, 8) });
    let article = spec(AugmentationArgs::default().or_mixup(0.2));
    assert_eq!(article.mixing, Some(Mixing::mixup(0.2, 0.2)));
    let zero = AugmentationArgs { mixup_prob: Some(0.0), ..AugmentationArgs::default() };
    assert_eq!(spec(zero.or_mixup(0.2)).mixing, None);
}

#[test]
fn flags_without_an_effect_are_found() {
    let none = AugmentationArgs::default;
    let found = |given: AugmentationArgs| given.without_effect(&given.clone().or_mixup(0.2));
    let switch = || AugmentationArgs { switch_prob: Some(0.3), ..none() };
    assert!(found(switch())[0].starts_with("--switch-prob chooses between mixup and CutMix"));
    assert!(found(AugmentationArgs { cutmix_alpha: Some(1.0), ..switch() }).is_empty());
    let off = AugmentationArgs { mixup_alpha: Some(0.0), mixup_prob: Some(1.0), ..none() };
    assert!(found(off.clone())[0].starts_with("--mixup-prob has no effect"));
    assert_eq!(found(AugmentationArgs { switch_prob: Some(0.3), ..off.clone() }).len(), 2);
    assert!(found(AugmentationArgs { mixup_prob: Some(0.0), ..off.clone() }).is_empty());
    assert!(found(AugmentationArgs { cutmix_alpha: Some(1.0), ..off }).is_empty());
}

/// How images are mixed in some epochs, and from when on otherwise.
fn phases(args: &AugmentationArgs) -> Vec<(u64, Option<Mixing>)> {
    spec(args).unwrap().mixing_phases().map(|(epochs, mixing)| (*epochs.start(), mixing)).collect()
}

fn scheduled(text: &str) -> AugmentationArgs {
    AugmentationArgs { mixup_schedule: text.parse().ok(), ..AugmentationArgs::default() }
}

#[test]
fn mixing_until_an_epoch_is_a_schedule_that_ends_there() {
    let until = AugmentationArgs { mixup_until: Some(20), ..AugmentationArgs::default() }.or_mixup(1.0);
    assert_eq!(phases(&until), [(0, Some(Mixing::mixup(0.2, 1.0))), (20, None)]);
    assert_eq!(spec(&until), spec(&scheduled("20:off").or_mixup(1.0)));
}

#[test]
fn what_an_entry_does_not_name_is_as_the_flags_say() {
    let cut = Mixing { kind: MixingKind::Cutmix, ..Mixing::mixup(1.0, 0.2) };
    let one = |alpha, probability| Some(Mixing::mixup(alpha, probability));
    for (text, expected) in [
        ("0:mixup-alpha=1,mixup-prob=1;20:off", vec![(0, one(1.0, 1.0)), (20, None)]),
        (
            "5:mixup-prob=1;10:mixup-alpha=1",
            vec![(0, one(0.2, 0.2)), (5, one(0.2, 1.0)), (10, one(1.0, 0.2))],
        ),
        ("0:off;5:on", vec![(0, None), (5, one(0.2, 0.2))]),
        ("5:mixup-alpha=0,cutmix-alpha=1", vec![(0, one(0.2, 0.2)), (5, Some(cut))]),
        // What changes nothing is no change.
        ("5:on;10:off;20:mixup-prob=0;30:mixup-alpha=0", vec![(0, one(0.2, 0.2)), (10, None)]),
    ] {
        assert_eq!(phases(&scheduled(text).or_mixup(0.2)), expected, "{text}");
    }
    let batch = AugmentationArgs { lambda_per: Some(LambdaScope::Batch), ..scheduled("5:mixup-prob=1") };
    let scopes = phases(&batch.or_mixup(0.2)).into_iter().map(|(_, mixing)| mixing.unwrap().lambda_scope);
    assert!(scopes.eq([LambdaScope::Batch; 2]));
}

#[test]
fn a_schedule_out_of_range_is_named_by_its_flag() {
    let none = AugmentationArgs::default;
    let many: Vec<_> = (1..=17).map(|epoch| format!("{epoch}:mixup-alpha={epoch}")).collect();
    for (args, expected) in [
        (
            scheduled("5:mixup-alpha=-1"),
            "--mixup-schedule is -1, it must be 0 to 1000 (mixing.alpha from epoch 5 on)",
        ),
        (
            scheduled("0:mixup-prob=2"),
            "--mixup-schedule is 2, it must be 0 to 1 (mixing.probability from epoch 0 on)",
        ),
        (scheduled(&many.join(";")), "--mixup-schedule is 17 changes, it must be at most 16 changes"),
        (
            AugmentationArgs { mixup_until: Some(0), ..none() },
            "--mixup-until is 0, it must be 1 epoch or more",
        ),
        (
            AugmentationArgs { mixup_until: Some(5), ..scheduled("5:off") },
            "--mixup-until and --mixup-schedule both say when images are mixed",
        ),
    ] {
        let error = spec(&args.or_mixup(1.0)).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_schedule_that_changes_nothing_is_found_and_what_it_needs_has_an_effect() {
    let found = |given: AugmentationArgs| given.without_effect(&given.clone().or_mixup(0.2));
    let off = |args| AugmentationArgs { mixup_prob: Some(0.0), ..args };
    let until = AugmentationArgs { mixup_until: Some(5), ..AugmentationArgs::default() };
    assert!(found(until.clone()).is_empty());
    assert_eq!(found(off(until)), ["--mixup-until has no effect: all epochs are mixed as without it"]);
    let expected = "--mixup-schedule has no effect: all epochs are mixed as without it";
    assert_eq!(found(scheduled("5:on;8:mixup-prob=0.2")), [expected]);
    assert!(found(off(scheduled("5:mixup-prob=1"))).is_empty());
    // The alpha that --mixup-prob needs, and both that --switch-prob needs, may come later.
    let later = |text| AugmentationArgs { mixup_alpha: Some(0.0), mixup_prob: Some(1.0), ..scheduled(text) };
    assert!(found(later("5:mixup-alpha=1")).is_empty());
    let chosen = AugmentationArgs { switch_prob: Some(0.3), ..later("5:mixup-alpha=1,cutmix-alpha=1") };
    assert!(found(chosen).is_empty());
    assert_eq!(found(later("5:off")).len(), 2);
    // What is wrong with a schedule is not that it does nothing.
    assert!(found(AugmentationArgs { mixup_until: Some(0), ..AugmentationArgs::default() }).is_empty());
}
