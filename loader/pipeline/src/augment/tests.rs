use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashMap;

const SHAPE: ImageShape = ImageShape { height: 4, width: 5, channels: 3 };

fn numbered() -> Vec<u8> {
    (1..=SHAPE.values() as u8).collect()
}

/// torchvision's way: pad, cut out, mirror; one value after the other.
fn reference(view: View, padding: i32) -> Vec<u8> {
    let (h, w) = (SHAPE.height as i32, SHAPE.width as i32);
    let image = numbered();
    let padded = |y: i32, x: i32, c: i32| {
        let (y, x) = (y - padding, x - padding);
        let inside = (0..h).contains(&y) && (0..w).contains(&x);
        if inside { image[((y * w + x) * 3 + c) as usize] } else { 0 }
    };
    let (top, left) = (view.down + padding, view.right + padding);
    let mut out = Vec::new();
    for (y, x, c) in (0..h).flat_map(|y| (0..w).flat_map(move |x| (0..3).map(move |c| (y, x, c)))) {
        let x = if view.flipped { w - 1 - x } else { x };
        out.push(padded(top + y, left + x, c));
    }
    out
}

fn shown(view: View, image: &[u8]) -> Vec<u8> {
    apply(&view, SHAPE, image, &mut Frames::default()).to_vec()
}

fn draw(augmentation: Augmentation, custom: Option<Custom>, seed: u64, epoch: u64) -> AugmentDraw {
    AugmentDraw { augmentation, output: None, custom, image: SHAPE, seed: Seed(seed), epoch, plain: false }
}

fn views(augmentation: Augmentation, n: u64) -> impl Iterator<Item = View> {
    let draw = draw(augmentation, None, 9, 3);
    (0..n).map(move |position| draw.view(position, Role::Base, SHAPE.size()))
}

proptest! {
    #[test]
    fn crops_and_mirrors_as_torchvision_does(down in -9..=9_i32, right in -9..=9_i32, flipped: bool) {
        let view = View { down, right, flipped, ..View::PLAIN };
        // What was there before must not show through.
        let mut frames = Frames { now: vec![77; 3], next: vec![77; 300], wide: resample::Wide::default() };
        let out = apply(&view, SHAPE, &numbered(), &mut frames);
        prop_assert_eq!(out, reference(view, 9));
    }
}

#[test]
fn every_place_of_a_crop_is_equally_likely_the_last_included() {
    let augmentation = Augmentation { crop_padding: 4, ..Augmentation::NONE };
    let mut counts: HashMap<(i32, i32), f64> = HashMap::new();
    for view in views(augmentation, 81_000) {
        *counts.entry((view.down, view.right)).or_default() += 1.0;
    }
    assert!((-4..=4).all(|y| (-4..=4).all(|x| counts.contains_key(&(y, x)))) && counts.len() == 81);
    let chi2: f64 = counts.values().map(|n| (n - 1000.0).powi(2) / 1000.0).sum();
    // 80 degrees of freedom: 124.8 is the 99.9 % quantile.
    assert!(chi2 < 124.8, "chi-squared {chi2}");
}

#[test]
fn the_share_mirrored_is_the_probability() {
    for (probability, range) in
        [(0.0, 0..=0), (0.2, 19_370..=20_630), (0.5, 49_200..=50_800), (1.0, 100_000..=100_000)]
    {
        let augmentation = Augmentation { flip_probability: probability, ..Augmentation::NONE };
        let flipped = views(augmentation, 100_000).filter(|view| view.flipped).count();
        assert!(range.contains(&flipped), "{flipped} at {probability}");
    }
}

#[test]
fn transforms_of_one_image_are_drawn_independently() {
    let half = Augmentation { flip_probability: 0.5, grayscale_probability: 0.5, ..Augmentation::NONE };
    let mut counts = [0; 4];
    for view in views(half, 40_000) {
        counts[usize::from(view.flipped) * 2 + usize::from(view.grayscale)] += 1;
    }
    // A quarter each, standard deviation 87.
    assert!(counts.iter().all(|n| (9_600..10_400).contains(n)), "{counts:?}");
}

#[test]
fn one_transform_does_not_move_the_draws_of_another() {
    let all: Vec<_> = views(Augmentation::EVERY, 200).collect();
    let alone = |augmentation, same: fn(&View, &View) -> bool| {
        views(augmentation, 200).zip(&all).all(|(one, other)| same(&one, other))
    };
    let none = Augmentation::NONE;
    let every = Augmentation::EVERY;
    let Augmentation { crop_padding, flip_probability, cutout_size, erased_value, .. } = every;
    assert!(alone(Augmentation { resized_crop: every.resized_crop, ..none }, |a, b| a.resized == b.resized));
    assert!(alone(Augmentation { crop_padding, ..none }, |a, b| (a.down, a.right) == (b.down, b.right)));
    assert!(alone(Augmentation { flip_probability, ..none }, |a, b| a.flipped == b.flipped));
    assert!(alone(Augmentation { trivial_augment: true, ..none }, |a, b| a.trivial == b.trivial));
    assert!(alone(Augmentation { color_jitter: every.color_jitter, ..none }, |a, b| a.jitter == b.jitter));
    assert!(alone(Augmentation { rand_augment: every.rand_augment, ..none }, |a, b| a.rand_augment
        == b.rand_augment));
    let grayscale_probability = every.grayscale_probability;
    assert!(alone(Augmentation { grayscale_probability, ..none }, |a, b| a.grayscale == b.grayscale));
    let random_erasing = every.random_erasing;
    assert!(alone(Augmentation { random_erasing, erased_value, ..none }, |a, b| a.erased == b.erased));
    assert!(alone(Augmentation { cutout_size, erased_value, ..none }, |a, b| a.cutout == b.cutout));
}

#[test]
fn transforms_are_applied_in_the_order_of_the_contract() {
    let image = numbered();
    let mut expected = image.clone();
    let custom = Some(Custom::new(&custom::tests::Brighter));
    let draw = draw(Augmentation::EVERY, custom, 9, 3);
    for view in (0..100).map(|position| draw.view(position, Role::Base, SHAPE.size())) {
        // One at a time, each on what the one before it left.
        expected.copy_from_slice(&image);
        let View {
            resized,
            down,
            right,
            flipped,
            trivial,
            rand_augment,
            jitter,
            grayscale,
            erased,
            cutout,
            custom,
        } = view;
        for one in [
            View { resized, ..View::PLAIN },
            View { down, right, flipped, ..View::PLAIN },
            View { trivial, ..View::PLAIN },
            View { rand_augment, ..View::PLAIN },
            View { jitter, ..View::PLAIN },
            View { grayscale, ..View::PLAIN },
            View { erased, ..View::PLAIN },
            View { cutout, ..View::PLAIN },
            View { custom, ..View::PLAIN },
        ] {
            expected = shown(one, &expected);
        }
        assert_eq!(shown(view, &image), expected, "{view:?}");
    }
    assert_eq!(shown(View::PLAIN, &image), image);
}

#[test]
fn signs_tell_what_was_done_in_the_order_in_which_it_was() {
    let region = Region { top: 1, left: 2, height: 3, width: 4 };
    let view = View {
        resized: Some(Placement::of_part(region, SHAPE.size(), SHAPE.size())),
        down: -2,
        flipped: true,
        trivial: Some(Operation { op: Op::Rotate, level: 7, negative: true }),
        jitter: [None, Some(ColorChange::Hue(9)), None, None],
        rand_augment: std::array::from_fn(|i| {
            [Op::ShearX, Op::Equalize].get(i).map(|op| Operation { op: *op, level: 9, negative: i == 0 })
        }),
        grayscale: true,
        cutout: Some(Hole { region, value: 128 }),
        ..View::PLAIN
    };
    let signs: Vec<_> = view.signs().into_iter().filter_map(|(sign, _)| sign).collect();
    assert_eq!(
        signs,
        ["crop", "↔", "+0,-2", "Rotate -7", "ShearX -9, Equalize 9", "colours", "grey", "hole"]
    );
    assert!(View::PLAIN.signs().iter().all(|(sign, _)| sign.is_none()));
}

#[test]
fn base_and_partner_epochs_and_seeds_are_drawn_for_independently() {
    let both = Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE };
    let draw = |seed, epoch| draw(both, None, seed, epoch);
    let base: Vec<_> = (0..1620).map(|i| draw(1, 0).view(i, Role::Base, SHAPE.size())).collect();
    let others: [Vec<_>; 3] = [
        (0..1620).map(|i| draw(1, 0).view(i, Role::Partner, SHAPE.size())).collect(),
        (0..1620).map(|i| draw(1, 1).view(i, Role::Base, SHAPE.size())).collect(),
        (0..1620).map(|i| draw(2, 0).view(i, Role::Base, SHAPE.size())).collect(),
    ];
    for other in others {
        // One view of 162: 10 of 1,620 agree by chance, with a standard deviation of 3.2.
        let same = base.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(same < 26, "{same} views agree");
    }
}

#[test]
fn everything_that_was_done_to_an_image_is_told() {
    let size = |height, width| ImageSize { height, width };
    let region = Region { top: 1, left: 2, height: 3, width: 4 };
    let view = View {
        resized: Some(Placement { right: 6, ..Placement::of_part(region, size(9, 8), size(5, 7)) }),
        down: -2,
        flipped: true,
        trivial: Some(Operation { op: Op::Rotate, level: 7, negative: true }),
        jitter: [None, Some(ColorChange::Hue(9)), None, None],
        cutout: Some(Hole { region, value: 128 }),
        ..View::PLAIN
    };
    let part = json!({
        "top": 1, "left": 2, "height": 3, "width": 4, "resized": "5x7", "right": 6, "original": "9x8",
    });
    let hole = json!({ "top": 1, "left": 2, "height": 3, "width": 4, "value": 128 });
    let expected = json!({
        "resized": part, "down": -2, "right": 0, "flipped": true,
        "trivial": { "op": "Rotate", "level": 7, "negative": true },
        "colors": [{ "hue": 9 }], "cutout": hole,
    });
    assert_eq!(json!(view), expected);
}
