//! What is done to one image before it is mixed.
//!
//! [`AugmentDraw`] belongs to the plan and draws a [`View`]; [`apply`] belongs to collate and shows an
//! image as its view says. In the order in which they are applied, each in a file of its own:
//!
//! 1. a random part, brought to the image's size ([`resized_crop`]);
//! 2. a crop with zero padding, and a mirror ([`crop`]);
//! 3. one change of TrivialAugment ([`trivial`]; [`affine`], [`color`] and [`tone`] do the work);
//! 4. changes of colour ([`color_jitter`]);
//! 5. holes: random erasing, then Cutout ([`erasing`]);
//! 6. a custom transform ([`custom`]).
//!
//! Each transform has a purpose of its own, so that switching one on leaves the draws of the others
//! where they were, and a key of its own for each *occurrence* of a sample: (epoch, place in the
//! epoch, role). A partner is therefore augmented independently of its own turn as a base sample,
//! which may be in another batch, in another shard, or not at all. (Code that mixes a batch with a
//! permutation of itself shows the partner as it shows the base; for a single image, the two
//! cannot be told apart.)
//!
//! Not here: any arithmetic that could differ from one machine to the next. It is done in whole
//! numbers, or in floating point with `+ - * /`, roots and rounding alone, none of it fused.
//!
//! ```
//! use mixfeed_pipeline::ImageShape;
//! use mixfeed_pipeline::augment::{Frames, View, apply};
//!
//! let mirrored = View { flipped: true, ..View::PLAIN };
//! let shape = ImageShape { height: 1, width: 2, channels: 3 };
//! let mut frames = Frames::default();
//! assert_eq!(apply(&mirrored, shape, &[1, 2, 3, 4, 5, 6], &mut frames), [4, 5, 6, 1, 2, 3]);
//! ```

mod affine;
mod color;
mod color_jitter;
mod crop;
pub mod custom;
mod elementary;
mod erasing;
mod resized_crop;
mod tone;
mod trivial;

pub use color_jitter::{ColorChange, Factor, Jitter};
pub use custom::{Custom, CustomAugmentation, CustomView, Parameters};
pub use trivial::{Op, Trivial};

use crate::blend::Region;
use crate::key::{Key, Seed};
use crop::Crop;
use mixfeed_streamspec::{Augmentation, ImageShape, StreamSpec};

/// How one occurrence of an image is shown. The fields stand in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The part that is brought to the image's size.
    pub resized: Option<Region>,
    /// The crop lies this many rows below the image (above, when negative); outside it is black.
    pub down: i32,
    /// The crop lies this many columns right of the image (left, when negative).
    pub right: i32,
    /// Whether it is then mirrored left to right.
    pub flipped: bool,
    /// The change of TrivialAugment.
    pub trivial: Option<Trivial>,
    /// Changes of colour.
    pub jitter: Jitter,
    /// The hole of random erasing.
    pub erased: Option<Hole>,
    /// The hole of Cutout.
    pub cutout: Option<Hole>,
    /// What a custom transform does.
    pub custom: Option<CustomView>,
}

/// A part of an image that is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Where it is.
    pub region: Region,
    /// What all its values become.
    pub value: u8,
}

impl View {
    /// The image as it is.
    pub const PLAIN: Self = Self {
        resized: None,
        down: 0,
        right: 0,
        flipped: false,
        trivial: None,
        jitter: [None; 4],
        erased: None,
        cutout: None,
        custom: None,
    };
}

/// Which image of a row is meant. The numbers are part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Role {
    Base = 0,
    Partner = 1,
}

/// The draws of one epoch's augmentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AugmentDraw {
    augmentation: Augmentation,
    custom: Option<Custom>,
    image: ImageShape,
    seed: Seed,
    epoch: u64,
}

impl AugmentDraw {
    /// Of what a checked spec asks for, with the custom transform that the check found, in an epoch.
    pub(crate) fn new(spec: &StreamSpec, custom: Option<Custom>, image: ImageShape, epoch: u64) -> Self {
        Self { augmentation: spec.augmentation, custom, image, seed: Seed(spec.seed), epoch }
    }

    /// Draws how the image at `position` of the epoch is shown.
    pub(crate) fn view(&self, position: u64, role: Role) -> View {
        // Destructured without `..`, so that a new setting cannot be forgotten here.
        let Augmentation {
            resized_crop,
            crop_padding,
            flip_probability,
            trivial_augment,
            color_jitter,
            random_erasing,
            cutout_size,
            erased_value,
            custom: _, // Found by the check: `self.custom`.
        } = self.augmentation;
        let key =
            |purpose| -> Key { Key::new(self.seed, purpose).at(self.epoch).at(position).at(role as u64) };
        let hole = |region| Hole { region, value: erased_value };
        let mut view = View::PLAIN;
        if let Some(setting) = resized_crop {
            view.resized = Some(resized_crop::draw(key(resized_crop::PURPOSE), &setting, self.image));
        }
        if crop_padding > 0 {
            Crop { down: view.down, right: view.right } = Crop::draw(key(crop::CROP), crop_padding);
        }
        if flip_probability > 0.0 {
            view.flipped = key(crop::FLIP).happens(flip_probability);
        }
        if trivial_augment {
            view.trivial = Trivial::draw(key(trivial::PURPOSE));
        }
        if let Some(setting) = color_jitter {
            view.jitter = color_jitter::draw(key(color_jitter::PURPOSE), &setting);
        }
        if let Some(setting) = random_erasing {
            view.erased = erasing::draw(key(erasing::ERASING), &setting, self.image).map(hole);
        }
        if cutout_size > 0 {
            view.cutout = erasing::draw_cutout(key(erasing::CUTOUT), cutout_size, self.image).map(hole);
        }
        view.custom = self.custom.map(|transform| transform.draw(key(custom::PURPOSE), self.image));
        view
    }
}

/// Memory for an image on its way through the transforms: as it is so far, and as it will be.
#[derive(Debug, Default)]
pub struct Frames {
    now: Vec<u8>,
    next: Vec<u8>,
}

impl Frames {
    /// Lets `transform` write the next frame, and takes it for the present one if it says so.
    fn step(&mut self, transform: impl FnOnce(&mut [u8], &mut [u8]) -> bool) {
        self.next.resize(self.now.len(), 0);
        if transform(&mut self.now, &mut self.next) {
            std::mem::swap(&mut self.now, &mut self.next);
        }
    }
}

/// Shows `image` as `view` says.
///
/// # Panics
/// When the image is not of `shape`.
pub fn apply<'a>(view: &View, shape: ImageShape, image: &[u8], frames: &'a mut Frames) -> &'a [u8] {
    assert_eq!(image.len(), shape.values(), "an image of the shape");
    let View { resized, down, right, flipped, trivial, jitter, erased, cutout, custom } = *view;
    let moved = (down, right, flipped) != (0, 0, false);
    frames.now.resize(image.len(), 0);
    // The first that moves pixels reads the image itself.
    match (resized, moved) {
        (Some(region), _) => resized_crop::apply(region, shape, image, &mut frames.now),
        (None, true) => crop::apply(Crop { down, right }, flipped, shape, image, &mut frames.now),
        (None, false) => frames.now.copy_from_slice(image),
    }
    if moved && resized.is_some() {
        frames.step(|now, next| {
            crop::apply(Crop { down, right }, flipped, shape, now, next);
            true
        });
    }
    if let Some(trivial) = trivial {
        frames.step(|now, next| trivial.apply(shape, now, next));
    }
    color_jitter::apply(&jitter, &mut frames.now);
    for hole in [erased, cutout].into_iter().flatten() {
        erasing::apply(hole.region, hole.value, shape, &mut frames.now);
    }
    if let Some(custom) = custom {
        custom.apply(shape, &mut frames.now);
    }
    &frames.now
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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

    fn views(augmentation: Augmentation, n: u64) -> impl Iterator<Item = View> {
        let draw = AugmentDraw { augmentation, custom: None, image: SHAPE, seed: Seed(9), epoch: 3 };
        (0..n).map(move |position| draw.view(position, Role::Base))
    }

    proptest! {
        #[test]
        fn crops_and_mirrors_as_torchvision_does(down in -9..=9_i32, right in -9..=9_i32, flipped: bool) {
            let view = View { down, right, flipped, ..View::PLAIN };
            // What was there before must not show through.
            let mut frames = Frames { now: vec![77; 3], next: vec![77; 300] };
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
    fn one_transform_does_not_move_the_draws_of_another() {
        let all: Vec<_> = views(Augmentation::EVERY, 200).collect();
        let alone = |augmentation, same: fn(&View, &View) -> bool| {
            views(augmentation, 200).zip(&all).all(|(one, other)| same(&one, other))
        };
        let none = Augmentation::NONE;
        let every = Augmentation::EVERY;
        let Augmentation { crop_padding, flip_probability, cutout_size, erased_value, .. } = every;
        assert!(
            alone(Augmentation { resized_crop: every.resized_crop, ..none }, |a, b| a.resized == b.resized)
        );
        assert!(alone(Augmentation { crop_padding, ..none }, |a, b| (a.down, a.right) == (b.down, b.right)));
        assert!(alone(Augmentation { flip_probability, ..none }, |a, b| a.flipped == b.flipped));
        assert!(alone(Augmentation { trivial_augment: true, ..none }, |a, b| a.trivial == b.trivial));
        assert!(alone(Augmentation { color_jitter: every.color_jitter, ..none }, |a, b| a.jitter == b.jitter));
        let random_erasing = every.random_erasing;
        assert!(alone(Augmentation { random_erasing, erased_value, ..none }, |a, b| a.erased == b.erased));
        assert!(alone(Augmentation { cutout_size, erased_value, ..none }, |a, b| a.cutout == b.cutout));
    }

    #[test]
    fn transforms_are_applied_in_the_order_of_the_contract() {
        let image = numbered();
        let mut expected = image.clone();
        let custom = Some(Custom::new(&custom::tests::Brighter));
        let draw =
            AugmentDraw { augmentation: Augmentation::EVERY, custom, image: SHAPE, seed: Seed(9), epoch: 3 };
        for view in (0..100).map(|position| draw.view(position, Role::Base)) {
            // One at a time, each on what the one before it left.
            expected.copy_from_slice(&image);
            let View { resized, down, right, flipped, trivial, jitter, erased, cutout, custom } = view;
            for one in [
                View { resized, ..View::PLAIN },
                View { down, right, flipped, ..View::PLAIN },
                View { trivial, ..View::PLAIN },
                View { jitter, ..View::PLAIN },
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
    fn base_and_partner_epochs_and_seeds_are_drawn_for_independently() {
        let both = Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE };
        let draw = |seed, epoch| AugmentDraw {
            augmentation: both,
            custom: None,
            image: SHAPE,
            seed: Seed(seed),
            epoch,
        };
        let base: Vec<_> = (0..1620).map(|i| draw(1, 0).view(i, Role::Base)).collect();
        let others: [Vec<_>; 3] = [
            (0..1620).map(|i| draw(1, 0).view(i, Role::Partner)).collect(),
            (0..1620).map(|i| draw(1, 1).view(i, Role::Base)).collect(),
            (0..1620).map(|i| draw(2, 0).view(i, Role::Base)).collect(),
        ];
        for other in others {
            // One view of 162: 10 of 1,620 agree by chance, with a standard deviation of 3.2.
            let same = base.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(same < 26, "{same} views agree");
        }
    }
}
