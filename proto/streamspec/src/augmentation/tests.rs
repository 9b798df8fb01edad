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
    let rand =
        |num_ops, magnitude| Augmentation { rand_augment: Some(RandAugment { num_ops, magnitude }), ..NONE };
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
        (rand(0, 9), "augmentation.rand_augment.num_ops: 0 is not allowed, 1 to 8 operations"),
        (rand(9, 9), "augmentation.rand_augment.num_ops: 9 is not allowed, 1 to 8 operations"),
        (rand(2, 31), "augmentation.rand_augment.magnitude: 31 is not allowed, a magnitude of 0 to 30"),
        (
            Augmentation { grayscale_probability: 1.5, ..NONE },
            "augmentation.grayscale_probability: 1.5 is not allowed, 0 to 1",
        ),
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
    for (colored, field) in [
        (Augmentation { trivial_augment: true, ..NONE }, "augmentation.trivial_augment"),
        (Augmentation { rand_augment: Some(RandAugment::PUBLISHED), ..NONE }, "augmentation.rand_augment"),
        (Augmentation { grayscale_probability: 0.1, ..NONE }, "augmentation.grayscale_probability"),
    ] {
        assert_eq!(colored.check(grey).unwrap_err().field, field);
    }
}

#[test]
fn everything_at_once_and_the_ends_of_ranges_are_allowed() {
    assert_eq!(Augmentation::EVERY.check(IMAGE), Ok(()));
    let rand_augment = Some(RandAugment { num_ops: 8, magnitude: 30 });
    let ends = Augmentation { crop_padding: 23, flip_probability: 1.0, rand_augment, ..NONE };
    assert_eq!(ends.check(IMAGE), Ok(()));
    assert_eq!(Augmentation { cutout_size: 64, ..Augmentation::EVERY }.check(IMAGE), Ok(()));
}

#[test]
fn strengths_of_color_are_one_three_or_four() {
    let jitter =
        |brightness, contrast, saturation, hue| Some(ColorJitter { brightness, contrast, saturation, hue });
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

#[test]
fn rand_augment_is_two_numbers() {
    assert_eq!("3,14".parse(), Ok(RandAugment { num_ops: 3, magnitude: 14 }));
    for wrong in ["", "2", "2,", ",9", "2,9,1", "-2,9", "2,x"] {
        let error = wrong.parse::<RandAugment>().unwrap_err();
        assert!(error.ends_with("e.g. 2,9"), "{error}");
    }
}

#[test]
fn words_name_what_is_used_in_the_order_of_the_contract() {
    let augmentation = Augmentation {
        resized_crop: Some(ResizedCrop { min_area: 0.2, ..ResizedCrop::IMAGENET }),
        flip_probability: 0.5,
        color_jitter: Some(ColorJitter { hue: 0.1, ..ColorJitter::NONE }),
        rand_augment: Some(RandAugment::PUBLISHED),
        grayscale_probability: 0.2,
        cutout_size: 8,
        ..NONE
    };
    let expected = "random resized crop (area ≥ 0.2), flip 0.5, RandAugment (2 operations, magnitude 9), \
        colour jitter (0, 0, 0, 0.1), random grayscale 0.2, Cutout 8";
    assert_eq!(augmentation.to_string(), expected);
    assert_eq!(NONE.to_string(), "");
}
