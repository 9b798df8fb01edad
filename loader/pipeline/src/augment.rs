//! What is done to one image before it is mixed.
//!
//! [`AugmentDraw`] belongs to the plan and draws a [`View`]; [`apply`] belongs to collate and shows an
//! image as its view says. In the order in which they are applied, each in a file of its own:
//!
//! 1. a random part ([`resized_crop`]) or the whole ([`placement`]), brought to the output's size ([`resample`]);
//! 2. a crop with zero padding, and a mirror ([`crop`]);
//! 3. one change of TrivialAugment ([`trivial`]; by [`operation`] with [`affine`], [`color`] and [`tone`]);
//! 4. the changes of RandAugment ([`rand_augment`]; likewise);
//! 5. changes of colour ([`color_jitter`]);
//! 6. grey in place of colour ([`grayscale`]);
//! 7. holes: random erasing, then Cutout ([`erasing`]);
//! 8. a custom transform ([`custom`]).
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
mod grayscale;
mod operation;
mod placement;
mod rand_augment;
mod resample;
mod resized_crop;
mod taps;
#[cfg(test)]
mod tests;
mod tone;
mod trivial;

pub use color_jitter::{ColorChange, Factor, Jitter};
pub use custom::{Custom, CustomAugmentation, CustomView, Parameters};
pub use operation::{Op, Operation};
pub use placement::Placement;
pub use rand_augment::Operations;

use crate::blend::Region;
use crate::dataset::Pixels;
use crate::key::{Key, Seed};
use crop::Crop;
use mixfeed_streamspec::{Augmentation, ImageShape, ImageSize, Output, RandAugment, StreamSpec};
use serde::{Serialize, Serializer};

/// How one occurrence of an image is shown. The fields stand in the order in which they are applied; what left the
/// image as it was is not serialised, but for a crop and a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// The part that is brought to the output's size, and where it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized: Option<Placement>,
    /// The crop lies this many rows below the image (above, when negative); outside it is black.
    pub down: i32,
    /// The crop lies this many columns right of the image (left, when negative).
    pub right: i32,
    /// Whether it is then mirrored left to right.
    pub flipped: bool,
    /// The change of TrivialAugment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trivial: Option<Operation>,
    /// The changes of RandAugment.
    #[serde(skip_serializing_if = "none_made", serialize_with = "serialize_made")]
    pub rand_augment: Operations,
    /// Changes of colour.
    #[serde(rename = "colors", skip_serializing_if = "none_made", serialize_with = "serialize_made")]
    pub jitter: Jitter,
    /// Whether all channels become the luma.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grayscale: bool,
    /// The hole of random erasing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<Hole>,
    /// The hole of Cutout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutout: Option<Hole>,
    /// What a custom transform does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomView>,
}

/// A part of an image that is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Where it is.
    #[serde(flatten)]
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
        rand_augment: [None; RandAugment::MAX_OPS as usize],
        jitter: [None; 4],
        grayscale: false,
        erased: None,
        cutout: None,
        custom: None,
    };

    /// What was done in a few signs, in the order in which it is applied, each with what it means; no sign for a
    /// transform that left the image as it was.
    #[must_use]
    pub fn signs(&self) -> [(Option<String>, &'static str); 9] {
        let Self {
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
        } = *self;
        let names: Vec<_> = rand_augment.iter().flatten().map(ToString::to_string).collect();
        let moved = (down, right) != (0, 0);
        [
            (
                resized.filter(|it| it.part != Region::whole(it.original)).map(|_| "crop".into()),
                "crop: a random part, resized",
            ),
            (flipped.then(|| "↔".into()), "↔ flipped"),
            (
                moved.then(|| format!("{right:+},{down:+}")),
                "+x,+y: crop of the padded image, moved to the right and down by so many pixels",
            ),
            (
                trivial.map(|it| it.to_string()),
                "a name and a number: TrivialAugment's operation and its strength, 0 to 30",
            ),
            (
                (!names.is_empty()).then(|| names.join(", ")),
                "names and numbers: RandAugment's operations and their strength, 0 to 30",
            ),
            ((!none_made(&jitter)).then(|| "colours".into()), "colours: colour jitter"),
            (grayscale.then(|| "grey".into()), "grey: random grayscale"),
            (erased.or(cutout).map(|_| "hole".into()), "hole: random erasing or Cutout"),
            (custom.map(|it| it.transform.name().into()), "a name alone: a transform of the loader's own"),
        ]
    }
}

/// Tells whether none of some changes is made.
fn none_made<T, const N: usize>(changes: &[Option<T>; N]) -> bool {
    changes.iter().all(Option::is_none)
}

/// Writes the changes that are made as a list.
fn serialize_made<S: Serializer, T: Serialize, const N: usize>(
    changes: &[Option<T>; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.iter().flatten())
}

/// How the probes of a transform switch it on, and their digest as it was when the transform came, which stays whatever
/// becomes of it.
type LaterProbe = (fn(&mut Augmentation), &'static str);

/// Transforms that came after the first probes of the algorithm fingerprint were frozen.
pub(crate) const LATER: [LaterProbe; 2] = [
    (|it| it.grayscale_probability = 0.5, "1e376dbb03d5fc3a9309b299673c500072e4dc5470d61df9629b33346518b5e3"),
    (
        |it| it.rand_augment = Some(RandAugment::PUBLISHED),
        "f00db735a266a79a732e026444cc5356cf178b2951a277229519f43ee375e2b1",
    ),
];

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
    output: Option<Output>,
    custom: Option<Custom>,
    image: ImageShape,
    seed: Seed,
    epoch: u64,
    /// Whether every image is shown as it is.
    plain: bool,
}

impl AugmentDraw {
    /// Of what a checked spec asks for, with the custom transform that the check found, in an epoch; `image` as sent.
    pub(crate) fn new(spec: &StreamSpec, custom: Option<Custom>, image: ImageShape, epoch: u64) -> Self {
        let StreamSpec { augmentation, output, seed, .. } = *spec;
        let plain = augmentation == Augmentation::NONE && output.is_none();
        Self { augmentation, output, custom, image, seed: Seed(seed), epoch, plain }
    }

    /// Draws how the image at `position` of the epoch, of size `original`, is shown.
    pub(crate) fn view(&self, position: u64, role: Role, original: ImageSize) -> View {
        if self.plain {
            return View::PLAIN;
        }
        // Destructured without `..`, so that a new setting cannot be forgotten here.
        let Augmentation {
            resized_crop,
            crop_padding,
            flip_probability,
            trivial_augment,
            rand_augment,
            color_jitter,
            grayscale_probability,
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
            let part = resized_crop::draw(key(resized_crop::PURPOSE), &setting, original);
            let scaled_decoding = self.output.is_some_and(|output| output.scaled_decoding);
            view.resized =
                Some(Placement { scaled_decoding, ..Placement::of_part(part, original, self.image.size()) });
        } else if let Some(output) = self.output {
            view.resized = Placement::of_whole(&output, original);
        }
        if crop_padding > 0 {
            Crop { down: view.down, right: view.right } = Crop::draw(key(crop::CROP), crop_padding);
        }
        if flip_probability > 0.0 {
            view.flipped = key(crop::FLIP).happens(flip_probability);
        }
        if trivial_augment {
            view.trivial = trivial::draw(key(trivial::PURPOSE));
        }
        if let Some(setting) = rand_augment {
            view.rand_augment = rand_augment::draw(key(rand_augment::PURPOSE), &setting);
        }
        if let Some(setting) = color_jitter {
            view.jitter = color_jitter::draw(key(color_jitter::PURPOSE), &setting);
        }
        if grayscale_probability > 0.0 {
            view.grayscale = key(grayscale::PURPOSE).happens(grayscale_probability);
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
    wide: resample::Wide,
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
/// When the image is not of `shape`, or a custom transform fails.
pub fn apply<'a>(view: &View, shape: ImageShape, image: &[u8], frames: &'a mut Frames) -> &'a [u8] {
    assert_eq!(image.len(), shape.values(), "an image of the shape");
    let shown = try_apply(view, shape, Pixels::whole(image, shape.size()), frames);
    shown.unwrap_or_else(|reason| panic!("{reason}"))
}

/// Shows an image as `view` says, in `shape`: of a view that resizes, any image of which `pixels` are at least what it
/// shows; otherwise one of the shape. An error is that of a custom transform.
pub(crate) fn try_apply<'a>(
    view: &View,
    shape: ImageShape,
    pixels: Pixels<'_>,
    frames: &'a mut Frames,
) -> Result<&'a [u8], String> {
    apply_built_in(view, shape, pixels, frames);
    if let Some(custom) = view.custom {
        custom.apply(shape, &mut frames.now)?;
    }
    Ok(&frames.now)
}

/// The same without the custom transform.
pub(crate) fn apply_built_in<'a>(
    view: &View,
    shape: ImageShape,
    pixels: Pixels<'_>,
    frames: &'a mut Frames,
) -> &'a [u8] {
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
        custom: _,
    } = *view;
    let moved = (down, right, flipped) != (0, 0, false);
    frames.now.resize(shape.values(), 0);
    // The first that moves pixels reads the image itself.
    match (resized, moved) {
        (Some(placed), _) => resample::apply(&placed, pixels, shape, &mut frames.wide, &mut frames.now),
        (None, true) => crop::apply(Crop { down, right }, flipped, shape, pixels.bytes, &mut frames.now),
        (None, false) => frames.now.copy_from_slice(pixels.bytes),
    }
    if moved && resized.is_some() {
        frames.step(|now, next| {
            crop::apply(Crop { down, right }, flipped, shape, now, next);
            true
        });
    }
    if let Some(operation) = trivial {
        frames.step(|now, next| operation.apply(&trivial::strength(operation.level), shape, now, next));
    }
    for operation in rand_augment.into_iter().flatten() {
        let strength = rand_augment::strength(operation.level, shape);
        frames.step(|now, next| operation.apply(&strength, shape, now, next));
    }
    color_jitter::apply(&jitter, &mut frames.now);
    if grayscale {
        grayscale::apply(&mut frames.now);
    }
    for hole in [erased, cutout].into_iter().flatten() {
        erasing::apply(hole.region, hole.value, shape, &mut frames.now);
    }
    &frames.now
}
